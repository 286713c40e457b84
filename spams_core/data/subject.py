"""What of a depth image is the subject: the settings, and the tests that one image decides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from spams_core.errors import InputError

__all__ = ["Keep", "SubjectSettings", "join_fragments", "label_surfaces"]

Keep = Literal["all", "largest", "moving", "picked"]

_LINKS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
"""Neighbours as (rows, columns); two pixels away too, for a line of lost readings cuts no surface."""

_FRAGMENT_SHARE = 0.25
"""What is smaller than this share of the subject may be a piece of it behind its own arm or leg."""


@dataclass(frozen=True)
class SubjectSettings:
    """Which readings belong to the subject. By default those that the recording's masks mark, or all without masks."""

    near_m: float = 0.0
    """Readings nearer to the camera than this, in metres along its axis, are not the subject."""
    far_m: float | None = None
    """Readings farther away than this, in metres along the camera's axis, are not the subject."""
    box_low_m: tuple[float, float, float] | None = None
    """Lowest x, y and z of a box in the world, in metres; what lies outside is not the subject."""
    box_high_m: tuple[float, float, float] | None = None
    """Highest x, y and z of that box."""
    remove_floor: bool = False
    """Find the floor and take it away."""
    floor_band_m: float = 0.03
    """What is lower than this above the floor goes with it, in metres; more for a noisy camera."""
    remove_background: bool = False
    """Take away what is there in most frames, as the room is: for a camera at rest and a subject that moves about."""
    background_gap_m: float = 0.1
    """The subject is nearer than the background behind it by at least this, in metres."""
    keep: Keep = "all"
    """Which connected surface is the subject: all, the largest in each frame, the one that moves most in each frame, or
    the picked one, followed through the frames."""
    pick: tuple[int, int, int] | None = None
    """Frame, column and row of a pixel on the subject, all counted from 0."""
    depth_jump_m: float = 0.08
    """Neighbouring readings whose depth differs by more than this, in metres, lie on different surfaces."""
    join_gap_m: float = 0.25
    """Small pieces this near to the subject, in metres, are its own: a leg cut in two by the one before it. 0 joins
    nothing."""
    seed: int = 0
    """Seed of the search for the floor."""

    def __post_init__(self) -> None:
        numbers = ("near_m", "floor_band_m", "background_gap_m", "depth_jump_m", "join_gap_m")
        for name in numbers:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"subject {name} is {value}. Give 0 or a positive number of metres.")
        if self.depth_jump_m == 0:
            raise InputError(
                "subject depth_jump_m is 0, which cuts everything apart. Give a positive number of metres."
            )
        if self.far_m is not None and not (math.isfinite(self.far_m) and self.far_m > self.near_m):
            raise InputError(f"subject far_m is {self.far_m}; it must lie beyond near_m, {self.near_m}.")
        if (self.box_low_m is None) != (self.box_high_m is None):
            raise InputError("the subject's box needs both box_low_m and box_high_m. Give the other one as well.")
        if self.box_low_m is not None and self.box_high_m is not None:
            corners: tuple[float, ...] = (*self.box_low_m, *self.box_high_m)  # of any length where a file holds them
            if len(corners) != 6 or not all(map(math.isfinite, corners)):
                raise InputError("the subject's box needs x, y and z in metres for each of its two corners.")
            if not all(low < high for low, high in zip(self.box_low_m, self.box_high_m, strict=True)):
                raise InputError(
                    f"the subject's box is empty: {self.box_low_m} is not below {self.box_high_m}. Exchange them."
                )
        pick: tuple[int, ...] = (0, 0, 0) if self.pick is None else self.pick
        if len(pick) != 3 or min(pick) < 0:
            raise InputError(f"subject pick is {self.pick}. Give frame, column and row, counted from 0.")
        if self.keep == "picked" and self.pick is None:
            raise InputError("keep picked needs a pixel on the subject. Give pick: frame, column and row.")
        if self.seed < 0:
            raise InputError(f"subject seed is {self.seed}; it must be 0 or more.")

    @property
    def changes_nothing(self) -> bool:
        """Whether the subject is what the recording says."""
        return (
            self.near_m == 0
            and self.far_m is None
            and self.box_low_m is None
            and not self.remove_floor
            and not self.remove_background
            and self.keep == "all"
        )


def label_surfaces(
    depth_m: Float[np.ndarray, "H W"], kept: Bool[np.ndarray, "H W"], jump_m: float
) -> Int[np.ndarray, "H W"]:
    """Number the connected surfaces of a depth image: neighbours belong together unless the depth jumps between them.

    Returns:
        1 for the largest surface, 2 for the next; 0 where nothing is kept.
    """
    labels = np.zeros(depth_m.shape, dtype=np.int32)
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    if len(rows) == 0:
        return labels
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    depth, inside = depth_m[window], kept[window]
    number = np.full(depth.shape, -1, dtype=np.int64)
    number[inside] = np.arange(inside.sum())
    ends: list[tuple[np.ndarray, np.ndarray]] = []
    height, width = depth.shape
    for down, right in _LINKS:
        here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        there = slice(down, height), slice(max(0, right), width + min(0, right))
        if 0 in depth[here].shape:
            continue
        linked = inside[here] & inside[there] & (np.abs(depth[here] - depth[there]) < jump_m)
        ends.append((number[here][linked], number[there][linked]))
    first, second = (np.concatenate([pair[k] for pair in ends]) for k in range(2))
    count = int(inside.sum())
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
    _, found = connected_components(graph, directed=False)
    order = np.argsort(-np.bincount(found), kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(1, len(order) + 1)
    labels[window][inside] = rank[found]
    return labels


def join_fragments(
    labels: Int[np.ndarray, "H W"], chosen: int, points: Float[np.ndarray, "H W 3"], gap_m: float
) -> Bool[np.ndarray, "H W"]:
    """The chosen surface and the small ones that come within `gap_m` of it in space."""
    joined: np.ndarray = labels == chosen
    sizes = np.bincount(labels.ravel())
    small = (sizes < _FRAGMENT_SHARE * sizes[chosen]) & (np.arange(len(sizes)) > 0)
    small[chosen] = False
    rows, columns = np.nonzero(small[labels])
    if gap_m == 0 or len(rows) == 0:
        return joined
    distance, _ = KDTree(points[joined]).query(points[rows, columns], distance_upper_bound=gap_m)
    near = np.unique(labels[rows, columns][np.isfinite(distance)])
    return joined | np.isin(labels, near)

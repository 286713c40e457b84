"""What the user has changed, as one value: sliders, blend, map and keyframes; and the codes that it makes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from app.translation import tr

if TYPE_CHECKING:
    from spams_core.tasks.code_map import CodeMap
    from spams_core.tasks.edit import Workbench

__all__ = [
    "KIND_NAMES", "KIND_TITLES", "Codes", "EditState", "Key", "Kind", "Pin", "PoseEdit", "edited_codes", "same_state",
]  # fmt: skip

Kind = Literal["shape", "pose"]
KIND_NAMES: dict[Kind, str] = {"shape": tr("shape"), "pose": tr("pose")}
KIND_TITLES: dict[Kind, str] = {"shape": tr("Shape"), "pose": tr("Pose")}
Shift = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Codes:
    """Shape and pose of one body, or of one body in many poses, and what to call it.

    Attributes:
        pose: [Q, D_p] the pose to stand in where there is no motion.
        motion, frames: [T, Q, D_p] poses and [T] their frames of the recording, or None.
    """

    title: str
    shape: Float[np.ndarray, "Q Ds"]
    pose: Float[np.ndarray, "Q Dp"]
    motion: Float[np.ndarray, "T Q Dp"] | None = None
    frames: Int[np.ndarray, "T"] | None = None

    def pose_at(self, frame: int) -> Float[np.ndarray, "Q Dp"]:
        """The pose in the fitted frame nearest to a frame; the one pose where there is no motion."""
        if self.motion is None or self.frames is None:
            return self.pose
        pose: np.ndarray = self.motion[int(np.abs(self.frames - frame).argmin())]
        return pose


@dataclass(frozen=True, eq=False)
class PoseEdit:
    """What is added to the pose codes: deviations along each part's directions, and a shift on the map."""

    sigma: Float[np.ndarray, "Q K"]
    shift: Shift = (0.0, 0.0)

    @property
    def is_neutral(self) -> bool:
        """Whether it changes nothing."""
        return not self.sigma.any() and not any(self.shift)


@dataclass(frozen=True, eq=False)
class Key:
    """A pose edit pinned at a frame of the recording."""

    frame: int
    edit: PoseEdit


@dataclass(frozen=True)
class Pin:
    """A point of the surface that pulls leave where it is.

    Attributes:
        frame: The frame of the recording in which it counts.
        part: The part that it lies on.
        point: Canonical frame, canonical units.
        target_m: Where it is to stay; world frame, metres.
    """

    frame: int
    part: int
    point: tuple[float, float, float]
    target_m: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class EditState:
    """Everything that undo brings back.

    Attributes:
        shape_sigma, shape_shift: What is added to the shape codes, in every frame: a fit has one identity.
        pose: What is added to the pose codes in every frame; with keyframes they count instead.
        keys: By frame. Between two of them the pose edit changes evenly, before the first and after the last it stays.
        a, b: The blend's bodies; None until somebody chose.
        shape_amount, pose_amount: From 0 (A) to 1 (B).
        shape_parts, pose_parts: [Q] whether a part goes to B; others stay at A. Empty: all go.
        spherical: Whether the way turns around the mean body; see `interpolate_codes`.
        blending: Whether the blend stands under the sliders, instead of the fit.
        pins, held: Points and parts that stay where they are while others are pulled; they change no body.
    """

    shape_sigma: Float[np.ndarray, "Q K"]
    pose: PoseEdit
    shape_shift: Shift = (0.0, 0.0)
    keys: tuple[Key, ...] = ()
    a: Codes | None = None
    b: Codes | None = None
    shape_amount: float = 0.0
    pose_amount: float = 0.0
    shape_parts: tuple[bool, ...] = ()
    pose_parts: tuple[bool, ...] = ()
    spherical: bool = False
    blending: bool = False
    pins: tuple[Pin, ...] = ()
    held: tuple[int, ...] = ()

    @classmethod
    def neutral(cls, shape: tuple[int, ...] = (0, 0), pose: tuple[int, ...] = (0, 0)) -> EditState:
        """Nothing changed, for sizes [Q, K] of the deviations."""
        return cls(np.zeros(shape), PoseEdit(np.zeros(pose)))

    @property
    def changes_anything(self) -> bool:
        """Whether the body differs from the fit's, in some frame."""
        edits = [self.pose] if not self.keys else [key.edit for key in self.keys]
        return (
            self.blending or bool(self.shape_sigma.any()) or any(self.shape_shift)
            or not all(edit.is_neutral for edit in edits)
        )  # fmt: skip

    def pose_edit(self, frame: int) -> PoseEdit:
        """The pose edit of a frame: between two keyframes on the straight line."""
        if not self.keys:
            return self.pose
        after = next((i for i, key in enumerate(self.keys) if key.frame >= frame), len(self.keys))
        if after in (0, len(self.keys)):
            return self.keys[min(after, len(self.keys) - 1)].edit
        left, right = self.keys[after - 1], self.keys[after]
        if right.frame == frame:
            return right.edit
        share = (frame - left.frame) / (right.frame - left.frame)
        x, y = ((1 - share) * u + share * v for u, v in zip(left.edit.shift, right.edit.shift, strict=True))
        return PoseEdit((1 - share) * left.edit.sigma + share * right.edit.sigma, (x, y))

    def with_pose_edit(self, frame: int, edit: PoseEdit) -> EditState:
        """Change the pose in every frame or, where there are keyframes, pin the change at this frame."""
        if not self.keys:
            return dataclasses.replace(self, pose=edit)
        return self.with_key(frame, edit)

    def with_key(self, frame: int, edit: PoseEdit) -> EditState:
        """Pin a pose edit at a frame."""
        others = [key for key in self.keys if key.frame != frame]
        keys = tuple(sorted([*others, Key(frame, edit)], key=lambda key: key.frame))
        return dataclasses.replace(self, keys=keys)

    def without_key(self, frame: int) -> EditState:
        """Take a keyframe away; what the last one held then counts in every frame."""
        keys = tuple(key for key in self.keys if key.frame != frame)
        if not keys and self.keys:
            return dataclasses.replace(self, keys=(), pose=self.keys[0].edit)
        return dataclasses.replace(self, keys=keys)


def edited_codes(
    state: EditState, frame: int, fitted: Codes, bench: Workbench, maps: tuple[CodeMap, CodeMap]
) -> tuple[Float[np.ndarray, "Q Ds"], Float[np.ndarray, "Q Dp"]]:
    """Shape and pose codes of a frame.

    Args:
        fitted: What the edits start from where there is no blend.
        maps: Of the training shapes and of the training poses.
    """
    from spams_core.tasks.edit import interpolate_codes

    shape, pose = fitted.shape, fitted.pose_at(frame)
    if state.blending and state.a is not None and state.b is not None:
        a, b = state.a, state.b
        centers = (bench.mean_shape, bench.mean_pose) if state.spherical else (None, None)
        shape = interpolate_codes(
            a.shape, b.shape, state.shape_amount, _chosen(state.shape_parts), center=centers[0]
        )  # fmt: skip
        pose = interpolate_codes(
            a.pose_at(frame), b.pose_at(frame), state.pose_amount, _chosen(state.pose_parts), center=centers[1]
        )
    edit = state.pose_edit(frame)
    return (
        _moved(shape, state.shape_sigma, bench.shape_directions, state.shape_shift, maps[0]),
        _moved(pose, edit.sigma, bench.pose_directions, edit.shift, maps[1]),
    )


def _moved(codes: Any, sigma: Any, directions: Any, shift: Shift, plane: CodeMap) -> Float[np.ndarray, "Q D"]:
    if sigma.any():
        codes = codes + np.einsum("qk,qkd->qd", sigma, directions[:, : sigma.shape[1]])
    if any(shift):
        codes = codes + plane.shift(shift)
    moved: np.ndarray = np.asarray(codes, dtype=np.float32)
    return moved


def _chosen(parts: tuple[bool, ...]) -> list[int] | None:
    return [q for q, goes in enumerate(parts) if goes] if parts else None


def same_state(x: Any, y: Any) -> bool:
    """Whether two states, or parts of them, hold the same values; bodies A and B are compared by identity."""
    if x is y:
        return True
    if isinstance(x, np.ndarray):
        return np.array_equal(x, y)
    if isinstance(x, (EditState, PoseEdit, Key)) and type(x) is type(y):
        return all(same_state(getattr(x, f.name), getattr(y, f.name)) for f in dataclasses.fields(x))
    if isinstance(x, tuple) and isinstance(y, tuple):
        return len(x) == len(y) and all(same_state(u, v) for u, v in zip(x, y, strict=True))
    return bool(x == y)

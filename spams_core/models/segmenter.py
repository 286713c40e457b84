"""PointNet++ on partial clouds: part labels and canonical coordinates of every point, in plain PyTorch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor, nn

from spams_core.data.partial_clouds import to_upright
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.geometry.camera import Camera
from spams_core.io.archive import read_archive, write_archive
from spams_core.settings import settings_from_dict, settings_to_dict

__all__ = [
    "COMPACT",
    "PAPER",
    "CloudLabels",
    "Segmenter",
    "SegmenterSettings",
    "agree_on_sides",
    "ball_neighbours",
    "farthest_points",
    "interpolate",
    "label_clouds",
    "mirrored_parts",
    "read_segmenter",
    "write_segmenter",
]

_LOG_SCALE_RANGE = (-6.0, 1.0)  # e^-6 = 2.5e-3 units: finer confidence than sensor noise means nothing


@dataclass(frozen=True)
class SegmenterSettings:
    """Sizes of the network; level k of the encoder uses entry k of each tuple."""

    part_names: tuple[str, ...] = ("head", "torso", "right_arm", "right_leg", "left_arm", "left_leg")
    """Names of the Q parts."""
    points: int = 1024
    """Points of a cloud that the network sees at once; larger clouds are seen in several subsets."""
    centroids: tuple[int, ...] = (256, 64, 16)
    """Farthest points that each level keeps."""
    radii: tuple[float, ...] = (0.1, 0.25, 0.6)
    """Radius of each level's neighbourhoods, canonical units."""
    neighbours: tuple[int, ...] = (16, 16, 16)
    """Points in a neighbourhood."""
    widths: tuple[int, ...] = (64, 128, 256)
    """Features that each level passes on; its inner layers have half as many."""
    group_layers: int = 2
    """Layers of the small network over each neighbourhood."""
    global_width: int = 512
    """Features of the whole cloud."""
    decoder_widths: tuple[int, ...] = (256, 128, 128, 64)
    """Features of the feature propagation, from the coarsest level to the points: one more than there are levels."""
    canonical_per_metre: float = CANONICAL_PER_METRE
    """Canonical units per metre of the subjects: 0.8 for people."""

    def __post_init__(self) -> None:
        levels = {len(self.centroids), len(self.radii), len(self.neighbours), len(self.widths)}
        if len(levels) != 1 or len(self.decoder_widths) != len(self.centroids) + 1:
            raise InputError(
                "segmenter: centroids, radii, neighbours and widths need one entry per level, decoder_widths one more."
            )
        numbers = (
            self.points, self.global_width, self.canonical_per_metre, *self.centroids, *self.radii, *self.neighbours,
            *self.decoder_widths,
        )  # fmt: skip
        if not self.part_names or min(numbers) <= 0 or min(self.widths) < 2:
            raise InputError(
                "segmenter: at least one part is needed, and all sizes must be positive (widths 2 or more)."
            )


COMPACT = SegmenterSettings()
"""Trains on one CPU core in about 40 minutes."""

PAPER = SegmenterSettings(
    points=2048, centroids=(512, 128), radii=(0.2, 0.4), neighbours=(64, 64), widths=(128, 256), group_layers=3,
    global_width=1024, decoder_widths=(256, 128, 128),
)  # fmt: skip
"""The part segmentation network of Qi et al. 2017 (single-scale grouping)."""


def _squared_distances(a: Float[Tensor, "B M 3"], b: Float[Tensor, "B N 3"]) -> Float[Tensor, "B M N"]:
    offset = (a * a).sum(-1).unsqueeze(2) + (b * b).sum(-1).unsqueeze(1)
    return torch.baddbmm(offset, a, b.mT, alpha=-2).clamp_min_(0)


def farthest_points(points: Float[Tensor, "B N 3"], count: int) -> Int[Tensor, "B M"]:
    """Greedy farthest point sampling (Qi et al. 2017, §3.2).

    Starts at the point farthest from the mean, so that the choice does not depend on the points' order.

    Args:
        points: Clouds.
        count: Points to choose; M = min(count, N).

    Returns:
        Indices in the order of choice.
    """
    batch, total, _ = points.shape
    count = min(count, total)
    columns = points.mT.contiguous()  # [B, 3, N]: distances along contiguous memory
    chosen = torch.empty(batch, count, dtype=torch.long, device=points.device)
    distance = (columns - columns.mean(2, keepdim=True)).square().sum(1)
    nearest = torch.full_like(distance, torch.inf)
    for k in range(count):
        current = distance.argmax(1)
        chosen[:, k] = current
        centre = columns.gather(2, current[:, None, None].expand(-1, 3, 1))
        distance = torch.minimum(nearest, (columns - centre).square().sum(1))
        nearest = distance
    return chosen


def ball_neighbours(
    points: Float[Tensor, "B N 3"], centroids: Int[Tensor, "B M"], radius: float, count: int
) -> Int[Tensor, "B M K"]:
    """Indices of up to `count` nearest points within `radius` of each centroid.

    Where fewer lie inside, the centroid itself fills up (neutral under a maximum). K = min(count, N).
    """
    centres = points.gather(1, centroids[..., None].expand(-1, -1, 3))
    squared, index = _squared_distances(centres, points).topk(
        min(count, points.shape[1]), dim=2, largest=False, sorted=False
    )
    return torch.where(squared <= radius * radius, index, centroids[..., None])


def interpolate(
    target: Float[Tensor, "B N 3"], source: Float[Tensor, "B M 3"], features: Float[Tensor, "B M C"]
) -> Float[Tensor, "B N C"]:
    """Inverse squared distance weighting of the 3 nearest source points (Qi et al. 2017, eq. 2 with p = 2, k = 3)."""
    count = min(3, source.shape[1])
    squared, index = _squared_distances(target, source).topk(count, dim=2, largest=False, sorted=False)
    weight = 1 / (squared + 1e-6)
    weight = weight / weight.sum(-1, keepdim=True)
    return (_gather(features, index) * weight[..., None]).sum(2)


def _gather(features: Float[Tensor, "B N C"], index: Int[Tensor, "B M K"]) -> Float[Tensor, "B M K C"]:
    batch, total, width = features.shape
    flat = (index + torch.arange(batch, device=index.device)[:, None, None] * total).flatten()
    return features.reshape(-1, width).index_select(0, flat).reshape(*index.shape, width)


class _Dense(nn.Module):
    """Linear layer, batch normalisation over all rows, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Float[Tensor, "*rows i"]) -> Float[Tensor, "*rows o"]:
        return self.activate(self.linear(x))

    def activate(self, x: Float[Tensor, "*rows o"]) -> Float[Tensor, "*rows o"]:
        rows: Tensor = self.norm(x.reshape(-1, x.shape[-1]))
        return torch.relu_(rows).reshape(x.shape)


class _SetAbstraction(nn.Module):
    """Groups neighbours around farthest points and pools a small network over each group (Qi et al. 2017, §3.2)."""

    def __init__(self, inputs: int, width: int, layers: int, centroids: int, radius: float, neighbours: int) -> None:
        super().__init__()
        self.centroids, self.radius, self.neighbours = centroids, radius, neighbours
        half = width // 2
        self.first = _Dense(inputs + 3, half)
        widths = [half] * (layers - 1) + [width]
        self.rest = nn.Sequential(*(_Dense(i, o) for i, o in itertools.pairwise(widths)))

    def forward(
        self, points: Float[Tensor, "B N 3"], features: Float[Tensor, "B N C"]
    ) -> tuple[Float[Tensor, "B M 3"], Float[Tensor, "B M o"]]:
        chosen = farthest_points(points, self.centroids)
        index = ball_neighbours(points, chosen, self.radius, self.neighbours)
        centres = points.gather(1, chosen[..., None].expand(-1, -1, 3))
        # W [f, (x - c) / r] = W [f, x / r] - W_x c / r: multiply per point, not per neighbour, then gather.
        weight = self.first.linear.weight
        per_point = self.first.linear(torch.cat([features, points / self.radius], dim=-1))
        per_centre = (centres / self.radius) @ weight[:, -3:].T
        h = self.first.activate(_gather(per_point, index) - per_centre.unsqueeze(2))
        return centres, self.rest(h).max(dim=2).values


class _FeaturePropagation(nn.Module):
    """Carries features from a coarse to a finer level and joins what the encoder knew there (Qi et al. 2017, §3.4)."""

    def __init__(self, coarse: int, fine: int, width: int) -> None:
        super().__init__()
        self.coarse = nn.Linear(coarse, width, bias=False)
        self.fine = _Dense(fine, width)
        self.last = _Dense(width, width)

    def forward(
        self,
        fine_points: Float[Tensor, "B N 3"],
        fine_features: Float[Tensor, "B N C"],
        coarse_points: Float[Tensor, "B M 3"] | None,
        coarse_features: Float[Tensor, "B M D"],
    ) -> Float[Tensor, "B N o"]:
        # Interpolation is linear, so the layer commutes with it and runs on the few coarse points.
        carried = self.coarse(coarse_features)
        if coarse_points is not None:
            carried = interpolate(fine_points, coarse_points, carried)
        h: Tensor = self.last(self.fine.activate(carried + self.fine.linear(fine_features)))
        return h


class Segmenter(nn.Module):
    """PointNet++ (Qi et al. 2017) with two heads: part logits, and canonical coordinates with their uncertainty.

    Sees a partial cloud in the upright frame: centred on its median, +y up, +z horizontally towards the camera,
    canonical units.
    """

    def __init__(self, settings: SegmenterSettings, *, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build()

    def _build(self) -> None:
        settings = self.settings
        passed = [3, *settings.widths]  # the points' own coordinates are their first features
        self.encoder = nn.ModuleList(
            _SetAbstraction(
                passed[k],
                passed[k + 1],
                settings.group_layers,
                settings.centroids[k],
                settings.radii[k],
                settings.neighbours[k],
            )
            for k in range(len(settings.widths))
        )
        half = settings.global_width // 2
        self.whole = nn.Sequential(_Dense(passed[-1] + 3, half), _Dense(half, settings.global_width))
        coarse = [settings.global_width, *settings.decoder_widths]
        self.decoder = nn.ModuleList(
            _FeaturePropagation(coarse[k], passed[-1 - k], coarse[k + 1]) for k in range(len(settings.decoder_widths))
        )
        width = settings.decoder_widths[-1]
        self.part_head = nn.Linear(width, len(settings.part_names))
        self.canonical_head = nn.Sequential(_Dense(width, width), nn.Linear(width, 4))

    def forward(
        self, points: Float[Tensor, "B N 3"]
    ) -> tuple[Float[Tensor, "B N Q"], Float[Tensor, "B N 3"], Float[Tensor, "B N"]]:
        """Label clouds.

        Args:
            points: Clouds in the upright frame, canonical units.

        Returns:
            Part logits; canonical coordinates; log of the scale b of their error d, whose density falls as
            b⁻³ exp(-d / b) (a Laplace density in space), canonical units.
        """
        levels = [(points, points)]
        for layer in self.encoder:
            levels.append(layer(*levels[-1]))
        top_points, top_features = levels[-1]
        h = self.whole(torch.cat([top_features, top_points], dim=-1)).max(dim=1, keepdim=True).values
        coarse_points: Tensor | None = None
        for layer, (level_points, level_features) in zip(self.decoder, reversed(levels), strict=True):
            h = layer(level_points, level_features, coarse_points, h)
            coarse_points = level_points
        canonical = self.canonical_head(h)
        return self.part_head(h), canonical[..., :3], (canonical[..., 3] - 2).clamp(*_LOG_SCALE_RANGE)


@dataclass(frozen=True)
class CloudLabels:
    """What the segmenter says about one cloud of N points.

    Attributes:
        labels: [N] most probable part.
        probabilities: [N, Q] of every part, rows sum to 1.
        canonical: [N, 3] canonical coordinates.
        canonical_sigma: [N] standard deviation of each canonical coordinate, canonical units.
    """

    labels: Int[np.ndarray, "N"]
    probabilities: Float[np.ndarray, "N Q"]
    canonical: Float[np.ndarray, "N 3"]
    canonical_sigma: Float[np.ndarray, "N"]


def label_clouds(
    segmenter: Segmenter,
    clouds_world: Sequence[Float[np.ndarray, "N 3"]],
    camera: Camera,
    generator: np.random.Generator,
    *,
    votes: int = 6,
    batch: int = 16,
) -> list[CloudLabels]:
    """Label whole clouds of any size, several at once.

    Each cloud is seen in up to `votes` disjoint random subsets; every point takes the mean of its nearest seen points,
    weighted by inverse squared distance, for canonical coordinates also by their certainty and only among points of
    its own part (parts that touch lie far apart in canonical space).

    Args:
        segmenter: In evaluation mode.
        clouds_world: Clouds in metres; each has at least one point.
        camera: The camera that saw them all.
        generator: Draws the subsets.
        votes: Most subsets per cloud.
        batch: Subsets that the network sees at once.

    Returns:
        One result per cloud, in the order of its points.
    """
    size = segmenter.settings.points
    device = next(segmenter.parameters()).device
    clouds_upright = [to_upright(points, camera) for points in clouds_world]
    subsets: list[tuple[int, np.ndarray[Any, Any]]] = []
    for cloud, points in enumerate(clouds_upright):
        order = generator.permutation(len(points))
        count = min(votes, max(1, len(points) // size))
        subsets += [(cloud, order[k * size : (k + 1) * size]) for k in range(count)]
    views: list[list[tuple[np.ndarray[Any, Any], CloudLabels]]] = [[] for _ in clouds_upright]
    for _, same_size in itertools.groupby(subsets, key=lambda subset: len(subset[1])):
        waiting = list(same_size)
        for group in (waiting[k : k + batch] for k in range(0, len(waiting), batch)):
            stacked = np.stack([clouds_upright[cloud][rows] for cloud, rows in group])
            with torch.inference_mode():
                logits, canonical, log_scale = segmenter(torch.from_numpy(stacked).to(device))
                # A density that falls as exp(-d / b) in space has E[d²] = 12 b²: 2 b per coordinate.
                results = [value.cpu().numpy() for value in (logits.softmax(-1), canonical, 2 * log_scale.exp())]
            for k, (cloud, _) in enumerate(group):
                probabilities, places, sigma = (value[k] for value in results)
                labels = probabilities.argmax(-1).astype(np.int32)
                views[cloud].append((stacked[k], CloudLabels(labels, probabilities, places, sigma)))
    labelled = []
    for points, of_cloud in zip(clouds_upright, views, strict=True):
        seen, found = (list(column) for column in zip(*of_cloud, strict=True))
        # Where front and back are in doubt, subsets would disagree on all sides and their mean would mean nothing.
        found = agree_on_sides(found, seen, segmenter.settings.part_names, [0.0] * len(found))
        labelled.append(_spread(points, np.concatenate(seen), found))
    return labelled


def _spread(
    points: Float[np.ndarray, "N 3"],
    seen_points: Float[np.ndarray, "S 3"],
    views: Sequence[CloudLabels],
    neighbours: int = 8,
    smoothing: float = 0.01,
) -> CloudLabels:
    """From the points that the network saw to all points of a cloud; `smoothing` in canonical units."""
    known_labels, probabilities, canonical, sigma = (
        np.concatenate([getattr(view, field.name) for view in views]) for field in fields(CloudLabels)
    )
    distance, nearest = cKDTree(seen_points).query(points, k=min(neighbours, len(seen_points)))
    distance, nearest = distance.reshape(len(points), -1), nearest.reshape(len(points), -1)
    weight = 1 / (distance**2 + smoothing**2)
    mean = (weight[..., None] * probabilities[nearest]).sum(1) / weight.sum(1, keepdims=True)
    labels = mean.argmax(-1)
    same = known_labels[nearest] == labels[:, None]
    same |= ~same.any(1, keepdims=True)
    weight = weight * same / sigma[nearest] ** 2
    weight /= weight.sum(1, keepdims=True)
    return CloudLabels(
        labels.astype(np.int32),
        mean.astype(np.float32),
        (weight[..., None] * canonical[nearest]).sum(1).astype(np.float32),
        # Errors of neighbouring points go together, so the mean is no more certain than they are.
        (weight * sigma[nearest]).sum(1).astype(np.float32),
    )


def mirrored_parts(part_names: Sequence[str]) -> Int[Tensor, "Q"] | None:
    """The part that each part becomes in a mirror: "left_x" and "right_x" swap, others stay.

    None where a left or right part lacks its counterpart: then nothing can be mirrored.
    """
    swap = {"left_": "right_", "right_": "left_"}
    mirrored = []
    for name in part_names:
        side = next((side for side in swap if name.startswith(side)), None)
        other = name if side is None else swap[side] + name[len(side) :]
        if other not in part_names:
            return None
        mirrored.append(list(part_names).index(other))
    return torch.tensor(mirrored)


def agree_on_sides(
    labelled: Sequence[CloudLabels],
    clouds_world: Sequence[Float[np.ndarray, "N 3"]],
    part_names: Sequence[str],
    times_s: Sequence[float],
) -> list[CloudLabels]:
    """Undo exchanged sides in single frames of a recording: nobody turns by half a circle between two frames.

    Front and back of a person look alike to a depth camera, and whoever takes one for the other exchanges all left and
    right parts: a half turn about the vertical axis in canonical space. So each frame may be as labelled or turned;
    the cheapest sequence of choices is found by dynamic programming (Viterbi 1967). Turning a frame costs how much
    surer the network is of its sides than of the exchanged ones (mean log odds of the points on left or right parts);
    a change of the facing by Δ between frames costs up to 30 of those, times (1 - cos Δ) / 2 and fading with their
    distance in time over half a second.

    Args:
        labelled: Frames in order of time.
        clouds_world: Their points in metres.
        part_names: Names of the parts; without pairs of left and right nothing changes.
        times_s: Time of each frame in seconds.

    Returns:
        The frames, with sides exchanged where that makes the recording consistent.
    """
    mirror = mirrored_parts(part_names)
    if mirror is None or not len(labelled):
        return list(labelled)
    mirrored = mirror.numpy()
    sided = mirrored != np.arange(len(mirrored))
    if not sided.any():
        return list(labelled)
    facing, reluctance = np.zeros(len(labelled)), np.zeros(len(labelled))
    for t, (found, points) in enumerate(zip(labelled, clouds_world, strict=True)):
        seen, canonical = points - points.mean(0), found.canonical - found.canonical.mean(0)
        # The turn θ about +y that maximises the sum of seen · R(θ) canonical.
        across = (seen[:, 0] * canonical[:, 2] - seen[:, 2] * canonical[:, 0]).sum()
        facing[t] = np.arctan2(across, (seen[:, 0] * canonical[:, 0] + seen[:, 2] * canonical[:, 2]).sum())
        limbs = np.nonzero(sided[found.labels])[0]
        if len(limbs):
            labels = found.labels[limbs]
            odds = np.log(found.probabilities + 1e-3)
            reluctance[t] = (odds[limbs, labels] - odds[limbs, mirrored[labels]]).mean()
    costs, came = np.array([0.0, reluctance[0]]), []
    for t in range(1, len(labelled)):
        change = facing[t] - facing[t - 1]
        rigidity = 30 * np.exp(-abs(times_s[t] - times_s[t - 1]) / 0.5)
        same, other = (rigidity * (1 - np.cos(change + turn)) / 2 for turn in (0.0, np.pi))
        routes = costs[:, None] + np.array([[same, other], [other, same]])
        came.append(routes.argmin(0))
        costs = routes.min(0) + np.array([0.0, reluctance[t]])
    turned = [int(costs.argmin())]
    for step in reversed(came):
        turned.append(int(step[turned[-1]]))
    half_turn = np.array([-1, 1, -1], dtype=np.float32)
    return [
        replace(
            found,
            labels=mirrored[found.labels].astype(np.int32),
            probabilities=found.probabilities[:, mirrored],
            canonical=found.canonical * half_turn,
        )
        if turn
        else found
        for found, turn in zip(labelled, reversed(turned), strict=True)
    ]


def write_segmenter(path: Path, segmenter: Segmenter, manifest: Mapping[str, Any], *, replace: bool = False) -> None:
    """Write a segmenter as an archive of kind "segmenter".

    Raises:
        InputError: The folder exists and `replace` is false, or cannot be written.
    """
    arrays = {name: value.detach().cpu().numpy() for name, value in segmenter.state_dict().items()}
    model = {"model": settings_to_dict(segmenter.settings)}
    write_archive(path, "segmenter", {**manifest, **model}, arrays, replace=replace)


def read_segmenter(path: Path, device: torch.device) -> Segmenter:
    """Read a segmenter, ready for evaluation.

    Raises:
        InputError: It is missing, corrupted, of another kind, or its arrays do not fit its settings.
    """
    archive = read_archive(path, "segmenter")
    try:
        segmenter = Segmenter(settings_from_dict(SegmenterSettings, archive.manifest["model"]))
        segmenter.load_state_dict({name: torch.from_numpy(value) for name, value in archive.arrays().items()})
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{path}: the stored weights do not fit the model's settings. Train it again.") from error
    return segmenter.to(device).eval().requires_grad_(False)

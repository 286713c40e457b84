"""Some frames of a fit, fitted anew between neighbours that stay, with the shape held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spams_core.fitting.observation import Observation
from spams_core.fitting.solve import Solution, Solver, Start
from spams_core.progress import Progress, Task

__all__ = ["FrameRefit", "neighbour_starts"]


@dataclass
class FrameRefit(Solver):
    """A fit in which the shape is given and only some frames move; the others say where these may go in time.

    Attributes:
        shape_codes: [Q, D_s] of the subject.
        moving: [M] rows of the frames to fit, ascending. In all others the starts agree.
    """

    shape_codes: Float[Tensor, "Q Ds"] = field(kw_only=True)
    moving: Int[Tensor, "M"] = field(kw_only=True)

    def _hold_shape(self) -> None:
        self.iterate.held_shape = self.shape_codes
        self.iterate.extract(self.settings.match_resolution)

    @torch.no_grad()
    def _begin(self) -> None:
        super()._begin()
        still = torch.ones(len(self.observations), dtype=torch.bool)
        still[self.moving] = False
        self.iterate.z_pose[still] = self.iterate.pose_space.encode(self.starts[0].pose_codes)[still]

    def _count_steps(self) -> int:
        settings = self.settings
        align = settings.align_iterations if settings.dense_correspondence else 0
        return align + (settings.rounds + settings.joint_rounds) * settings.iterations

    def _count_rounds(self) -> int:
        settings = self.settings
        return 1 + int(settings.dense_correspondence) + settings.rounds + settings.joint_rounds

    def run(self) -> Task[Solution]:
        """Align the frames, then pair and descend, with an ever larger temporal term."""
        yield from self._go(self._legs(), self.moving)
        return self._solution()

    def _legs(self) -> list[Iterator[Progress]]:
        settings = self.settings
        rounds = settings.rounds + settings.joint_rounds
        legs = [self._align(self.moving, "Aligning to canonical coordinates", "aligning")]
        for turn in range(rounds):
            done, message = (turn + 1) / rounds, f"Fitting frames anew, round {turn + 1} of {rounds}"
            legs.append(self._round(self.moving, done, settings.iterations, False, message, "frames anew"))
        return legs


def neighbour_starts(
    codes: Start,
    observations: Sequence[Observation],
    moving: Int[Tensor, "M"],
    mean_pose: Float[Tensor, "Q Dp"],
    parts: Sequence[int] = (),
) -> list[Start]:
    """Starts of the moving frames from the nearest frames that stay: the one before, the one after, and between both.

    With parts, a frame keeps its root and its other parts, and the mean pose is one more start.

    Args:
        codes: All frames as they were fitted.
        observations: Of the same frames; the root follows the middle of their points.
        moving: Rows to fit; where no other stays, parts start from the mean pose only.
        mean_pose: The model's mean pose codes.
        parts: Parts to start anew; none means all, and the root with them.
    """
    count, rows = len(observations), moving.tolist()
    stay = sorted(set(range(count)) - set(rows))
    middle = torch.stack([seen.points_world.mean(0) for seen in observations])
    found: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
    for row in rows if stay else ():
        before = max((near for near in stay if near < row), default=min(stay))
        after = min((near for near in stay if near > row), default=max(stay))
        before, after = (before if before < row else after), (after if after > row else before)
        share = (row - before) / (after - before) if after > before else 0.0
        moved = {near: codes.root_translation_m[near] + middle[row] - middle[near] for near in (before, after)}
        for name, near in (("before", before), ("after", after)):
            found.setdefault(name, []).append((codes.pose_codes[near], codes.root_rotation[near], moved[near]))
        pose = torch.lerp(codes.pose_codes[before], codes.pose_codes[after], share)
        turn = _nearest_rotation(torch.lerp(codes.root_rotation[before], codes.root_rotation[after], share))
        found.setdefault("between", []).append((pose, turn, torch.lerp(moved[before], moved[after], share)))
    starts = []
    for name, frames in found.items():
        pose, rotation, shift = (torch.stack(values) for values in zip(*frames, strict=True))
        starts.append(_replaced(codes, f"the frame {name}", moving, pose, rotation, shift, parts))
    if parts:
        pose = mean_pose.expand(len(rows), -1, -1)
        own = codes.root_rotation[moving], codes.root_translation_m[moving]
        starts.append(_replaced(codes, "mean pose", moving, pose, *own, parts))
    return starts


def _replaced(
    codes: Start, name: str, moving: Tensor, pose: Tensor, rotation: Tensor, shift: Tensor, parts: Sequence[int]
) -> Start:
    """All frames as they were, the moving ones, or some of their parts, with other values."""
    poses, rotations, shifts = (
        values.clone() for values in (codes.pose_codes, codes.root_rotation, codes.root_translation_m)
    )
    if parts:
        for part in parts:
            poses[moving, part] = pose[:, part]
    else:
        poses[moving], rotations[moving], shifts[moving] = pose, rotation, shift
    return Start(name, poses, rotations, shifts)


def _nearest_rotation(matrix: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    u, _, v = torch.linalg.svd(matrix)
    sign = torch.ones(3).to(matrix)
    sign[2] = torch.det(u @ v)
    result: Tensor = u @ (sign[:, None] * v)
    return result

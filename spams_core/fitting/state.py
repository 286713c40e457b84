"""Where a fit stands between two rounds: all that is needed to go on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from spams_core.data.fit_history import HistoryRecorder
from spams_core.errors import InputError
from spams_core.fitting.controls import WeightChange

__all__ = ["SolveState"]

_PLAIN = ("z_shape", "z_surface", "z_pose", "root_rotation", "root_translation_m", "generator")
_COUNTS = ("rounds_done", "rounds", "steps_done")
_RECORDER = "recorder/"


@dataclass(frozen=True)
class SolveState:
    """A fit of T frames after some of its rounds; nothing of it changes when the fit goes on.

    Attributes:
        rounds_done, rounds: Rounds of the schedule, alignments counted.
        steps_done: Steps that were made.
        z_shape: [S] whitened coordinates of the subject's shape.
        z_surface: [S] the shape whose surface was extracted last.
        z_pose: [T, K] whitened coordinates of each frame's pose.
        root_rotation, root_translation_m: [T, 3, 3], [T, 3].
        generator: [G] state of the generator of all random draws.
        losses: Weighted terms of each step.
        weight_changes: Weights that were changed while it ran.
        kept: The rounds that were kept; None where they are not.
    """

    rounds_done: int
    rounds: int
    steps_done: int
    z_shape: Float[np.ndarray, "S"]
    z_surface: Float[np.ndarray, "S"]
    z_pose: Float[np.ndarray, "T K"]
    root_rotation: Float[np.ndarray, "T 3 3"]
    root_translation_m: Float[np.ndarray, "T 3"]
    generator: Int[np.ndarray, "G"]
    losses: tuple[dict[str, float], ...]
    weight_changes: tuple[WeightChange, ...]
    kept: HistoryRecorder | None

    def recorder(self, expected: int) -> HistoryRecorder:
        """A recorder that goes on after the rounds that were kept.

        Raises:
            InputError: None were.
        """
        if self.kept is None:
            raise InputError("The checkpoint keeps no rounds. Go on with --no-history.")
        recorder = self.kept.copy()
        recorder.expected = expected
        return recorder

    def require(self, frames: int, shape: int, pose: int) -> None:
        """Refuse to go on with a fit of other sizes.

        Raises:
            InputError: The arrays do not belong together, or to a fit of so many frames, shape and pose coordinates.
        """
        whole = (
            self.z_shape.shape == self.z_surface.shape == (shape,)
            and self.z_pose.shape == (frames, pose)
            and self.root_rotation.shape == (frames, 3, 3)
            and self.root_translation_m.shape == (frames, 3)
            and all(np.isfinite(getattr(self, name)).all() for name in _PLAIN)
            and 0 < self.rounds_done <= self.rounds
        )
        if not whole:
            raise InputError("The checkpoint's arrays do not belong to this fit. Remove it to start anew.")

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """By name, as plain arrays of numbers and names."""
        names = list(dict.fromkeys(name for terms in self.losses for name in terms))
        changes = self.weight_changes
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            **{name: np.array(getattr(self, name), np.int64) for name in _COUNTS},
            "loss_names": np.array(names, np.str_),
            "losses": np.array([[terms.get(name, 0.0) for name in names] for terms in self.losses], np.float64),
            "losses_known": np.array([[name in terms for name in names] for terms in self.losses], np.bool_),
            "change_steps": np.array([change.iteration for change in changes], np.int64),
            "change_names": np.array([change.name for change in changes], np.str_),
            "change_values": np.array([change.value for change in changes], np.float64),
            **({} if self.kept is None else {f"{_RECORDER}{k}": array for k, array in self.kept.arrays().items()}),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]]) -> SolveState:
        """What `arrays` gave.

        Raises:
            InputError: Something is missing or of another kind.
        """
        try:
            names = arrays["loss_names"].tolist()
            rows = zip(arrays["losses"].tolist(), arrays["losses_known"].tolist(), strict=True)
            losses = tuple(
                {name: value for name, value, known in zip(names, *row, strict=True) if known} for row in rows
            )
            columns = (arrays[name].tolist() for name in ("change_steps", "change_names", "change_values"))
            kept = {name.removeprefix(_RECORDER): array for name, array in arrays.items() if name.startswith(_RECORDER)}
            plain: dict[str, Any] = {name: int(arrays[name]) for name in _COUNTS}
            plain |= {name: arrays[name] for name in _PLAIN}
            changes = tuple(WeightChange(*change) for change in zip(*columns, strict=True))
            recorder = HistoryRecorder.of_arrays(0, kept) if kept else None
            return cls(**plain, losses=losses, weight_changes=changes, kept=recorder)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise InputError("The checkpoint lacks a part, or holds another thing. Remove it to start anew.") from error

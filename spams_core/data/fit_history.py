"""How a fit came about: its codes after each round, for whoever wants to see it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from jaxtyping import Float, Int

__all__ = ["HISTORY_STAGES", "MOST_SNAPSHOTS", "FitHistory", "HistoryRecorder"]

HISTORY_STAGES = ("start", "aligning", "keyframes", "between keyframes", "joint", "frames anew")
"""What `FitHistory.stages` counts; a later version may only append."""

MOST_SNAPSHOTS = 60
"""A fit of more rounds keeps so many of them, evenly."""


@dataclass(frozen=True)
class FitHistory:
    """Snapshots of the unknowns. Each holds only the frames that moved since the one before it.

    S snapshots of a fit of T frames and Q parts; the rows of snapshot s are offsets[s]:offsets[s + 1]. Codes are
    rounded to half precision, which moves a vertex by far less than a millimetre; places are not.

    Attributes:
        steps: [S] steps that had been made, rows of the fit's `loss_history`.
        stages: [S] index into `HISTORY_STAGES`.
        shape_codes: [S, Q, D_s].
        offsets: [S + 1].
        rows: [H] which fitted frame, 0 … T − 1.
        pose_codes: [H, Q, D_p].
        root_rotation, root_translation_m: [H, 3, 3], [H, 3].
    """

    steps: Int[np.ndarray, "S"]
    stages: Int[np.ndarray, "S"]
    shape_codes: Float[np.ndarray, "S Q Ds"]
    offsets: Int[np.ndarray, "S1"]
    rows: Int[np.ndarray, "H"]
    pose_codes: Float[np.ndarray, "H Q Dp"]
    root_rotation: Float[np.ndarray, "H 3 3"]
    root_translation_m: Float[np.ndarray, "H 3"]

    @property
    def count(self) -> int:
        """S, the number of snapshots."""
        return len(self.steps)

    def stage(self, snapshot: int) -> str:
        """What the fit did up to a snapshot."""
        return HISTORY_STAGES[int(self.stages[snapshot])]

    def index(self, snapshot: int, row: int) -> int | None:
        """Where the codes are that a fitted frame had at a snapshot; None where it has never moved."""
        known = np.nonzero(self.rows[: int(self.offsets[snapshot + 1])] == row)[0]
        return int(known[-1]) if len(known) else None

    def moved(self, snapshot: int, row: int) -> bool:
        """Whether a fitted frame has moved since the snapshot before."""
        here = self.rows[int(self.offsets[snapshot]) : int(self.offsets[snapshot + 1])]
        return bool((here == row).any())

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """By name, for an archive."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def belongs_to(self, frames: int, steps: int, shape: tuple[int, ...], pose: tuple[int, ...]) -> bool:
        """Whether the arrays go together, and with a fit of so many frames and steps and codes of these shapes."""
        count, kept = len(self.steps), len(self.rows)
        return (
            count > 0
            and self.stages.shape == (count,)
            and self.offsets.shape == (count + 1,)
            and self.shape_codes.shape == (count, *shape)
            and self.pose_codes.shape == (kept, *pose)
            and self.root_rotation.shape == (kept, 3, 3)
            and self.root_translation_m.shape == (kept, 3)
            and int(self.offsets[0]) == 0
            and int(self.offsets[-1]) == kept
            and bool((np.diff(self.offsets) >= 0).all())
            and bool((np.diff(self.steps) >= 0).all())
            and int(self.steps[0]) >= 0
            and int(self.steps[-1]) <= steps
            and bool(((self.rows >= 0) & (self.rows < frames)).all())
            and int(self.stages.max()) < len(HISTORY_STAGES)
            and all(bool(np.isfinite(array).all()) for array in (self.shape_codes, self.pose_codes))
            and all(bool(np.isfinite(array).all()) for array in (self.root_rotation, self.root_translation_m))
        )

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray[Any, Any]]) -> FitHistory | None:
        """What an archive holds; None if it lacks some of it."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: arrays[name] for name in names}) if all(name in arrays for name in names) else None


@dataclass
class HistoryRecorder:
    """Collects snapshots while a fit runs.

    Attributes:
        expected: Rounds that will be recorded; more than `MOST_SNAPSHOTS` are thinned evenly, and the last one stays.
    """

    expected: int
    _seen: int = 0
    _pending: set[int] = field(default_factory=set)
    _steps: list[int] = field(default_factory=list)
    _stages: list[int] = field(default_factory=list)
    _offsets: list[int] = field(default_factory=lambda: [0])
    _shapes: list[np.ndarray[Any, Any]] = field(default_factory=list)
    _rows: list[np.ndarray[Any, Any]] = field(default_factory=list)
    _codes: list[tuple[np.ndarray[Any, Any], ...]] = field(default_factory=list)

    def due(self, rows: Int[np.ndarray, "F"]) -> bool:
        """Note that these frames have moved; whether their codes are wanted now, by `record`."""
        self._pending.update(rows.tolist())
        number, self._seen = self._seen, self._seen + 1
        if self.expected <= MOST_SNAPSHOTS or number + 1 >= self.expected:
            return True
        share = (MOST_SNAPSHOTS - 1) / (self.expected - 1)
        return number == 0 or int(number * share) > int((number - 1) * share)

    @property
    def pending(self) -> Int[np.ndarray, "P"]:
        """Frames that have moved since the last snapshot."""
        return np.array(sorted(self._pending), dtype=np.int32)

    def record(
        self,
        step: int,
        stage: str,
        shape_codes: Float[np.ndarray, "Q Ds"],
        pose_codes: Float[np.ndarray, "P Q Dp"],
        root_rotation: Float[np.ndarray, "P 3 3"],
        root_translation_m: Float[np.ndarray, "P 3"],
    ) -> None:
        """Keep the codes of the pending frames."""
        self._steps.append(step)
        self._stages.append(HISTORY_STAGES.index(stage))
        self._shapes.append(shape_codes.astype(np.float16))
        self._rows.append(self.pending)
        self._offsets.append(self._offsets[-1] + len(self._pending))
        self._codes.append((
            pose_codes.astype(np.float16), root_rotation.astype(np.float32), root_translation_m.astype(np.float32)
        ))  # fmt: skip
        self._pending.clear()

    def copy(self) -> HistoryRecorder:
        """The same at this moment; what is recorded later does not change it."""
        return HistoryRecorder(
            self.expected, self._seen, set(self._pending), list(self._steps), list(self._stages), list(self._offsets),
            list(self._shapes), list(self._rows), list(self._codes),
        )  # fmt: skip

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """By name, to go on later with `of_arrays`; at least one snapshot was taken."""
        history = self.history()
        assert history is not None
        return {**history.arrays(), "pending": self.pending, "seen": np.array(self._seen, np.int64)}

    @classmethod
    def of_arrays(cls, expected: int, arrays: Mapping[str, np.ndarray[Any, Any]]) -> HistoryRecorder:
        """A recorder that goes on where the one whose `arrays` these are stood.

        Raises:
            KeyError: One is missing.
        """
        history = FitHistory(**{field.name: arrays[field.name] for field in fields(FitHistory)})
        cuts = history.offsets[1:-1]
        codes = [
            np.split(array, cuts) for array in (history.pose_codes, history.root_rotation, history.root_translation_m)
        ]
        return cls(
            expected, int(arrays["seen"]), set(arrays["pending"].tolist()), history.steps.tolist(),
            history.stages.tolist(), history.offsets.tolist(), list(history.shape_codes),
            np.split(history.rows, cuts), list(zip(*codes, strict=True)),
        )  # fmt: skip

    def history(self) -> FitHistory | None:
        """What was kept so far."""
        if not self._steps:
            return None
        pose, rotation, shift = (np.concatenate(arrays) for arrays in zip(*self._codes, strict=True))
        return FitHistory(
            np.array(self._steps, np.int32), np.array(self._stages, np.uint8), np.stack(self._shapes),
            np.array(self._offsets, np.int64), np.concatenate(self._rows), pose, rotation, shift,
        )  # fmt: skip

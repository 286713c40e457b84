"""Checkpoints of a fit: where it stands is written now and then, and a later call with the same settings goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from spams_core import __version__
from spams_core.data.fit_checkpoint import (
    CheckpointLock,
    FitCheckpoint,
    checkpoint_path,
    create_checkpoint,
    read_checkpoint,
    remove_checkpoint,
    update_checkpoint,
)
from spams_core.data.sequence import SubjectPoints
from spams_core.errors import InputError
from spams_core.fitting.settings import SolveSettings
from spams_core.fitting.state import SolveState
from spams_core.io.archive import hash_file
from spams_core.settings import json_ready, settings_to_dict

if TYPE_CHECKING:
    from spams_core.tasks.fit import FitSettings

__all__ = ["Checkpoints", "kept_weights", "what_is_kept"]

logger = logging.getLogger(__name__)

_BY_CONTENT = ("sequence", "model", "start_from", "frames", "device")
"""Settings that are compared by what they choose."""
_OF_NO_EFFECT = ("out", "saved", "resume", "checkpoint_every_s")


class Checkpoints:
    """The checkpoint of one fit. As a context it keeps the last round if the fit ends early, by whatever.

    Args:
        settings: Of the fit. With `resume` it goes on from the checkpoint beside `out`, where there is one.

    Raises:
        InputError: There is a checkpoint and the settings do not ask to go on, or it cannot be gone on with.
    """

    def __init__(self, settings: FitSettings) -> None:
        self.path, self._every_s = checkpoint_path(settings.out), settings.checkpoint_every_s
        self._started = self._written = time.monotonic()
        self._lock = CheckpointLock(self.path)
        self._newest: SolveState | None = None
        self._manifest: dict[str, Any] = {}
        self._there = self._complained = self._going = False
        self.earlier: FitCheckpoint | None = None
        earlier = read_checkpoint(self.path)
        if settings.resume and earlier is None:
            logger.warning("%s is not there: the fit begins at its start.", self.path)
        if earlier is None:
            return
        if not (self._lock.acquire() if settings.resume else not self._lock.taken()):
            raise InputError(f"Another fit to {settings.out} is running at the moment. Choose another --out.")
        if not settings.resume:
            raise InputError(
                f"{self.path} keeps a fit to {settings.out} that was interrupted after {earlier.told}. Go on with it "
                "with --resume, or remove that folder to start anew."
            )
        self.earlier, self._there = earlier, True

    @property
    def seconds_before(self) -> float:
        """What the fit took before it was interrupted."""
        return self.earlier.seconds if self.earlier is not None else 0.0

    def begin(
        self,
        settings: FitSettings,
        solve: SolveSettings,
        inputs: Mapping[str, str],
        frames: Int[np.ndarray, "T"],
        device: object,
    ) -> None:
        """State what the fit is made from; all that an interrupted one must share.

        Args:
            settings: All of them, those of the subject in detail.
            solve: What the preset means.
            inputs: Hashes of camera and model.
            frames: Frames of the recording that are fitted.
            device: Where it is computed.

        Raises:
            InputError: The interrupted fit was made from something else.
        """
        whole = json_ready(settings_to_dict(dataclasses.replace(settings, solve=solve)))
        stated = {name: value for name, value in whole.items() if name not in (*_BY_CONTENT, *_OF_NO_EFFECT)}
        hashes = dict(inputs)
        if settings.start_from is not None:
            hashes["start_from"] = hash_file(settings.start_from / "arrays.safetensors")
        self._manifest = {
            "settings": json_ready(settings_to_dict(_absolute(settings))),
            "device": str(device),
            "must_agree": {"settings": stated, "frames": frames.tolist(), "inputs": hashes},
        }
        if self.earlier is None:
            return
        found = self.earlier.manifest
        try:
            self._require_same(found["must_agree"], self._manifest["must_agree"])
            version, place = str(found["code_version"]), str(found["device"])
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.path}/manifest.json is damaged. Remove {self.path} to start the fit anew."
            ) from error
        if version != __version__:
            logger.warning("%s was begun by version %s of this program; this is %s.", self.path, version, __version__)
        if place != str(device):
            logger.warning("%s was begun on %s; on %s the result differs by rounding.", self.path, place, device)

    def _require_same(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        before, now = (dict(_flat(each["settings"])) for each in (found, wanted))
        for name in dict.fromkeys([*now, *before]):
            if before.get(name) != now.get(name):
                option = f"--{name.replace('_', '-')}"
                raise self._refusal(f"{option} was {before.get(name)}, not {now.get(name)}")
        if found["frames"] != wanted["frames"]:
            counts = [f"{len(rows)} frames, {min(rows)} to {max(rows)}" for rows in (found["frames"], wanted["frames"])]
            raise self._refusal(f"--frames chose {counts[0]}, not {counts[1]}")
        for name in sorted({*found["inputs"], *wanted["inputs"]}):
            if found["inputs"].get(name) != wanted["inputs"].get(name):
                what = {"camera": "the recording's camera", "start_from": "the fit to start from"}.get(name)
                raise self._refusal(f"{what or f'the network {name}'} was another one")

    def _refusal(self, what: str) -> InputError:
        return InputError(
            f"{self.path} cannot be gone on with: {what}. Give the same as at its beginning, or remove that folder to "
            "start anew."
        )

    def resume(self, subjects: Iterable[SubjectPoints]) -> SolveState | None:
        """Where to go on; None at the start.

        Args:
            subjects: What was read of the frames: the points that are fitted.

        Raises:
            InputError: The recording shows something else than when the fit began, or the state is damaged.
        """
        digest = hashlib.sha256()
        for seen in subjects:
            digest.update(np.ascontiguousarray(seen.points_world).tobytes())
        self._manifest["points"] = digest.hexdigest()
        if self.earlier is None:
            return None
        if self.earlier.manifest.get("points") != self._manifest["points"]:
            raise self._refusal("the recording's frames showed something else")
        state = SolveState.of_arrays(self.earlier.arrays())
        logger.info("going on after %s", self.earlier.told)
        return state

    def keep(self, state: SolveState) -> None:
        """Note where the fit stands, and write it if that is due."""
        self._newest, self._going = state, True
        if time.monotonic() - self._written >= self._every_s:
            self._write()

    def _write(self) -> None:
        state, self._newest = self._newest, None
        if state is None:
            return
        # A write that fails, too, is tried again only when the next one is due.
        self._written = time.monotonic()
        seconds = self.seconds_before + self._written - self._started
        try:
            if self._there and not self.path.exists():  # removed meanwhile
                self._there = False
                self._lock.release()
            if self._there:
                update_checkpoint(self.path, state.arrays(), seconds)
            else:
                create_checkpoint(self.path, self._manifest, state.arrays(), seconds)
                self._there = self._lock.acquire()
        except (InputError, OSError) as error:
            if not self._complained:
                logger.warning("No checkpoint could be written; the fit goes on without one. %s", error)
            self._complained = True

    def remove(self) -> None:
        """The fit is written: nothing is left to go on with."""
        self._newest = None
        self._lock.release()
        if self._there:
            self._there = False
            try:
                remove_checkpoint(self.path)
            except OSError as error:
                logger.warning("%s is not needed any more, but cannot be removed: %s", self.path, error)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # What ends within the first moments is begun anew as soon as gone on with, and leaves nothing behind.
        if kind is not None and (self._there or time.monotonic() - self._started >= self._every_s):
            self._write()
        self._lock.release()
        if isinstance(error, Exception) and self._going and self._there:
            logger.warning("%s keeps what was fitted so far; --resume goes on with it.", self.path)


def what_is_kept(settings: FitSettings) -> str | None:
    """What is kept of an interrupted fit, as a sentence; None where nothing is."""
    with contextlib.suppress(InputError):
        kept = read_checkpoint(checkpoint_path(settings.out))
        if kept is not None and not Path(settings.out).exists():
            return f"{kept.path} keeps {kept.told}."
    return None


def kept_weights(settings: FitSettings) -> dict[str, float]:
    """Weights that were changed before the fit was interrupted with which these settings go on, by name."""
    if not settings.resume:
        return {}
    with contextlib.suppress(InputError):
        kept = read_checkpoint(checkpoint_path(settings.out))
        if kept is not None:
            names, values = (kept.array(name).tolist() for name in ("change_names", "change_values"))
            return dict(zip(names, values, strict=True))
    return {}


def _absolute(settings: FitSettings) -> FitSettings:
    """The same, from whatever folder they are used."""
    names = ("sequence", "out", "model", "start_from")
    given: dict[str, Any] = {
        name: Path(path).resolve() for name in names if (path := getattr(settings, name)) is not None
    }
    return dataclasses.replace(settings, **given)


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

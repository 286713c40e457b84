"""Fit and measure the recordings of a benchmark suite."""

from __future__ import annotations

import logging
import multiprocessing
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from spams_core.data.fit import Fit
from spams_core.data.recording import read_sequence, read_subject, read_true_parts
from spams_core.device import DeviceName
from spams_core.errors import InputError
from spams_core.geometry.nearest import nearest_points
from spams_core.io.archive import require_new
from spams_core.metrics.labels import label_accuracy
from spams_core.progress import Progress, Task
from spams_core.resources import resource_path
from spams_core.tasks.evaluate import FIGURES, EvaluateSettings, evaluate, mean_figures
from spams_core.tasks.fit import FitSettings, Method, Preset, fit

__all__ = ["Benchmark", "BenchmarkSettings", "MethodResult", "benchmark"]

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_STEPS_PER_SHARE = 100


@dataclass(frozen=True)
class BenchmarkSettings:
    """Fit every recording of a suite with each method and average the figures."""

    suite: Literal["quick"] = "quick"
    """Which recordings; quick has 4 unseen bodies in 10 frames each, from a noisy virtual camera."""
    methods: tuple[Method, ...] = ("spam",)
    """Part-based model (spam), one-part baseline (npm), or both."""
    model: Path | None = None
    """Model folder, by default the bundled one; it serves a single method."""
    preset: Preset = "fast"
    """How long to fit."""
    out: Path | None = None
    """Folder that keeps the fits, as METHOD/RECORDING; by default they are thrown away."""
    device: DeviceName = "auto"
    """Where to compute."""
    seed: int = 0
    """Seed of the fits and of the samples of the metrics."""

    def __post_init__(self) -> None:
        if not self.methods or len(set(self.methods)) != len(self.methods):
            raise InputError("--methods: name each method once, and at least one.")
        if self.model is not None and len(self.methods) > 1:
            raise InputError("--model serves a single method. Run the methods one by one, each with its model.")


@dataclass(frozen=True)
class MethodResult:
    """Figures of one method.

    Attributes:
        mean: Figures of `sequences`, averaged over them, and `peak_memory_mb`: the greatest resident memory of a
            process that did nothing but the fits, in 10⁶ bytes.
        sequences: Per recording the mean figures of `spams evaluate` over its frames, and `segmentation_accuracy`: the
            share of the observed points that the segmenter labelled right (None for one part).
    """

    mean: Mapping[str, float | None]
    sequences: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class Benchmark:
    """Figures of all methods on a suite."""

    suite: str
    methods: Mapping[str, MethodResult]

    def summary(self) -> dict[str, Any]:
        """The same as data that JSON can hold."""
        return {
            "suite": self.suite,
            "methods": {
                name: {
                    "mean": dict(result.mean),
                    "sequences": {sequence: dict(figures) for sequence, figures in result.sequences.items()},
                }
                for name, result in self.methods.items()
            },
        }


def benchmark(settings: BenchmarkSettings) -> Task[Benchmark]:
    """Run a suite. Each method runs in a process of its own, so that the peak memory is the method's.

    Raises:
        InputError: The suite or a model is missing or corrupted, or `out` cannot be written.
    """
    suite = resource_path(f"benchmarks/{settings.suite}")
    recordings = sorted(path for path in suite.iterdir() if (path / "camera.json").is_file())
    if not recordings:
        raise InputError(f"{suite} holds no recordings. Install spams again.")
    methods: dict[str, MethodResult] = {}
    with ExitStack() as stack:
        out = settings.out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fits = {
            method: [
                FitSettings(
                    sequence=recording,
                    out=out / method / recording.name,
                    model=settings.model,
                    method=method,
                    preset=settings.preset,
                    device=settings.device,
                    seed=settings.seed,
                )
                for recording in recordings
            ]
            for method in settings.methods
        }
        for planned in fits.values():
            for one in planned:
                require_new(one.out)  # all of them before the first hour is spent
        for place, (method, planned) in enumerate(fits.items()):
            methods[method] = yield from _as_share(_run_apart(planned, settings.seed), method, place, len(fits))
    return Benchmark(settings.suite, methods)


def _run_apart(fits: list[FitSettings], seed: int) -> Task[MethodResult]:
    """Run one method in a fresh process and pass its reports on; closing this ends the process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, fits, seed), daemon=True)
    process.start()
    sender.close()  # so that the child's end is the last one, and its death ends the stream
    try:
        while True:
            kind, value = receiver.recv()
            if kind == "report":
                yield value
            elif kind == "result":
                result: MethodResult = value
                return result
            elif kind == "input":
                raise InputError(value)
            else:
                raise RuntimeError(f"the benchmark's process failed:\n{value}")
    except EOFError as error:
        process.join()
        raise RuntimeError(f"the benchmark's process ended early with exit code {process.exitcode}") from error
    finally:
        process.terminate()
        process.join()
        receiver.close()


def _work(sender: Connection, fits: list[FitSettings], seed: int) -> None:
    """Body of a method's process: tell the parent how it goes and what came out."""
    # An interrupt reaches the whole group of processes; the parent answers it and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        task = _fit_and_measure(fits, seed)
        while True:
            try:
                sender.send(("report", next(task)))
            except StopIteration as stop:
                sender.send(("result", stop.value))
                return
    except InputError as error:
        sender.send(("input", str(error)))
    except Exception:
        sender.send(("failure", traceback.format_exc()))


def _fit_and_measure(fits: list[FitSettings], seed: int) -> Task[MethodResult]:
    """Fit all recordings, take the peak memory, then measure the fits."""
    shares = 2 * len(fits)
    sequences: dict[str, dict[str, float | None]] = {}
    for place, settings in enumerate(fits):
        name = settings.sequence.name
        result = yield from _as_share(fit(settings), f"fit {name}", place, shares)
        sequences[name] = {"segmentation_accuracy": _segmentation_accuracy(result, settings.sequence)}
    peak_memory_mb = _peak_memory_mb()
    for place, settings in enumerate(fits):
        task = evaluate(EvaluateSettings(settings.out, against=settings.sequence, seed=seed))
        name = settings.sequence.name
        evaluation = yield from _as_share(task, f"measure {name}", len(fits) + place, shares)
        sequences[name].update(evaluation.mean)
        logger.info("%s %s: %s", settings.method, name, sequences[name])
    mean = mean_figures(list(sequences.values()), (*FIGURES, "segmentation_accuracy"))
    return MethodResult({**mean, "peak_memory_mb": peak_memory_mb}, sequences)


def _as_share(task: Task[Result], what: str, place: int, shares: int) -> Task[Result]:
    """Run a task as one of the equal shares of a larger one; previews stay behind."""
    try:
        while True:
            report = next(task)
            step = _STEPS_PER_SHARE * place + _STEPS_PER_SHARE * report.step // max(report.total, 1)
            yield Progress(step, _STEPS_PER_SHARE * shares, f"{what}: {report.message}", dict(report.metrics))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        task.close()


def _segmentation_accuracy(fit: Fit, recording: Path) -> float | None:
    """Share of the observed points, over all frames, that carry the part that labels/ has at their pixel.

    Pixels without a true label (0) don't count. None without labels, or where the fit knows a single part.
    """
    if len(fit.part_names) == 1:
        return None
    sequence = read_sequence(recording)
    predicted, truth = [], []
    for t, index in enumerate(fit.frame_indices.tolist()):
        subject, observation = read_subject(sequence, index), fit.observation(t)
        true_parts = read_true_parts(sequence, index, subject, len(fit.part_names))
        if true_parts is None:
            return None
        _, nearest = nearest_points(observation.points_world, subject.points_world)
        part = true_parts[nearest]
        predicted.append(observation.labels[part >= 0])
        truth.append(part[part >= 0])
    return label_accuracy(np.concatenate(predicted), np.concatenate(truth))


def _peak_memory_mb() -> float:
    """Greatest resident memory of this process so far, in 10⁶ bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count the parent's memory at the time of the spawn as well.
        (kibibytes,) = re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())
        return int(kibibytes) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

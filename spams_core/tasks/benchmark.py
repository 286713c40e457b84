"""Fit and measure the recordings of a benchmark suite by several methods, and tabulate how they compare."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spams_core import __version__
from spams_core.data.recording import read_sequence
from spams_core.device import DeviceName
from spams_core.errors import InputError
from spams_core.io.archive import require_new
from spams_core.progress import Task
from spams_core.settings import settings_to_dict
from spams_core.tasks.benchmark_methods import METHODS, MethodName, method_fit, method_model
from spams_core.tasks.benchmark_plots import require_plots
from spams_core.tasks.benchmark_report import RESULTS, MethodResult, worst_frames, write_report
from spams_core.tasks.benchmark_run import Measured, earlier_measurement, fit_and_measure, require_same_fit
from spams_core.tasks.benchmark_suites import SUITES, Recording, SuiteName, subject_recordings, suite_recordings
from spams_core.tasks.fit import FitSettings, Preset
from spams_core.tasks.processes import Unit, available_cores, run_apart
from spams_core.tasks.render import render

__all__ = ["Benchmark", "BenchmarkSettings", "benchmark"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchmarkSettings:
    """Fit every recording of a suite by each method, measure the fits and tabulate the figures."""

    suite: SuiteName = "quick"
    """Which recordings, all from a noisy virtual camera: quick has 4 unseen bodies in 10 frames each and is bundled;
    paper renders 6 unseen bodies in motion, seen from all around, in 90 frames; dressed renders 4 bodies in garments
    that walk, in 60."""
    subjects: Path | None = None
    """Subjects archive of a class of your own, whose test identities are filmed instead of a suite; needs --model."""
    methods: tuple[MethodName, ...] = ()
    """Rows of the table: ours (spam), the one-part baseline (npm) and both with something switched off. Without it, all
    rows for the suite paper and spam for the others."""
    frames: int | None = None
    """Fit only this many frames of each recording, from its start."""
    motion: tuple[Path, ...] = ()
    """BVH clips that the subjects of a rendered suite perform instead, in order, from the first again when they run
    out."""
    model: Path | None = None
    """Folder of the part-based model, by default the bundled one."""
    one_part_model: Path | None = None
    """Folder of the one-part model that the npm rows fit; without it the bundled one."""
    preset: Preset = "fast"
    """How long to fit."""
    out: Path | None = None
    """Folder of tables, plots, fits and rendered recordings; what is finished there is not done again. By default
    out/benchmark-SUITE, numbered where an earlier run has finished."""
    jobs: int = 1
    """Fits that run at the same time, each with its share of the cores; seconds per frame are then those of a share."""
    device: DeviceName = "auto"
    """Where to compute."""
    seed: int = 0
    """Seed of the fits and of the samples of the metrics."""

    def __post_init__(self) -> None:
        if self.subjects is not None and (self.model is None or self.motion):
            raise InputError("--subjects brings its own poses (no --motion) and needs the model of its kind: --model.")
        if len(set(self.methods)) != len(self.methods):
            raise InputError("--methods: name each method once.")
        if self.frames is not None and self.frames < 1:
            raise InputError(f"--frames {self.frames}: it must be 1 or more.")
        if self.jobs < 1:
            raise InputError(f"--jobs {self.jobs}: it must be 1 or more.")


@dataclass(frozen=True)
class Benchmark:
    """Figures of all methods on a suite.

    Attributes:
        suite: Its name.
        methods: The table's rows.
        files: What was written, by what it is.
    """

    suite: str
    methods: Mapping[str, MethodResult]
    files: Mapping[str, Path]

    def summary(self) -> dict[str, Any]:
        """The same as data that JSON can hold, without the figures of every frame."""
        return {
            "suite": self.suite,
            "methods": {
                name: {
                    "mean": dict(result.mean),
                    "sequences": {sequence: dict(measured.mean) for sequence, measured in result.sequences.items()},
                }
                for name, result in self.methods.items()
            },
            "worst_frames": {name: worst_frames(result) for name, result in self.methods.items()},
            "files": {what: str(path) for what, path in self.files.items()},
        }


def benchmark(settings: BenchmarkSettings) -> Task[Benchmark]:
    """Render what the suite lacks, fit and measure each recording by each method, and write the report.

    Each fit runs in a process that has done nothing before, so that the peak memory is the method's. What an earlier
    run finished in the same folder, with the same settings, recordings and models, is taken from there.

    Raises:
        InputError: The suite, a model or a clip is missing or corrupted, the folder holds fits of other settings, or it
            cannot be written.
    """
    require_plots()
    name = settings.suite if settings.subjects is None else "own"
    methods = settings.methods or (SUITES[settings.suite].methods if settings.subjects is None else ("spam",))
    models = {name: method_model(name, settings.model, settings.one_part_model) for name in methods}
    out = _folder(settings, methods)
    if settings.subjects is None:
        recordings = suite_recordings(settings.suite, settings.motion, out / "recordings")
    else:
        recordings = subject_recordings(settings.subjects, out / "recordings")
    fits = {
        name: {
            recording.path.name: method_fit(
                name,
                recording.path,
                out / "fits" / name / recording.path.name,
                model=models[name],
                preset=settings.preset,
                frames=":" if settings.frames is None else f":{settings.frames}",
                device=settings.device,
                seed=settings.seed,
            )
            for recording in recordings
        }
        for name in methods
    }
    # All of them before the first hour is spent.
    planned = [one for by_recording in fits.values() for one in by_recording.values()]
    for one in planned:
        if one.out.exists():
            require_same_fit(one)
        else:
            require_new(one.out)
    yield from _render(recordings, settings.jobs)
    yield from _fit(planned, settings, out)
    results: dict[str, MethodResult] = {
        name: MethodResult.of(METHODS[name].title, {key: _measured(one, settings.seed) for key, one in chosen.items()})
        for name, chosen in fits.items()
    }
    fps = read_sequence(recordings[0].path).fps
    return Benchmark(name, results, write_report(out, name, results, fps, _conditions(settings)))


def _measured(fit: FitSettings, seed: int) -> Measured:
    measured = earlier_measurement(fit, seed)
    assert measured is not None, f"{fit.out} has just been measured"
    return measured


def _conditions(settings: BenchmarkSettings) -> dict[str, Any]:
    """What the figures depend on, for the report."""
    told = settings_to_dict(settings)
    del told["out"], told["methods"]
    return {"code_version": __version__, "cores": available_cores(), **told}


def _folder(settings: BenchmarkSettings, methods: tuple[MethodName, ...]) -> Path:
    """Where the results go: a finished benchmark is neither taken for a new one nor shortened.

    Raises:
        InputError: The named folder has results with rows that this run would drop.
    """
    if settings.out is None:
        name = settings.suite if settings.subjects is None else "own"
        number, out = 1, Path("out") / f"benchmark-{name}"
        while (out / RESULTS).exists():
            number += 1
            out = Path("out") / f"benchmark-{name}-{number}"
        return out
    if not (settings.out / RESULTS).exists():
        require_new(settings.out / RESULTS)
        return settings.out
    try:
        rows = list(json.loads((settings.out / RESULTS).read_bytes())["methods"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{settings.out / RESULTS} is damaged. Remove it, or choose another --out.") from error
    lost = [name for name in rows if name not in methods]
    if lost:
        raise InputError(
            f"{settings.out / RESULTS} has a row for {lost[0]}, which this run would drop. Name it with --methods too, "
            "or choose another --out."
        )
    return settings.out


def _render(recordings: list[Recording], jobs: int) -> Task[None]:
    missing = [recording.render for recording in recordings if recording.render is not None]
    units = [Unit(f"recording {settings.out.name}", render, (settings,)) for settings in missing]
    done = yield from run_apart(units, jobs)
    for problem in done:
        if isinstance(problem, InputError):
            raise problem


def _fit(planned: list[FitSettings], settings: BenchmarkSettings, out: Path) -> Task[None]:
    """Fit and measure what is not done yet.

    Raises:
        InputError: Some fits are impossible; the others are done then.
    """
    waiting = [one for one in planned if earlier_measurement(one, settings.seed) is None]
    logger.info("%d of %d fits are to be made or measured", len(waiting), len(planned))
    units = [Unit(f"{one.out.parent.name} {one.out.name}", fit_and_measure, (one, settings.seed)) for one in waiting]
    done = yield from run_apart(units, settings.jobs)
    problems = [str(problem) for problem in done if isinstance(problem, InputError)]
    if problems:
        raise InputError(
            f"{len(problems)} of {len(planned)} fits failed: {' '.join(problems)} The others are kept in {out}; leave "
            "the methods that fail out with --methods to tabulate them."
        )

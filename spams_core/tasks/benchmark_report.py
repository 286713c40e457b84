"""What a benchmark writes: the table as JSON, CSV and Markdown, the figures of every frame, and plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spams_core.io.archive import new_file
from spams_core.tasks.benchmark_pictures import picture_frames, telling_frames
from spams_core.tasks.benchmark_plots import Curve, plot_bars, plot_epe_over_time, plot_epe_per_part
from spams_core.tasks.benchmark_run import ACCURACY, PEAK, Measured
from spams_core.tasks.evaluate import FIGURES, mean_figures

__all__ = ["RESULTS", "MethodResult", "worst_frames", "write_report"]

RESULTS = "results.json"
"""Name of the file that a finished benchmark has."""

_WORST = 10


@dataclass(frozen=True)
class MethodResult:
    """Figures of one method.

    Attributes:
        title: What a reader is told of the method.
        mean: Figures of `sequences`, averaged over them, and `peak_memory_mb`: the greatest resident memory of a
            process that did nothing but a fit, in 10⁶ bytes.
        sequences: What was measured of each recording.
    """

    title: str
    mean: Mapping[str, Any]
    sequences: Mapping[str, Measured]

    @classmethod
    def of(cls, title: str, sequences: Mapping[str, Measured]) -> MethodResult:
        """Average the figures of a method's recordings."""
        peaks = [one.peak_memory_mb for one in sequences.values() if one.peak_memory_mb is not None]
        mean = mean_figures([one.mean for one in sequences.values()], (*FIGURES, ACCURACY))
        return cls(title, {**mean, PEAK: max(peaks, default=None)}, sequences)

    def frames(self) -> list[dict[str, Any]]:
        """Every fitted frame's figures, with its recording as `sequence`."""
        return [{"sequence": name, **row} for name, one in self.sequences.items() for row in one.frames]


@dataclass(frozen=True)
class _Column:
    """A column of the Markdown table: its head, and how a row's mean figures are shown in it."""

    head: str
    show: Callable[[Mapping[str, Any]], str]


def _scaled(name: str, decimals: int, scale: float = 1.0) -> Callable[[Mapping[str, Any]], str]:
    def show(mean: Mapping[str, Any]) -> str:
        value = mean.get(name)
        return "–" if value is None else f"{scale * value:.{decimals}f}"

    return show


_COLUMNS = (
    # The paper's table has IoU, Chamfer-ℓ2 and EPE in these powers of ten.
    _Column("IoU ↑", _scaled("iou", 3)),
    _Column("C-ℓ2 (×10⁻³) ↓", _scaled("chamfer_l2", 3, 1e3)),
    _Column("EPE (×10⁻²) ↓", _scaled("epe", 2, 1e2)),
    _Column("EPE, mm ↓", _scaled("epe_mm", 1)),
    _Column("normal consistency ↑", _scaled("normal_consistency", 3)),
    _Column("points labelled right, % ↑", _scaled(ACCURACY, 1, 1e2)),
    _Column("depth residual, mm ↓", _scaled("depth_residual_mm", 1)),
    _Column("silhouette IoU ↑", _scaled("silhouette_iou", 3)),
    _Column("jitter, mm ↓", _scaled("jitter_mm", 1)),
    _Column("seconds per frame", _scaled("seconds_per_frame", 2)),
    _Column("peak memory, MB", _scaled(PEAK, 0)),
)


def worst_frames(result: MethodResult) -> list[dict[str, Any]]:
    """The ten frames with the greatest end-point error, the worst first; without ground truth, the depth residual."""
    frames = result.frames()
    measure = "epe_mm" if any(row.get("epe_mm") is not None for row in frames) else "depth_residual_mm"
    known = [row for row in frames if row.get(measure) is not None]
    return sorted(known, key=lambda row: float(-row[measure]))[:_WORST]


def write_report(
    out: Path, suite: str, results: Mapping[str, MethodResult], fps: float, conditions: Mapping[str, Any]
) -> dict[str, Path]:
    """Write tables and plots; those of an earlier run are replaced one by one, `results.json` last.

    Args:
        out: The benchmark's folder.
        suite: Its name.
        results: The rows.
        fps: Frames per second of the recordings.
        conditions: What the figures depend on: settings, version, cores.

    Returns:
        The files by what they are.

    Raises:
        InputError: `out` cannot be written.
    """
    files = {
        "table": out / "results.csv",
        "frames": out / "frames.csv",
        "markdown": out / "results.md",
        "bars": out / "bars.png",
    }
    means = [{"method": name, "title": result.title, **_flat(result.mean)} for name, result in results.items()]
    _write_csv(files["table"], means)
    rows = [{"method": name, **_flat(row)} for name, result in results.items() for row in result.frames()]
    _write_csv(files["frames"], rows)
    plot_bars(files["bars"], [Curve(name, result.title, result.mean) for name, result in results.items()])
    if any(result.mean.get("epe_mm") is not None for result in results.values()):
        files["epe_over_time"] = out / "epe_over_time.png"
        curves = [Curve(name, result.title, _epe_by_frame(result)) for name, result in results.items()]
        plot_epe_over_time(files["epe_over_time"], curves, fps)
        for name, result in results.items():
            files[f"frames_{name}"] = out / f"frames_{name}.png"
            picture_frames(files[f"frames_{name}"], telling_frames(result.frames()), out / "fits" / name)
    by_part = [
        Curve(name, result.title, errors) for name, result in results.items() if (errors := _part_errors(result))
    ]
    if by_part:
        files["epe_per_part"] = out / "epe_per_part.png"
        plot_epe_per_part(files["epe_per_part"], by_part)
    _write_text(files["markdown"], _markdown(suite, results, files, conditions))
    files["results"] = out / RESULTS
    data = {
        "suite": suite,
        "conditions": dict(conditions),
        "methods": {
            name: {
                "title": result.title,
                "mean": dict(result.mean),
                "sequences": {sequence: dict(one.mean) for sequence, one in result.sequences.items()},
            }
            for name, result in results.items()
        },
        "worst_frames": {name: worst_frames(result) for name, result in results.items()},
        "files": {what: path.name for what, path in files.items()},
    }
    _write_text(files["results"], json.dumps(data, indent=1, allow_nan=False) + "\n")
    return files


def _epe_by_frame(result: MethodResult) -> dict[int, float]:
    """Frame → end-point error in millimetres, averaged over the recordings that have it."""
    by_frame: dict[int, list[Mapping[str, Any]]] = {}
    for row in result.frames():
        by_frame.setdefault(row["frame"], []).append(row)
    means = {frame: mean_figures(rows, ("epe_mm",))["epe_mm"] for frame, rows in sorted(by_frame.items())}
    return {frame: value for frame, value in means.items() if value is not None}


def _part_errors(result: MethodResult) -> dict[str, float]:
    """Part → end-point error in millimetres."""
    return {part: value for part, value in (result.mean.get("part_epe_mm") or {}).items() if value is not None}


def _markdown(
    suite: str, results: Mapping[str, MethodResult], files: Mapping[str, Path], conditions: Mapping[str, Any]
) -> str:
    """The table in the paper's layout, then the worst frames and the plots."""
    shown = [column for column in _COLUMNS if any(column.show(result.mean) != "–" for result in results.values())]
    heads = ["method", *(column.head for column in shown)]
    table = [[result.title, *(column.show(result.mean) for column in shown)] for result in results.values()]
    said = ", ".join(f"{key} {value}" for key, value in conditions.items() if value not in (None, []))
    worst = [[result.title, " · ".join(map(_shown_frame, worst_frames(result)))] for result in results.values()]
    lines = [
        f"# Benchmark: suite {suite}",
        "",
        *_table(heads, table),
        "",
        "Means over the recordings. IoU, C-ℓ2 and EPE are in canonical units (1 unit is 1.25 m).",
        "",
        f"Made with {said}.",
        "",
        "## Recordings",
        "",
        *_table(
            ["method", "recording", *heads[1:]],
            [
                [result.title, sequence, *(column.show({**one.mean, PEAK: one.peak_memory_mb}) for column in shown)]
                for result in results.values()
                for sequence, one in result.sequences.items()
            ],
        ),
        "",
        "## Worst frames",
        "",
        "Recording/frame with its end-point error (or, without ground truth, its depth residual) in millimetres, the "
        f"worst {_WORST} of each method. frames.csv has every frame.",
        "",
        *_table(["method", "frames"], worst),
        "",
        *(line for path in files.values() if path.suffix == ".png" for line in (f"![{path.stem}]({path.name})", "")),
    ]
    return "\n".join(lines)


def _shown_frame(row: Mapping[str, Any]) -> str:
    error = row["depth_residual_mm"] if row.get("epe_mm") is None else row["epe_mm"]
    return f"{row['sequence']}/{row['frame']} {error:.0f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def _flat(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures by one name each: those of parts as FIGURE.PART."""
    flat: dict[str, Any] = {}
    for name, value in figures.items():
        flat |= {f"{name}.{part}": one for part, one in value.items()} if isinstance(value, Mapping) else {name: value}
    return flat


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Numbers in full, so that they read back as they were; what is unknown stays empty."""
    # A figure of parts is a single unknown where a frame has none; its parts' columns are empty then.
    names = list(dict.fromkeys(name for row in rows for name in row))
    names = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    with new_file(path, replace=True) as work, work.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(rows)


def _write_text(path: Path, text: str) -> None:
    with new_file(path, replace=True) as work:
        work.write_text(text, encoding="utf-8")

"""Plots of a benchmark as PNG: ours and the baseline stand out, what is switched off stays in the background."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spams_core.errors import InputError
from spams_core.io.archive import new_file
from spams_core.resources import part_titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "plot_bars", "plot_epe_over_time", "plot_epe_per_part", "require_plots"]

_OURS, _BASELINE, _OTHERS, _INK, _RULE = "#0b62a4", "#d1672a", "#a9b0b7", "#2b2f33", "#e4e7ea"
_COLORS = {"spam": _OURS, "npm": _BASELINE}

_DPI = 150

_BARS = (
    # figure, title, scale, decimals
    ("iou", "IoU ↑", 1.0, 3),
    ("chamfer_l2", "Chamfer-ℓ2, 10⁻³ units² ↓", 1e3, 3),
    ("normal_consistency", "Normal consistency ↑", 1.0, 3),
    ("epe_mm", "End-point error, mm ↓", 1.0, 1),
    ("depth_residual_mm", "Depth residual, mm ↓", 1.0, 1),
    ("seconds_per_frame", "Seconds per frame ↓", 1.0, 2),
)


@dataclass(frozen=True)
class Curve:
    """What a plot shows of one method.

    Attributes:
        name: The method's name; `spam` and `npm` stand out.
        title: What the legend says.
        values: Value by what it is of: a frame, a part, a figure.
    """

    name: str
    title: str
    values: Mapping[Any, Any]

    @property
    def color(self) -> str:
        """Its colour in every plot."""
        return _COLORS.get(self.name, _OTHERS)

    @property
    def stands_out(self) -> bool:
        """Whether it is ours or the baseline."""
        return self.name in _COLORS


def require_plots() -> None:
    """Find out before a long task, not after it, that nothing can be plotted.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401 - it takes half a second, which other commands need not wait for
    except ImportError as error:
        raise InputError("Plots need matplotlib, which is not installed. Run: pip install matplotlib.") from error


def plot_epe_over_time(path: Path, curves: Sequence[Curve], fps: float) -> None:
    """End-point error over the time since the recording's start; the values are millimetres by frame."""
    with _axes(path, 1, (8.0, 4.5)) as (axes,):
        others = [curve for curve in curves if not curve.stands_out]
        for curve in [*others, *(curve for curve in curves if curve.stands_out)]:
            first = curve is next(iter(others), None)
            axes.plot(
                [frame / fps for frame in curve.values],
                list(curve.values.values()),
                color=curve.color,
                linewidth=2.4 if curve.stands_out else 1.0,
                marker="o" if len(curve.values) < 12 else "",
                markersize=4,
                label=curve.title if curve.stands_out else _others_title(others) if first else None,
            )
        axes.set(xlabel="Time, s", ylabel="End-point error, mm", xlim=(0, None), ylim=(0, None))
        axes.set_title("End-point error over time, mean over the recordings")
        _legend(axes)


def plot_epe_per_part(path: Path, curves: Sequence[Curve]) -> None:
    """End-point error of each part; the values are millimetres by part name."""
    parts = list(dict.fromkeys(part for curve in curves for part in curve.values))
    with _axes(path, 1, (8.0, 1.6 + 0.5 * len(parts))) as (axes,):
        others = [curve for curve in curves if not curve.stands_out]
        for curve in [*others, *(curve for curve in curves if curve.stands_out)]:
            first = curve is next(iter(others), None)
            axes.plot(
                list(curve.values.values()),
                [parts.index(part) for part in curve.values],
                linestyle="",
                marker="o" if curve.stands_out else "|",
                markersize=10 if curve.stands_out else 13,
                markeredgewidth=1.2,
                markeredgecolor="white" if curve.stands_out else curve.color,
                color=curve.color,
                zorder=3 if curve.stands_out else 2,
                label=curve.title if curve.stands_out else _others_title(others) if first else None,
            )
        axes.set_yticks(range(len(parts)), part_titles(parts))
        axes.set(xlabel="End-point error, mm", xlim=(0, None), ylim=(len(parts) - 0.5, -0.5))
        axes.set_title("End-point error of each body part")
        _legend(axes)


def plot_bars(path: Path, curves: Sequence[Curve]) -> None:
    """Every method's figures side by side; the values are mean figures by name, and unknown ones have no panel."""
    panels = [row for row in _BARS if any(curve.values.get(row[0]) is not None for curve in curves)]
    width, height = 1.6 + 2.7 * min(3, len(panels)), 0.34 * len(curves) + 1.0
    with _axes(path, len(panels), (width, height * -(-len(panels) // 3))) as grid:
        for place, (axes, (name, title, scale, decimals)) in enumerate(zip(grid, panels, strict=True)):
            values = [curve.values.get(name) for curve in curves]
            lengths = [0.0 if value is None else scale * value for value in values]
            bars = axes.barh(range(len(curves)), lengths, color=[curve.color for curve in curves], height=0.72)
            labels = ["–" if value is None else f"{scale * value:.{decimals}f}" for value in values]
            axes.bar_label(bars, labels, padding=3, fontsize=8, color=_INK)
            axes.set_title(title)
            axes.set(xlim=(0, 1.22 * max(lengths) or 1.0), ylim=(len(curves) - 0.4, -0.6))
            axes.set_yticks(range(len(curves)), [curve.title if place % 3 == 0 else "" for curve in curves])
            for curve, tick in zip(curves, axes.get_yticklabels(), strict=True):
                tick.set_fontweight("bold" if curve.stands_out else "normal")
            axes.tick_params(axis="y", length=0)
            axes.grid(visible=False, axis="y")


def _others_title(others: Sequence[Curve]) -> str:
    return others[0].title if len(others) == 1 else f"{len(others)} variants"


def _legend(axes: Axes) -> None:
    """Ours and the baseline come first, though they are drawn last."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="best", frameon=True, framealpha=0.9, edgecolor="none")


@contextmanager
def _axes(path: Path, count: int, size_inches: tuple[float, float]) -> Iterator[list[Axes]]:
    """Axes in rows of up to three on a new figure, which is written at the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inches, layout="constrained")
    FigureCanvasAgg(figure)  # needs no display
    columns = min(3, count)
    every = [figure.add_subplot(-(-count // columns), columns, place + 1) for place in range(count)]
    for axes in every:
        axes.set_axisbelow(True)
        axes.grid(color=_RULE, linewidth=0.8)
        axes.tick_params(colors=_INK, labelsize=9)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(_RULE)
    yield every
    for axes in every:
        axes.title.set_fontsize(10)
        axes.title.set_color(_INK)
        axes.xaxis.label.set_color(_INK)
        axes.yaxis.label.set_color(_INK)
    with new_file(path, replace=True) as work:
        figure.savefig(work, dpi=_DPI)

"""Pictures of fitted frames beside the truth, drawn without a graphics toolkit, for machines without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from spams_core.data.fit import Fit, read_fit
from spams_core.data.recording import read_sequence
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import new_file
from spams_core.resources import part_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Pictured", "picture_frames", "telling_frames"]

_TRUTH = np.array([0.78, 0.79, 0.80])
_INK = "#2b2f33"
_MARGIN_M = 0.12
_DPI = 130


@dataclass(frozen=True)
class Pictured:
    """A frame that is shown.

    Attributes:
        why: "best", "median" or "worst".
        sequence, frame: The recording, and the frame in it.
        epe_mm: Its end-point error.
    """

    why: str
    sequence: str
    frame: int
    epe_mm: float


def telling_frames(rows: Sequence[Mapping[str, Any]]) -> list[Pictured]:
    """The frames with the least, the median and the greatest end-point error; none without ground truth."""
    known = sorted((row for row in rows if row.get("epe_mm") is not None), key=lambda row: float(row["epe_mm"]))
    if not known:
        return []
    chosen = {"best": known[0], "median": known[(len(known) - 1) // 2], "worst": known[-1]}
    return [Pictured(why, row["sequence"], int(row["frame"]), float(row["epe_mm"])) for why, row in chosen.items()]


def picture_frames(path: Path, frames: Sequence[Pictured], fits: Path) -> None:
    """Truth and fit from the camera and from its right: one row for each frame.

    Args:
        path: PNG to write.
        frames: What to show; each has a ground truth.
        fits: Folder of the method's fits, one for each recording.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 2.9 * len(frames)), layout="constrained")
    FigureCanvasAgg(figure)
    for row, shown in enumerate(frames):
        fit = read_fit(fits / shown.sequence)
        sequence = read_sequence(Path(fit.manifest["sequence"]))
        assert sequence.read_ground_truth is not None, "an end-point error was measured"
        truth = sequence.read_ground_truth(shown.frame)
        fitted, colors = _fitted(fit, shown.frame)
        views = (
            ("truth", truth, _TRUTH, 0.0), ("fit", fitted, colors, 0.0),
            ("truth, from the side", truth, _TRUTH, 90.0), ("fit, from the side", fitted, colors, 90.0),
        )  # fmt: skip
        middle = (truth.vertices.min(0) + truth.vertices.max(0)) / 2
        reach_m = float(np.abs(np.concatenate([truth.vertices, fitted.vertices]) - middle).max())
        reach_m += _MARGIN_M / fit.enlargement
        for column, (title, mesh, face_colors, turn_deg) in enumerate(views):
            axes = figure.add_subplot(len(frames), len(views), row * len(views) + column + 1)
            _draw(axes, mesh, face_colors, _axes_of_view(sequence.camera, turn_deg), middle, reach_m)
            if row == 0:
                axes.set_title(title, fontsize=10, color=_INK)
            if column == 0:
                told = f"{shown.why}: {shown.epe_mm:.0f} mm\n{shown.sequence}, frame {shown.frame}"
                axes.set_ylabel(told, fontsize=10, color=_INK)
    with new_file(path, replace=True) as work:
        figure.savefig(work, dpi=_DPI)


def _fitted(fit: Fit, frame: int) -> tuple[Mesh, Float[np.ndarray, "F 3"]]:
    """The fitted mesh in a frame of the recording, and a colour for each face: that of its first corner's part."""
    row = int(np.nonzero(fit.frame_indices == frame)[0][0])
    colors = part_colors(tuple(fit.manifest["part_names"])) / 255
    return Mesh(fit.vertices_world[row], fit.faces), colors[fit.vertex_parts[fit.faces[:, 0]]]


def _axes_of_view(camera: Camera, turn_deg: float) -> Float[np.ndarray, "3 3"]:
    """Right, up and towards the viewer, in the world: the camera's, turned about its own vertical axis."""
    right, down, forward = camera.world_from_camera[:3, :3].T
    turn = np.radians(turn_deg)
    return np.stack([
        np.cos(turn) * right + np.sin(turn) * forward, -down, np.sin(turn) * right - np.cos(turn) * forward
    ])  # fmt: skip


def _draw(
    axes: Axes,
    mesh: Mesh,
    colors: Float[np.ndarray, "F 3"] | Float[np.ndarray, "3"],
    view: Float[np.ndarray, "3 3"],
    middle: Float[np.ndarray, "3"],
    reach_m: float,
) -> None:
    """Faces towards the viewer, the farthest first, lit from over the viewer's left shoulder; no perspective."""
    from matplotlib.collections import PolyCollection

    corners = ((mesh.vertices - middle) @ view.T)[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    shown = np.nonzero(normals[:, 2] > 0)[0]
    shown = shown[np.argsort(corners[shown, :, 2].mean(1))]
    light = np.array([-0.4, 0.5, 0.77])
    shade = 0.35 + 0.65 * (normals[shown] @ light).clip(0, 1)
    own = np.broadcast_to(colors, (len(mesh.faces), 3))[shown]
    lit = (own * shade[:, None]).clip(0, 1)
    # Edges in the face's colour close the seams that anti-aliasing leaves.
    axes.add_collection(PolyCollection(list(corners[shown, :, :2]), facecolors=lit, edgecolors=lit, linewidths=0.3))
    # A square around the middle whichever way the body stretches: all panels stay equally large, their titles in line.
    axes.set(xlim=(-reach_m, reach_m), ylim=(-reach_m, reach_m), aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)

"""Render a fit off-screen into a picture or a video: `python -m app.export.render FIT --out walk.mp4`.

It runs in a process of its own: an off-screen renderer within the window would freeze its viewports.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from jaxtyping import UInt8

from app.export.pictures import PicturePlan, RenderSettings, plan_pictures, sidecar_path
from spams_core.errors import InputError
from spams_core.resources import part_colors
from spams_core.settings import settings_to_dict

if TYPE_CHECKING:
    from spams_core.data.fit import Fit

__all__ = ["main", "render"]

_VIEW_ANGLE_DEG = 28.0
_MARGIN = 1.15
_BACKGROUNDS = {"dark": ("#15181e", "#2a303c"), "light": ("#d9dee7", "#ffffff"), "white": ("#ffffff", "#ffffff")}
"""Below and above."""
_INK = {"dark": "#e8eaf0", "light": "#1c2129", "white": "#1c2129"}
_GRID = {"dark": (74, 83, 99), "light": (169, 178, 193), "white": (205, 210, 218)}
_SIDES = {"sensor": 0.0, "left": 0.25, "back": 0.5, "right": 0.75}
"""Turns about the vertical axis, from the sensor's side."""
_GIF_COLORS = 160

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class _Command:
    settings: Annotated[RenderSettings, tyro.conf.arg(name="")]
    work: Path | None = None
    """Folder for the unfinished file; by default one beside the result that is removed in the end."""
    progress: bool = False
    """Print a JSON object per picture."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Render; exit status 0 done, 2 wrong input."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            command = tyro.cli(
                _Command,
                prog="python -m app.export.render",
                description=RenderSettings.__doc__,
                args=None if arguments is None else list(arguments),
                config=(tyro.conf.PositionalMetavarFromFieldName,),
            )
        render(command.settings, command.work, _tell if command.progress else _say_nothing)
        if not command.progress:
            print(f"path: {command.settings.out}")
    except InputError as error:
        print(f"render: {error}", file=sys.stderr)
        return 2
    except SystemExit as stop:
        if stop.code:
            print(complaint.getvalue(), file=sys.stderr)
        return 2 if stop.code else 0
    return 0


def render(settings: RenderSettings, work: Path | None = None, tell: Tell | None = None) -> Path:
    """Render to `settings.out`, which appears whole or not at all, and the sidecar beside it.

    Args:
        settings: What to render.
        work: Folder for the unfinished file, on the same disk; by default a temporary one beside the result.
        tell: Called with the number of pictures done and of all.

    Raises:
        InputError: The fit is no whole fit, the frames choose nothing, or the result exists or cannot be written.
    """
    from spams_core.data.fit import read_fit
    from spams_core.data.recording import read_sequence
    from spams_core.data.saved_settings import fitted_reading
    from spams_core.tasks.export_source import fit_provenance

    out, sidecar = settings.out, sidecar_path(settings.out)
    for path in (out, sidecar):
        if path.is_dir() or (path.exists() and not settings.overwrite):
            raise InputError(f"{path} exists already. Choose another name, remove it first, or give --overwrite.")
    fit = read_fit(settings.fit)
    told = fit.manifest.get("fps")
    fps = float(told) if isinstance(told, (int, float)) and told > 0 else 30.0
    plan = plan_pictures(settings, fit.frame_indices.tolist(), fps)
    provenance = fit_provenance(settings.fit, settings_to_dict(settings))
    recorded = fit.manifest.get("sequence")
    try:
        sequence = read_sequence(Path(recorded), reading=fitted_reading(fit.manifest)) if recorded else None
    except InputError:
        sequence = None  # the recording lies elsewhere by now; the fit knows its own place in the world
    # Without the recording its camera is taken to look along -z, as the fit's world frame was made.
    toward_sensor = -sequence.camera.world_from_camera[:3, 2] if sequence is not None else np.array([0.0, 0.0, 1.0])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            if work is None:
                work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)))
            pictures = _pictures(settings, fit, plan, toward_sensor, tell or _say_nothing)
            _encode(work / out.name, settings.format, pictures, plan, (settings.width, settings.height))
            facts = {
                "frames": [int(fit.frame_indices[row]) for row in plan.rows], "pictures_per_second": plan.fps,
                **provenance,
            }  # fmt: skip
            (work / sidecar.name).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            os.replace(work / out.name, out)
            os.replace(work / sidecar.name, sidecar)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror or error}). Choose another folder.") from error
    return out


def _tell(done: int, total: int) -> None:
    print(json.dumps({"step": done, "total": total, "message": f"Picture {done} of {total}"}), flush=True)


def _say_nothing(done: int, total: int) -> None:
    pass


def _pictures(
    settings: RenderSettings, fit: Fit, plan: PicturePlan, toward_sensor: np.ndarray[Any, Any], tell: Tell
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Render one picture after the other."""
    import pyvista as pv
    from vtkmodules.vtkRenderingCore import vtkTextActor

    from app.actors import CloudActor, LinesActor, MeshActor, floor_cell_m, floor_lines

    plotter: Any = pv.Plotter(off_screen=True, window_size=[settings.width, settings.height], lighting="light kit")
    bottom, top = _BACKGROUNDS[settings.background]
    plotter.set_background(bottom, top=top)
    plotter.enable_anti_aliasing("ssaa")
    body, cloud, floor = MeshActor(), CloudActor(), LinesActor(1.0)
    cloud.actor.GetProperty().SetPointSize(max(2.0, settings.height / 360))
    colors = part_colors(fit.part_names)
    shown = fit.vertices_world[sorted(set(plan.rows))].reshape(-1, 3)
    low, high = np.percentile(shown, [0.2, 99.8], axis=0)
    center = (low + high) / 2
    starts, ends = floor_lines(np.array([center[0], low[1], center[2]]), floor_cell_m(high - low), 16)
    floor.update(starts, ends, np.full((len(starts), 3), _GRID[settings.background], np.uint8))
    floor.visible = True
    text = vtkTextActor()
    style = text.GetTextProperty()
    style.SetFontFamilyToArial()
    style.SetFontSize(max(11, settings.height // 34))
    style.SetColor(*(int(_INK[settings.background][k : k + 2], 16) / 255 for k in (1, 3, 5)))
    text.SetPosition(settings.height // 30, settings.height // 30)
    for actor in (floor.actor, body.actor, cloud.actor, text):
        plotter.add_actor(actor, render=False, reset_camera=False)
    place = _place_camera(plotter.camera, center, high - low, toward_sensor, settings)
    try:
        for count, (row, turn) in enumerate(zip(plan.rows, plan.turns, strict=True)):
            tell(count, len(plan.rows))
            body.update(fit.vertices_world[row], fit.faces, colors[fit.vertex_parts])
            body.visible = settings.mesh
            if settings.points:
                seen = fit.observation(row)
                cloud.update(seen.points_world, None, _point_colors(seen.labels, colors, settings))
            cloud.visible = settings.points
            text.SetInput(_caption(settings, fit, row))
            place(turn)
            plotter.render()  # a second screenshot would show the first picture again
            yield np.ascontiguousarray(plotter.screenshot(return_img=True)[..., :3])
        tell(len(plan.rows), len(plan.rows))
    finally:
        plotter.close()


def _place_camera(
    camera: Any, center: np.ndarray[Any, Any], extent: np.ndarray[Any, Any], toward_sensor: np.ndarray[Any, Any],
    settings: RenderSettings,
) -> Callable[[float], None]:  # fmt: skip
    """A function that turns the camera about the body, all of which stays in the picture."""
    azimuth = np.arctan2(toward_sensor[0], toward_sensor[2]) + 2 * np.pi * _SIDES[settings.view]
    half_width, half_height = np.hypot(extent[0], extent[2]) / 2, extent[1] / 2
    tangent = np.tan(np.radians(_VIEW_ANGLE_DEG) / 2)
    reach = max(half_height, half_width * settings.height / settings.width)
    distance = _MARGIN * reach / tangent + half_width
    camera.SetViewAngle(_VIEW_ANGLE_DEG)
    camera.SetViewUp(0.0, 1.0, 0.0)
    camera.SetFocalPoint(*center)
    camera.SetClippingRange(0.05 * distance, 10 * distance)

    def place(turn: float) -> None:
        angle = azimuth + 2 * np.pi * turn
        # A little from above: the floor then shows as one.
        offset = np.array([np.sin(angle), 0.12, np.cos(angle)]) * distance
        camera.SetPosition(*(center + offset))

    return place


def _point_colors(labels: Any, colors: np.ndarray[Any, Any], settings: RenderSettings) -> np.ndarray[Any, Any]:
    """In part colours, or plain over a mesh that has these already."""
    if settings.mesh:
        return np.full((len(labels), 3), 245 if settings.background == "dark" else 25, np.uint8)
    chosen: np.ndarray[Any, Any] = colors[labels]
    return chosen


def _caption(settings: RenderSettings, fit: Fit, row: int) -> str:
    parts = [f"frame {int(fit.frame_indices[row])}"] if settings.frame_number else []
    if settings.residual and np.isfinite(fit.residual_m[row]):
        parts.append(f"residual {1e3 * float(fit.residual_m[row]):.1f} mm")
    return "   ".join(parts) or " "


def _encode(
    path: Path, format: str, pictures: Iterator[UInt8[np.ndarray, "H W 3"]], plan: PicturePlan, size: tuple[int, int]
) -> None:
    from PIL import Image

    if format == "mp4":
        import imageio_ffmpeg

        writer = imageio_ffmpeg.write_frames(
            str(path), size, fps=plan.fps, codec="libx264", quality=8, macro_block_size=2, ffmpeg_log_level="error"
        )
        writer.send(None)
        try:
            for picture in pictures:
                writer.send(picture)
        finally:
            writer.close()
        return
    images = (Image.fromarray(picture) for picture in pictures)
    if format == "png":
        next(images).save(path)
        images.close()
        return
    small = (image.quantize(_GIF_COLORS, dither=Image.Dither.NONE) for image in images)
    first = next(small)
    first.save(path, save_all=True, append_images=small, duration=1000 / plan.fps, loop=0)


if __name__ == "__main__":
    sys.exit(main())

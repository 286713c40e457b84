"""Pictures show the frames they name, the bodies where they are, and the side that is turned to the viewer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from spams_core.data.virtual_camera import orbit_camera
from spams_core.geometry.mesh import Mesh
from spams_core.tasks.benchmark_pictures import _axes_of_view, _draw, telling_frames


def rows(*errors: float | None) -> list[dict[str, Any]]:
    return [{"sequence": f"{place % 2:02d}", "frame": place, "epe_mm": error} for place, error in enumerate(errors)]


def test_best_median_and_worst_are_chosen_from_all_recordings() -> None:
    shown = telling_frames(rows(7.0, 3.0, None, 90.0, 12.0, 5.0))
    assert [(one.why, one.frame, one.epe_mm) for one in shown] == [
        ("best", 1, 3.0),
        ("median", 0, 7.0),
        ("worst", 3, 90.0),
    ]
    assert [one.sequence for one in shown] == ["01", "00", "01"]


def test_without_ground_truth_nothing_is_shown() -> None:
    assert telling_frames(rows(None, None)) == []


def test_one_frame_is_best_median_and_worst() -> None:
    assert {one.frame for one in telling_frames(rows(4.0))} == {0}


@pytest.mark.parametrize("azimuth_deg", [0.0, 70.0, 200.0])
def test_view_is_that_of_the_camera_and_of_its_right(azimuth_deg: float) -> None:
    camera = orbit_camera(azimuth_deg, 0.0, 2.0)
    eye = camera.world_from_camera[:3, 3]
    right, up, towards = _axes_of_view(camera, 0.0)
    assert np.allclose(towards, eye / 2)
    assert np.allclose(up, [0, 1, 0])
    assert np.allclose(np.cross(right, up), towards)
    assert np.allclose(_axes_of_view(camera, 90.0)[2], right), "the second view comes from the camera's right"


# A box that is red where x > 0 and blue elsewhere.
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-1.0, 1.0) for z in (-0.3, 0.3)], dtype=np.float32)
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
FACES = np.array([[a, b, c] for q in QUADS for a, b, c in ((q[0], q[1], q[2]), (q[0], q[2], q[3]))], dtype=np.int32)


def image_of(azimuth_deg: float, colors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    figure = Figure(figsize=(3, 3))
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    view = _axes_of_view(orbit_camera(azimuth_deg, 0.0, 3.0), 0.0)
    _draw(axes, Mesh(CORNERS, FACES), colors, view, np.zeros(3), 1.2 * float(np.abs(CORNERS).max()))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def test_the_side_that_faces_the_viewer_is_drawn() -> None:
    colors = np.where((np.arange(len(FACES)) // 2 == 1)[:, None], [1.0, 0, 0], [0, 0, 1.0])  # quad 1 lies at x = 0.5
    from_right, from_left = (image_of(azimuth, colors)[150, 165] for azimuth in (90.0, -90.0))
    assert from_right[0] > 60 > from_right[2]
    assert from_left[2] > 60 > from_left[0]


def test_the_body_stands_upright_in_the_middle() -> None:
    drawn = image_of(0.0, np.array([0.5, 0.5, 0.5])).min(-1) < 250
    across, along = np.nonzero(drawn.any(0))[0], np.nonzero(drawn.any(1))[0]
    assert len(along) > 1.5 * len(across)
    assert abs(across.mean() - 149.5) < 3
    assert abs(along.mean() - 149.5) < 3

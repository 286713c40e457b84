"""Depth images in the workspace Inspect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint

from app.colormap import DIFFERENCE

Opened = Callable[[Path], Any]


@pytest.fixture
def inspecting(opened: Opened, fit_folder: Path) -> Any:
    """The truth itself as the fit, but one centimetre too far away."""
    window = opened(fit_folder)
    fit, truth = window.session.fit, window.session.sequence.read_ground_truth
    vertices = np.stack([truth(int(t)).vertices + np.array([0, 0, -0.01]) for t in fit.frame_indices]).astype(
        np.float32
    )
    faces = truth(0).faces.astype(np.int32)
    window.session.fit = replace(
        fit, vertices_world=vertices, faces=faces, vertex_parts=np.zeros(vertices.shape[1], np.int32),
        canonical_vertices=vertices[0],
    )  # fmt: skip
    window.turn_to("inspect")
    return window


def test_difference_says_how_far_the_fit_is_behind(inspecting: Any, qtbot: Any) -> None:
    window, view = inspecting, inspecting.inspect_workspace.depth_view
    window.commands.actions["inspect.depth"].trigger()
    qtbot.waitUntil(lambda: view.shown is not None, timeout=10_000)
    assert view.isVisible()
    shown = view.shown
    # The ball's mesh has facets, up to 2 cm inside it near the rim; in the middle they hardly show.
    middle = np.array(shown.difference_m.shape) // 2
    assert shown.difference_m[tuple(middle)] == pytest.approx(0.01, abs=0.006)
    expected = DIFFERENCE.colors(1e3 * shown.difference_m[tuple(middle)], -30.0, 30.0)
    assert np.array_equal(view.panes[2].pixels[tuple(middle)], expected)
    place = view.panes[2].place()
    qtbot.mouseMove(view.panes[2], QPoint(int(place.center().x()), int(place.center().y())))
    qtbot.waitUntil(lambda: "behind the reading" in view.readout.text(), timeout=5_000)
    assert view.readout.text().startswith("Pixel (")
    window.player.go_to(2)
    qtbot.waitUntil(lambda: view.shown is not None and view.shown.frame == 2, timeout=10_000)
    window.player.go_to(3)
    assert view.shown is None  # not fitted
    assert "not fitted" in view.readout.text()


def test_depth_images_make_room_and_leave_again(inspecting: Any) -> None:
    window, view = inspecting, inspecting.inspect_workspace.depth_view
    action = window.commands.actions["inspect.depth"]
    action.trigger()
    assert action.isChecked()
    assert view.isVisible()
    window.turn_to("edit")
    assert not view.isVisible()
    window.turn_to("inspect")
    assert view.isVisible()
    action.trigger()
    assert not view.isVisible()
    assert [bool(renderer.GetDraw()) for renderer in window.viewport.renderers] == [True, True, True]

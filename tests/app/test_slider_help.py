"""Inspect changes what is seen, Edit changes the body: both say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from app.edit.footer import UNTIL_SAVED

Opened = Callable[[Path], Any]


def test_every_slider_of_edit_says_that_the_fit_stays(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    window.turn_to("edit")
    edit = window.edit_workspace
    qtbot.waitUntil(lambda: bool(edit.codes_panel.shape_sliders), timeout=20_000)
    blend = edit.blend_panel
    sliders = [*edit.codes_panel.shape_sliders, *edit.codes_panel.pose_sliders, blend.shape_slider, blend.pose_slider]
    assert len(sliders) > 4
    for control in (*sliders, edit.map_panel.plane):
        assert UNTIL_SAVED in control.toolTip()
    assert UNTIL_SAVED in edit.footer.note.text()
    assert edit.footer.note.isVisible()
    # And it is true: a slider moves the body on screen and leaves the fit alone.
    before = window.session.fit.vertices_world.copy()
    edit.codes_panel.pose_sliders[0].setValue(20)
    qtbot.waitUntil(lambda: window.session.edited is not None, timeout=20_000)
    assert np.array_equal(window.session.fit.vertices_world, before)


def test_inspect_says_that_it_changes_the_picture_only(opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    window.turn_to("inspect")
    inspect = window.inspect_workspace
    assert inspect.note.isVisible()
    assert "never the fit" in inspect.note.text()
    inspect.colors_card.top.setValue(12.0)
    assert window.session.edited is None
    window.session.fit = None
    assert not inspect.note.isVisible()

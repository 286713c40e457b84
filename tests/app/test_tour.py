"""The tour: real controls, real actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest

from app.preferences import Preferences


def titled(window: Any, title: str) -> bool:
    return window.asking.tour is not None and window.asking.tour.title.text() == title


def test_tour_goes_on_with_what_the_user_does(
    window: Any, recording: Path, fitter: Any, qtbot: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("app.documents.resource_path", lambda _: recording)
    assert not Preferences().toured
    window.commands.actions["help.tour"].trigger()
    tour = window.asking.tour
    assert titled(window, "Open a recording")
    window.welcome.demo.click()
    qtbot.waitUntil(lambda: titled(window, "Walk through time"), timeout=10_000)
    strip = window.timeline.strip
    QTest.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(round(strip.x_of(6)), 30))
    qtbot.waitUntil(lambda: titled(window, "Look around"), timeout=5_000)
    window.viewport.world_camera.Azimuth(20)
    qtbot.waitUntil(lambda: titled(window, "Fit the body"), timeout=5_000)
    with qtbot.waitSignal(window.fit_finished, timeout=20_000):
        window.fit_workspace.panel.fit_button.click()
    qtbot.waitUntil(lambda: titled(window, "Five workspaces"), timeout=5_000)
    window.turn_to("inspect")
    qtbot.waitUntil(lambda: titled(window, "Every command by name"), timeout=5_000)
    tour.next.click()
    assert window.asking.tour is None
    assert Preferences().toured


def test_next_leads_through_and_the_card_stays_inside(
    window: Any, recording: Path, qtbot: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("app.documents.resource_path", lambda _: recording)
    window.commands.actions["help.tour"].trigger()
    tour = window.asking.tour
    for step in range(6):
        qtbot.waitUntil(lambda step=step: tour.at == step, timeout=10_000)
        assert window.rect().contains(QRect(tour.card.pos(), tour.card.size())), tour.title.text()
        tour.next.click()
    assert window.asking.tour is None


def test_tour_is_skipped_and_starts_again(window: Any) -> None:
    window.commands.actions["help.tour"].trigger()
    window.asking.tour.skip.click()
    assert window.asking.tour is None
    assert Preferences().toured
    window.commands.actions["help.tour"].trigger()
    assert titled(window, "Open a recording")
    window.commands.actions["help.tour"].trigger()
    assert titled(window, "Open a recording")
    window.asking.tour.end()


def test_tour_leaves_open_what_is_open(opened: Any, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    window.editing.move_slider("shape", 0, 0, 1.0)
    fit, state = window.session.fit, window.editing.state
    window.commands.actions["help.tour"].trigger()
    tour = window.asking.tour
    seen = []
    while window.asking.tour is not None:
        seen.append(tour.title.text())
        tour.next.click()
    assert seen == ["Walk through time", "Look around", "Five workspaces", "Every command by name"]
    assert window.session.fit is fit
    assert window.editing.state is state

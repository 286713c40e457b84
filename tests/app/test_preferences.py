"""What the window remembers, and the dialog that changes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.panels.preferences_dialog import PreferencesDialog
from app.preferences import Preferences
from app.units import length_text

Opened = Callable[[Path], Any]


def dialog(window: Any) -> PreferencesDialog:
    window.commands.actions["preferences"].trigger()
    return window.findChild(PreferencesDialog)


def choose(box: Any, value: str) -> None:
    box.setCurrentIndex(box.findData(value))


@pytest.mark.parametrize(("unit", "text"), [("mm", "5.3 mm"), ("cm", "0.53 cm"), ("m", "0.0053 m"), ("?", "5.3 mm")])
def test_lengths_show_tenths_of_millimetres(unit: str, text: str) -> None:
    assert length_text(0.0053, unit) == text


def test_unit_changes_what_is_shown(opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    assert window.status.facts["residual"].text() == "5.0 mm residual"
    choose(dialog(window).unit, "cm")
    assert window.status.facts["residual"].text() == "0.50 cm residual"
    assert window.view_bar.facts()[1] == "residual 0.50 cm"
    assert Preferences().unit == "cm"


def test_theme_follows_choice_and_desktop(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = dialog(window)
    choose(shown.theme, "light")
    assert window.theme.name == "light"
    choose(shown.theme, "system")
    desktop = ["light"]
    monkeypatch.setattr(Preferences, "theme", property(lambda _: desktop[0]))
    for name in ("light", "dark"):
        desktop[0] = name
        window.appearance.follow_desktop()
        assert window.theme.name == name
    assert Preferences().theme_choice == "system"


def test_memory_budget_acts_at_once(opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    qtbot.waitUntil(lambda: len(window.reader.cached_frames) >= 6, timeout=5_000)
    dialog(window).memory.setValue(512)
    assert window.reader._budget_bytes == 512 << 20
    assert Preferences().memory_mb == 512
    window.reader.set_budget(1)
    assert len(window.reader.cached_frames) == 1


def test_pace_and_device_act_and_are_kept(window: Any) -> None:
    shown = dialog(window)
    choose(shown.pace, "every frame")
    assert window.player.clock.pace == "every frame"
    choose(shown.device, "cpu")
    assert window.fit_workspace.panel.form.value().device == "cpu"
    assert (Preferences().pace, Preferences().device) == ("every frame", "cpu")


def test_nonsense_in_the_settings_gives_the_defaults(window: Any) -> None:
    for name in ("theme", "unit", "pace", "device", "memory_mb", "workspace"):
        window.preferences._settings.setValue(name, "nonsense")
    kept = Preferences()
    assert (kept.theme, kept.unit, kept.pace, kept.device) == ("dark", "mm", "real time", "auto")
    assert (kept.memory_mb, kept.workspace) == (256, "fit")


def test_layout_and_workspace_come_back(window: Any, qtbot: Any) -> None:
    from app.main_window import MainWindow

    window.turn_to("edit")
    window._central.setSizes([800, 480])
    wanted = window._central.sizes()
    window.close()
    other = MainWindow()
    qtbot.addWidget(other)
    other.show()
    qtbot.waitUntil(lambda: other.is_ready, timeout=60_000)
    assert other.workspace.id == "edit"
    assert other._central.sizes() == wanted
    other.show_panel(False)
    other.close()
    assert Preferences().panels[1] is False


def test_status_line_tells_the_memory(window: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: window.status.facts["memory"].text().endswith(" MB"), timeout=3_000)
    assert 50 < float(window.status.facts["memory"].text().removesuffix(" MB").replace(",", "")) < 50_000

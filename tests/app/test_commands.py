"""The command table's views: palette, shortcut editor, help."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest

from app.fuzzy import fuzzy_score
from app.panels.command_palette import CommandPalette
from app.panels.help_page import HelpPage
from app.panels.shortcut_editor import ShortcutEditor


def palette(window: Any) -> CommandPalette:
    window.commands.actions["palette"].trigger()
    made = window.findChild(CommandPalette)
    assert made.isVisible()
    return made


@pytest.mark.parametrize(
    ("typed", "better", "worse"),
    [
        ("or", "Open Recording", "Keyboard Shortcuts"),
        ("vfb", "View from Behind", "Save a View for Bob"),
        ("play", "Play", "Explore the Body Display"),
        ("fit", "Fit the Body", "Save what fits"),
    ],
)
def test_starts_of_words_and_runs_win(typed: str, better: str, worse: str) -> None:
    a, b = fuzzy_score(typed, better), fuzzy_score(typed, worse)
    assert a is not None
    assert b is None or a > b


def test_letters_must_occur_in_order() -> None:
    assert fuzzy_score("ba", "ab") is None
    assert fuzzy_score("x", "") is None
    assert fuzzy_score("", "anything") == 0
    assert fuzzy_score("OPEN rec", "Open Recording") == fuzzy_score("openrec", "open recording")


def test_palette_finds_and_runs(window: Any) -> None:
    shown = palette(window)
    assert len(shown.titles()) == len(window.commands.actions)
    QTest.keyClicks(shown.search, "lighth")
    assert shown.titles()[0].startswith("Light Theme")
    QTest.keyClick(shown.search, Qt.Key.Key_Return)
    assert window.theme.name == "light"


def test_palette_shows_what_is_impossible_grey_and_does_not_run_it(window: Any) -> None:
    shown = palette(window)
    QTest.keyClicks(shown.search, "next worst")
    item = shown.list.topLevelItem(0)
    assert (item.text(0), item.text(2)) == ("Next Worst Frame", "N")
    assert item.isDisabled()
    QTest.keyClick(shown.search, Qt.Key.Key_Return)
    assert shown.isVisible()
    shown.search.setText("qqqq")
    assert shown.titles() == []


def test_palette_is_walked_with_the_arrows(window: Any) -> None:
    shown = palette(window)
    shown.search.setText("workspace")
    first = shown.list.currentItem().text(0)
    QTest.keyClick(shown.search, Qt.Key.Key_Down)
    second = shown.list.currentItem().text(0)
    assert [first, second] == shown.titles()[:2]
    QTest.keyClick(shown.search, Qt.Key.Key_Return)
    assert window.workspace.title == second.removesuffix(" Workspace")


def test_alt_and_a_digit_turn_to_the_workspaces(window: Any) -> None:
    window.activateWindow()
    assert QTest.qWaitForWindowActive(window, 5000)
    for digit, workspace in zip("13542", ("capture", "inspect", "export", "edit", "fit"), strict=True):
        QTest.keyClick(window, digit, Qt.KeyboardModifier.AltModifier)
        assert window.workspace.id == workspace


def test_no_two_commands_share_a_shortcut(window: Any) -> None:
    for name in window.commands.actions:
        holder = window.commands.holder(window.commands.keys(name), besides=name)
        assert holder is None, f"{name} and {holder}"


def test_shortcut_is_taken_over_kept_and_reset(window: Any) -> None:
    from app.preferences import Preferences

    window.commands.actions["shortcuts"].trigger()
    editor = window.findChild(ShortcutEditor)
    editor.choose("play.loop")
    editor.keys.setKeySequence(QKeySequence("Ctrl+E"))
    assert "“Export”" in editor.message.text()
    assert editor.assign.text() == "Take Over"
    editor.assign.click()
    assert window.commands.keys("play.loop") == "Ctrl+E"
    assert window.commands.keys("export.fit") == ""
    assert "(Ctrl+E)" in window.commands.actions["play.loop"].toolTip()
    assert Preferences().shortcuts == {"play.loop": "Ctrl+E", "export.fit": ""}
    editor.keys.setKeySequence(QKeySequence("Ctrl+J"))
    assert editor.assign.text() == "Assign"
    editor.assign.click()
    editor.choose("export.fit")
    editor.reset.click()
    assert Preferences().shortcuts == {"play.loop": "Ctrl+J"}
    editor.reset_all.click()
    assert Preferences().shortcuts == {}
    assert window.commands.keys("play.loop") == "L"
    editor.reject()


def test_changed_shortcut_works_in_the_next_window(window: Any, qtbot: Any) -> None:
    from app.main_window import MainWindow
    from app.preferences import Preferences

    Preferences().shortcuts = {"theme.light": "Ctrl+T", "no.such.command": "Ctrl+U"}
    other = MainWindow()
    qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    assert QTest.qWaitForWindowActive(other, 5000)
    QTest.keyClick(other, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert other.theme.name == "light"
    other.close()


def test_unreadable_shortcuts_are_no_shortcuts(window: Any) -> None:
    from app.preferences import Preferences

    for text in ("{", "[1]", '"x"'):
        window.preferences._settings.setValue("shortcuts", text)
        assert Preferences().shortcuts == {}


def test_help_names_every_command_in_a_menu(window: Any) -> None:
    window.commands.actions["help.page"].trigger()
    page = window.findChild(HelpPage)
    text = page.page.toPlainText()
    listed = {name for names in window.commands.groups.values() for name in names}
    assert listed == set(window.commands.actions)
    for name in listed:
        assert window.commands.title(name) in text
        assert window.commands.keys(name) in text
    page.search.setText("silhouette of nothing")
    assert "Nothing has" in page.page.toPlainText()
    page.search.setText("F9")
    assert "Side Panel" in page.page.toPlainText()
    assert "Quit" not in page.page.toPlainText()
    page.close()


def test_undo_and_redo_are_commands_like_the_others(window: Any) -> None:
    undo, redo = window.commands.actions["undo"], window.commands.actions["redo"]
    assert not undo.isEnabled()
    window.edit_workspace.codes_panel.pose_sliders[0].setValue(100)
    assert undo.isEnabled()
    undo.trigger()
    assert window.edit_workspace.codes_panel.pose_sliders[0].value() == 0
    assert redo.isEnabled()

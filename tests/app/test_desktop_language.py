"""A desktop that does not speak English: decimal commas, and Qt's own texts in the window's language."""

from __future__ import annotations

import gettext
from typing import Any

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialogButtonBox

from app import translation
from app.launch import dress_in_language
from app.number_box import NumberBox


def test_numbers_are_written_as_in_the_labels_beside(qapp: Any) -> None:
    assert QLocale().decimalPoint() == "."


@pytest.mark.parametrize("typed", ["0.5", "0,5"])
def test_point_and_comma_mean_the_same(qtbot: Any, typed: str) -> None:
    box = NumberBox()
    qtbot.addWidget(box)
    box.setRange(0, 1000)
    box.setSuffix(" m")
    box.selectAll()
    QTest.keyClicks(box, typed)
    box.interpretText()
    assert (box.value(), box.text()) == (0.5, "0.50 m")


def test_buttons_of_qt_speak_the_windows_language(qapp: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel() -> str:
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        qtbot.addWidget(box)
        return box.button(QDialogButtonBox.StandardButton.Cancel).text().replace("&", "")

    assert dress_in_language(qapp) is None
    assert cancel() == "Cancel"
    german = gettext.NullTranslations()
    monkeypatch.setattr(german, "_info", {"language": "de"})
    monkeypatch.setattr(translation, "_CATALOGUE", german)
    translator = dress_in_language(qapp)
    assert translator is not None
    try:
        assert cancel() == "Abbrechen"
    finally:
        qapp.removeTranslator(translator)

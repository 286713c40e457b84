"""The window in another language: every text that people read goes through `tr`."""

from __future__ import annotations

import ast
import gettext
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from babel.messages.mofile import write_mo
from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QGroupBox,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSpinBox,
    QTabWidget,
    QTreeWidget,
    QWidget,
)

import app
from app import translation
from app.capture.facts_card import FactsCard
from app.catalogue import window_catalogue
from app.inspect.metrics_table import MetricsTable
from spams_core.data.diagnosis import FrameDiagnosis

Opened = Callable[[Path], Any]
APP = Path(app.__file__).parent
OPEN, CLOSE = "⟦", "⟧"

DATA = re.compile(
    r"""
    [\W\d_]*                                    # numbers, signs
    | [\W\d_]*(mm|m|cm|s|MB|GB|fps|px|σ|x|y|z|%|of|°|A|B|ms|deg|kHz|Hz|h|w)?[\W\d_]*
    | ball.* | 0{6}.*  # the folders and files of the stand-ins
    | (/|~).* | \S+\.(npz|ply|obj|glb|mp4|gif|png|json|spamproj)
    | SPAM\ Studio.* | CPU | cpu | cuda | auto | MP4 | GIF | PNG
    | Export\.\.\. | Scroll\ (Left|Right) | Close  # the libraries' own
    """,
    re.VERBOSE,
)


KEYS = r"( \d+| \((Shift\+|Ctrl\+|Alt\+)*(\w+|\W)\))$"
"""A number, or the keys of a command, at the end of a text."""


class _Marked(gettext.NullTranslations):
    """A language whose words are the English ones in brackets."""

    def gettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


class _Longer(gettext.NullTranslations):
    """A language whose words need two fifths more room than the English ones."""

    def gettext(self, message: str) -> str:
        return message + "ß" * round(0.4 * len(message)) if len(message) < 12 else f"{message} {self._more(message)}"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)

    @staticmethod
    def _more(message: str) -> str:
        return " ".join(["lang"] * round(0.4 * len(message) / 5))


@pytest.fixture
def longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "_CATALOGUE", _Longer())


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is translated while a module is loaded must not stay marked for the tests that come after.
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    monkeypatch.setattr(translation, "_CATALOGUE", _Marked())


def texts_at_import() -> set[str]:
    """Texts that modules translate once, when they are loaded: in the tests before any fixture."""
    found: set[str] = set()
    for path in APP.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                found |= _translated(node)
            elif isinstance(node, ast.ClassDef):
                for member in node.body:
                    if not isinstance(member, ast.FunctionDef):
                        found |= _translated(member)
    return {text.replace("&", "") for text in found}


def _translated(node: ast.AST) -> set[str]:
    return {
        str(ast.literal_eval(call.args[0]))
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "tr"
    }


def shown_texts(window: QWidget) -> Iterator[tuple[str, str]]:
    """Each text of the window and its dialogs, with where it stands."""
    seen: list[QObject] = [*window.findChildren(QWidget), *window.findChildren(QAction)]
    # The findings are the library's own sentences, the same as on the command line.
    findings = {label for card in window.findChildren(FactsCard) for label in card.view.labels()}
    for item in seen:
        name = f"{type(item).__name__} in {type(item.parent()).__name__}"
        if item.objectName().startswith("qt_") or item in findings:
            continue
        if isinstance(item, QLabel | QAbstractButton | QAction):
            yield name, item.text()
        if isinstance(item, QGroupBox):
            yield name, item.title()
        if isinstance(item, QTabWidget):
            for index in range(item.count()):
                yield name, item.tabText(index)
        if isinstance(item, QComboBox):
            for index in range(item.count()):
                yield name, item.itemText(index)
        if isinstance(item, QLineEdit):
            yield name, item.placeholderText()
        if isinstance(item, QTreeWidget):
            for column in range(item.columnCount()):
                yield name, item.headerItem().text(column)
        if isinstance(item, QDialog):
            yield name, item.windowTitle()
        if isinstance(item, QSpinBox | QDoubleSpinBox):
            for text in (item.prefix(), item.suffix(), item.specialValueText()):
                yield name, text
        if isinstance(item, QWidget):
            yield f"name of {name}", item.accessibleName()
        yield f"hint of {name}", item.toolTip()  # type: ignore[attr-defined]


def untranslated(window: QWidget, known: set[str]) -> list[str]:
    """Texts with words outside the brackets."""
    found = []
    for where, text in shown_texts(window):
        left = re.sub(r"<[^>]*>|&\w+;", " ", text).replace("&", "")
        while re.search(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", left):
            left = re.sub(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", "", left)
        left = re.sub(f"{OPEN}.*", "", left)  # the first sentence of a text is the name of its control
        left = re.sub(KEYS, "", left).strip()
        if left not in known and not DATA.fullmatch(left):
            found.append(f"{where}: {text[:90]!r}")
    return sorted(set(found))


def test_no_text_of_the_window_bypasses_the_catalogue(marked: None, opened: Opened, fit_folder: Path) -> None:
    window = opened(fit_folder)
    known = texts_at_import()
    for workspace in window.workspaces:
        window.turn_to(workspace.id)
    for name in ("palette", "shortcuts", "help.page", "preferences"):
        window.commands.actions[name].trigger()
    found = untranslated(window, known)
    for dialog in QApplication.topLevelWidgets():
        if dialog is not window and dialog.parent() is window:
            dialog.close()
    assert found == []


def test_longer_words_have_room_in_a_small_window(longer: None, opened: Opened, fit_folder: Path, qtbot: Any) -> None:
    window = opened(fit_folder)
    window.resize(1280, 800)
    side = window.tabs

    def cut() -> list[str]:
        """What ends at the side panel's edge."""
        areas = [area for area in side.findChildren(QScrollArea) if area.isVisible()]
        bars = [tabs.tabBar() for tabs in (side, *side.findChildren(QTabWidget)) if tabs.isVisible()]
        return [
            *(f"panel, {area.widget().width()}" for area in areas if area.widget().width() > area.viewport().width()),
            *(f"tab {bar.tabText(0)}" for bar in bars if bar.sizeHint().width() > bar.parentWidget().width()),
        ]

    for aside in (None, "inspect.depth", "inspect.table"):
        for workspace in window.workspaces:
            window.turn_to(workspace.id)
            if workspace.id == "inspect" and aside is not None:
                window.commands.actions[aside].trigger()
            qtbot.waitUntil(lambda: cut() == [], timeout=5000)
            assert window.minimumSizeHint().width() <= 1280, f"{workspace.id} with {aside}"


def test_a_catalogue_made_from_the_sources_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = window_catalogue()
    for message in catalog:
        if message.id:
            several = isinstance(message.id, tuple)
            message.string = tuple(f"eo {text}" for text in message.id) if several else f"eo {message.id}"
    catalog.locale = "eo"
    folder = tmp_path / "eo" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "studio.mo").open("wb") as file:
        write_mo(file, catalog)
    monkeypatch.setattr(translation, "_CATALOGUE", gettext.translation("studio", tmp_path, ["eo"]))
    assert translation.tr("Open a recording") == "eo Open a recording"
    assert translation.tr("Open {name}", name="a {b}") == "eo Open a {b}"
    assert translation.ntr("{count} file, ", "{count} files, ", 1) == "eo 1 file, "
    assert translation.ntr("{count} file, ", "{count} files, ", 3) == "eo 3 files, "
    assert translation.part_titles(["left_arm", "tail_fin"]) == ["eo Left arm", "Tail fin"]
    assert translation.tr("") == ""


def test_the_catalogue_has_every_text_of_the_sources() -> None:
    """Texts in an f-string, for instance, are passed over by the program that looks for them."""
    texts: set[str] = set()
    for message in window_catalogue():
        texts |= set(message.id) if isinstance(message.id, tuple) else {message.id}
    called: set[str] = set()
    for path in APP.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("tr", "ntr"):
                given = call.args[: 1 if call.func.id == "tr" else 2]
                called |= {str(text.value) for text in given if isinstance(text, ast.Constant)}
    assert called - texts == set()


def test_the_catalogue_has_what_forms_take_from_the_library() -> None:
    texts = {message.id for message in window_catalogue()}
    assert {"Seed of every random draw.", "Distance to observation", "Left arm", "keyframes", "Blender"} <= texts
    assert len(texts) > 900


def test_texts_keep_their_braces_unless_values_are_given() -> None:
    assert translation.tr("{frame}") == "{frame}"
    assert translation.tr("{frame}", frame=3) == "3"


def test_columns_that_are_hidden_are_the_same_in_every_language(marked: None, qtbot: Any) -> None:
    table = MetricsTable(["Kept", "Head"])
    qtbot.addWidget(table)
    hidden: list[frozenset[str]] = []
    table.hidden_changed.connect(hidden.append)
    table.show()
    table.show_rows({0: FrameDiagnosis(0, 0.01, np.full(2, 0.01), 0.9, 0.0, 0.001)}, ["head", "torso"])
    assert [k for k in range(7) if table.view.isColumnHidden(k)] == [2, 4]
    head, torso = table.choose.menu().actions()[1:3]
    assert (head.text(), torso.text()) == (f"{OPEN}Head{CLOSE} (mm)", f"{OPEN}Torso{CLOSE} (mm)")
    torso.trigger()
    assert hidden == [{"Kept", "Head", "Torso"}]


def test_the_program_does_without_the_translators_tool() -> None:
    """It needs `babel`, which is installed for development alone."""
    imported = {
        module
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom) and path.name != "catalogue.py"
        for module in [getattr(node, "module", None), *(alias.name for alias in node.names)]
    }
    assert "app.translation" in imported
    assert not {"catalogue", "app.catalogue"} & imported

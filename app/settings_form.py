"""A form made from any settings dataclass: types become editors, attribute docstrings tooltips, range errors a line."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.theme import THEMES, icon
from app.translation import tr
from spams_core.errors import InputError
from spams_core.settings import field_help, settings_from_dict

__all__ = ["PathEdit", "SettingsForm", "form_texts"]

_TITLES = {"out": "Save to", "fps": "Frames per second", "program": "For"}
_OPTION = re.compile(r"--([a-z][a-z-]*)")
"""The command line's name of a setting; the form has titles."""
_ALL_FRAMES = ":"
_ALL_FRAMES_HINT = tr("all, or start:stop:step")


class PathEdit(QWidget):
    """A path to type or to choose."""

    changed = Signal()
    keeps_name = False
    """Whether choosing a folder keeps the last part of the path: the name of what will be written there."""

    def __init__(self, *, optional: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.edit = QLineEdit()
        self.edit.textChanged.connect(self.changed)
        self.edit.textChanged.connect(self.edit.setToolTip)  # a long path is cut
        self.edit.setPlaceholderText(tr("default") if optional else "")
        browse = QToolButton()
        browse.setIcon(icon("folder-open", THEMES["dark"], THEMES["dark"].muted))
        browse.setToolTip(tr("Choose a folder"))
        browse.setAccessibleName(tr("Choose a folder"))
        browse.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.edit)
        layout.addWidget(browse)
        self.setFocusProxy(self.edit)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    @Slot()
    def _browse(self) -> None:
        text = self.edit.text()
        start = str(Path(text).parent) if text else str(Path.home())
        chosen = QFileDialog.getExistingDirectory(self, tr("Choose a folder"), start)
        if chosen:
            self.edit.setText(str(Path(chosen) / Path(text).name) if self.keeps_name and text else chosen)


class SettingsForm(QWidget):
    """Edits one frozen settings dataclass.

    `fixed` are values that the window knows and the user does not edit; settings within settings keep their default.
    `value()` builds the dataclass, so its own range checks decide; while they refuse, `problem` says why and
    `changed(False)` is emitted.
    """

    changed = Signal(bool)

    def __init__(
        self,
        kind: type[Any],
        fixed: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
        order: Sequence[str] = (),
        folded: Sequence[str] = (),
        parent: QWidget | None = None,
    ) -> None:
        """Fields named in `order` come first; those in `folded` come last, behind `more_button`."""
        super().__init__(parent)
        self.check: Callable[[Any], None] | None = None
        """What else the settings must hold, by an InputError; for what the dataclass alone cannot know."""
        self._kind, self._fixed = kind, dict(fixed or {})
        self._editors: dict[str, QWidget] = {}
        self._optional: set[str] = set()
        self._lists: set[str] = set()
        self._layout = QFormLayout()
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setHorizontalSpacing(12)
        self._layout.setVerticalSpacing(7)
        self._layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._problem = QLabel()
        self._problem.setObjectName("problem")
        self._problem.setWordWrap(True)
        self._problem.hide()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addLayout(self._layout)
        outer.addWidget(self._problem)
        hints, texts = typing.get_type_hints(kind), field_help(kind)
        ranks = {name: rank for rank, name in enumerate(order)}
        self.more_button = QToolButton()
        self.more_button.setText(tr("More"))
        self.more_button.setToolTip(tr("Settings that rarely change"))
        self.more_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more_button.setCheckable(True)
        self.more_button.toggled.connect(self._unfold)
        self._folded: list[QWidget] = []
        for field in sorted(
            dataclasses.fields(kind), key=lambda field: (field.name in folded, ranks.get(field.name, len(ranks)))
        ):
            nested = dataclasses.is_dataclass(_without_none(hints[field.name])[0])
            if field.name in self._fixed or nested:
                continue
            editor = self._editor(field.name, hints[field.name])
            start = (initial or {}).get(field.name, _default(field))
            self._editors[field.name] = editor
            if start is not dataclasses.MISSING:
                self.set_value(field.name, start)
            label = QLabel(_title(field.name))
            (editor.edit if isinstance(editor, PathEdit) else editor).setAccessibleName(_title(field.name))
            label.setMinimumHeight(28)  # centred beside its editor
            for shown in (label, editor):
                shown.setToolTip(_wrapped(tr(texts.get(field.name, ""))))
            if field.name in folded:
                if not self._folded:
                    self._layout.addRow(self.more_button)
                self._folded.append(editor)
            self._layout.addRow(label, editor)
        if not self._folded:
            self.more_button.setParent(self)
            self.more_button.hide()
        self._unfold(False)
        self._check()

    @property
    def problem(self) -> str:
        """Why there is no valid value; empty when there is one."""
        return self._problem.text()

    def editor(self, name: str) -> QWidget:
        """The editor of a field."""
        return self._editors[name]

    def value(self) -> Any:
        """The settings as edited.

        Raises:
            InputError: The settings refuse a value.
        """
        edited = {name: self._read(name) for name in self._editors}
        try:
            settings = settings_from_dict(self._kind, {**self._fixed, **edited})
        except (TypeError, ValueError) as error:
            raise InputError(str(error)) from error
        if self.check is not None:
            self.check(settings)
        return settings

    def choices(self) -> dict[str, Any]:
        """What is chosen from lists and ticked, whether or not the settings accept the rest."""
        chosen = (QComboBox, QCheckBox)
        return {name: self._read(name) for name, editor in self._editors.items() if isinstance(editor, chosen)}

    def set_fixed(self, **values: Any) -> None:
        """Change values that are not edited."""
        self._fixed.update(values)
        self._check()

    def set_value(self, name: str, value: Any) -> None:
        """Put a value into an editor."""
        editor = self._editors[name]
        if isinstance(editor, QCheckBox):
            editor.setChecked(bool(value))
        elif isinstance(editor, QComboBox):
            editor.setCurrentIndex(editor.findData(value))
        elif isinstance(editor, PathEdit):
            editor.edit.setText("" if value is None else str(value))
        elif isinstance(editor, QLineEdit):
            if name in self._lists:
                value = " ".join(map(str, value))
            empty = value is None or (name == "frames" and value == _ALL_FRAMES)
            editor.setText("" if empty else f"{value:g}" if isinstance(value, float) else str(value))

    def _editor(self, name: str, hint: Any) -> QWidget:
        kind, optional = _without_none(hint)
        if optional:
            self._optional.add(name)
        if typing.get_origin(kind) is typing.Literal:
            box = QComboBox()
            for choice in typing.get_args(kind):
                box.addItem(tr(_choice_text(choice)), choice)
            box.currentIndexChanged.connect(self._check)
            return box
        if kind is bool:
            check = QCheckBox()
            check.setMinimumHeight(28)
            check.toggled.connect(self._check)
            return check
        if kind is Path:
            path = PathEdit(optional=optional)
            path.changed.connect(self._check)
            return path
        if typing.get_origin(kind) is tuple:
            self._lists.add(name)
        # Numbers of any magnitude are typed: a spin box would round 1e-4 to 0.00.
        line = QLineEdit()
        line.setPlaceholderText(_ALL_FRAMES_HINT if name == "frames" else tr("default") if optional else "")
        line.setProperty("number", kind.__name__ if kind in (int, float) else "")
        line.textChanged.connect(self._check)
        return line

    def _read(self, name: str) -> Any:
        editor = self._editors[name]
        if isinstance(editor, QCheckBox):
            return editor.isChecked()
        if isinstance(editor, QComboBox):
            return editor.currentData()
        assert isinstance(editor, (QLineEdit, PathEdit))
        line = editor.edit if isinstance(editor, PathEdit) else editor
        text = line.text().strip()
        if not text and name in self._optional:
            return None
        if not text and name == "frames":
            return _ALL_FRAMES
        if isinstance(editor, PathEdit):
            if not text:
                raise InputError(tr("{setting} is empty. Choose a folder.", setting=_title(name)))
            return Path(text)
        if name in self._lists:
            return tuple(text.split())
        number = line.property("number")
        if not number:
            return text
        try:
            return int(text) if number == "int" else float(text.replace(",", "."))
        except ValueError as error:
            raise InputError(tr("{setting}: {text!r} is no number.", setting=_title(name), text=text)) from error

    @Slot(bool)
    def _unfold(self, shown: bool) -> None:
        self.more_button.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        for editor in self._folded:
            self._layout.setRowVisible(editor, shown)

    @Slot()
    def _check(self, *_: Any) -> None:
        try:
            self.value()
            problem = ""
        except InputError as error:
            problem = _OPTION.sub(lambda option: _title(option[1].replace("-", "_")), str(error))
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
        self.changed.emit(not problem)


def form_texts(kind: type[Any]) -> Iterator[str]:
    """What a form of these settings shows, before it is translated: titles, choices, hints."""
    for name, hint in typing.get_type_hints(kind).items():
        yield _title_text(name)
        inner = _without_none(hint)[0]
        if typing.get_origin(inner) is typing.Literal:
            yield from map(_choice_text, typing.get_args(inner))
    yield from field_help(kind).values()


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _without_none(hint: Any) -> tuple[Any, bool]:
    """The type without `| None`, and whether it had that."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0], len(kinds) < len(typing.get_args(hint))
    return hint, False


def _title(name: str) -> str:
    return tr(_title_text(name))


def _title_text(name: str) -> str:
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def _choice_text(choice: Any) -> str:
    text = str(choice)
    short = len(text) <= 4 and text not in ("auto", "fast")
    return text.upper() if short else text.replace("_", " ").capitalize()


def _wrapped(text: str) -> str:
    """Rich text wraps in a tooltip, plain text does not."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return f"<p style='white-space:normal'>{escaped}</p>" if text else ""

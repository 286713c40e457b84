"""One kind of export: its settings, what it will write, its progress and what came out."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QComboBox, QFrame, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.free_names import free_path
from app.panels.scrolling import scrolled
from app.settings_form import PathEdit, SettingsForm
from app.theme import Theme, icon
from app.translation import ntr, tr
from spams_core.errors import InputError
from spams_core.progress import Progress, Task

__all__ = ["ExportKind", "ExportPage", "spoken_bytes"]


@dataclasses.dataclass(frozen=True)
class ExportKind:
    """What the page needs to know of one kind of export.

    Attributes:
        settings: Its dataclass, with the fields `fit`, `out` and `overwrite`.
        order: Fields in the order of the form.
        titles: Field → value → what a person reads for it.
        name: What is chosen from lists and the fit's name → how the result is called.
        describe: Settings → lines on what will be written; raises InputError where that is nothing.
        run: Settings → the task that writes.
        button: Text of the button.
        placeholders: Field → what an empty line means.
        writes: Settings → the paths that will be written or replaced.
        told: What came out → lines on what it says of itself.
        initial: Field → what the form starts with, where that is not the default.
        amend: What is chosen from lists → corrections that follow from it, such as the format of a still.
        command: What does the same in a terminal.
    """

    settings: type[Any]
    order: Sequence[str]
    titles: Mapping[str, Mapping[str, str]]
    name: Callable[[Mapping[str, Any], str], str]
    describe: Callable[[Any], Sequence[str]]
    run: Callable[[Any], Task[Path]]
    button: str
    placeholders: Mapping[str, str]
    writes: Callable[[Any], Sequence[Path]] = lambda settings: (settings.out,)
    told: Callable[[Path], Sequence[str]] = lambda path: ()
    initial: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    amend: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda chosen: {}
    command: str = "spams export"


class ExportPage(QWidget):
    """Settings, preview, progress with cancel, and where the result lies."""

    requested = Signal(object)
    cancel_requested = Signal()

    def __init__(self, kind: ExportKind, fit: Path, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind, self._fit, self._theme = kind, fit, theme
        self._running = False
        self._written: Path | None = None
        start = {"out": fit.parent, **kind.initial}
        self.form = SettingsForm(kind.settings, {"fit": fit, "overwrite": False}, start, kind.order)
        for field, titles in kind.titles.items():
            box = self.form.editor(field)
            assert isinstance(box, QComboBox)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(8)  # a long title must not widen the panel
            for index in range(box.count()):
                box.setItemText(index, titles[box.itemData(index)])
        out = self.form.editor("out")
        assert isinstance(out, PathEdit)
        out.keeps_name = True
        self._out = out.edit
        self._suggested = ""
        self._preview = QLabel()
        self._preview.setObjectName("preview")
        self._preview.setWordWrap(True)
        self._card = _card(self._preview)
        self.export_button = QPushButton(kind.button)
        self.export_button.setObjectName("primary")
        self.export_button.setMinimumHeight(32)
        self.export_button.clicked.connect(self._on_export)
        self._message = QLabel()
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self.cancel_button = QPushButton(tr("Cancel"))
        self.cancel_button.setToolTip(tr("Stop; nothing is written"))
        self.cancel_button.clicked.connect(self._on_cancel)
        self._progress = QWidget()
        self._result = QLabel()
        self._result.setWordWrap(True)
        self.show_button = QPushButton(tr("Show in Its Folder"))
        self.show_button.clicked.connect(self._show_folder)
        self._result_card = _card(self._result, self.show_button)
        self._arrange()
        self.form.changed.connect(self._on_form)
        self.set_theme(theme)
        self.set_running(False)
        self._result_card.hide()
        self._on_form(not self.form.problem)

    def _arrange(self) -> None:
        progress = QVBoxLayout(self._progress)
        progress.setContentsMargins(0, 0, 0, 0)
        progress.setSpacing(6)
        progress.addWidget(self._message)
        progress.addWidget(self._bar)
        progress.addWidget(self.cancel_button)
        upper = QWidget()
        place = QVBoxLayout(upper)
        place.setContentsMargins(14, 12, 14, 4)
        place.addWidget(self.form)
        place.addStretch(1)
        scroll = scrolled(upper)
        lower = QVBoxLayout()  # always in sight, however long the form
        lower.setContentsMargins(14, 6, 14, 12)
        lower.setSpacing(9)
        for widget in (self._card, self.export_button, self._progress, self._result_card):
            lower.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        layout.addLayout(lower)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._result.setText(self._result.text().replace(self._theme.muted, theme.muted))
        self._theme = theme
        self.export_button.setIcon(icon("export", theme, theme.on_accent))
        self.cancel_button.setIcon(icon("x", theme))
        self.show_button.setIcon(icon("folder-open", theme))

    def set_fit(self, fit: Path) -> None:
        """Another fit is open."""
        self._fit = fit
        if self._out.text() == self._suggested:
            self._suggested = ""  # the old suggestion goes with the old fit
            self._out.setText("")
        self.form.set_fixed(fit=fit)
        for field, text in self.kind.placeholders.items():
            editor: Any = self.form.editor(field)
            editor.setPlaceholderText(text)
        self._result_card.hide()
        self._on_form(not self.form.problem)

    @property
    def preview(self) -> str:
        """What is said of the files to come."""
        return self._preview.text()

    # --- what will be written -------------------------------------------------------------------------------------

    @Slot(bool)
    def _on_form(self, _: bool) -> None:
        for field, value in self.kind.amend(self.form.choices()).items():
            self.form.set_value(field, value)
            return  # the form has told of the new value, and this ran again
        if self._suggest():
            return
        problem = self.form.problem
        lines: Sequence[str] = ()
        if not problem:
            try:
                lines = self.kind.describe(self.form.value())
            except InputError as error:
                problem = str(error)
        self._card.setVisible(bool(lines) or problem != self.form.problem)
        self._preview.setText("<br>".join(lines) if lines else html.escape(problem))
        self.export_button.setEnabled(not problem and not self._running)

    def _suggest(self) -> bool:
        """Put a free name into the line while it holds none of the user's own; whether it changed."""
        if self._out.text() not in ("", self._suggested, str(self._fit.parent)):
            return False
        wanted = str(
            free_path(self._fit.parent, self._fit.name, lambda stem: self.kind.name(self.form.choices(), stem))
        )
        if wanted == self._out.text():
            return False
        self._suggested = wanted
        self._out.setText(wanted)
        return True

    @Slot()
    def _on_export(self) -> None:
        if not self.form.problem:
            self.requested.emit(self.form.value())

    # --- progress -------------------------------------------------------------------------------------------------

    def set_running(self, running: bool) -> None:
        """Swap the button for progress, or back."""
        self._running = running
        self.export_button.setVisible(not running)
        self._progress.setVisible(running)
        self.form.setEnabled(not running)
        if running:
            self._result_card.hide()
            self._bar.setRange(0, 0)
            self._message.setText(tr("Starting…"))
            self.cancel_button.setEnabled(True)
        else:
            self._on_form(not self.form.problem)

    @Slot(object)
    def show_progress(self, report: Progress) -> None:
        """Message and bar."""
        self._bar.setRange(0, max(1, report.total))
        self._bar.setValue(report.step)
        self._message.setText(report.message)

    @Slot(object)
    def show_written(self, path: Path) -> None:
        """What came out."""
        self._written = path
        files = [item for item in path.rglob("*") if item.is_file()] if path.is_dir() else [path]
        size = spoken_bytes(sum(item.stat().st_size for item in files))
        count = ntr("{count} file, ", "{count} files, ", len(files)) if path.is_dir() else ""
        place = html.escape(str(path))
        self._result.setText(
            tr("<b>Wrote {name}</b> · {count}{size}", name=html.escape(path.name), count=count, size=size)
            + f"<br><span style='color:{self._theme.muted}'>{place}</span>"
            + "".join(f"<br>{html.escape(line)}" for line in self.kind.told(path))
        )
        self._result_card.show()

    @Slot()
    def _on_cancel(self) -> None:
        self._message.setText(tr("Cancelling…"))
        self.cancel_button.setEnabled(False)
        self.cancel_requested.emit()

    @Slot()
    def _show_folder(self) -> None:
        if self._written is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written.parent)))


def spoken_bytes(count: float) -> str:
    """A size as people write it: 812 kB, 3.2 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            break
        count /= 1000
    digits = 0 if unit == "bytes" or count >= 99.5 else 1 if count >= 9.95 else 2
    rounded = round(count, digits)
    return f"{int(rounded) if rounded == math.floor(rounded) else rounded} {unit}"


def _card(*widgets: QWidget) -> QFrame:
    card = QFrame()
    card.setObjectName("card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(11, 9, 11, 9)
    layout.setSpacing(7)
    for widget in widgets:
        layout.addWidget(widget)
    return card

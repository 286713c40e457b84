"""Before a recording is accepted: how it is understood, its points and their size, and what can be put right."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.capture.cloud_preview import CloudPreview
from app.capture.findings_view import FindingsView
from app.latest import Job, LatestWins
from app.number_box import NumberBox
from app.theme import Theme
from app.translation import tr
from spams_core.errors import InputError

if TYPE_CHECKING:
    from app.opening import Opened
    from spams_core.data.doctor import Findings
    from spams_core.data.recording import ReadingSettings, Source

__all__ = ["ImportDialog"]

_QUIET_MS = 250
"""A number that is being typed is read when it rests."""

_SCALES = (
    (0.001, tr("millimetres")),
    (0.0002, tr("fifths of a millimetre")),
    (0.00025, tr("quarters of a millimetre")),
    (0.0001, tr("tenths of a millimetre")),
    (0.01, tr("centimetres")),
    (1.0, tr("metres")),
)
_UP = (
    ("recorded", tr("As recorded")),
    ("floor", tr("As recorded, levelled by the floor")),
    ("top", tr("The images' top")),
    ("left", tr("The images' left side")),
    ("right", tr("The images' right side")),
    ("bottom", tr("The images' bottom")),
)
_HELP = {
    "scale": tr("Metres per unit of the depth images"),
    "fx": tr("Focal lengths in pixels"),
    "cx": tr("Principal point in pixels, counted in the images as they are stored"),
    "fps": tr("Frames per second"),
    "mirrored": tr("Turn the images back, left for right"),
    "up": tr("What is up in the world"),
}


@dataclass(frozen=True)
class _Look:
    """The recording as it would be opened."""

    opened: Opened
    findings: Findings
    points_world: np.ndarray[Any, Any]


class ImportDialog(QDialog):
    """Shows what opening found; each correction reads the recording anew.

    Signals:
        chosen: The recording as it was accepted.
    """

    chosen = Signal(object)

    def __init__(self, path: Path, source: Source, theme: Theme, note: str, parent: QWidget | None = None) -> None:
        """`note` says why this is asked."""
        super().__init__(parent)
        self._path, self._source = path, source
        self._look: _Look | None = None
        self._wanted = self._source.reading
        self._thread = LatestWins("import", self)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_QUIET_MS)
        self._quiet.timeout.connect(self._request)
        self.setWindowTitle(tr("Open {name}", name=path.name))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(940, 660)
        self.cloud = CloudPreview(theme)
        self.note = QLabel(note)
        self.note.setWordWrap(True)
        self.findings = FindingsView()
        self.remember = QCheckBox(tr("Keep this in {name}.subject.json", name=path.name))
        self.remember.setToolTip(tr("A file beside the recording, which the command line uses too"))
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self.finished.connect(self._thread.close)
        told = QWidget()
        told.setObjectName("panel")
        inside = QVBoxLayout(told)
        inside.setContentsMargins(0, 0, 6, 0)
        inside.addLayout(self.findings)
        self.findings.removeWidget(self.findings.problem)
        self.findings.insertWidget(0, self.findings.problem)  # what is wrong is seen without scrolling
        inside.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(told)
        right = QVBoxLayout()
        right.setSpacing(10)
        right.addWidget(self.note)
        right.addLayout(self._make_form())
        right.addWidget(scroll, 1)
        right.addWidget(self.remember)
        right.addWidget(self.buttons)
        layout = QHBoxLayout(self)
        layout.addWidget(self.cloud, 1)
        layout.addLayout(right, 1)
        self._request()

    def _make_form(self) -> QFormLayout:
        camera, reading, source = self._source.camera, self._source.reading, self._source
        form = QFormLayout()
        form.setHorizontalSpacing(12)
        self.scale = QComboBox()
        self.scale.setEditable(True)
        for scale, unit in _SCALES:
            self.scale.addItem(f"{scale:g}  ({unit})")
        self.scale.setEnabled(source.depth_scale is not None)
        self.scale.setCurrentText(tr("metres") if source.depth_scale is None else f"{source.depth_scale:g}")
        cx = camera.width - 1 - camera.cx if reading.mirrored else camera.cx
        self.numbers = {
            name: _number(value, low)
            for name, value, low in (
                ("fx", camera.fx, 0.1), ("fy", camera.fy, 0.1), ("cx", cx, -1e5), ("cy", camera.cy, -1e5),
                ("fps", source.fps, 0.01),
            )
        }  # fmt: skip
        self.mirrored = QCheckBox(tr("Mirrored"))
        self.mirrored.setChecked(reading.mirrored)
        self.up = QComboBox()
        for value, title in _UP:
            self.up.addItem(title, value)
        self.up.setCurrentIndex(self.up.findData(reading.up))
        pairs = {"fx": ("fx", "fy"), "cx": ("cx", "cy")}
        self._initial = self._fields()
        form.addRow(tr("Metres per unit"), self.scale)
        for first, title in (("fx", tr("Focal length")), ("cx", tr("Principal point"))):
            row = QHBoxLayout()
            row.setSpacing(8)
            for name in pairs[first]:
                self.numbers[name].setToolTip(_HELP[first])
                self.numbers[name].setAccessibleName(f"{title}, {name}")
                row.addWidget(self.numbers[name], 1)
            form.addRow(tr("{name}, pixels", name=title), row)
        form.addRow(tr("Frames per second"), self.numbers["fps"])
        form.addRow(tr("Up"), self.up)
        form.addRow(tr("Images"), self.mirrored)
        for name, widget in (("scale", self.scale), ("fps", self.numbers["fps"]), ("up", self.up)):
            widget.setToolTip(_HELP[name])
        self.mirrored.setToolTip(_HELP["mirrored"])
        self.scale.currentTextChanged.connect(self._on_edited)
        for box in self.numbers.values():
            box.valueChanged.connect(self._on_edited)
        self.up.currentIndexChanged.connect(self._on_edited)
        self.mirrored.toggled.connect(self._on_edited)
        return form

    def _fields(self) -> dict[str, Any]:
        return {
            "scale": self.scale.currentText(),
            **{name: box.value() for name, box in self.numbers.items()},
            "mirrored": self.mirrored.isChecked(),
            "up": self.up.currentData(),
        }

    def reading(self) -> ReadingSettings:
        """What the fields say; what was not touched stays as it was found.

        Raises:
            InputError: A value is out of range.
        """
        now, then = self._fields(), self._initial
        changed: dict[str, Any] = {"mirrored": now["mirrored"], "up": now["up"]}
        if now["scale"] != then["scale"]:
            try:
                changed["depth_scale"] = float(now["scale"].split()[0])
            except (ValueError, IndexError) as error:
                raise InputError(f"{now['scale']!r} is no number of metres per unit, such as 0.001.") from error
        if any(now[name] != then[name] for name in ("fx", "fy", "cx", "cy")):
            changed |= {name: now[name] for name in ("fx", "fy", "cx", "cy")} | {"intrinsics": None, "sensor": None}
        if now["fps"] != then["fps"]:
            changed["fps"] = now["fps"]
        return dataclasses.replace(self._source.reading, **changed)

    @Slot()
    def _on_edited(self, *_: object) -> None:
        self._set_ready(False)
        self._quiet.start()

    def _set_ready(self, ready: bool) -> None:
        self.buttons.button(QDialogButtonBox.StandardButton.Open).setEnabled(ready)

    @Slot()
    def _request(self) -> None:
        self._set_ready(False)
        try:
            self._wanted = self.reading()
        except InputError as error:
            self._fail(self._wanted, error)
            return
        wanted = self._wanted
        self._thread.submit(
            Job(partial(_read, self._path, wanted), partial(self._show, wanted), partial(self._fail, wanted))
        )

    def _show(self, reading: ReadingSettings, look: _Look) -> None:
        if reading is not self._wanted:
            return
        self._look = look
        sequence = look.opened.sequence
        assert sequence is not None
        self.cloud.show_points(look.points_world, sequence.camera.world_from_camera[:3, 3])
        self.findings.show_findings(look.findings)
        self._set_ready(not self._quiet.isActive())

    def _fail(self, reading: ReadingSettings, error: Exception) -> None:
        if reading is self._wanted:
            self._look = None
            self.findings.warn([str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"])

    @Slot()
    def _accept(self) -> None:
        if self._look is None or self._quiet.isActive():
            return
        opened = self._look.opened
        if self.remember.isChecked():
            try:
                _keep(self._path, self._wanted)
            except (InputError, OSError) as error:
                self.findings.warn([str(error)])
                with QSignalBlocker(self.remember):
                    self.remember.setChecked(False)
                return
        self.accept()
        self.chosen.emit(opened)


def _number(value: float, low: float) -> QDoubleSpinBox:
    box = NumberBox()
    box.setRange(low, 1e5)
    box.setDecimals(2)
    box.setValue(value)
    return box


def _read(path: Path, reading: ReadingSettings) -> _Look:
    """Open, examine and look at one frame; runs in the thread."""
    from app.opening import open_path
    from spams_core.data.doctor import examine
    from spams_core.data.recording import read_subject
    from spams_core.progress import run_to_end

    opened = open_path(path, reading=reading)
    sequence = opened.sequence
    assert sequence is not None
    findings = run_to_end(examine(sequence))
    points, middle = np.zeros((0, 3)), sequence.frame_count // 2
    for t in (middle, 0, sequence.frame_count - 1):
        try:
            points = read_subject(sequence, t).points_world
        except InputError:
            continue  # the findings say what is wrong with it
        break
    return _Look(opened, findings, points)


def _keep(recording: Path, reading: ReadingSettings) -> None:
    """Write how it is read beside the recording; a subject that is kept there stays."""
    from app.project.project_file import write_text
    from spams_core.data.saved_settings import SavedSettings, read_saved, saved_path, saved_text

    path = saved_path(recording)
    known = read_saved(path) if path.is_file() else SavedSettings()
    write_text(path, saved_text(recording.name, dataclasses.replace(known, reading=reading)))

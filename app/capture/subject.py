"""Changes what counts as the subject, and hands the recording that shows it so to the session."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QFileDialog

from app.latest import Job, LatestWins
from app.project.project_file import write_text
from app.translation import tr
from spams_core.errors import InputError

if TYPE_CHECKING:
    from app.main_window import MainWindow
    from app.opening import Survey
    from spams_core.data.sequence import DepthSequence
    from spams_core.data.subject import SubjectSettings

__all__ = ["SubjectEditing"]

_QUIET_MS = 700
"""Labelling begins anew when nothing has been changed for this long."""

_BOX_MARGIN_M = 0.05


class SubjectEditing(QObject):
    """The settings lie in `session.sequence.subject`; this replaces that sequence by one isolated otherwise.

    Signals:
        changed: The recording is isolated with other settings, or another one is open.
        refused: Why a change could not be made; empty when one was.
    """

    changed = Signal()
    refused = Signal(str)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._thread = LatestWins("subject", self)
        self._wanted: SubjectSettings | None = None
        self._settle: Any = None
        self._made: DepthSequence | None = None
        self._path: Path | None = None
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_QUIET_MS)
        self._quiet.timeout.connect(self._label)
        window.session.sequence_changed.connect(self._on_sequence)

    @property
    def settings(self) -> SubjectSettings | None:
        """What is wanted, or done already; None where no recording is open."""
        from spams_core.data.subject import SubjectSettings

        sequence = self._window.session.sequence
        return None if sequence is None else self._wanted or sequence.subject or SubjectSettings()

    @property
    def chosen(self) -> SubjectSettings | None:
        """What somebody or something has set: wanted, or done already; None where nothing was."""
        sequence = self._window.session.sequence
        return None if sequence is None else self._wanted or sequence.subject

    @property
    def possible(self) -> bool:
        """Whether there is a recording; a fit that runs keeps the subject that it began with."""
        return self._window.session.sequence is not None

    @property
    def busy(self) -> bool:
        """Whether a change is on its way."""
        return self._wanted is not None

    def change(self, *, reframe: bool = False, **values: Any) -> None:
        """Change some settings; `changed` or `refused` follows."""
        settings = self.settings
        if settings is None or not self.possible:
            return
        try:
            # A pick or a box that is still being looked for is not forgotten over a slider.
            self._submit(dataclasses.replace(settings, **values), self._settle if self.busy else None, reframe)
        except InputError as error:
            self.refused.emit(str(error))

    def pick(self, u: int, v: int) -> None:
        """Keep the surface at a pixel of the frame on screen, and follow it; a floor that is seen goes away."""
        settings = self.settings
        if settings is not None and self.possible:
            picked = dataclasses.replace(settings, keep="picked", pick=(self._window.session.frame, u, v))
            self._submit(picked, _without_floor, reframe=True)

    def box(self, u0: int, v0: int, u1: int, v1: int) -> None:
        """Keep the box in the world that holds the kept readings of a rectangle of the frame on screen."""
        settings = self.settings
        if settings is not None and self.possible:
            frame = self._window.session.frame
            self._submit(settings, partial(_boxed, frame=frame, rectangle=(u0, v0, u1, v1)), reframe=True)

    def box_all(self) -> None:
        """Keep the box around what the frame on screen shows of the subject, to be drawn smaller."""
        sequence = self._window.session.sequence
        if sequence is not None:
            self.box(0, 0, sequence.camera.width - 1, sequence.camera.height - 1)

    def reset(self) -> None:
        """Back to what the recording's masks say."""
        from spams_core.data.subject import SubjectSettings

        if self.possible:
            self._submit(SubjectSettings(), None, reframe=True)

    def use(self, settings: SubjectSettings) -> None:
        """Use whole settings instead of those in force or on their way; `changed` or `refused` follows."""
        if self.possible:
            self._submit(settings, None, reframe=True)

    def _submit(self, settings: SubjectSettings, settle: Any, reframe: bool) -> None:
        sequence = self._window.session.sequence
        assert sequence is not None
        self._wanted, self._settle = settings, settle
        job = partial(_isolate, sequence, settings, settle, self._window.session.frame, reframe)
        self._thread.submit(
            Job(job, partial(self._on_made, sequence.path, settings), partial(self._on_refused, settings))
        )

    def _on_made(
        self, path: Path | None, settings: SubjectSettings, result: tuple[DepthSequence, Survey | None]
    ) -> None:
        made, survey = result
        session = self._window.session
        if session.sequence is None or session.sequence.path != path or not self.possible:
            return
        if settings is self._wanted:  # or else a newer wish is being computed
            self._wanted = None
        self._made = made
        session.sequence = made
        if survey is not None and self._window.scene is not None:
            self._window.scene.set_survey(survey)
        self.refused.emit("")
        self.changed.emit()
        self._quiet.start()

    def _on_refused(self, settings: SubjectSettings, error: Exception) -> None:
        if settings is self._wanted:
            self._wanted = None
        if isinstance(error, InputError):
            self.refused.emit(str(error))
        else:
            self._window.show_error(error)
        self.changed.emit()

    @Slot(object)
    def _on_sequence(self, sequence: DepthSequence | None) -> None:
        if sequence is not None and sequence is self._made:
            return
        self._wanted = self._made = None
        self._quiet.stop()
        fresh = sequence is not None and sequence.path != self._path
        self._path = sequence.path if sequence is not None else None
        self.refused.emit("")
        self.changed.emit()
        if fresh and sequence is not None and sequence.subject is None and sequence.path is not None:
            from spams_core.data.saved_settings import saved_path

            saved = saved_path(sequence.path)
            if saved.is_file():
                self.load(saved)

    @Slot()
    def _label(self) -> None:
        sequence, jobs = self._window.session.sequence, self._window.jobs
        if sequence is not None and sequence is self._made and sequence.path is not None and jobs.fitting is None:
            jobs.start_labelling(sequence, self._window.session.frame)

    # --- files ------------------------------------------------------------------------------------------------------

    def ask_save(self) -> None:
        """Where to keep the settings; beside the recording is suggested, and read again when it is opened."""
        self._ask(tr("Save the subject's settings"), QFileDialog.AcceptMode.AcceptSave, self.save)

    def ask_load(self) -> None:
        """Which settings to use."""
        self._ask(tr("Load a subject's settings"), QFileDialog.AcceptMode.AcceptOpen, self.load)

    def save(self, path: Path) -> None:
        """Write the settings as JSON.

        Raises:
            InputError: The file cannot be written.
        """
        from spams_core.data.saved_settings import SavedSettings, saved_text

        sequence, settings = self._window.session.sequence, self.settings
        if sequence is None or settings is None:
            return
        write_text(path, saved_text(sequence.name, SavedSettings(settings, sequence.reading)))
        self._window.notify(tr("Saved {path}", path=path))

    def load(self, path: Path) -> None:
        """Use settings that were saved; what is wrong with them is told by `refused`."""
        from spams_core.data.saved_settings import read_saved

        try:
            saved = read_saved(path)
        except InputError as error:
            self.refused.emit(str(error))
            return
        if self.possible:
            self.use(saved.subject)
            self._window.notify(tr("Subject as in {path}", path=path))

    def _ask(self, title: str, mode: QFileDialog.AcceptMode, use: Callable[[Path], None]) -> None:
        sequence = self._window.session.sequence
        if sequence is None or sequence.path is None:
            return
        from spams_core.data.saved_settings import saved_path

        beside = saved_path(sequence.path)
        dialog = QFileDialog(self._window, title, str(beside.parent), tr("Subject settings (*.json)"))
        dialog.setDefaultSuffix("json")
        dialog.setAcceptMode(mode)
        dialog.selectFile(beside.name)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(partial(self._use, use))
        dialog.open()

    def _use(self, use: Callable[[Path], None], text: str) -> None:
        try:
            use(Path(text))
        except Exception as error:  # a slot never raises
            self._window.show_error(error)

    def close(self) -> None:
        """End the thread."""
        self._quiet.stop()
        self._thread.close()


def _isolate(
    sequence: DepthSequence, settings: SubjectSettings, settle: Any, frame: int, reframe: bool
) -> tuple[DepthSequence, Survey | None]:
    """The sequence with its subject isolated, the frame on screen already computed; runs in the thread."""
    from app.opening import survey_points
    from spams_core.data.isolation import isolate
    from spams_core.data.recording import read_subject

    if settle is not None:
        settings = settle(sequence, settings)
    made = isolate(sequence, settings)
    made.read_mask(frame)
    if not reframe:
        return made, None
    try:
        points = read_subject(made, frame).points_world
    except InputError:
        return made, None  # nothing to look at in this frame
    return made, survey_points(points, made.camera.world_from_camera)


def _without_floor(sequence: DepthSequence, settings: SubjectSettings) -> SubjectSettings:
    from spams_core.data.isolation import Room

    room = sequence.room or Room(sequence)
    return dataclasses.replace(settings, remove_floor=settings.remove_floor or room.floor(settings.seed) is not None)


def _boxed(
    sequence: DepthSequence, settings: SubjectSettings, frame: int, rectangle: tuple[int, int, int, int]
) -> SubjectSettings:
    """The box around what the rectangle shows of the subject, an older box left out."""
    from spams_core.data.isolation import isolate
    from spams_core.frames import transform_points
    from spams_core.geometry.camera import back_project

    unboxed = isolate(sequence, dataclasses.replace(settings, box_low_m=None, box_high_m=None))
    u0, v0, u1, v1 = rectangle
    inside = np.zeros((sequence.camera.height, sequence.camera.width), dtype=bool)
    inside[v0 : v1 + 1, u0 : u1 + 1] = True
    depth_m = sequence.read_depth_m(frame)
    inside &= unboxed.read_mask(frame) & (depth_m > 0)
    if not inside.any():
        raise InputError("The rectangle shows nothing that is kept. Drag it around the person.")
    points = transform_points(sequence.camera.world_from_camera, back_project(depth_m, sequence.camera)[inside])
    low, high = points.min(0) - _BOX_MARGIN_M, points.max(0) + _BOX_MARGIN_M
    x0, y0, z0 = np.round(low, 2).tolist()
    x1, y1, z1 = np.round(high, 2).tolist()
    return dataclasses.replace(settings, box_low_m=(x0, y0, z0), box_high_m=(x1, y1, z1))

"""Opening: recordings, fits, the bundled demo, the model alone; and what was opened lately."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QMenu

from app.latest import Job, LatestWins
from app.translation import tr
from spams_core.errors import InputError
from spams_core.resources import resource_path

if TYPE_CHECKING:
    from app.capture.import_dialog import ImportDialog
    from app.edit.editor import Codes
    from app.edit.state import EditState
    from app.main_window import MainWindow
    from app.opening import Opened
    from spams_core.data.recording import ReadingSettings, Source

__all__ = ["Documents"]

_Then: TypeAlias = "Callable[[Opened], None] | None"
_Wish = tuple["Path", "Path | None", "Callable[[Opened], None] | None"]


class Documents(QObject):
    """Reads folders in a thread and puts them into the session."""

    opened = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._thread = LatestWins("opening", self)
        self._waiting: _Wish | None = None
        self._dialog: ImportDialog | None = None
        self._readings: dict[Path, ReadingSettings] = {}
        """How recordings were accepted since the window is open."""

    def open_path(
        self, path: Path, recording: Path | None = None, then: Callable[[Opened], None] | None = None
    ) -> None:
        """Open a recording or a fit, after asking for unsaved edits of what is open.

        Args:
            path: Folder of the recording or of the fit.
            recording: The fit's recording, where it is not where the fit says.
            then: What to do once it is open.
        """
        self._window.leaving.guard(partial(self.load, path, recording, then))

    def load(self, path: Path, recording: Path | None = None, then: Callable[[Opened], None] | None = None) -> None:
        """Open without a question; before the numerics are loaded it waits for them."""
        window = self._window
        window.notify(tr("Opening {name}…", name=path.name))
        if not window.is_ready:
            self._waiting = (path, recording, then)
        else:
            self._thread.submit(
                Job(
                    partial(_open, path, recording, self._readings.get(path.absolute())),
                    partial(self._on_read, window.editing.state, then),
                    partial(self._on_failed, path=path, then=then),
                )
            )

    def open_waiting(self) -> None:
        """Open what was asked for too early."""
        if self._waiting is not None:
            wish, self._waiting = self._waiting, None
            self.load(*wish)

    def open_demo(self) -> None:
        """Open the recording that comes with the program."""
        self.open_path(resource_path("demo/recording"))

    def _on_failed(self, error: Exception, path: Path | None = None, then: _Then = None) -> None:
        self._window.status.clearMessage()
        from spams_core.data.recording import UnknownIntrinsicsError

        if isinstance(error, UnknownIntrinsicsError) and path is not None:
            opened = partial(
                self._review, note=tr("{error} The focal length below is that of a usual lens.", error=error), then=then
            )
            self._thread.submit(Job(partial(_open, path, None, error.usual), opened, self._on_failed))
            return
        self._window.show_error(error)

    def _on_read(self, agreed: EditState, then: _Then, found: Opened) -> None:
        """Ask before a recording of which something was guessed is taken, unless that was settled before."""
        source = found.sequence.source if found.sequence is not None and found.fit is None else None
        settled = source is None or found.path in self._readings or found.kept
        if source is None or settled or not source.guessed or then is not None:
            self._take(agreed, found, then)
        else:
            self._review(found, tr("Something about this recording was guessed. Does its size suit the person in it?"))

    def _take(self, agreed: EditState | None, found: Opened, then: _Then) -> None:
        """Edits made while it was read have not been asked for yet."""
        window = self._window
        if window.editing.state is agreed:
            self._on_opened(found, then)
        else:
            window.leaving.guard(partial(self._on_opened, found, then))

    def _review(self, found: Opened, note: str, then: _Then = None) -> None:
        assert found.sequence is not None
        assert found.sequence.source is not None
        self._window.status.clearMessage()
        self._ask(found.path, found.sequence.source, note, then)

    def _ask(self, path: Path, source: Source, note: str, then: _Then) -> None:
        from app.capture.import_dialog import ImportDialog

        dialog = ImportDialog(path, source, self._window.theme, note, self._window)
        dialog.chosen.connect(partial(self._on_chosen, then=then))
        dialog.finished.connect(self._on_asked)
        if self._dialog is not None:
            self._dialog.reject()
        self._dialog = dialog
        dialog.open()

    @Slot()
    def _on_asked(self, *_: object) -> None:
        if self.sender() is self._dialog:
            self._dialog = None

    def _on_chosen(self, found: Opened, then: _Then = None) -> None:
        assert found.sequence is not None
        self._readings[found.path] = found.sequence.reading
        self._take(None, found, then)

    def review(self) -> None:
        """Show again how the open recording is understood, to put it right; its subject stays."""
        sequence, editing = self._window.session.sequence, self._window.capture_workspace.subject
        if sequence is None or sequence.path is None or sequence.source is None:
            return
        subject = editing.chosen
        note = tr("How this recording is understood. Each change reads it anew.")
        then = None if subject is None else lambda _: editing.use(subject)
        self._ask(sequence.path.absolute(), sequence.source, note, then)

    def _on_opened(self, found: Opened, then: _Then) -> None:
        window, session = self._window, self._window.session
        if window.scene is None:
            return
        window.jobs.show_live = False  # a fit that runs goes on behind it
        self._clear()
        session.sequence = found.sequence
        window.editor.stand_in(found.survey)
        window.show_views(window.workspace.columns if window.workspace is not None else (True, True, True))
        window.fitting.show(found.fit, found.path if found.fit is not None else None)
        window.scene.set_survey(found.survey)
        if found.fit is not None:
            session.frame = int(found.fit.frame_indices[0])
        elif found.sequence is not None and found.sequence.path is not None:
            window.jobs.start_labelling(found.sequence, session.frame)
        window.last_folder = found.path.parent
        window.preferences.add_recent(found.path)
        window.projects.on_opened(found.path.name)
        window.notify(tr("Opened {path}", path=found.path))
        self.opened.emit(found)
        if then is not None:
            then(found)

    def explore(self) -> None:
        """Show the model's mean body alone, to play with, after asking for unsaved edits."""
        if self._window.scene is None:
            self._window.notify(tr("The viewports are still being loaded."))
        else:
            self._window.leaving.guard(self._explore)

    def _explore(self) -> None:
        window = self._window
        self._clear()
        window.session.sequence = None
        window.editor.stand_in(None)
        window.show_views((False, True, True))
        window.fitting.show(None, None)
        if window.scene is not None:
            window.scene.stage_model()
        window.edit_workspace.show_sliders()
        window.editor.request(dragging=False)
        window.projects.on_opened(tr("Body model"))

    def close_all(self) -> None:
        """Back to the welcome page."""
        self._clear()
        self._window.session.sequence = None
        self._window.fitting.show(None, None)
        self._window.show_welcome()

    def _clear(self) -> None:
        """Close what is open."""
        session = self._window.session
        self._window.player.clock.pause()
        self._window.jobs.stop_labelling()
        session.cloud = session.edited = session.live = session.fit = None
        session.frame = 0

    def take_body(self, slot: str, path: Path) -> None:
        """Put another fit's body, in all its poses, into the blend's slot A or B."""
        self._thread.submit(Job(partial(_read_codes, path), partial(self._on_codes, slot), self._window.show_error))

    def _on_codes(self, slot: str, codes: Codes) -> None:
        bench = self._window.editor.workbench
        if bench is None or codes.shape.shape != bench.mean_shape.shape or codes.pose.shape != bench.mean_pose.shape:
            self._window.show_error(
                InputError(f"{codes.title} was made with another model. Choose a fit of the same model.")
            )
            return
        self._window.editing.take(slot, codes)

    def fill_recent(self, menu: QMenu) -> None:
        """The folders opened lately."""
        menu.clear()
        for path in self._window.preferences.recent:
            menu.addAction(str(path), partial(self._window.open_path, path))
        if menu.isEmpty():
            menu.addAction(tr("Nothing yet")).setEnabled(False)

    def close(self) -> None:
        """End the threads."""
        if self._dialog is not None:
            self._dialog.reject()
        self._thread.close()


def _open(path: Path, recording: Path | None, reading: ReadingSettings | None) -> Opened:
    from app.opening import open_path

    return open_path(path, recording, reading)


def _read_codes(path: Path) -> Any:
    from app.edit.editor import Codes
    from spams_core.data.fit import read_fit

    fit = read_fit(path)
    return Codes(path.name, fit.shape_codes, fit.pose_codes[0], fit.pose_codes, fit.frame_indices)

"""Opening: recordings, fits, the bundled demo, the model alone; and what was opened lately."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMenu

from app.latest import Job, LatestWins
from spams_core.errors import InputError
from spams_core.resources import resource_path

if TYPE_CHECKING:
    from app.edit.editor import Codes
    from app.edit.state import EditState
    from app.main_window import MainWindow
    from app.opening import Opened

__all__ = ["Documents"]

_Wish = tuple["Path", "Path | None", "Callable[[Opened], None] | None"]


class Documents(QObject):
    """Reads folders in a thread and puts them into the session."""

    opened = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._thread = LatestWins("opening", self)
        self._waiting: _Wish | None = None

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
        window.notify(f"Opening {path.name}…")
        if not window.is_ready:
            self._waiting = (path, recording, then)
        else:
            self._thread.submit(
                Job(
                    partial(_open, path, recording), partial(self._on_read, window.editing.state, then), self._on_failed
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

    def _on_failed(self, error: Exception) -> None:
        self._window.status.clearMessage()
        self._window.show_error(error)

    def _on_read(self, agreed: EditState, then: Callable[[Opened], None] | None, found: Opened) -> None:
        """Edits made while it was read have not been asked for yet."""
        window = self._window
        if window.editing.state is agreed:
            self._on_opened(found, then)
        else:
            window.leaving.guard(partial(self._on_opened, found, then))

    def _on_opened(self, found: Opened, then: Callable[[Opened], None] | None) -> None:
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
        window.notify(f"Opened {found.path}")
        self.opened.emit(found)
        if then is not None:
            then(found)

    def explore(self) -> None:
        """Show the model's mean body alone, to play with, after asking for unsaved edits."""
        if self._window.scene is None:
            self._window.notify("The viewports are still being loaded.")
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
        window.projects.on_opened("Body model")

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
            menu.addAction("Nothing yet").setEnabled(False)

    def close(self) -> None:
        """End the thread."""
        self._thread.close()


def _open(path: Path, recording: Path | None) -> Opened:
    from app.opening import open_path

    return open_path(path, recording)


def _read_codes(path: Path) -> Any:
    from app.edit.editor import Codes
    from spams_core.data.fit import read_fit

    fit = read_fit(path)
    return Codes(path.name, fit.shape_codes, fit.pose_codes[0], fit.pose_codes, fit.frame_indices)

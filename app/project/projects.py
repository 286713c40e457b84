"""New, open, save, and what is unsaved: between the project file and the window."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer, Slot
from PySide6.QtWidgets import QFileDialog, QMessageBox

from app.cameras import Cameras
from app.commands import Command
from app.panels.dialogs import ask, ask_path
from app.project.project_file import SUFFIX, Project, file_state, read_project, write_project
from app.project.recovery import Abandoned, Recovery
from app.translation import tr
from spams_core.errors import InputError
from spams_core.settings import settings_from_dict, settings_to_dict

if TYPE_CHECKING:
    from app.main_window import MainWindow
    from app.opening import Opened

__all__ = ["Projects"]

_LOOK_MS = 500
_VIEW_EVERY_S = 20.0
_SUBJECT_MS = 50
_KINDS = tr("SPAM Studio projects (*{suffix})", suffix=SUFFIX)


class Projects(QObject):
    """The open project. `path` is its file, None until it is saved for the first time."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.path: Path | None = None
        self.bookmarks: dict[int, Cameras] = {}
        self.modified = False
        self._subject = ""
        self._saved: Project | None = None
        self._state: tuple[int, int] | None = None
        self._applying = False
        self._opening = 0
        self._recovery: Recovery | None = None
        self._kept: Project | None = None
        self._kept_at = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()

    def commands(self) -> list[Command]:
        """Of the File menu."""
        window = self._window

        def free() -> bool:
            return window.jobs.fitting is None

        def anything() -> bool:
            return self.path is not None or window.session.frame_count > 0

        return [
            Command("project.new", tr("New Project"), self.new, tr("Close what is open and begin anew"), "Ctrl+N",
                    "file",
                    free),
            Command("project.open", tr("Open Project…"), self.ask_open,
                    tr("Open a project: recording, fit, views, layers"),
                    "Ctrl+Alt+O", "folder-notch-open", free),
            Command("project.save", tr("Save Project"), self.save,
                    tr("Keep what is open and how it is looked at in a file"),
                    "Ctrl+S", "floppy-disk", anything),
            Command("project.save_as", tr("Save Project As…"), self.save_as, tr("Save the project in another file"),
                    "Ctrl+Shift+S", "", anything),
        ]  # fmt: skip

    # --- what there is --------------------------------------------------------------------------------------------

    def current(self) -> Project:
        """The window as it is now."""
        window, session = self._window, self._window.session
        layers, colors = session.switches()
        subject = window.capture_workspace.subject.chosen
        sequence = session.sequence.path if session.sequence is not None else None
        return Project(
            sequence.absolute() if sequence is not None else None,
            session.fit_path.absolute() if session.fit_path is not None else None,
            session.frame,
            window.workspace.id if window.workspace is not None else "fit",
            window.viewport.cameras() if window.viewport is not None and window.viewing else None,
            dict(self.bookmarks),
            layers,
            colors,
            window.player.clock.speed,
            window.player.clock.pace,
            window.player.clock.loop,
            settings_to_dict(subject) if subject is not None else None,
            window.editing.to_data(),
        )

    @Slot()
    def refresh(self) -> None:
        """See what is modified, show it in the title, and keep a copy of it."""
        if self._applying:
            return
        now = self.current()
        self._saved = self._saved or now.content
        modified = now.content != self._saved
        if modified != self.modified:
            self.modified = modified
            self._window.setWindowModified(modified)
            self._window.commands.refresh()
        if self._recovery is not None:
            self._keep(now)

    @property
    def unsaved(self) -> bool:
        """Whether closing would lose what somebody may want: changes of a saved project, or kept views.

        Edits that were saved as a fit are no reason to ask.
        """
        self.refresh()
        if not self.modified or self._saved is None or (self.path is None and not self.bookmarks):
            return False
        others = replace(self.current().content, edits=None) != replace(self._saved, edits=None)
        return others or not self._window.edit_workspace.saving.in_a_fit

    @property
    def holds_edits(self) -> bool:
        """Whether the project's file has the edits as they are now."""
        return self.path is not None and self._saved is not None and self._window.editing.to_data() == self._saved.edits

    @property
    def name(self) -> str:
        """What to call what is open."""
        return self.path.stem if self.path is not None else self._subject or tr("this project")

    def set_subject(self, name: str) -> None:
        """Name what is open, for the title."""
        self._subject = name
        self._show_title()

    def _show_title(self) -> None:
        names = [f"{self.path.stem}[*]" if self.path is not None else "", self._subject]
        shown = " · ".join(name for name in names if name)
        if self.path is None and shown:
            shown += "[*]"
        self._window.setWindowTitle(tr("{shown} — SPAM Studio", shown=shown) if shown else tr("SPAM Studio[*]"))

    def _settle(self, path: Path | None, saved: Project) -> None:
        """From now on this is what is saved, and where."""
        self.path, self._saved = path, saved.content
        self._state = file_state(path) if path is not None else None
        self._show_title()
        self.refresh()

    # --- new and open ---------------------------------------------------------------------------------------------

    def new(self) -> None:
        """Close everything, after asking for what is unsaved."""
        self._window.leaving.guard(self.clear, project=True)

    def clear(self) -> None:
        """Close everything without a question."""
        self._applying = False
        self._opening += 1
        self._window.documents.close_all()
        self.bookmarks = {}
        self._subject = ""
        self._settle(None, self.current())

    def detach(self) -> None:
        """Leave the file as it is: what is open from now on belongs to none."""
        self._settle(None, self.current())

    def ask_open(self) -> None:
        """Which project to open."""
        dialog = QFileDialog(self._window, tr("Open a project"), str(self._window.last_folder), _KINDS)
        ask_path(self._window, dialog, lambda path: self.open_path(path))

    def open_path(self, path: Path) -> None:
        """Open a project file.

        Raises:
            InputError: It is no project, damaged, or of a newer version.
        """
        path = path.expanduser().absolute()
        if self._window.jobs.fitting is not None:
            self._window.notify(tr("A fit is running: cancel it, or wait, before opening something else."))
            return
        project = read_project(path)
        self._window.leaving.guard(lambda: self._locate(project, path), project=True)

    def _locate(self, project: Project, path: Path | None, *, left: Abandoned | None = None) -> None:
        """Ask for what has moved, then open."""
        for name in ("recording", "fit"):
            place: Path | None = getattr(project, name)
            if place is not None and not place.exists():
                self._ask_where(project, path, name, place, left)
                return
        self._open(project, path, left)

    def _ask_where(self, project: Project, path: Path | None, name: str, place: Path, left: Abandoned | None) -> None:
        if name == "recording":
            title, asked = tr("The recording has moved"), tr("Where is the recording {name}?", name=place.name)
            told = tr("The recording of this project is no longer here:\n{place}", place=place)
            without_it = tr("Open without the recording")
        else:
            title, asked = tr("The fit has moved"), tr("Where is the fit {name}?", name=place.name)
            told = tr("The fit of this project is no longer here:\n{place}", place=place)
            without_it = tr("Open without the fit")

        def go_on(found: Path | None) -> None:
            moved = replace(project, recording=found) if name == "recording" else replace(project, fit=found)
            self._locate(moved, path, left=left)

        def browse() -> None:
            dialog = QFileDialog(self._window, asked, str(self._window.last_folder))
            dialog.setFileMode(QFileDialog.FileMode.Directory)
            dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
            ask_path(self._window, dialog, go_on)

        box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(title)
        box.setText(told)
        locate = box.addButton(tr("Locate…"), QMessageBox.ButtonRole.AcceptRole)
        without = box.addButton(without_it, QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        locate.clicked.connect(browse)
        without.clicked.connect(lambda: go_on(None))
        box.open()

    def _open(self, project: Project, path: Path | None, left: Abandoned | None) -> None:
        window = self._window
        target = project.fit or project.recording
        if target is None:
            self.clear()
            self._apply(project, path, left)
            return
        window.documents.load(target, project.recording, lambda opened: self._apply(project, path, left, opened))

    def _apply(self, project: Project, path: Path | None, left: Abandoned | None, _: Opened | None = None) -> None:
        """Put everything but the data, which is open by now, as it was."""
        self._applying = True
        self._opening += 1
        try:
            self._restore(project, path)
        except Exception as error:  # a slot never raises
            self._give_up(error)
            return
        self._wait(self._opening, project.edits is not None, partial(self._finish, project, path, left))

    def _wait(self, opening: int, edited: bool, finish: Callable[[], None]) -> None:
        """Finish once cameras and edits stay as they are put.

        A subject turns the cameras to itself when it is found, and a model that is loaded begins without edits.
        """
        window = self._window
        busy = window.capture_workspace.subject.busy or (edited and window.editor.loading)
        if opening == self._opening and busy:
            QTimer.singleShot(_SUBJECT_MS, partial(self._wait, opening, edited, finish))
            return

        def still_wanted() -> None:
            if opening == self._opening:
                finish()

        # The viewports get their size, and their cameras with it, once the event loop has run.
        QTimer.singleShot(0, lambda: QTimer.singleShot(0, still_wanted))

    def _restore(self, project: Project, path: Path | None) -> None:
        window = self._window
        self.bookmarks = dict(project.bookmarks)
        window.session.set_switches(project.layers, project.colors)
        for box, value in ((window.timeline.speed, project.speed), (window.timeline.pace, project.pace)):
            box.setCurrentIndex(max(0, box.findData(value)))
        window.player.set_loop(project.loop)
        window.player.go_to(project.frame)
        self._restore_subject(project)
        if project.workspace in (known.id for known in window.workspaces):
            window.turn_to(project.workspace)
        window.commands.refresh()
        self.path = path
        if path is not None and path.exists():
            window.last_folder = path.parent
            window.preferences.add_recent(path)
        self._show_title()

    def _restore_subject(self, project: Project) -> None:
        """The project's subject goes before one that lies beside the recording; a faulty one is told and left out."""
        if project.subject is None:
            return
        from spams_core.data.subject import SubjectSettings

        editing = self._window.capture_workspace.subject
        try:
            settings = settings_from_dict(SubjectSettings, project.subject)
        except InputError as error:
            self._window.show_error(error)
            return
        if settings != editing.chosen:
            editing.use(settings)

    def _restore_edits(self, project: Project) -> None:
        """Edits of another model, or damaged ones, are told and left out."""
        if project.edits is not None:
            try:
                self._window.editing.restore(project.edits)
            except InputError as error:
                self._window.show_error(error)

    def _finish(self, project: Project, path: Path | None, left: Abandoned | None) -> None:
        try:
            self._restore_edits(project)
            viewport = self._window.viewport
            if viewport is not None and project.cameras is not None:
                viewport.set_cameras(project.cameras)
            self._applying = False
            self._settle(path, self._stored(path, left is not None))
        except Exception as error:  # a slot never raises
            self._give_up(error)
            return
        if left is not None and self._recovery is not None:
            self._recovery.discard(left)

    def _give_up(self, error: Exception) -> None:
        """What is half open belongs to no file, so that saving it overwrites none."""
        self._applying = False
        self._opening += 1
        self._settle(None, self.current())
        self._window.show_error(error)

    def _stored(self, path: Path | None, recovered: bool) -> Project:
        """What the file holds of what was just opened: less than all where something moved or was recovered."""
        stored = Project()
        with contextlib.suppress(InputError):
            stored = read_project(path) if path is not None else stored
        # A file of an older version may lack a layer; that alone is no change.
        return stored if recovered else replace(self.current(), recording=stored.recording, fit=stored.fit)

    def on_opened(self, name: str) -> None:
        """A recording or a fit was opened by hand: without a file there is nothing yet that could be lost."""
        self.set_subject(name)
        if self.path is None and not self.bookmarks:
            self._saved = self.current().content
        self.refresh()

    # --- save -----------------------------------------------------------------------------------------------------

    def save(self, then: Callable[[], None] | None = None) -> None:
        """Save where it was saved before; ask where, if it never was, and ask if somebody else wrote that file."""
        path = self.path
        if path is None:
            self.save_as(then)
        elif file_state(path) not in (None, self._state):
            ask(
                self._window, tr("The file has changed"),
                tr("{name} was changed by another program since it was read.", name=path.name),
                tr("Overwrite"), tr("Cancel"), lambda: self._guarded(path, then),
            )  # fmt: skip
        else:
            self._write(path, then)

    def save_as(self, then: Callable[[], None] | None = None) -> None:
        """Ask where to save."""
        start = self.path or self._window.last_folder / f"{self._subject or 'project'}{SUFFIX}"
        dialog = QFileDialog(self._window, tr("Save the project"), str(start.parent), _KINDS)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        # The name's ending is completed here, so the question whether to overwrite belongs here too.
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite, True)
        dialog.selectFile(start.name)
        ask_path(self._window, dialog, lambda path: self.save_to(path, then))

    def save_to(self, path: Path, then: Callable[[], None] | None = None) -> None:
        """Save in a file; an existing one is overwritten only after asking.

        Raises:
            InputError: It cannot be written.
        """
        path = path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)
        if path.exists() and path != self.path:
            ask(
                self._window, tr("Overwrite?"), tr("{name} exists already in {parent}.", name=path.name,
                    parent=path.parent), tr("Overwrite"), tr("Cancel"),
                lambda: self._guarded(path, then),
            )  # fmt: skip
        else:
            self._write(path, then)

    def _guarded(self, path: Path, then: Callable[[], None] | None) -> None:
        try:
            self._write(path, then)
        except Exception as error:  # a slot never raises
            self._window.show_error(error)

    def _write(self, path: Path, then: Callable[[], None] | None) -> None:
        now = self.current()
        write_project(path, now)
        self._window.last_folder = path.parent
        self._window.preferences.add_recent(path)
        self._settle(path, now)
        self._window.notify(tr("Saved {path}", path=path))
        if then is not None:
            then()

    # --- after a crash --------------------------------------------------------------------------------------------

    def start_recovery(self, *, offer: bool = True, folder: Path | None = None) -> bool:
        """Keep copies from now on, and offer what a crash has left; returns whether there is something."""
        self._recovery = Recovery(folder, self)
        left = self._recovery.abandoned() if offer else []
        if left:
            self._offer(left[0])
        return bool(left)

    def _offer(self, left: Abandoned) -> None:
        recovery, project = self._recovery, left.project
        assert recovery is not None
        named = left.origin or project.fit or project.recording
        when = time.strftime("%d %B, %H:%M", time.localtime(left.written_s))

        def recover() -> None:
            try:
                self._locate(project, left.origin, left=left)
            except Exception as error:  # a slot never raises
                self._window.show_error(error)

        box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(tr("Recover unsaved work"))
        box.setText(tr("SPAM Studio did not close properly."))
        box.setInformativeText(
            tr(
                "{name} is kept as it was on {when}.",
                name=named.name if named is not None else tr("What was open"),
                when=when,
            )
        )
        accept = box.addButton(tr("Recover"), QMessageBox.ButtonRole.AcceptRole)
        discard = box.addButton(tr("Discard"), QMessageBox.ButtonRole.DestructiveRole)
        later = box.addButton(tr("Later"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(accept)
        box.setEscapeButton(later)
        accept.clicked.connect(recover)
        discard.clicked.connect(lambda: recovery.discard(left))
        box.open()

    def _keep(self, now: Project) -> None:
        """Changes at once, mere looking around now and then."""
        assert self._recovery is not None
        if not (now.recording or now.fit) or (self.path is not None and not self.modified):
            if self._kept is not None:
                self._kept = None
                self._recovery.drop()
            return
        if now == self._kept:
            return
        changed = self._kept is None or now.content != self._kept.content
        if changed or time.monotonic() - self._kept_at > _VIEW_EVERY_S:
            self._kept, self._kept_at = now, time.monotonic()
            self._recovery.keep(now, self.path)

    def close(self) -> None:
        """The window closes properly."""
        self._timer.stop()
        self._opening += 1
        if self._recovery is not None:
            self._recovery.close()

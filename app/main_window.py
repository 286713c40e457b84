"""The window: its layout, and what happens between its parts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtWidgets import QMainWindow, QWidget

from app.appearance import Appearance
from app.asking import Asking
from app.bookmarks import Bookmarks
from app.capture.workspace import CaptureWorkspace
from app.central import Central
from app.closing import Closing
from app.commands import CommandTable
from app.copying import Copying
from app.documents import Documents
from app.edit.editing import Editing
from app.edit.editor import Editor
from app.edit.workspace import EditWorkspace
from app.export.workspace import ExportWorkspace
from app.facts import view_facts
from app.fit.fitting import Fitting
from app.fit.workspace import FitWorkspace
from app.inspect.workspace import InspectWorkspace
from app.jobs import Jobs
from app.log_model import LogModel
from app.menus import make_menus
from app.naming import name_controls
from app.panels.dialogs import show_error
from app.player import Player
from app.preferences import Preferences
from app.preload import Preload
from app.project.leaving import Leaving
from app.project.project_file import SUFFIX
from app.project.projects import Projects
from app.reader import CloudReader
from app.session import Session
from app.status import StatusLine
from app.theme import Theme, icon
from app.toolbar import make_toolbar
from app.translation import part_titles, tr
from app.window_commands import window_commands
from app.workspace import Workspace
from spams_core.errors import InputError
from spams_core.resources import part_colors

if TYPE_CHECKING:
    from app.scene import Scene
    from app.viewport import Side, Viewport

__all__ = ["MainWindow"]

logger = logging.getLogger(__name__)

_MESSAGE_MS, _PROBLEM_MS = 8000, 30_000


class MainWindow(QMainWindow):
    """Everything the user sees.

    Signals:
        ready: Viewports and numerics are loaded; what was asked for before has waited until then.
        opened: A recording or a fit is open.
        fit_finished: A fit that was started here is done and open.
    """

    ready = Signal()
    opened = Signal(object)
    fit_finished = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle(tr("SPAM Studio[*]"))
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self.preferences = Preferences()
        self.log = LogModel(self)
        self.appearance = Appearance(self)
        self.last_folder = Path.home()
        self.viewport: Viewport | None = None
        self.scene: Scene | None = None
        self.is_ready = False
        self._closing = Closing(self)
        self._columns = (True, True, True)
        self.session = Session(self)
        self.reader = CloudReader(self.session, parent=self)
        self.editor = Editor(self.session, self)
        self.editing = Editing(self.session, self.editor, self)
        self.jobs = Jobs(self.session, self.reader, self)
        self.player = Player(self.session, lambda: self.viewport.paint_count if self.viewport else 0, self)
        self.asking = Asking(self)
        self.documents = Documents(self)
        self.projects = Projects(self)
        self.leaving = Leaving(self)
        self.bookmarks = Bookmarks(self)
        self.copying = Copying(self)
        self.fitting = Fitting(self)
        self.preload = Preload(self)
        self.fit_workspace, self.edit_workspace = FitWorkspace(self), EditWorkspace(self)
        self.capture_workspace, self.inspect_workspace = CaptureWorkspace(self), InspectWorkspace(self)
        self.export_workspace = ExportWorkspace(self)
        self.workspaces: tuple[Workspace, ...] = (
            self.capture_workspace,
            self.fit_workspace,
            self.inspect_workspace,
            self.edit_workspace,
            self.export_workspace,
        )
        self.workspace: Workspace | None = None
        own = [command for workspace in self.workspaces for command in workspace.commands()]
        self.commands = CommandTable([*window_commands(self), *own], self)
        self._lay_out()
        self._connect()
        self.apply_preferences()
        geometry, panels = self.preferences.geometry, self.preferences.panels
        if geometry is not None:
            self.restoreGeometry(geometry)
        if panels is not None:
            self._central.restoreState(panels[0])
            self.show_panel(panels[1])
        self.commands.refresh()

    # --- layout ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.menus = make_menus(self)
        self.commands.bind_all(self.preferences.shortcuts)
        self.toolbar = make_toolbar(self.commands)
        self.addToolBar(self.toolbar)
        self._central = central = Central(self.commands, self.player.clock)
        self.welcome, self.view_bar, self.legend = central.welcome, central.view_bar, central.legend
        self.timeline, self.tabs = central.timeline, central.tabs
        self.setCentralWidget(central)
        self.status = StatusLine(self.session, lambda: self.viewport.frame_time_ms if self.viewport else 0.0)
        self.status.message_clicked.connect(self.commands.actions["help.log"].trigger)
        self.setStatusBar(self.status)
        # An OpenGL child from the start: adding the first one to a window on screen would recreate that window.
        seed = QOpenGLWidget(self)
        seed.setFixedSize(1, 1)
        seed.hide()

    def _connect(self) -> None:
        session, jobs = self.session, self.jobs
        self.commands.failed.connect(self.show_error)
        self.editing.undo_stack.indexChanged.connect(self.commands.refresh)
        self.timeline.strip.scrubbed.connect(self.player.go_to)
        self.player.clock.playing_changed.connect(self._on_playing)
        session.frame_changed.connect(self.timeline.set_frame)
        for changed in (session.fit_changed, session.sequence_changed):
            changed.connect(self._on_range)
        session.part_names_changed.connect(self._on_parts)
        for changed in (
            session.fit_path_changed, session.edited_changed, session.show_cloud_changed, session.show_mesh_changed,
            session.show_matches_changed, session.cloud_colors_changed,
        ):  # fmt: skip
            changed.connect(self.commands.refresh)
        for changed in (session.edited_changed, session.replayed_changed):
            changed.connect(self._on_facts)
        for changed in (session.cloud_colors_changed, session.body_paint_changed):
            changed.connect(self._on_painted)
        self.reader.cached_changed.connect(self._on_cached)
        self.reader.failed.connect(self._on_background_error)
        self.editor.failed.connect(self._on_background_error)
        self.editor.model_loaded.connect(self.commands.refresh)
        jobs.changed.connect(self.commands.refresh)
        jobs.fit_started.connect(self._on_facts)
        jobs.fit_ended.connect(self._on_facts)
        jobs.failed.connect(self.show_error)
        jobs.notice.connect(self.notify)
        jobs.exported.connect(lambda path: self.notify(tr("Exported {path}", path=path)))
        self.documents.opened.connect(self.opened)
        self.documents.opened.connect(self.commands.refresh)
        self.fitting.finished.connect(self.fit_finished)
        self.preload.views.connect(self._on_views)
        self.preload.numerics.connect(self._on_numerics)
        self.preload.failed.connect(self.show_error)

    def showEvent(self, event: QShowEvent) -> None:
        """The heavy libraries come after the first picture."""
        super().showEvent(event)
        if not self.is_ready and self.viewport is None:
            QTimer.singleShot(30, self.preload.start)

    @Slot()
    def _on_views(self) -> None:
        """Make what needs VTK and pyqtgraph."""
        if self._closing.done or self.viewport is not None:
            return
        from app.scene import Scene
        from app.viewport import Viewport

        self.viewport = Viewport(self._central.views)
        self._central.add_viewport(self.viewport)
        self.scene = Scene(self.session, self.viewport, self.theme, self)
        self.scene.titles_changed.connect(self._on_facts)
        self.tabs.removeTab(0)
        for workspace in self.workspaces:
            self.tabs.setTabToolTip(self.tabs.addTab(workspace.make_panel(), workspace.title), workspace.hint)
        self.tabs.currentChanged.connect(self._on_tab)
        name_controls(self)
        self.turn_to(self.preferences.workspace)
        self.appearance.wear()
        self._on_parts(self.session.part_names)

    @Slot(str, object)
    def _on_numerics(self, device: str, kind: type[Any]) -> None:
        if self._closing.done or self.scene is None:
            return
        self.session.device = device
        self.fitting.set_settings_kind(kind)
        self._prefer_device()
        self.editor.load()
        self.is_ready = True
        self.commands.refresh()
        self.documents.open_waiting()
        self.ready.emit()

    @property
    def theme(self) -> Theme:
        """The colours that it wears."""
        return self.appearance.theme

    # --- opening --------------------------------------------------------------------------------------------------

    def open_path(self, path: Path | str) -> None:
        """Open a recording, a fit or a project; the folder is read in a thread, `opened` follows."""
        if Path(path).suffix != SUFFIX:
            self.documents.open_path(Path(path))
            return
        try:
            self.projects.open_path(Path(path))
        except InputError as error:
            self.show_error(error)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Folders and files from this machine may be dropped."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the first one."""
        local = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if local:
            event.acceptProposedAction()
            self.open_path(Path(local[0]))

    # --- fitting --------------------------------------------------------------------------------------------------

    def start_fit(self, settings: Any = None) -> None:
        """Fit with the given settings, or with those of the form; `fit_finished` follows.

        Raises:
            InputError: The form holds a value out of range.
        """
        self.fitting.start(settings)

    # --- what changes on screen ------------------------------------------------------------------------------------

    @property
    def viewing(self) -> bool:
        """Whether the viewports are shown, not the welcome page."""
        return self._central.viewing

    @Slot()
    def _on_range(self, *_: object) -> None:
        self.timeline.set_range(self.session.frame_count, self.session.fps)
        self.timeline.set_frame(self.session.frame)
        self._on_facts()
        self.commands.refresh()

    @Slot()
    def _on_cached(self) -> None:
        self.timeline.strip.set_known(self.reader.cached_frames, self.reader.labelled_frames)

    @Slot(object)
    def _on_parts(self, names: tuple[str, ...]) -> None:
        self.legend.set_parts(part_titles(names), part_colors(names))

    @Slot()
    def _on_painted(self, *_: object) -> None:
        """The parts' colours are named while something on screen wears them."""
        session, (points, fit, canonical) = self.session, self._columns
        by_part = session.cloud_colors == "part"
        self.legend.set_needed(canonical or (fit and session.body_paint is None) or (points and by_part))

    @Slot()
    def _on_facts(self, *_: object) -> None:
        """One line under each viewport's title."""
        fitting = self.jobs.fitting is not None and self.jobs.show_live
        self.view_bar.set_facts(view_facts(self.session, self.status.residual_mm(), fitting=fitting))

    @Slot(object)
    def _on_background_error(self, error: Exception) -> None:
        """What nobody asked for right now needs no dialog, unless it is a defect."""
        if isinstance(error, InputError):
            self.notify_problem(error)
        else:
            self.show_error(error)

    @Slot(bool)
    def _on_playing(self, playing: bool) -> None:
        action = self.commands.actions["play.toggle"]
        action.setIcon(icon("pause" if playing else "play", self.theme))
        self.commands.refresh()

    def show_views(self, columns: tuple[bool, bool, bool] = (True, True, True)) -> None:
        """Viewports instead of the welcome page: input, fit, canonical shape, or some of them."""
        self._central.view(True)
        self.view_bar.set_columns(columns)
        if self.viewport is not None:
            self.viewport.set_columns(columns)
            self._columns = columns
            self._on_painted()
            self.viewport.setFocus()  # so that keys play and step, and are not typed into the form
        self.commands.refresh()

    def show_welcome(self) -> None:
        """The page that invites to open something."""
        self._central.view(False)
        self.commands.refresh()

    def turn_to(self, workspace: str) -> None:
        """Bring a workspace to the front; before the panels exist there is none."""
        names = [known.id for known in self.workspaces]
        if self.tabs.count() == len(names):
            self.tabs.setCurrentIndex(names.index(workspace))
            self._on_tab(self.tabs.currentIndex())

    @Slot(int)
    def _on_tab(self, index: int) -> None:
        entered = self.workspaces[index]
        if entered is self.workspace:
            return
        if self.workspace is not None:
            self.workspace.leave()
            self.set_aside(None)
        self.workspace = entered
        if self.viewing and self.session.frame_count:
            self.show_views(entered.columns)
        entered.enter()
        self.commands.refresh()

    def set_aside(self, widget: QWidget | None, least_width: int = 0) -> None:
        """Show a widget to the left of the viewports, such as a depth image; None hides that place again.

        With `least_width` its place is widened to so many pixels, but not beyond a half and a bit.
        """
        self._central.set_aside(widget, least_width)

    def color_by_part(self, by_part: bool) -> None:
        """Colour the input by part, or by distance."""
        self.session.cloud_colors = "part" if by_part else "depth"

    def reset_view(self) -> None:
        """Cameras back to the sensor's side."""
        if self.scene is not None:
            self.scene.reset_cameras()

    def view_from(self, side: Side) -> None:
        """Cameras to another side."""
        if self.viewport is not None:
            self.viewport.view_from(side)

    def use_parallel(self, parallel: bool) -> None:
        """Parallel or perspective projection."""
        if self.viewport is not None:
            self.viewport.parallel = parallel

    def show_panel(self, shown: bool) -> None:
        """Show or hide the side panel."""
        self.tabs.setVisible(shown)

    def panel_shown(self) -> bool:
        """Whether the side panel is shown."""
        return not self.tabs.isHidden()

    def use_light_theme(self, light: bool) -> None:
        """Switch and remember the theme."""
        self.appearance.use_light(light)

    @Slot()
    def apply_preferences(self, *_: object) -> None:
        """Take over what the user has chosen."""
        chosen = self.preferences
        self.session.unit = self.timeline.strip.unit = chosen.unit
        self.reader.set_budget(chosen.memory_mb << 20)
        self.timeline.pace.setCurrentIndex(max(0, self.timeline.pace.findData(chosen.pace)))
        self._prefer_device()
        self.appearance.wear()
        self._on_facts()
        self.commands.refresh()

    def _prefer_device(self) -> None:
        panel = self.fit_workspace.panel
        if panel is not None and panel.form is not None:
            panel.form.set_value("device", self.preferences.device)

    # --- telling --------------------------------------------------------------------------------------------------

    @Slot(str)
    def notify(self, text: str) -> None:
        """A message in the status line, and in the log."""
        logger.info("%s", text)
        self.status.tell(text, _MESSAGE_MS)

    def notify_problem(self, error: InputError) -> None:
        """The same, for what did not work: longer, and a warning in the log."""
        logger.warning("%s", error)
        self.status.tell(str(error), _PROBLEM_MS)

    @Slot(object)
    def show_error(self, error: BaseException) -> None:
        """A dialog: an `InputError` as it is, anything else with its traceback."""
        if not self._closing.done:
            show_error(self, error)

    def save_screenshot(self, path: Path) -> None:
        """Save the whole window, viewports included.

        Raises:
            InputError: The file cannot be written.
        """
        if not self.grab().save(str(path)):
            raise InputError(f"{path} cannot be written. Choose another folder, and a name ending in .png.")

    # --- closing --------------------------------------------------------------------------------------------------

    def quit(self) -> None:
        """Close the window, and with it the program."""
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask while something runs, and about what is unsaved; then end all threads and free VTK."""
        event.setAccepted(self._closing.may_close())

    def keep_layout(self) -> None:
        """Remember size, panel and workspace for the next start."""
        self.preferences.geometry = self.saveGeometry()
        self.preferences.panels = self._central.saveState(), self.panel_shown()
        if self.workspace is not None:
            self.preferences.workspace = self.workspace.id

"""File dialogs and other questions; each opens without blocking the event loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox

from app.panels.command_palette import CommandPalette
from app.panels.dialogs import ask_path
from app.panels.help_page import HelpPage
from app.panels.log_panel import LogPanel
from app.panels.preferences_dialog import PreferencesDialog
from app.panels.shortcut_editor import ShortcutEditor
from app.panels.tour import Tour, tour_steps
from app.translation import tr
from spams_core import __version__
from spams_core.errors import InputError
from spams_core.progress import Task

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["Asking"]


class Asking(QObject):
    """Asks for paths and hands them to the window."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._log: LogPanel | None = None
        self.tour: Tour | None = None

    def ask_recording(self) -> None:
        """Which recording to open."""
        self._ask_folder(tr("Open a recording"), self._window.open_path)

    def ask_recording_file(self) -> None:
        """Which recording to open, of those that are one file."""
        kinds = tr("Recordings (*.sens *.r3d *.bag *.mkv);;All files (*)")
        dialog = QFileDialog(self._window, tr("Open a recording"), str(self._window.last_folder), kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        ask_path(self._window, dialog, self._window.open_path)

    def ask_fit(self) -> None:
        """Which fit to open."""
        self._ask_folder(tr("Open a fit"), self._window.open_path)

    def ask_other_fit(self, slot: str) -> None:
        """Whose body goes into slot A or B of the blend."""
        self._ask_folder(tr("Take the body of another fit"), lambda path: self._window.documents.take_body(slot, path))

    def ask_compared(self, use: Callable[[Path], None]) -> None:
        """Which fit to compare with."""
        self._ask_folder(tr("Compare with another fit"), use)

    def ask_export_body(self) -> None:
        """Where to write the mesh on screen."""
        mesh = self._window.session.body_on_screen()
        if mesh is not None:
            from spams_core.tasks.export_mesh import MESH_SUFFIXES, export_mesh

            names = self._window.session.part_names
            # The dialog has asked before it gives the name of a file that is there.
            self.ask_export_to(
                tr("Export the body on screen"), "body.ply",
                tr("Meshes ({suffixes})", suffixes=' '.join(f'*.{kind}' for kind in MESH_SUFFIXES)),
                lambda path: export_mesh(mesh, names, path, replace=True),
            )  # fmt: skip

    def ask_export_to(self, title: str, name: str, kinds: str, task: Callable[[Path], Task[Path]]) -> None:
        """Where to write something; then the task writes it."""

        def write(path: Path) -> None:
            self._window.jobs.run_export(task(path))

        self._ask_file(title, name, kinds, write)

    def ask_screenshot(self) -> None:
        """Where to save the picture; it is taken before the dialog covers the window."""
        picture = self._window.grab()

        def save(path: Path) -> None:
            if not picture.save(str(path)):
                raise InputError(f"{path} cannot be written. Choose another folder, and a name ending in .png.")
            self._window.notify(tr("Saved {path}", path=path))

        self._ask_file(tr("Save a picture of the window"), "spam_studio.png", tr("Pictures (*.png *.jpg)"), save)

    def _ask_folder(self, title: str, use: Callable[[Path], None]) -> None:
        dialog = QFileDialog(self._window, title, str(self._window.last_folder))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
        ask_path(self._window, dialog, use)

    def _ask_file(self, title: str, name: str, kinds: str, use: Callable[[Path], object]) -> None:
        dialog = QFileDialog(self._window, title, str(self._window.last_folder), kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(name)
        ask_path(self._window, dialog, use)

    def show_palette(self) -> None:
        """Every command by a few letters."""
        CommandPalette(self._window.commands, self._window).open()

    def edit_shortcuts(self) -> None:
        """Every shortcut, to be changed."""
        window = self._window

        def keep() -> None:
            window.preferences.shortcuts = window.commands.changed_keys()

        editor = ShortcutEditor(window.commands, window)
        editor.changed.connect(keep)
        editor.open()

    def start_tour(self) -> None:
        """The tour from its beginning: on what is open, or on the bundled recording."""
        window = self._window
        if self.tour is not None:
            self.tour.end()
        if window.viewing and not window.session.frame_count:
            window.projects.clear()  # the model alone: nothing that could be lost, and nothing to walk through
        self.tour = Tour(window, tour_steps(window))
        self.tour.ended.connect(self._on_toured)
        self.tour.start()

    def _on_toured(self) -> None:
        self.tour = None
        self._window.preferences.toured = True

    def show_log(self) -> None:
        """The log, beside the window."""
        if self._log is None:
            self._log = LogPanel(self._window.log, self._window.theme, self._window)
        self._log.set_theme(self._window.theme)
        self._log.show()
        self._log.raise_()

    def edit_preferences(self) -> None:
        """Theme, units, memory and so on."""
        dialog = PreferencesDialog(self._window.preferences, self._window)
        dialog.changed.connect(self._window.apply_preferences)
        dialog.open()

    def show_help(self) -> None:
        """Workspaces, commands, keys."""
        window = self._window
        workspaces = [(workspace.title, workspace.hint) for workspace in window.workspaces]
        HelpPage(window.commands, workspaces, window.theme, window).show()

    def show_about(self) -> None:
        """What this is."""
        box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle(tr("About SPAM Studio"))
        box.setText(f"<b>SPAM Studio {__version__}</b>")
        box.setInformativeText(
            tr(
                "Structured-implicit parametric models, after Palafox, Sarafianos, Tung and Dai (CVPR 2022): a depth "
                "recording in, a tracked, part-coloured body out. Nothing leaves this computer."
            )
        )
        box.open()

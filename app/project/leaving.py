"""The one question before something is lost: edits that no file holds, and changes of the project."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QMessageBox

from app.translation import tr

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["Leaving"]

_Choice = tuple[str, "QMessageBox.ButtonRole", "Callable[[], None]"]


class Leaving(QObject):
    """Asks before what is open makes room for something else. While a question is on screen no second one comes."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._box: QMessageBox | None = None

    @property
    def unsaved(self) -> bool:
        """Whether closing the window would lose something."""
        return self._window.edit_workspace.saving.unsaved or self._window.projects.unsaved

    def guard(self, then: Callable[[], None], *, project: bool = False) -> None:
        """Do something that closes the open fit, once the user has said what shall become of what is unsaved.

        Where nothing is unsaved it is done at once, and what it raises is raised.

        Args:
            then: What to do; never called where the user keeps what is open.
            project: Whether the project is left too, and not merely its recording or fit.
        """
        edits = self._window.edit_workspace.saving.unsaved
        if edits:
            self._ask_edits(then, project)
        elif project and self._window.projects.unsaved:
            self._ask_project(then)
        else:
            then()

    def _ask_edits(self, then: Callable[[], None], project: bool) -> None:
        window, projects = self._window, self._window.projects
        saving, path = window.edit_workspace.saving, window.session.fit_path
        fit = path.name if path is not None else tr("this fit")
        role = QMessageBox.ButtonRole
        choices: list[_Choice] = []
        if saving.possible:
            saved = (lambda: self.guard(then, project=True)) if project else then
            choices.append((tr("Save as New Fit…"), role.AcceptRole, lambda: saving.ask_fit(saved)))

        def go_on() -> None:
            if not project:
                projects.detach()  # or the next save would put what is opened now in the place of these edits
            then()

        choices.append((tr("Save Project"), role.AcceptRole, lambda: projects.save(go_on)))
        choices.append((tr("Discard"), role.DestructiveRole, then))
        others = tr(" Other changes of the project are unsaved too.") if project and projects.unsaved else ""
        self._ask(
            tr("Unsaved edits"),
            tr("The edits of {fit} are saved neither as a new fit nor in a project.", fit=fit),
            tr("They are lost otherwise.{others}", others=others), choices,
        )  # fmt: skip

    def _ask_project(self, then: Callable[[], None]) -> None:
        projects, role = self._window.projects, QMessageBox.ButtonRole
        self._ask(
            tr("Unsaved changes"), tr("Save the changes of {name}?", name=projects.name),
            tr("They are lost otherwise."),
            [(tr("Save"), role.AcceptRole, lambda: projects.save(then)), (tr("Discard"), role.DestructiveRole, then)],
        )  # fmt: skip

    def _ask(self, title: str, text: str, more: str, choices: list[_Choice]) -> None:
        if self._box is not None:
            return
        box = self._box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(title)
        box.setText(text)
        box.setInformativeText(more)
        chosen: dict[object, Callable[[], None]] = {}
        for name, role, act in choices:
            chosen[box.addButton(name, role)] = act
        cancel = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(cancel)
        box.setEscapeButton(cancel)

        def answered(_: int) -> None:
            act, self._box = chosen.get(box.clickedButton()), None
            if act is None:
                return
            try:
                act()
            except Exception as error:  # a slot never raises
                self._window.show_error(error)

        box.finished.connect(answered)
        box.open()

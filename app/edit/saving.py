"""Writes edits: the open fit as edited, and the walk between two bodies."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from app.edit.state import same_state
from app.free_names import free_path
from app.number_box import WholeBox
from app.settings_form import PathEdit
from app.translation import tr
from spams_core.progress import Progress, Task

if TYPE_CHECKING:
    from app.edit.state import EditState
    from app.main_window import MainWindow
    from app.worker import TaskWorker
    from spams_core.data.fit import Fit
    from spams_core.tasks.bake import EditedMotion

__all__ = ["SaveDialog", "Saving"]

_FORMATS = ((tr("New fit"), "fit"), (tr("PLY meshes"), "ply"), (tr("OBJ meshes"), "obj"))
_DEFAULT_FRAMES = 30


class SaveDialog(QDialog):
    """Where to write a folder; for a walk also how many frames, and as what.

    Signals:
        accepted_path: Folder, format (fit, ply or obj) and number of frames.
    """

    accepted_path = Signal(object, str, int)

    def __init__(
        self, title: str, hint: str, suggested: Path, *, walk: bool, shape_moves: bool, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(480)
        self.path = PathEdit(optional=False)
        self.path.edit.setText(str(suggested))
        self.format = QComboBox()
        for text, name in _FORMATS:
            if name != "fit" or not shape_moves:
                self.format.addItem(text, name)
        self.frames = WholeBox()
        self.frames.setRange(2, 10_000)
        self.frames.setMinimumHeight(26)
        self.frames.setValue(_DEFAULT_FRAMES)
        said = QLabel(hint)
        said.setObjectName("muted")
        said.setWordWrap(True)
        form = QFormLayout()
        form.addRow(tr("New folder"), self.path)
        if walk:
            form.addRow(tr("As"), self.format)
            form.addRow(tr("Frames"), self.frames)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        save = self.buttons.addButton(tr("Save"), QDialogButtonBox.ButtonRole.AcceptRole)
        save.setObjectName("primary")
        self.buttons.accepted.connect(self._on_accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 16, 18, 14)
        layout.setSpacing(12)
        layout.addWidget(said)
        layout.addLayout(form)
        layout.addWidget(self.buttons)

    @Slot()
    def _on_accept(self) -> None:
        text = self.path.edit.text().strip()
        if text:
            self.accepted_path.emit(Path(text).expanduser(), self.format.currentData(), self.frames.value())
            self.accept()


class Saving(QObject):
    """Asks where to, and writes in a worker; `saved` when a fit has the edits."""

    saved = Signal()

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._saved: tuple[EditState, Path] | None = None
        window.session.fit_changed.connect(self._forget)

    @Slot()
    def _forget(self, *_: object) -> None:
        """Of another fit nothing was saved yet."""
        self._saved = None

    @property
    def unsaved(self) -> bool:
        """Whether the open fit has edits that neither a saved fit nor the project's file holds."""
        window = self._window
        edited = window.session.fit is not None and window.editing.state.changes_anything
        return edited and not self.in_a_fit and not window.projects.holds_edits

    @property
    def in_a_fit(self) -> bool:
        """Whether the edits as they are now were saved as a fit."""
        return self.saved_in is not None

    @property
    def saved_in(self) -> Path | None:
        """The fit that the edits as they are now were saved as."""
        kept = self._saved
        return kept[1] if kept is not None and same_state(self._window.editing.state, kept[0]) else None

    @property
    def possible(self) -> bool:
        """Whether the edits can be written as a fit: one of the loaded model is open."""
        return self._window.editor.fit_codes() is not None

    def ask_fit(self, then: Callable[[], None] | None = None) -> None:
        """Where to write the open fit as it is edited; `then` is called once it is written as it is by then."""
        dialog = SaveDialog(
            tr("Save the edited fit"),
                tr("Every fitted frame with its edits, as a new fit. The open fit stays as it is."),
            self._free("edited"), walk=False, shape_moves=False, parent=self._window,
        )  # fmt: skip
        self._open(dialog, lambda path, *_: self.save_fit(path, then))

    def ask_walk(self) -> None:
        """Where to write the walk from A to where the blend's sliders stand."""
        motion = self._window.editor.walk(2)
        if motion is None:
            return
        moves = motion.shape_codes.ndim == 3
        hint = (
            tr("The shape changes on the way, and a fit has one shape: each frame becomes a mesh of its own.")
            if moves
            else tr("The body stays where it stands at the playhead.")
        )
        dialog = SaveDialog(
            tr("Save the walk from A to B"), hint, self._free("walk"), walk=True, shape_moves=moves, parent=self._window
        )
        self._open(dialog, self.save_walk)

    def save_fit(self, path: Path, then: Callable[[], None] | None = None) -> None:
        """Write the open fit as it is edited; `jobs.exported` follows, and `then` unless it was edited meanwhile."""
        editor, session = self._window.editor, self._window.session
        motion = editor.motion()
        if motion is not None and editor.model is not None:
            saved = self._window.editing.state
            worker = self._write_fit(_bake_fit(editor.model, motion, path, session.fit, describe(saved)))
            worker.succeeded.connect(partial(self._on_saved, saved, then))

    def save_walk(self, path: Path, format: str, count: int) -> None:
        """Write the walk; `jobs.exported` follows."""
        editor = self._window.editor
        motion = editor.walk(count)
        if motion is None or editor.model is None:
            return
        told = describe(self._window.editing.state)
        if format == "fit":
            self._write_fit(_bake_fit(editor.model, motion, path, None, told))
        else:
            self._window.jobs.run_export(_bake_meshes(editor.model, motion, path, format, told))

    def _on_saved(self, state: EditState, then: Callable[[], None] | None, path: Path | None) -> None:
        """What was saved need not be asked for; edits made while it was written are still unsaved."""
        if path is None:
            return
        self._saved = state, path
        self.saved.emit()
        if then is not None and not self.unsaved:
            # Later, for `then` may close the window, and the worker has not ended yet.
            QTimer.singleShot(0, partial(self._guarded, then))

    def _guarded(self, then: Callable[[], None]) -> None:
        try:
            then()
        except Exception as error:  # a slot never raises
            self._window.show_error(error)

    def _write_fit(self, task: Task[Path]) -> TaskWorker:
        """A fit that is written can be opened again; one that fails or is cancelled is forgotten with its worker."""
        worker = self._window.jobs.run_export(task)
        worker.succeeded.connect(self._on_written)
        return worker

    @Slot(object)
    def _on_written(self, path: Path | None) -> None:
        if path is not None:
            self._window.preferences.add_recent(path)

    def _open(self, dialog: SaveDialog, use: Any) -> None:
        def chosen(*arguments: Any) -> None:
            try:
                use(*arguments)
            except Exception as error:  # a slot never raises
                self._window.show_error(error)

        dialog.accepted_path.connect(chosen)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _free(self, word: str) -> Path:
        """A name that nothing has yet, beside the open fit."""
        fit = self._window.session.fit_path
        base = fit if fit is not None else self._window.last_folder / "body"
        return free_path(base.parent, f"{base.name}_{word}")


def describe(state: EditState) -> dict[str, Any]:
    """The edit as data for a manifest."""
    told: dict[str, Any] = {
        "shape_sigma": state.shape_sigma.tolist(),
        "shape_shift": list(state.shape_shift),
        "pose": {"sigma": state.pose.sigma.tolist(), "shift": list(state.pose.shift)},
        "keyframes": [
            {"frame": key.frame, "sigma": key.edit.sigma.tolist(), "shift": list(key.edit.shift)} for key in state.keys
        ],
    }
    if state.blending and state.a is not None and state.b is not None:
        told["blend"] = {
            "a": state.a.title, "b": state.b.title, "shape_amount": state.shape_amount,
            "pose_amount": state.pose_amount, "shape_parts": list(state.shape_parts),
            "pose_parts": list(state.pose_parts), "path": "spherical" if state.spherical else "linear",
        }  # fmt: skip
    return told


def _bake_fit(
    model: Path, motion: EditedMotion, path: Path, start: Fit | None, told: dict[str, Any]
) -> Generator[Progress, None, Path]:
    from spams_core.tasks.bake import bake_fit  # torch is imported in the worker's thread

    return (yield from bake_fit(model, motion, path, start, told))


def _bake_meshes(
    model: Path, motion: EditedMotion, path: Path, format: Any, told: dict[str, Any]
) -> Generator[Progress, None, Path]:
    from spams_core.tasks.bake import bake_meshes

    return (yield from bake_meshes(model, motion, path, format, told))

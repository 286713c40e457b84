"""The workspace Edit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from app.commands import Command
from app.edit.saving import Saving
from app.panels.side_tabs import SideTabs
from app.theme import Theme
from app.translation import tr
from app.workspace import Workspace

if TYPE_CHECKING:
    from app.edit.blend_panel import BlendPanel
    from app.edit.codes_panel import CodesPanel
    from app.edit.footer import Footer
    from app.edit.map_panel import MapPanel
    from app.edit.pin_marks import PinMarks
    from app.edit.pins_panel import PinsPanel
    from app.edit.pulling import Puller
    from app.main_window import MainWindow

__all__ = ["EditWorkspace"]


class EditWorkspace(Workspace):
    """Shape and pose by hand."""

    id, title, hint = "edit", tr("Edit"), tr("Change shape and pose part by part, walk between two bodies")
    menu_title = tr("&Edit")
    tabs: QTabWidget
    codes_panel: CodesPanel | None = None
    blend_panel: BlendPanel | None = None
    map_panel: MapPanel | None = None
    footer: Footer | None = None
    puller: Puller | None = None
    pins_panel: PinsPanel | None = None
    pin_marks: PinMarks | None = None

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.saving = Saving(window)

    def commands(self) -> list[Command]:
        """Back to the fit, keyframes, saving, and the model alone."""
        window, editing = self._window, self._window.editing

        def keyed() -> bool:
            return window.session.frame in editing.key_frames

        def editable() -> bool:
            return window.session.fit is not None and window.editor.workbench is not None

        return [
            Command(
                "edit.reset", tr("Reset Shape and Pose"), editing.reset, tr("Show the body as it was fitted"), "Ctrl+R",
                "arrow-counter-clockwise", lambda: window.session.edited is not None,
            ),
            Command(
                "edit.pin", tr("Pin Pose Edit at This Frame"), editing.pin,
                tr("Make this frame a keyframe: pose edits change evenly from one keyframe to the next"), "I",
                "diamond",
                lambda: editable() and not keyed(),
            ),
            Command(
                "edit.unpin", tr("Remove Keyframe"), editing.unpin, tr("Take the keyframe of this frame away"),
                "Shift+I",
                "trash", keyed,
            ),
            Command(
                "edit.key_back", tr("Previous Keyframe"), partial(self._go_to_key, -1),
                tr("Go to the keyframe before"), ",",
                "caret-double-left", lambda: any(frame < window.session.frame for frame in editing.key_frames),
            ),
            Command(
                "edit.key_forward", tr("Next Keyframe"), partial(self._go_to_key, 1), tr("Go to the keyframe after"),
                ".",
                "caret-double-right", lambda: any(frame > window.session.frame for frame in editing.key_frames),
            ),
            Command(
                "edit.pull", tr("Pull the Surface"), self._switch_pulling,
                tr("Drag points of the body in the fit's view; its part follows"), "G", "hand-grabbing",
                lambda: window.session.has_body and window.editor.workbench is not None,
                lambda: self.puller is not None and self.puller.on,
            ),
            Command(
                "edit.clear_pins", tr("Clear Pins"), editing.clear_pins,
                tr("Let all pinned points go, in every frame; the body stays as it is"), "", "",
                lambda: bool(editing.state.pins),
            ),
            Command(
                "edit.save", tr("Save as New Fit…"), self.saving.ask_fit,
                tr("Write all frames with their edits as a new fit"),
                "", "floppy-disk", lambda: window.session.fit is not None and editing.state.changes_anything,
            ),
            Command(
                "edit.walk", tr("Save Walk from A to B…"), self.saving.ask_walk,
                tr("Write the blend from A to where its sliders stand, as a fit or as meshes"), "", "path",
                lambda: editing.state.blending,
            ),
            Command(
                "model.explore", tr("Explore the Body Model"), window.documents.explore,
                tr("Play with shape and pose without a recording"), "", "sliders-horizontal",
                lambda: window.jobs.fitting is None,
            ),
        ]  # fmt: skip

    def menu(self) -> tuple[str, ...]:
        """Keyframes, saving and the model apart."""
        return (
            "edit.reset", "-", "edit.pin", "edit.unpin", "edit.key_back", "edit.key_forward", "-", "edit.pull",
            "edit.clear_pins", "-", "edit.save", "edit.walk", "-", "model.explore",
        )  # fmt: skip

    def _switch_pulling(self, on: bool) -> None:
        if self.puller is not None:
            self.puller.set_on(on)

    def leave(self) -> None:
        """Elsewhere the mouse turns the camera."""
        self._switch_pulling(False)

    def close(self) -> None:
        """End the puller's thread; a stack that dies full would announce its steps to commands that are gone."""
        self._window.editing.undo_stack.clear()
        if self.puller is not None:
            self.puller.close()

    def _go_to_key(self, direction: int) -> None:
        """To the nearest keyframe in a direction."""
        frame = self._window.session.frame
        there = [key for key in self._window.editing.key_frames if direction * (key - frame) > 0]
        if there:
            self._window.player.go_to(min(there, key=lambda key: abs(key - frame)))

    def make_panel(self) -> QWidget:
        """Sliders, the blend of two bodies, and the map; below them keyframes and saving."""
        from app.edit.blend_panel import BlendPanel
        from app.edit.codes_panel import CodesPanel
        from app.edit.footer import Footer
        from app.edit.map_panel import MapPanel
        from app.edit.pin_marks import PinMarks
        from app.edit.pins_panel import PinsPanel
        from app.edit.pulling import Puller

        window = self._window
        self.codes_panel = CodesPanel(window.editing, window.theme)
        self.blend_panel = BlendPanel(window.editing, window.editor, window.theme)
        self.map_panel = MapPanel(window.editing, window.editor, window.theme)
        actions = window.commands.actions
        keys = [actions[f"edit.{name}"] for name in ("key_back", "pin", "unpin", "key_forward")]
        self.footer = Footer(window.editing, window.editor, keys, actions["edit.pull"], actions["edit.save"])
        if window.viewport is not None:
            self.puller = Puller(
                window.session, window.editing, window.editor, window.viewport, self.footer.reach.value
            )
            self.puller.refused.connect(window.notify)
            self.pin_marks = PinMarks(window.session, window.editing, window.viewport)
        self.pins_panel = PinsPanel(window.editing)
        self.pins_panel.go_to.connect(window.player.go_to)
        self.tabs = SideTabs()
        for panel, title, hint in (
            (self.codes_panel, tr("Shape && pose"), tr("Change shape and pose part by part")),
            (self.blend_panel, tr("Blend"), tr("Walk between two bodies")),
            (self.map_panel, tr("Map"), tr("Move among the training bodies")),
            (self.pins_panel, tr("Pins"), tr("Points and parts that stay while others are pulled")),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(panel, title), hint)
        if window.editor.workbench is not None:
            window.editing.model_changed.emit(window.editor.workbench)
        self.blend_panel.other_fit_requested.connect(window.asking.ask_other_fit)
        self.blend_panel.bake_requested.connect(actions["edit.walk"].trigger)
        window.editing.changed.connect(self._on_changed)
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.tabs, 1)
        column.addWidget(self.footer)
        return whole

    @Slot(object)
    def _on_changed(self, _: object) -> None:
        """Diamonds on the timeline, and what can be done now."""
        self._window.timeline.strip.set_keys(self._window.editing.key_frames)
        for name in ("pin", "unpin", "key_back", "key_forward", "save", "walk", "clear_pins"):
            self._window.commands.refresh_one(f"edit.{name}")

    def show_sliders(self) -> None:
        """Turn to the sliders."""
        self._window.turn_to(self.id)
        if self.codes_panel is not None:
            self.tabs.setCurrentWidget(self.codes_panel)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        for panel in (self.codes_panel, self.blend_panel, self.map_panel):
            if panel is not None:
                panel.set_theme(theme)

"""The workspace Capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.capture.capturing import Capturing
from app.capture.subject import SubjectEditing
from app.commands import Command
from app.panels.scrolling import scrolled
from app.theme import Theme
from app.translation import tr
from app.workspace import Workspace

if TYPE_CHECKING:
    from app.capture.depth_image import Tool
    from app.capture.facts_card import FactsCard
    from app.capture.labels_panel import LabelsPanel
    from app.capture.subject_panel import SubjectPanel
    from app.main_window import MainWindow

__all__ = ["CaptureWorkspace"]


class CaptureWorkspace(Workspace):
    """Look at the recording before it is fitted, and say who in it is the subject."""

    id, title, hint = "capture", tr("Capture"), tr("Look at the recording before it is fitted")
    menu_title = tr("&Capture")
    columns = (True, False, False)
    panel: SubjectPanel | None = None
    labels: LabelsPanel | None = None
    facts: FactsCard | None = None

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.capturing = Capturing(window)
        self.subject = SubjectEditing(window)
        image = self.capturing.image
        image.picked.connect(self._on_picked)
        image.boxed.connect(self._on_boxed)
        self.subject.changed.connect(self._on_subject)
        session = window.session
        for changed in (session.cloud_changed, session.cloud_colors_changed, session.fit_changed):
            changed.connect(self._on_confidence)

    def commands(self) -> list[Command]:
        """Tools of the depth image, and what happens to the subject as a whole."""
        subject = self.subject

        def possible() -> bool:
            return subject.possible

        def tool(name: Tool, command: str, title: str, hint: str, symbol: str) -> Command:
            return Command(
                command, title, lambda on: self._take_tool(name if on else "look"), hint, "", symbol, possible,
                lambda: self.capturing.image.tool == name,
            )  # fmt: skip

        return [
            tool("pick", "capture.pick", tr("Pick the Person"), tr("Click on the person in the depth image"), "cursor"),
            tool("box", "capture.box", tr("Draw a Box"), tr("Drag a rectangle around what to keep"), "selection"),
            Command(
                "capture.confidence", tr("Colour Points by Confidence"), self._color_by_confidence,
                tr("Where the body parts are sure and where not, before any fit"), "Shift+C", "gauge",
                lambda: not self._unsaid(),
                lambda: self._window.session.cloud_colors == "confidence",
            ),
            Command(
                "capture.reading", tr("How It Is Read…"), self._window.documents.review,
                tr("Depth scale, intrinsics, mirrored images and what is up; shows the points and their size"), "",
                "magnifying-glass", self._readable,
            ),
            Command(
                "capture.reset", tr("Reset the Subject"), subject.reset, tr("Keep what the recording's masks say"), "",
                "arrow-counter-clockwise", possible,
            ),
            Command(
                "capture.save", tr("Save the Subject…"), subject.ask_save,
                tr("Keep these settings in a file; beside the recording they are used whenever it is opened"), "",
                "floppy-disk", possible,
            ),
            Command(
                "capture.load", tr("Load a Subject…"), subject.ask_load, tr("Use settings that were saved before"), "",
                "folder-open", possible,
            ),
        ]  # fmt: skip

    def make_panel(self) -> QWidget:
        """Its controls."""
        from app.capture.facts_card import FactsCard
        from app.capture.labels_panel import LabelsPanel
        from app.capture.marks import Marks
        from app.capture.subject_panel import SubjectPanel

        assert self._window.viewport is not None
        self.capturing.marks = Marks(self._window.viewport, self._window.theme)
        actions = self._window.commands.actions
        self.panel = SubjectPanel(
            self.subject,
            [actions[name] for name in ("capture.pick", "capture.box")],
            [actions[name] for name in ("capture.reset", "capture.save", "capture.load")],
        )
        self.panel.set_theme(self._window.theme)
        self.capturing.read.connect(self.panel.show_frame)
        self.labels = LabelsPanel(self._window.session, actions["capture.confidence"])
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.setSpacing(14)
        self.facts = FactsCard(self._window)
        layout.addWidget(self.facts)
        layout.addWidget(self.panel)
        layout.addWidget(self.labels)
        layout.addStretch(1)
        return scrolled(inside)

    def enter(self) -> None:
        """Depth image beside the input view."""
        self.capturing.enter()
        if self.facts is not None:
            self.facts.set_active(True)
        self._on_subject()

    def leave(self) -> None:
        """No more frames are read for it."""
        self.capturing.leave()
        if self.facts is not None:
            self.facts.set_active(False)
        self._take_tool("look")
        if self.capturing.marks is not None:
            self.capturing.marks.show_box(None)

    def _readable(self) -> bool:
        """Whether it can be read otherwise: a fit goes with the reading that it was made with."""
        session = self._window.session
        return session.sequence is not None and session.sequence.source is not None and session.fit is None

    def _unsaid(self) -> str:
        """Why points cannot be coloured by confidence; empty where they can, or where they are and need not stay so."""
        session, cloud = self._window.session, self._window.session.cloud
        if session.cloud_colors == "confidence" or (cloud is not None and cloud.confidences is not None):
            return ""
        if cloud is None:
            return tr("Open a recording first")
        if cloud.labels is not None:
            return tr("The body parts of this frame came without confidences")
        return tr("The body parts of this frame are not known yet")

    @Slot()
    def _on_confidence(self, *_: object) -> None:
        commands, name = self._window.commands, "capture.confidence"
        reason = self._unsaid()
        commands.refresh_one(name)
        if reason:
            commands.actions[name].setToolTip(f"{commands.command(name).hint}. {reason}.")
        else:
            commands.bind(name, commands.keys(name))

    def _color_by_confidence(self, on: bool) -> None:
        self._window.session.cloud_colors = "confidence" if on else "part"

    def _take_tool(self, name: Tool) -> None:
        if name != "look":
            self._window.turn_to("capture")
        self.capturing.image.set_tool(name)
        self._window.commands.refresh()

    @Slot(int, int)
    def _on_picked(self, u: int, v: int) -> None:
        self.subject.pick(u, v)
        self._take_tool("look")

    @Slot(int, int, int, int)
    def _on_boxed(self, u0: int, v0: int, u1: int, v1: int) -> None:
        self.subject.box(u0, v0, u1, v1)
        self._take_tool("look")

    @Slot()
    def _on_subject(self) -> None:
        marks, settings = self.capturing.marks, self.subject.settings
        if marks is not None:
            here = self._window.workspace is self and settings is not None
            low, high = (settings.box_low_m, settings.box_high_m) if here and settings is not None else (None, None)
            marks.show_box((low, high) if low is not None and high is not None else None)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self.capturing.image.set_theme(theme)
        if self.panel is not None:
            self.panel.set_theme(theme)
        if self.capturing.marks is not None:
            self.capturing.marks.set_theme(theme)
            self._on_subject()

    def close(self) -> None:
        """End the threads."""
        self.capturing.close()
        self.subject.close()
        if self.facts is not None:
            self.facts.close_thread()

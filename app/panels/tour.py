"""A tour of two minutes: call-outs at the real controls, which wait for the real actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QRect, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.translation import tr

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["Step", "Tour", "tour_steps"]

_LOOK_MS = 150
_WIDTH = 300
_GAP = 10


@dataclass(frozen=True)
class Step:
    """One call-out.

    Attributes:
        title, text: What it says.
        anchor: The widget that it points at.
        begin: Called when it appears; what it returns tells whether the user has done it.
        help: What Next does where the following steps need it done.
    """

    title: str
    text: str
    anchor: Callable[[], QWidget]
    begin: Callable[[], Callable[[], bool]]
    help: Callable[[], None] | None = None


def tour_steps(window: MainWindow) -> list[Step]:
    """Open, scrub, turn, fit, look around, find commands. What is open stays open, and nobody is told to open."""
    session, commands = window.session, window.commands

    def keys(name: str) -> str:
        return commands.keys(name) or tr("the menu")

    def viewport() -> QWidget:
        return window.viewport if window.viewport is not None else window

    def fit_button() -> QWidget:
        window.turn_to("fit")
        panel = window.fit_workspace.panel
        return panel.fit_button if panel is not None and panel.fit_button.isVisible() else window.tabs

    def moved() -> Callable[[], bool]:
        frame = session.frame
        return lambda: session.frame != frame

    def turned() -> Callable[[], bool]:
        view = window.viewport
        before = view.cameras() if view is not None else None
        return lambda: view is not None and view.cameras() != before

    def elsewhere() -> Callable[[], bool]:
        here = window.workspace
        return lambda: window.workspace is not here

    opening = Step(
        tr("Open a recording"),
        tr(
            "A short recording of a walking person comes with the program. Press this button to open it; yours are "
            "opened in the same way, or dropped on the window."
        ),
        lambda: window.welcome.demo,
        lambda: lambda: window.viewing and session.cloud is not None,
        commands.actions["open.demo"].trigger,
    )
    return [
        *([] if session.frame_count else [opening]),
        Step(
            tr("Walk through time"),
            tr("Drag along this strip, or play with {keys}. The arrows step frame by frame.", keys=keys("play.toggle")),
            lambda: window.timeline.strip,
            moved,
        ),
        Step(
            tr("Look around"),
            tr("Drag to turn, scroll to zoom. {keys} goes back.", keys=keys("view.reset")),
            viewport,
            turned,
        ),
        Step(
            tr("Fit the body"),
            tr(
                "This button ({keys}) fits the body to the recording: about a minute for the one "
                "that comes with the program. The mesh moves while it works. Next goes on without it.",
                keys=keys("fit.start"),
            ),
            fit_button,
            lambda: lambda: window.jobs.fitting is not None or session.fit is not None,
        ),
        Step(
            tr("Five workspaces"),
            tr(
                "Check a recording, fit, see where the fit is wrong, change the body, take it along. "
                "Turn to another tab, with {keys} for instance.",
                keys=keys("turn.capture"),
            ),
            window.tabs.tabBar,
            elsewhere,
        ),
        Step(
            tr("Every command by name"),
            tr(
                "{keys} finds a command by a few letters, {help} shows them all. This tour is in the Help menu.",
                keys=keys("palette"),
                help=keys("help.page"),
            ),
            window.menuBar,
            lambda: lambda: False,
        ),
    ]


class _Frame(QWidget):
    """A border around what a call-out means; the mouse goes through it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("tourFrame")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)


class Tour(QObject):
    """Leads through the steps; `ended` when it is over or skipped."""

    ended = Signal()

    def __init__(self, window: MainWindow, steps: list[Step]) -> None:
        super().__init__(window)
        self._window, self._steps = window, steps
        self._at = -1
        self._done: Callable[[], bool] = lambda: False
        self._frame = _Frame(window)
        self.card = QFrame(window)
        self.card.setObjectName("tour")
        self.card.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.card.setFixedWidth(_WIDTH)
        self.title, self._text, self._count = QLabel(), QLabel(), QLabel()
        self.title.setObjectName("heading")
        self._text.setWordWrap(True)
        self._count.setObjectName("muted")
        self.next, self.skip = QPushButton(tr("Next")), QPushButton(tr("Skip the tour"))
        self.next.setObjectName("primary")
        self.next.setToolTip(tr("Go on without doing this"))
        self.skip.setToolTip(tr("End the tour; Help starts it again"))
        self.next.clicked.connect(self._on_next)
        self.skip.clicked.connect(self.end)
        row = QHBoxLayout()
        row.addWidget(self._count, 1)
        row.addWidget(self.skip)
        row.addWidget(self.next)
        layout = self._layout = QVBoxLayout(self.card)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(self.title)
        layout.addWidget(self._text)
        layout.addLayout(row)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)

    @property
    def at(self) -> int:
        """Which step is shown; −1 before the first and after the last."""
        return self._at

    def start(self) -> None:
        """Show the first step that is not done already."""
        self._timer.start()
        self._show(0)

    def _show(self, at: int) -> None:
        if at >= len(self._steps):
            self.end()
            return
        self._at = at
        step = self._steps[at]
        self._done = step.begin()
        if self._done():  # a fit is open already
            self._show(at + 1)
            return
        self.title.setText(step.title)
        self._text.setText(step.text)
        self._count.setText(tr("{number} of {count}", number=at + 1, count=len(self._steps)))
        last = at == len(self._steps) - 1
        self.next.setText(tr("Done") if last else tr("Next"))
        self.skip.setVisible(not last)
        self._place()

    def _place(self) -> None:
        """Beside the anchor, within the window."""
        window, anchor = self._window, self._steps[self._at].anchor()
        if not anchor.isVisible():
            anchor = window
        target = QRect(anchor.mapTo(window, QPoint(0, 0)) if anchor is not window else QPoint(0, 0), anchor.size())
        self._layout.activate()
        self.card.setFixedHeight(self._layout.heightForWidth(_WIDTH))
        size, room = self.card.size(), window.rect().adjusted(_GAP, _GAP, -_GAP, -_GAP)
        tried = (
            QPoint(target.center().x() - size.width() // 2, target.bottom() + _GAP),
            QPoint(target.center().x() - size.width() // 2, target.top() - size.height() - _GAP),
            QPoint(target.left() - size.width() - _GAP, target.center().y() - size.height() // 2),
        )
        place = next((p for p in tried if room.contains(QRect(p, size))), None)
        if place is None:  # pushed into the window, below the anchor or within it
            x = min(max(tried[0].x(), room.left()), room.right() - size.width())
            y = tried[0].y() if tried[0].y() + size.height() <= room.bottom() else tried[1].y()
            if y < room.top():
                y = target.bottom() - size.height() - 3 * _GAP
            place = QPoint(x, y)
        self.card.move(place)
        self._frame.setGeometry(target.adjusted(-3, -3, 3, 3))
        for widget in (self._frame, self.card):
            widget.show()
            widget.raise_()

    @Slot()
    def _look(self) -> None:
        if self._at < 0:
            return
        if self._done():
            self._show(self._at + 1)
        else:
            self._place()  # the window may have changed its size

    @Slot()
    def _on_next(self) -> None:
        step = self._steps[self._at]
        if step.help is not None:
            step.help()  # the step is then done, and the next one follows by itself
        else:
            self._show(self._at + 1)

    @Slot()
    def end(self) -> None:
        """Take everything away."""
        if self._at >= -1 and self._timer.isActive():
            self._at = -1
            self._timer.stop()
            self.card.hide()
            self._frame.hide()
            for widget in (self.card, self._frame):
                widget.deleteLater()
            self.ended.emit()
            self.deleteLater()

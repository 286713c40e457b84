"""What the window shows while nothing is open."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.theme import THEMES, Theme, icon
from app.translation import tr

__all__ = ["Welcome"]

_WIDTH, _MARGIN = 560, 12


class _DropArea(QFrame):
    """A dashed rectangle."""

    def __init__(self) -> None:
        super().__init__()
        self.theme = THEMES["dark"]

    def paintEvent(self, event: QPaintEvent) -> None:
        """Outline."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(self.theme.border_strong)
        pen.setWidthF(1.5)
        pen.setStyle(Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([5, 4])
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -2, -2), 14, 14)


class Welcome(QWidget):
    """An invitation: open, drop, or try the demo."""

    def __init__(
        self, open_action: QAction, demo_action: QAction, explore_action: QAction, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._actions = (open_action, demo_action, explore_action)
        self._area = _DropArea()
        self._area.setMaximumSize(_WIDTH, 360)
        self._symbol = QLabel()
        self._symbol.setAlignment(Qt.AlignmentFlag.AlignCenter)
        title = QLabel(tr("Open a recording or drop a folder here"))
        title.setObjectName("hero")
        title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        title.setWordWrap(True)
        hint = QLabel(
            tr(
                "A recording is a folder with camera.json and depth/ images.\n"
                "The body in it is fitted part by part: no markers, no template, no GPU needed."
            )
        )
        hint.setObjectName("muted")
        hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        hint.setWordWrap(True)
        self.demo = self._button(demo_action, tr("Open the demo recording"), primary=True)
        self.open = self._button(open_action, tr("Open a recording…"))
        self.explore = self._button(explore_action, tr("Explore the body model"))
        self._buttons = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._buttons.setSpacing(10)
        self._buttons.addStretch(1)
        for button in (self.demo, self.open, self.explore):
            self._buttons.addWidget(button)
        self._buttons.addStretch(1)
        inside = QVBoxLayout(self._area)
        inside.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        inside.setSpacing(12)
        inside.addStretch(2)
        inside.addWidget(self._symbol)
        inside.addWidget(title)
        inside.addWidget(hint)
        inside.addSpacing(12)
        inside.addLayout(self._buttons)
        inside.addStretch(2)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(30, 30, 30, 30)
        centre = QHBoxLayout()
        centre.addStretch(1)
        centre.addWidget(self._area, 20)
        centre.addStretch(1)
        outer.addStretch(1)
        outer.addLayout(centre, 20)
        outer.addStretch(1)

    def _button(self, action: QAction, text: str, *, primary: bool = False) -> QPushButton:
        button = QPushButton(text)
        if primary:
            button.setObjectName("primary")
        button.setToolTip(action.toolTip())
        button.clicked.connect(action.trigger)
        return button

    def showEvent(self, event: QShowEvent) -> None:
        """Buttons one below the other where their words are long."""
        super().showEvent(event)
        buttons = (self.demo, self.open, self.explore)
        need = sum(button.sizeHint().width() + self._buttons.spacing() for button in buttons)
        across = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._buttons.setDirection(across[need > _WIDTH - 2 * _MARGIN])

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        self._area.theme = theme
        self._symbol.setPixmap(icon("person-simple-walk", theme, theme.accent).pixmap(QSize(64, 64)))
        self._area.update()

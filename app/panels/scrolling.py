"""What is too high for its place."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

__all__ = ["scrolled"]


class _Scrolled(QScrollArea):
    """Never narrower than what is in it: it does not scroll sideways, and longer words need more room."""

    def minimumSizeHint(self) -> QSize:
        """The content's width, with the bar beside it."""
        hint, content = super().minimumSizeHint(), self.widget()
        if content is None:
            return hint
        wide = content.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width()
        return QSize(max(hint.width(), wide), hint.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The content may need another width."""
        if event.type() == QEvent.Type.LayoutRequest and watched is self.widget():
            self.updateGeometry()
        return super().eventFilter(watched, event)


def scrolled(content: QWidget) -> QScrollArea:
    """A panel as wide as its place that scrolls where it is higher: in a low window all keep their height."""
    area = _Scrolled()
    for widget in (area, content):
        widget.setObjectName("panel")
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(content)
    return area

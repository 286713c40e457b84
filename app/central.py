"""The middle of the window: welcome page or viewports, the timeline below them, the side panel beside."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from app.commands import CommandTable
from app.panels.side_tabs import SideTabs
from app.panels.view_bar import Legend, ViewBar
from app.panels.welcome import Welcome
from app.playback import PlaybackClock
from app.timeline import Timeline
from app.translation import tr
from app.window_commands import TRANSPORT, VIEW_SWITCHES

__all__ = ["Central"]

_PANEL_WIDTH = 316
_WIDEST_ASIDE = 0.56
_WINDOW_WIDTH = 1280


class Central(QSplitter):
    """What stands between tool bar and status line.

    Attributes:
        welcome: The page that invites to open something.
        view_bar, legend: Titles above the viewports, and the parts' colours below.
        timeline: Under both.
        tabs: The side panel; a word about loading stands there until the workspaces have made their panels.
    """

    def __init__(self, commands: CommandTable, clock: PlaybackClock) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        actions = commands.actions
        self.welcome = Welcome(actions["open.recording"], actions["open.demo"], actions["model.explore"])
        self.view_bar = ViewBar([[actions[name] for name in names] for names in VIEW_SWITCHES])
        self.legend = Legend()
        self.timeline = Timeline(clock, [actions[name] for name in TRANSPORT])
        self.timeline.set_range(0, 30.0)
        self.views, self._views_layout = _column(self.view_bar, self.legend)
        self._aside = QStackedWidget()
        self._aside.hide()
        self._beside = _splitter(self._aside, self.views)
        for index in range(2):
            self._beside.setStretchFactor(index, 1)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.welcome)
        self._pages.addWidget(self._beside)
        left, column = _column(self._pages, self.timeline)
        column.setStretchFactor(self._pages, 1)
        self.tabs = SideTabs(least_width=_PANEL_WIDTH - 20)
        loading = QLabel(tr("Loading the numerics…"))
        loading.setObjectName("loading")
        loading.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.tabs.addTab(loading, tr("Fit"))
        _fill(self, left, self.tabs)
        self.setStretchFactor(0, 1)
        self.setSizes([_WINDOW_WIDTH - _PANEL_WIDTH, _PANEL_WIDTH])

    def add_viewport(self, viewport: QWidget) -> None:
        """Put the viewports between their titles and the legend."""
        self._views_layout.insertWidget(1, viewport, 1)

    @property
    def viewing(self) -> bool:
        """Whether the viewports are shown, not the welcome page."""
        return self._pages.currentWidget() is self._beside

    def view(self, viewing: bool) -> None:
        """Show the viewports, or the welcome page."""
        self._pages.setCurrentWidget(self._beside if viewing else self.welcome)

    def set_aside(self, widget: QWidget | None, least_width: int = 0) -> None:
        """Show a widget to the left of the viewports, at least so wide where there is room; None hides that place."""
        if widget is not None:
            if self._aside.indexOf(widget) < 0:
                self._aside.addWidget(widget)
            self._aside.setCurrentWidget(widget)
        self._aside.setVisible(widget is not None)
        total = self._beside.width()
        wide = min(least_width, round(_WIDEST_ASIDE * total))
        if widget is not None and self._aside.width() < wide:
            self._beside.setSizes([wide, total - wide])


def _column(*widgets: QWidget) -> tuple[QWidget, QVBoxLayout]:
    whole = QWidget()
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    for widget in widgets:
        layout.addWidget(widget)
    return whole, layout


def _splitter(*widgets: QWidget) -> QSplitter:
    made = QSplitter(Qt.Orientation.Horizontal)
    _fill(made, *widgets)
    return made


def _fill(splitter: QSplitter, *widgets: QWidget) -> None:
    splitter.setHandleWidth(2)
    splitter.setChildrenCollapsible(False)
    for widget in widgets:
        splitter.addWidget(widget)

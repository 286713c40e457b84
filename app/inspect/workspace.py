"""The workspace Inspect."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.commands import Command
from app.inspect.comparison import Comparison
from app.inspect.diagnosis import Diagnosis
from app.inspect.mesh_colors import MeshColors
from app.inspect.replay import Replay
from app.inspect.strips import TITLE_WIDTH, DiagnosisStrips
from app.panels.scrolling import scrolled
from app.theme import Theme, icon
from app.translation import part_titles, tr
from app.workspace import Workspace
from spams_core.errors import InputError
from spams_core.progress import Progress

if TYPE_CHECKING:
    from app.inspect.colors_card import ColorsCard
    from app.inspect.compare_card import CompareCard
    from app.inspect.depth_view import DepthView
    from app.inspect.match_picker import MatchPicker
    from app.inspect.matches_card import MatchesCard
    from app.inspect.metrics_table import MetricsTable
    from app.inspect.replay_bar import ReplayBar
    from app.inspect.wipe import Wipe
    from app.main_window import MainWindow
    from spams_core.data.diagnosis import FrameDiagnosis

__all__ = ["InspectWorkspace"]


class InspectWorkspace(Workspace):
    """See how good the fit is, and where."""

    id, title, hint = "inspect", tr("Inspect"), tr("See how good the fit is, and where")
    menu_title = tr("&Inspect")
    colors_card: ColorsCard | None = None
    matches_card: MatchesCard | None = None
    picker: MatchPicker | None = None
    depth_view: DepthView | None = None
    table: MetricsTable | None = None
    compare_card: CompareCard | None = None
    replay_bar: ReplayBar | None = None
    wipe: Wipe | None = None
    lacking: QLabel | None = None
    note: QLabel | None = None

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.colors = MeshColors(window.session, self)
        self.colors.failed.connect(self._on_failed)
        self.comparison = Comparison(window.session, self)
        self.comparison.failed.connect(window.show_error)
        window.session.compared_changed.connect(self._on_compared)
        self.diagnosis = Diagnosis(window.session, self)
        self.diagnosis.failed.connect(self._on_failed)
        self.diagnosis.changed.connect(self._on_diagnosis)
        self.replay = Replay(window.session, window.editor, self)
        self.replay.failed.connect(self._on_failed)
        self.replay.changed.connect(self._on_replay)
        self.replay.source_changed.connect(self._on_replay)
        self.strips: DiagnosisStrips | None = None
        self._strips_wanted = True
        self._beside: Literal["depth", "table"] | None = None
        window.session.fit_changed.connect(self._on_fit)
        window.session.part_names_changed.connect(self._on_fit)
        for changed in (window.session.frame_changed, window.session.fit_changed):
            changed.connect(self._on_other_frame)

    def commands(self) -> list[Command]:
        """What it shows beside the panel."""
        session = self._window.session
        return [
            Command(
                "inspect.strips", tr("Diagnosis Below the Timeline"), self.show_strips,
                tr("Each part's residual, missing depth and jitter of every frame"), "T", "rows",
                lambda: session.fit is not None, lambda: self._strips_wanted,
            ),
            Command(
                "inspect.depth", tr("Depth Images"), self.show_depth,
                tr("Depth of the sensor beside that of the fit, and their difference"), "D", "image-square",
                lambda: session.fit is not None and session.sequence is not None, lambda: self._beside == "depth",
            ),
            Command(
                "inspect.table", tr("Table of Frames"), self.show_table, tr("The figures of every frame and part"),
                "Shift+T",
                "table", lambda: session.fit is not None, lambda: self._beside == "table",
            ),
            Command(
                "inspect.compare", tr("Compare with Another Fit…"), self.ask_compared,
                tr("See a second fit of the same recording over this one, or beside it"), "", "intersect",
                lambda: session.fit is not None,
            ),
            Command(
                "inspect.replay", tr("Replay the Fit"), self.play_rounds,
                tr("Play how the body of this frame moved during the fit"), "Shift+Space", "play",
                lambda: self.replay.possible, lambda: self.replay.playing,
            ),
            Command(
                "inspect.replay_leave", tr("Final Body"), self.replay.leave,
                tr("Leave the replay: show the body as the fit left it"), "Shift+Esc", "",
                lambda: self.replay.round is not None,
            ),
            Command(
                "inspect.save_table", tr("Save Table…"), self.ask_table,
                tr("Write the figures of every frame and part as CSV"), "", "file-text",
                lambda: session.fit is not None and self.diagnosis.complete,
            ),
        ]  # fmt: skip

    def menu(self) -> tuple[str, ...]:
        """Its commands, and the way to the worst frames."""
        return (*super().menu(), "-", "play.worst", "play.worst_back")

    def make_panel(self) -> QWidget:
        """Its controls."""
        from app.inspect.colors_card import ColorsCard
        from app.inspect.compare_card import CompareCard
        from app.inspect.depth_view import DepthView
        from app.inspect.match_picker import MatchPicker
        from app.inspect.matches_card import MatchesCard
        from app.inspect.metrics_table import MetricsTable
        from app.inspect.replay_bar import ReplayBar
        from app.inspect.wipe import Wipe

        self.colors_card = ColorsCard(self.colors, self._window.theme)
        self.matches_card = MatchesCard(self._window.session, self._window.theme)
        self.matches_card.shown_changed.connect(self._on_matches)
        scene, viewport = self._window.scene, self._window.viewport
        assert scene is not None
        assert viewport is not None
        self.picker = MatchPicker(scene, viewport, self)
        self.picker.picked.connect(self._on_picked)
        self.wipe = Wipe(scene, viewport)
        self.wipe.set_theme(self._window.theme)
        self.compare_card = CompareCard(self._window.session, self.comparison)
        self.compare_card.open_requested.connect(self._window.commands.actions["inspect.compare"].trigger)
        self.depth_view = DepthView(self._window.session, self._window.theme)
        self.depth_view.failed.connect(self._on_failed)
        self.table = MetricsTable(self._window.preferences.hidden_figures)
        self.table.hidden_changed.connect(self._on_hidden)
        self.table.frame_chosen.connect(self._window.player.go_to)
        self.table.save_requested.connect(self._window.commands.actions["inspect.save_table"].trigger)
        self.strips = DiagnosisStrips()
        self.strips.set_theme(self._window.theme)
        self._window.timeline.add_strip(self.strips)
        self.strips.hide()
        actions = self._window.commands.actions
        self.replay_bar = ReplayBar(self.replay, actions["inspect.replay"], actions["inspect.replay_leave"])
        self.replay_bar.set_theme(self._window.theme)
        self._window.timeline.add_row(self.replay_bar)
        self.replay_bar.hide()
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(14, 12, 14, 12)
        column.setSpacing(14)
        self.lacking = QLabel(tr("Open a fit to inspect it."))
        self.lacking.setObjectName("muted")
        self.note = QLabel(
            tr("What is chosen here changes the picture, never the fit. To change the body, turn to Edit.")
        )
        self.note.setObjectName("muted")
        self.note.setWordWrap(True)
        column.addWidget(self.lacking)
        column.addWidget(self.note)
        column.addWidget(self.colors_card)
        column.addWidget(self.compare_card)
        column.addWidget(self.matches_card)
        column.addStretch(1)
        area = scrolled(inside)
        self._on_fit()
        return area

    def enter(self) -> None:
        """Colours that say something belong here."""
        self.colors.set_on(True)
        self.comparison.set_on(True)
        self.replay.set_on(True)
        self._show_strips()
        self._show_beside()

    def leave(self) -> None:
        """Elsewhere the mesh wears the colours of its parts."""
        self.colors.set_on(False)
        self.comparison.set_on(False)
        self.replay.set_on(False)
        self._show_strips(leaving=True)

    def show_strips(self, shown: bool) -> None:
        """Show or hide what stands below the timeline."""
        self._strips_wanted = shown
        if shown:
            self._window.turn_to(self.id)
        self._show_strips()

    def play_rounds(self, on: bool) -> None:
        """Replay the fit, or stop where it is."""
        if on:
            self._window.turn_to(self.id)
        self.replay.play(on)

    def show_depth(self, shown: bool) -> None:
        """Show or hide the depth images, to the left of the fit's view."""
        self._set_beside("depth" if shown else None)

    def show_table(self, shown: bool) -> None:
        """Show or hide the table of frames, to the left of the fit's view."""
        self._set_beside("table" if shown else None)

    def ask_compared(self) -> None:
        """Which fit to compare with."""
        self._window.turn_to(self.id)
        self._window.asking.ask_compared(self.comparison.open_path)

    def ask_table(self) -> None:
        """Where to write the table."""
        fit = self._window.session.fit
        if fit is not None:
            rows, names = [self.diagnosis.rows[row] for row in range(fit.frame_count)], fit.part_names
            self._window.asking.ask_export_to(
                tr("Save the figures of every frame"), "frames.csv", tr("Tables (*.csv)"),
                lambda path: _write_table(path, rows, names),
            )  # fmt: skip

    def _set_beside(self, beside: Literal["depth", "table"] | None) -> None:
        self._beside = beside
        if beside is not None:
            self._window.turn_to(self.id)
        elif self._window.workspace is self:
            self._window.set_aside(None)
            self._window.show_views(self.columns)
        self._show_beside()

    def _show_beside(self) -> None:
        session = self._window.session
        there = session.fit is not None and (self._beside == "table" or session.sequence is not None)
        widget = self.depth_view if self._beside == "depth" else self.table if self._beside == "table" else None
        if there and widget is not None and self._window.viewing and self._window.workspace is self:
            self._window.show_views((False, True, False))
            self._window.set_aside(widget)
            if self.table is not None and widget is self.table:  # it knows its width once it is filled
                self._window.set_aside(widget, self.table.wanted_width())

    def _show_strips(self, leaving: bool = False) -> None:
        if self.strips is None:
            return
        here = self._window.workspace is self and not leaving
        shown = here and self._strips_wanted and self._window.session.fit is not None
        self.diagnosis.set_on(here and self._window.session.fit is not None)
        self.strips.setVisible(shown)
        if self.replay_bar is not None:
            self.replay_bar.setVisible(here and self._window.session.fit is not None)
        self._window.timeline.strip.set_left(TITLE_WIDTH if shown else None)

    @Slot()
    def _on_fit(self, *_: object) -> None:
        known = self._window.session.fit is not None
        if self.lacking is not None:
            self.lacking.setVisible(not known)
        if self.note is not None:
            self.note.setVisible(known)
        for card in (self.colors_card, self.compare_card, self.matches_card):
            if card is not None:
                card.setEnabled(known)
        if self.strips is not None:
            fit = self._window.session.fit
            self.strips.set_parts(part_titles(self._window.session.part_names), 1.0 if fit is None else fit.enlargement)
            self._on_diagnosis()
            self._show_strips()

    @Slot()
    def _on_compared(self, *_: object) -> None:
        """A column is named for what stands in it, and has to be there."""
        window, compared = self._window, self._window.session.compared
        beside = compared is not None and compared.show_as == "beside"
        window.view_bar.set_title(0, tr("Second fit") if beside else None)
        if beside:
            self._set_beside(None)
        if self.wipe is not None:
            path, other = window.session.fit_path, self.comparison.path
            names = (
                found.name if found is not None else title
                for found, title in ((path, tr("First")), (other, tr("Second")))
            )
            self.wipe.set_on(compared is not None and compared.show_as == "wipe", *names)

    @Slot()
    def _on_replay(self) -> None:
        commands, playing = self._window.commands, self.replay.playing
        commands.actions["inspect.replay"].setIcon(icon("pause" if playing else "play", self._window.theme))
        for name in ("inspect.replay", "inspect.replay_leave"):
            commands.refresh_one(name)

    @Slot()
    def _on_other_frame(self, *_: object) -> None:
        self._window.session.picked_match = None

    @Slot()
    def _on_diagnosis(self) -> None:
        if self.strips is not None:
            self.strips.set_rows(self.diagnosis.rows)
        if self.table is not None:
            self.table.show_rows(self.diagnosis.rows, self._window.session.part_names)
        if self.diagnosis.complete:
            self._window.commands.refresh()

    @Slot(object)
    def _on_hidden(self, names: frozenset[str]) -> None:
        self._window.preferences.hidden_figures = names

    @Slot(object)
    def _on_matches(self, reasons: frozenset[int]) -> None:
        session = self._window.session
        if reasons:
            session.match_reasons = reasons
        session.show_matches = bool(reasons)

    @Slot(int)
    def _on_picked(self, row: int) -> None:
        self._window.session.picked_match = row if row >= 0 else None

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        """Nobody asked for it right now: a faulty file needs no dialog, a defect does."""
        if isinstance(error, InputError):
            self._window.notify_problem(error)
        else:
            self._window.show_error(error)

    def set_theme(self, theme: Theme) -> None:
        """Colours."""
        if self.colors_card is not None:
            self.colors_card.set_theme(theme)
        if self.matches_card is not None:
            self.matches_card.set_theme(theme)
        if self.depth_view is not None:
            self.depth_view.set_theme(theme)
        if self.strips is not None:
            self.strips.set_theme(theme)
        if self.wipe is not None:
            self.wipe.set_theme(theme)
        if self.replay_bar is not None:
            self.replay_bar.set_theme(theme)
            self._on_replay()

    def close(self) -> None:
        """End its threads."""
        self.colors.close()
        self.diagnosis.close()
        self.comparison.close()
        self.replay.close()
        if self.depth_view is not None:
            self.depth_view.close()
        if self.picker is not None:
            self.picker.close()
        if self.wipe is not None:
            self.wipe.close()


def _write_table(
    path: Path, rows: Sequence[FrameDiagnosis], part_names: Sequence[str]
) -> Generator[Progress, None, Path]:
    """The file dialog has asked whether an existing file may go."""
    from spams_core.data.diagnosis import write_diagnosis

    yield Progress(0, 1, tr("Write {name}", name=path.name))
    return write_diagnosis(path, rows, part_names, replace=True)

"""Keeps the depth image at the session's frame and the marked point at the pointer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal, Slot

from app.capture.depth_image import DepthImage
from app.latest import Job, LatestWins

if TYPE_CHECKING:
    from app.capture.depth_frame import DepthFrame, Pixel
    from app.capture.marks import Marks
    from app.main_window import MainWindow
    from spams_core.data.sequence import DepthSequence

__all__ = ["Capturing"]


class Capturing(QObject):
    """Between the session and what Capture shows.

    Signals:
        read: A frame was read and is shown.
    """

    read = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._thread = LatestWins("depth image", self)
        self.marks: Marks | None = None
        self.image = DepthImage()
        self.image.hovered.connect(self._on_hovered)
        self._active = False
        self._range: tuple[object, tuple[float, float]] | None = None
        window.session.frame_changed.connect(self.request)
        window.session.sequence_changed.connect(self._on_sequence)

    def enter(self) -> None:
        """Show the image beside the views."""
        self._active = True
        self._on_sequence()

    def leave(self) -> None:
        """Read no more frames."""
        self._active = False
        self._mark(None)

    def close(self) -> None:
        """End the thread."""
        self._thread.close()

    @Slot()
    def _on_sequence(self, *_: object) -> None:
        if not self._active:
            return
        sequence = self._window.session.sequence
        self._window.set_aside(self.image if sequence is not None else None)
        if sequence is None:
            self.image.show_frame(None)
        self.request()

    @Slot()
    def request(self, *_: object) -> None:
        """Read the frame under the playhead."""
        sequence, frame = self._window.session.sequence, self._window.session.frame
        if not self._active or sequence is None:
            return
        # Isolating the subject makes another sequence of the same depth images: colours stay.
        known = self._range[1] if self._range is not None and self._range[0] == sequence.path else None
        self._thread.submit(
            Job(
                partial(_read, sequence, frame, known),
                partial(self._on_read, sequence, frame),
                partial(self._on_failed, sequence, frame),
            )
        )

    def _on_read(self, sequence: DepthSequence, frame: int, read: DepthFrame) -> None:
        session = self._window.session
        if sequence is session.sequence:
            self._range = (sequence.path, read.range_m)
            if frame == session.frame:
                self.image.show_frame(read)
                self.read.emit(read)

    def _on_failed(self, sequence: DepthSequence, frame: int, error: Exception) -> None:
        session = self._window.session
        if sequence is session.sequence and frame == session.frame:
            self.image.show_frame(None)
            self._window.reader.failed.emit(error)

    @Slot(object)
    def _on_hovered(self, pixel: Pixel | None) -> None:
        self._mark(pixel)

    def _mark(self, pixel: Pixel | None) -> None:
        if self.marks is not None:
            self.marks.mark(pixel.point_world if pixel is not None else None)


def _read(sequence: DepthSequence, frame: int, known: tuple[float, float] | None) -> DepthFrame:
    from app.capture.depth_frame import color_range_m, read_depth_frame

    return read_depth_frame(sequence, frame, known or color_range_m(sequence))

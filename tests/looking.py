"""What a user sees of the window: its dialogs and the pixels of its viewports."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QMessageBox


def dialogs(window: Any) -> list[QMessageBox]:
    """The message boxes on screen."""
    return [box for box in window.findChildren(QMessageBox) if box.isVisible()]


def column_pixels(window: Any, column: int) -> np.ndarray:
    """What one viewport shows, [H, W, 3]."""
    picture = window.viewport.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    data = np.array(picture.constBits(), np.uint8).reshape(picture.height(), picture.bytesPerLine())
    pixels = data[:, : 3 * picture.width()].reshape(picture.height(), picture.width(), 3)
    edges = [0, 5 / 14, 10 / 14, 1]
    return pixels[:, int(edges[column] * picture.width()) + 2 : int(edges[column + 1] * picture.width()) - 2]


def colors_in(pixels: np.ndarray) -> float:
    """Share of pixels that are clearly coloured; background and floor are nearly grey."""
    return float((np.ptp(pixels.astype(int), axis=2) > 60).mean())

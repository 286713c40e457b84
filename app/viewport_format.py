"""What has to be settled about the viewports before VTK is loaded."""

from __future__ import annotations

from PySide6.QtGui import QSurfaceFormat

__all__ = ["COLUMN_STRETCH", "set_surface_format"]

COLUMN_STRETCH = (5, 5, 4)
"""Relative widths of the input, fit and canonical columns."""


def set_surface_format() -> None:
    """Ask for desktop OpenGL 3.2 core, which VTK needs; to be called before the QApplication exists."""
    wanted = QSurfaceFormat()
    wanted.setRenderableType(QSurfaceFormat.RenderableType.OpenGL)
    wanted.setProfile(QSurfaceFormat.OpenGLContextProfile.CoreProfile)
    wanted.setVersion(3, 2)
    wanted.setSwapBehavior(QSurfaceFormat.SwapBehavior.DoubleBuffer)
    for set_size in (wanted.setRedBufferSize, wanted.setGreenBufferSize, wanted.setBlueBufferSize):
        set_size(8)
    wanted.setAlphaBufferSize(8)
    wanted.setDepthBufferSize(8)
    wanted.setStencilBufferSize(0)
    wanted.setSamples(0)  # VTK multi-samples in its own framebuffers
    QSurfaceFormat.setDefaultFormat(wanted)

"""Imports the heavy libraries in a thread once the window is up: drawing first, then the numerics."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.latest import Job, LatestWins
from spams_core.tasks import TASKS

__all__ = ["Preload"]


class Preload(QObject):
    """`views` when VTK can be used; `numerics` with the device's name and the fit's settings class."""

    views = Signal()
    numerics = Signal(str, object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = LatestWins("preload", self)

    def start(self) -> None:
        """Begin."""
        self._thread.submit(
            Job(_import_views, lambda _: self.views.emit(), self.failed.emit),
            Job(_import_numerics, lambda found: self.numerics.emit(*found), self.failed.emit),
        )

    def close(self) -> None:
        """End the thread; an import in progress ends first."""
        self._thread.close()


def _import_views() -> None:
    for name in ("pyvistaqt", "spams_core.data.recording", "spams_core.data.fit"):
        import_module(name)


def _import_numerics() -> tuple[str, type[Any]]:
    from spams_core.device import choose_device

    for name in ("segment", "edit", "export"):
        import_module(f"spams_core.tasks.{name}")
    device = choose_device("auto")
    if device.type == "cuda":
        torch = import_module("torch")
        return str(torch.cuda.get_device_name(device)), TASKS["fit"].settings
    return "CPU", TASKS["fit"].settings

"""The main job on the bundled recording, in the window: open, fit, then leave meshes, metrics and a picture."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot
from PySide6.QtWidgets import QApplication

from app.launch import create_application
from app.main_window import MainWindow
from spams_core.data.fit import Fit
from spams_core.errors import InputError
from spams_core.progress import Progress, Task
from spams_core.resources import resource_path
from spams_core.tasks import TASKS

__all__ = ["Demo", "UnattendedWindow", "main"]

_PICTURE_DELAY_MS = 1500
"""After a jump to another frame, until the viewports show it even where they are drawn in software."""


class UnattendedWindow(MainWindow):
    """A window that nobody looks at: what would be a dialog ends the program."""

    broken = Signal(object)

    @Slot(object)
    def show_error(self, error: BaseException) -> None:
        """Say it to whoever runs the window."""
        self.broken.emit(error)


class Demo(QObject):
    """Drives a window through the job. `finished` carries the error that ended it, or None.

    In `out` it leaves fit/ (the archive), meshes/ (PLY), frame.glb, metrics.json and window.png.
    """

    finished = Signal(object)

    def __init__(self, window: MainWindow, settings: Any, out: Path) -> None:
        super().__init__(window)
        self._window, self._settings, self._out = window, settings, out
        self._told = ""
        window.opened.connect(self._on_opened)
        window.fit_finished.connect(self._on_fitted)
        window.jobs.fit_progressed.connect(self._on_progress)
        window.jobs.exported.connect(self._on_exported)
        window.jobs.failed.connect(self.finished)
        if isinstance(window, UnattendedWindow):
            window.broken.connect(self.finished)

    def start(self) -> None:
        """Open the recording; the rest follows."""
        self._say(f"Opening {self._settings.sequence}")
        self._window.open_path(self._settings.sequence)

    def _say(self, text: str) -> None:
        if text != self._told:
            print(text, flush=True)
            self._told = text

    @Slot(object)
    def _on_opened(self, _: object) -> None:
        self._window.opened.disconnect(self._on_opened)
        self._window.start_fit(self._settings)

    @Slot(object)
    def _on_progress(self, report: Progress) -> None:
        self._say(report.message)

    @Slot(object)
    def _on_fitted(self, fit: Fit) -> None:
        self._window.fit_finished.disconnect(self._on_fitted)
        self._say("Exporting and measuring")
        self._window.player.go_to(int(fit.frame_indices[fit.frame_count // 2]))
        self._window.jobs.run_export(_write_results(self._settings.out, self._out, fit.frame_count // 2))

    @Slot(object)
    def _on_exported(self, path: Path) -> None:
        if path == self._out:
            self._window.jobs.exported.disconnect(self._on_exported)
            QTimer.singleShot(_PICTURE_DELAY_MS, self._take_picture)

    @Slot()
    def _take_picture(self) -> None:
        try:
            self._window.save_screenshot(self._out / "window.png")
        except InputError as error:
            self.finished.emit(error)
            return
        for name, value in json.loads((self._out / "metrics.json").read_text())["mean"].items():
            parts = {f"{name} {part}": number for part, number in value.items()} if isinstance(value, dict) else {}
            for row, number in (parts or {name: value}).items():
                print(f"{row:24} {number:.4g}" if number is not None else f"{row:24} -")
        self._say(f"Results are in {self._out}")
        self.finished.emit(None)


def _write_results(fit: Path, out: Path, middle: int) -> Task[Path]:
    """Meshes of all frames, one GLB and the metrics, beside the fit."""
    export, evaluate = TASKS["export"], TASKS["evaluate"]
    yield from export.function(export.settings(fit=fit, out=out / "meshes", format="ply"))
    yield from export.function(export.settings(fit=fit, out=out / "frame.glb", format="glb", frames=str(middle)))
    evaluation = yield from evaluate.function(evaluate.settings(fit=fit))
    (out / "metrics.json").write_text(json.dumps(evaluate.summary(evaluation), indent=1) + "\n")
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status: 0 done, 2 the input is wrong, 1 anything else."""
    parser = argparse.ArgumentParser(prog="python -m app.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="new folder for the results")
    parser.add_argument("--frames", default=":", help="frames to fit, as start:stop:step")
    parser.add_argument("--close", action="store_true", help="close the window at the end; any error ends the program")
    options = parser.parse_args(arguments)
    app = create_application()
    window = UnattendedWindow() if options.close else MainWindow()
    errors: list[BaseException] = []
    try:
        kind = TASKS["fit"].settings
        settings = kind(sequence=resource_path("demo/recording"), out=options.out / "fit", frames=options.frames)
    except InputError as error:
        print(f"spams: {error}", file=sys.stderr)
        return 2
    demo = Demo(window, settings, options.out)
    demo.finished.connect(partial(_on_finished, app, errors, options.close))
    if options.close:
        sys.excepthook = lambda kind, error, trace: demo.finished.emit(error)
    window.show()
    QTimer.singleShot(0, demo.start)
    try:
        app.exec()
    finally:
        sys.excepthook = sys.__excepthook__
        window.jobs.cancel_all()
        window.close()
    if not errors:
        return 0
    if isinstance(errors[0], InputError):
        print(f"spams: {errors[0]}", file=sys.stderr)
        return 2
    traceback.print_exception(errors[0])
    return 1


def _on_finished(app: QApplication, errors: list[BaseException], close: bool, error: BaseException | None) -> None:
    if close:
        if error is not None:
            errors.append(error)
        app.exit()  # quit() would ask each window, and one with work running refuses


if __name__ == "__main__":
    sys.exit(main())

"""Opens the window."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QLibraryInfo, QLocale, QTimer, QTranslator
from PySide6.QtWidgets import QApplication

from app.main_window import MainWindow
from app.translation import language
from app.viewport_format import set_surface_format

__all__ = ["create_application", "dress_in_language", "run"]


def create_application() -> QApplication:
    """The one QApplication, with the OpenGL format that VTK needs."""
    set_surface_format()
    existing = QApplication.instance()
    app = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    app.setApplicationName("SPAM Studio")
    app.setOrganizationName("SPAM Studio")
    QLocale.setDefault(QLocale.c())  # numbers as in the labels beside, in files and on the command line
    dress_in_language(app)
    return app


def dress_in_language(app: QApplication) -> QTranslator | None:
    """Qt's own texts, such as those of its buttons and file dialogs, in the window's language, where Qt has it."""
    translator = QTranslator(app)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if language() and translator.load(f"qtbase_{language()}", folder):
        app.installTranslator(translator)
        return translator
    return None


def run(paths: list[str]) -> int:
    """Open the window, and in it the first of the paths; returns the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    app = create_application()
    window = MainWindow()

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            app.quit()
        else:
            window.show_error(error)

    sys.excepthook = report
    window.show()
    left = window.projects.start_recovery(offer=not paths)
    if not (paths or left or window.preferences.toured):
        window.ready.connect(window.asking.start_tour)
    if paths:
        QTimer.singleShot(0, lambda: window.open_path(Path(paths[0])))
    try:
        return app.exec()
    finally:
        sys.excepthook = sys.__excepthook__

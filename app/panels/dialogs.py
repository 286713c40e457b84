"""Dialogs that tell or ask, none of which blocks the event loop."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from app.translation import tr
from spams_core import __version__
from spams_core.errors import InputError

__all__ = ["ErrorShower", "ask", "ask_path", "show_error"]

logger = logging.getLogger(__name__)


class ErrorShower(Protocol):
    """A window that tells of what went wrong."""

    def show_error(self, error: BaseException) -> object:
        """Tell it."""


def show_error(parent: QWidget, error: BaseException) -> QMessageBox:
    """An `InputError` as it is; anything else as a defect of this program, with its traceback."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setTextFormat(Qt.TextFormat.PlainText)
    if isinstance(error, InputError):
        logger.warning("%s", error)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle(tr("That did not work"))
        box.setText(str(error))
    else:
        trace = "".join(traceback.format_exception(error))
        logger.error("%s", trace)
        box.setIcon(QMessageBox.Icon.Critical)
        box.setWindowTitle(tr("Something went wrong"))
        box.setText(tr("This is a defect of SPAM Studio, not of your data. The window goes on working."))
        box.setInformativeText(f"{type(error).__name__}: {error}")
        box.setDetailedText(trace)
    message = f"SPAM Studio {__version__}\n{box.text()}\n{box.informativeText()}\n{box.detailedText()}".strip() + "\n"
    copy = box.addButton(tr("Copy"), QMessageBox.ButtonRole.ActionRole)
    copy.setToolTip(tr("Copy this message and its details"))
    copy.clicked.disconnect()  # copying does not close the message
    copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(message))
    confirm = box.addButton(QMessageBox.StandardButton.Ok)
    box.setDefaultButton(confirm)
    box.setEscapeButton(confirm)  # of two buttons Qt would choose none, and the message would not close
    box.open()
    return box


def ask(parent: QWidget, title: str, text: str, yes: str, no: str, on_yes: Callable[[], None]) -> QMessageBox:
    """Ask before something is lost; `no` is the default."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(title)
    box.setText(text)
    accept = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton(no, QMessageBox.ButtonRole.RejectRole))
    accept.clicked.connect(on_yes)
    box.open()
    return box


def ask_path(window: ErrorShower, dialog: QFileDialog, use: Callable[[Path], object]) -> None:
    """Let the user choose a path, and use it; the window tells of what goes wrong with it."""

    def chosen(text: str) -> None:
        try:
            use(Path(text))
        except Exception as error:  # a slot never raises
            window.show_error(error)

    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(chosen)
    dialog.open()

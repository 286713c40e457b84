"""The log panel, and dialogs that can be copied."""

from __future__ import annotations

import logging
import threading
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from app.log_model import LogModel
from app.panels.log_panel import LogPanel
from spams_core.errors import InputError


def texts(model: LogModel) -> list[str]:
    model.collect()
    return [entry.text.split(": ", 1)[1] for entry in model.entries]


def test_any_thread_may_log_and_the_newest_stay(qtbot: Any) -> None:
    model = LogModel(most=50)
    logger = logging.getLogger("spams_core.somewhere")
    threads = [
        threading.Thread(target=lambda k=k: [logger.info("%d of %d", i, k) for i in range(200)]) for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    qtbot.waitUntil(lambda: model.rowCount() == 50, timeout=3_000)
    logger.warning("last")
    assert texts(model)[-1] == "last"
    assert model.rowCount() == 50
    model.close()
    logger.warning("unheard")
    assert "unheard" not in texts(model)


def test_levels_filter_and_copy_takes_tracebacks(window: Any, qtbot: Any) -> None:
    window.commands.actions["help.log"].trigger()
    panel = window.findChild(LogPanel)
    logger = logging.getLogger("app.test")
    window.log.clear()
    logger.info("quiet")
    logger.debug("inaudible")
    try:
        raise ZeroDivisionError("seven")
    except ZeroDivisionError:
        logger.exception("loud")
    qtbot.waitUntil(lambda: window.log.rowCount() == 2, timeout=3_000)
    assert panel.shown.rowCount() == 2
    panel.level.setCurrentIndex(2)
    assert panel.shown.rowCount() == 1
    panel.copy.click()
    copied = QGuiApplication.clipboard().text()
    assert "loud" in copied
    assert "ZeroDivisionError: seven" in copied
    assert "quiet" not in copied
    panel.clear.click()
    assert window.log.rowCount() == 0
    panel.close()


def test_broken_message_does_not_stop_the_program(qtbot: Any, monkeypatch: Any) -> None:
    model = LogModel()
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logging.getLogger("app.test").warning("%d", "no number")
    logging.getLogger("app.test").warning("fine")
    assert texts(model) == ["fine"]
    model.close()


def test_error_dialog_is_copied_and_stays_open(window: Any) -> None:
    window.show_error(InputError("frame 7 is bad. Leave it out."))
    box = next(found for found in window.findChildren(QMessageBox) if found.isVisible())
    copy = next(button for button in box.buttons() if button.text() == "Copy")
    copy.click()
    assert box.isVisible()
    assert "frame 7 is bad. Leave it out." in QGuiApplication.clipboard().text()
    QTest.keyClick(box, Qt.Key.Key_Escape)
    assert not box.isVisible()

"""What must not outlive the window, and what Qt must not do to Python."""

from __future__ import annotations

import gc
import sys
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QThread
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel


def test_void_calls_leave_none_alone(qtbot: Any) -> None:
    label = QLabel()
    qtbot.addWidget(label)
    before = sys.getrefcount(None)
    for _ in range(10_000):
        label.setText("a")
    # PySide6 6.12.0 below Python 3.12 drops one reference per call and aborts; elsewhere None may be immortal.
    assert abs(sys.getrefcount(None) - before) < 100


def test_nothing_outlives_the_window(
    qtbot: Any, bench: Any, segmenter: None, fit_folder: Path, recording: Path
) -> None:
    from app.main_window import MainWindow

    def live() -> dict[str, int]:
        gc.collect()
        found = Counter(type(thing).__name__ for thing in gc.get_objects())
        return {kind: found[kind] for kind in kinds}

    QTest.qWait(50)  # windows of other tests are deleted once events run
    kinds = ("Viewport", "Scene", "Renderer", "MeshActor", "vtkGenericOpenGLRenderWindow", "PolyData")
    before = live()
    window = MainWindow()
    window.show()
    qtbot.waitUntil(lambda: window.is_ready and window.editor.workbench is not None, timeout=60_000)
    for path in (recording, fit_folder):
        with qtbot.waitSignal(window.opened, timeout=10_000):
            window.open_path(path)
        qtbot.waitUntil(lambda: window.session.cloud is not None, timeout=5_000)
    QTest.qWait(100)
    watched = [weakref.ref(thing) for thing in (window.viewport, window.scene, window.scene.body, window.session)]
    window.close()
    window.deleteLater()
    del window
    QTest.qWait(100)
    gc.collect()
    assert [ref() for ref in watched] == [None] * len(watched)
    assert live() == before
    assert not [t for t in gc.get_objects() if issubclass(type(t), QThread) and t.isRunning()]


def test_a_theme_that_is_worn_is_not_put_on_again(window: Any, qtbot: Any) -> None:
    """Dressing hundreds of widgets takes seconds on a busy machine, and a start asked for it three times."""
    from PySide6.QtCore import QEvent, QObject

    class Counting(QObject):
        changes = 0

        def eventFilter(self, _: QObject, event: QEvent) -> bool:
            self.changes += event.type() == QEvent.Type.StyleChange
            return False

    counting = Counting()
    window.tabs.installEventFilter(counting)
    window.apply_preferences()
    assert counting.changes == 0
    window.use_light_theme(True)
    assert counting.changes > 0
    window.use_light_theme(False)


def test_scrubbing_does_not_grow_memory(window: Any, qtbot: Any, fit_folder: Path) -> None:
    with qtbot.waitSignal(window.opened, timeout=10_000):
        window.open_path(fit_folder)
    qtbot.waitUntil(lambda: len(window.reader.cached_frames) >= 6, timeout=5_000)

    def scrub(rounds: int) -> None:
        for _ in range(rounds):
            for frame in range(6):
                window.player.go_to(frame)

    def counted() -> int:
        gc.collect()
        return sum(type(thing).__name__ in ("PolyData", "ndarray", "pyvista_ndarray") for thing in gc.get_objects())

    scrub(5)
    QTest.qWait(200)
    before, body = counted(), window.scene.body.data
    scrub(200)
    QTest.qWait(200)
    assert counted() <= before + 5
    # A move of the vertices keeps the data set: nothing is added or swapped per frame.
    assert window.scene.body.data is body


def test_reader_keeps_its_byte_budget(qtbot: Any, window: Any, recording: Path) -> None:
    window.reader._budget_bytes = 20_000
    with qtbot.waitSignal(window.opened, timeout=10_000):
        window.open_path(recording)
    for frame in range(window.session.frame_count):
        window.player.go_to(frame)
        qtbot.waitUntil(
            lambda frame=frame: window.session.cloud is not None and window.session.cloud.frame == frame, timeout=5_000
        )
    held = sum(
        array.nbytes
        for cloud in window.reader._clouds.values()
        for array in (cloud.points_world, cloud.normals_world, cloud.labels)
        if array is not None
    )
    assert held == window.reader._bytes <= 20_000
    assert 0 < len(window.reader.cached_frames) < window.session.frame_count
    assert np.isfinite(window.session.cloud.points_world).all()

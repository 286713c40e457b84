"""The real window, with stand-ins for the trained networks only."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from fits import ball_fit
from recordings import write_ball

from spams_core.data.fit import Fit, write_fit
from spams_core.geometry.mesh import Mesh
from spams_core.progress import Progress, Task

PARTS = ("head", "torso")
FRAMES = 10


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The viewports need an X or Wayland display with OpenGL; the offscreen platform has none."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        here = Path(__file__).parent
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="needs a display: run the tests under xvfb-run"))


@pytest.fixture(scope="session")
def qapp() -> Any:
    """pytest-qt's application, made as the program makes it."""
    from app.launch import create_application

    return create_application()


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, _cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's settings is read or written. The theme's pictures stay where its style sheet finds them."""
    from PySide6.QtCore import QSettings

    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(_cache))


@dataclass
class BallBench:
    """A workbench whose bodies are balls: shape codes stretch them, pose codes move them along x."""

    mean_shape: np.ndarray
    mean_pose: np.ndarray
    shape_directions: np.ndarray
    pose_directions: np.ndarray
    training_shape: np.ndarray
    training_pose: np.ndarray
    part_names: tuple[str, ...] = PARTS
    canonical_per_metre: float = 0.8
    delay_s: float = 0.0

    @staticmethod
    def make() -> BallBench:
        directions = np.zeros((2, 6, 8), np.float32), np.zeros((2, 6, 4), np.float32)
        for array in directions:
            for k in range(4):
                array[:, k, k] = 0.1
        random = np.random.default_rng(0)
        training = (0.1 * random.normal(size=(40, 2, size)).astype(np.float32) for size in (8, 4))
        return BallBench(np.zeros((2, 8), np.float32), np.zeros((2, 4), np.float32), *directions, *training)

    def points_in_poses(self, points: np.ndarray, shape_codes: np.ndarray, pose_codes: np.ndarray) -> np.ndarray:
        return np.stack([self.pose_vertices(points, shape_codes, codes) for codes in pose_codes])

    def mirror_maps(self) -> tuple[np.ndarray, np.ndarray]:
        """As if each direction of a limb mirrored the same one of the opposite limb, turned around."""
        flip = -np.broadcast_to(np.eye(6), (len(self.part_names), 6, 6))
        return flip, flip

    def canonical_mesh(self, shape_codes: np.ndarray, resolution: int = 64, near: Mesh | None = None) -> Mesh:
        time.sleep(self.delay_s)
        sphere = trimesh.creation.icosphere(3 if resolution > 64 else 2, 0.4)
        vertices = np.asarray(sphere.vertices) * (1 + shape_codes[0, :3])
        return Mesh(vertices, np.asarray(sphere.faces), (vertices[:, 1] < 0).astype(np.int32))

    def pose_vertices(self, canonical: np.ndarray, shape_codes: np.ndarray, pose_codes: np.ndarray) -> np.ndarray:
        moved: np.ndarray = canonical + np.array([pose_codes.sum(), 0, 0])
        return moved


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> BallBench:
    """Stands in for the trained decoders."""
    made = BallBench.make()
    monkeypatch.setattr("spams_core.tasks.edit.open_workbench", lambda *_: made)
    monkeypatch.setattr("spams_core.tasks.fit.default_model", lambda _: tmp_path / "model")
    return made


@dataclass(frozen=True)
class _Labels:
    part_names: tuple[str, ...] = PARTS


@pytest.fixture
def segmenter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the trained segmenter: what is above the camera is head."""

    def segment(settings: Any) -> Task[_Labels]:
        from spams_core.data.recording import read_sequence, read_subject
        from spams_core.settings import parse_frames

        sequence = read_sequence(settings.sequence)
        frames = parse_frames(settings.frames, sequence.frame_count)
        for step, t in enumerate(frames):
            points = read_subject(sequence, t).points_world
            preview = {"frame": np.array([t]), "points_world": points, "labels": (points[:, 1] < 0).astype(np.int32)}
            yield Progress(step + 1, len(frames), "label", {}, preview)
        return _Labels()

    monkeypatch.setattr("spams_core.tasks.segment.segment", segment)


@dataclass
class BallFitter:
    """A fit of some steps whose end, errors and length a test decides."""

    steps: int = 20
    step_s: float = 0.02
    placing_s: float = 0.0
    error: BaseException | None = None
    closed_at: float = 0.0
    controls: list[Any] = field(default_factory=list)
    """What each run was given to change its weights with."""
    settings: list[Any] = field(default_factory=list)
    """What each run was to do."""

    def fit(self, settings: Any, controls: Any = None) -> Task[Fit]:
        self.controls.append(controls)
        self.settings.append(settings)
        whole = ball_fit(sequence=str(settings.sequence))
        try:
            yield Progress(0, 1, "Placing the body")
            time.sleep(self.placing_s)
            for step in range(self.steps):
                time.sleep(self.step_s)
                if self.error is not None and step == self.steps // 2:
                    raise self.error
                preview = {
                    "frame_indices": whole.frame_indices, "vertices_world": whole.vertices_world + 0.01 * step,
                    "faces": whole.faces, "vertex_parts": whole.vertex_parts,
                }  # fmt: skip
                metrics = {"total": 1 / (step + 1), "icp": 0.5 / (step + 1)}
                yield Progress(step + 1, self.steps, "Joint fit", metrics, preview if step % 4 == 0 else {})
        except GeneratorExit:
            self.closed_at = time.perf_counter()
            raise
        write_fit(settings.out, whole)
        return whole


@pytest.fixture
def fitter(monkeypatch: pytest.MonkeyPatch) -> BallFitter:
    """Stands in for the solver."""
    made = BallFitter()
    monkeypatch.setattr("spams_core.tasks.fit.fit", made.fit)
    return made


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Ten frames of a ball that moves."""
    return write_ball(tmp_path / "ball", FRAMES)


@pytest.fixture
def fit_folder(tmp_path: Path, recording: Path) -> Path:
    """A fit of every second frame of the recording."""
    write_fit(tmp_path / "ball_fitted", ball_fit(sequence=str(recording), model=str(tmp_path / "model")))
    return tmp_path / "ball_fitted"


def _free() -> None:
    """Free a closed window now: until the collector came by itself, dozens would be dressed and painted with the next.

    What the libraries hold is frozen, so that the collector need not look through it each time.
    """
    from PySide6.QtCore import QCoreApplication, QEvent

    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()


@pytest.fixture
def window(qtbot: Any, bench: BallBench, segmenter: None) -> Iterator[Any]:
    """The window, ready to use; afterwards no thread of it runs."""
    from PySide6.QtCore import QThread

    from app.main_window import MainWindow

    made = MainWindow()
    made.show()
    qtbot.waitUntil(lambda: made.is_ready and made.editor.workbench is not None, timeout=60_000)
    yield made
    if not made._closing.done:
        made.fitting.queue.close()
        made.jobs.cancel_all()
        made._closing._close()  # nobody is there to be asked about what is unsaved
    qtbot.waitUntil(lambda: not made.isVisible(), timeout=5_000)
    running = [thread for thread in gc.get_objects() if issubclass(type(thread), QThread) and thread.isRunning()]
    made.deleteLater()
    assert not running
    del made
    _free()


@pytest.fixture
def opened(qtbot: Any, window: Any) -> Callable[[Path], Any]:
    """Opens a folder and waits until its first cloud is on screen."""

    def open_folder(path: Path) -> Any:
        with qtbot.waitSignal(window.opened, timeout=20_000):
            window.open_path(path)
        qtbot.waitUntil(lambda: window.session.cloud is not None, timeout=10_000)
        return window

    return open_folder

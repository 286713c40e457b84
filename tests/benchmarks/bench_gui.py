"""How the window feels, in figures: a 300-frame fit of 50,000 vertices with 300,000 points per frame.

    xvfb-run -a python tests/benchmarks/bench_gui.py [--quick] [--only memory]

Prints a Markdown table of figures, targets and verdicts. Times are those of the window's own work: from what the
user does until every actor has the new data. Painting is left out, because a software rasteriser would tell more of
itself than of the window; its time stands in a row of its own. Other programs on the machine spoil the figures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

FRAMES, WIDTH, HEIGHT = 300, 640, 480
DISTINCT_IMAGES = 6
VERTICES, LINES = 50_000, 5_000
STALL_S = 0.1
_STAGES = ("start", "scrub", "memory", "sliders", "fit")


@dataclass
class Row:
    """One figure; it is good when it is not above its limit."""

    name: str
    value: float
    unit: str
    limit: float | None
    note: str = ""

    def cells(self) -> str:
        verdict = "" if self.limit is None else "good" if self.value <= self.limit else "**too slow**"
        limit = "" if self.limit is None else f"≤ {self.limit:g} {self.unit}"
        return f"| {self.name} | {self.value:.3g} {self.unit} | {limit} | {verdict} | {self.note} |"


@dataclass
class Watchdog:
    """A timer in the GUI thread, and a thread that says where the GUI thread is when it has not ticked for long."""

    longest_s: float = 0.0
    places: list[str] = field(default_factory=list)

    def start(self) -> None:
        from PySide6.QtCore import QTimer

        self._last = time.perf_counter()
        self._gui = threading.get_ident()
        self._running = True
        self._timer = QTimer()
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._tick)
        self._timer.start()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest_s = max(self.longest_s, now - self._last)
        self._last = now

    def _watch(self) -> None:
        seen = 0.0
        while self._running:
            time.sleep(0.02)
            if time.perf_counter() - self._last > STALL_S and self._last != seen:
                seen = self._last
                stack = traceback.extract_stack(sys._current_frames()[self._gui])
                self.places.append(" < ".join(f"{Path(s.filename).name}:{s.lineno} {s.name}" for s in stack[:-7:-1]))

    def stop(self) -> None:
        self._tick()
        self._running = False
        self._timer.stop()
        self._thread.join()


def wait(ready: Callable[[], bool], timeout_s: float = 120.0) -> float:
    """Run the event loop until something is so; seconds that it took."""
    from PySide6.QtWidgets import QApplication

    begin = time.perf_counter()
    while not ready():
        QApplication.processEvents()
        if time.perf_counter() - begin > timeout_s:
            raise TimeoutError("the window does not get there")
        time.sleep(0.001)  # an event loop that waits leaves the cores and Python's lock to the threads
    return time.perf_counter() - begin


def write_recording(path: Path) -> Path:
    """A wall of 640 × 480 pixels that waves; few images, linked many times."""
    from spams_core.geometry.camera import Camera
    from spams_core.io.native_sequence import sequence_writer

    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    with sequence_writer(path, Camera(WIDTH, HEIGHT, 600.0, 600.0, 319.5, 239.5), 30.0) as append:
        for t in range(DISTINCT_IMAGES):
            append(2.0 + 0.2 * np.sin(u / 90 + t) * np.cos(v / 70), np.ones((HEIGHT, WIDTH), dtype=bool), None)
    for kind in ("depth", "mask"):
        for t in range(DISTINCT_IMAGES, FRAMES):
            os.link(path / kind / f"{t % DISTINCT_IMAGES:06d}.png", path / kind / f"{t:06d}.png")
    return path


def write_synthetic_fit(path: Path, recording: Path, bench: Any) -> Path:
    """A ball of 50,000 vertices that moves, with the model's mean codes, so that its sliders work on it."""
    from spams_core.data.fit import Fit, write_fit
    from spams_core.data.recording import read_sequence, read_subject
    from spams_core.tasks.fit import default_model

    sphere = trimesh.creation.uv_sphere(0.4, count=[224, 224])
    canonical = np.asarray(sphere.vertices, dtype=np.float32)[:VERTICES]
    faces = np.asarray(sphere.faces, dtype=np.int32)
    faces = faces[(faces < len(canonical)).all(axis=1)]
    parts = (np.arange(len(canonical)) * len(bench.part_names) // len(canonical)).astype(np.int32)
    shift = np.linspace(0, 1, FRAMES)[:, None] * np.array([1.0, 0.0, 0.0]) + np.array([0.0, 0.0, -2.0])
    sequence = read_sequence(recording)
    clouds = [read_subject(sequence, t).points_world for t in range(DISTINCT_IMAGES)]
    every = len(clouds[0]) // LINES
    points = np.concatenate([clouds[t % DISTINCT_IMAGES][::every][:LINES] for t in range(FRAMES)]).astype(np.float32)
    write_fit(
        path,
        Fit(
            {
                "task": "fit", "settings": {}, "fps": 30.0, "inputs": {}, "part_names": list(bench.part_names),
                "loss_names": ["total"], "method": "spam", "preset": "fast", "sequence": str(recording),
                "model": str(default_model("spam").resolve()), "depth_residual_mm": 5.0, "seconds_per_frame": 1.0,
            },
            bench.mean_shape.astype(np.float32),
            np.tile(bench.mean_pose.astype(np.float32), (FRAMES, 1, 1)),
            np.tile(np.eye(3, dtype=np.float32), (FRAMES, 1, 1)),
            shift.astype(np.float32),
            canonical,
            faces,
            parts,
            (canonical / 0.8 + shift[:, None]).astype(np.float32),
            np.arange(FRAMES, dtype=np.int32),
            np.full(FRAMES, 0.005, dtype=np.float32),
            points,
            np.zeros(len(points), dtype=np.int32),
            points + np.float32(0.01),
            np.ones(len(points), dtype=np.float32),
            np.arange(0, len(points) + 1, LINES, dtype=np.int32),
            np.ones((3, 1), dtype=np.float32),
        ),
    )  # fmt: skip
    return path


class Bench:
    """The window and what is measured in it."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self.rows: list[Row] = []
        self.stalls: list[str] = []

    def add(self, name: str, value: float, unit: str, limit: float | None, note: str = "") -> None:
        self.rows.append(Row(name, value, unit, limit, note))
        print(self.rows[-1].cells(), file=sys.stderr, flush=True)

    def open(self) -> None:
        from app.launch import create_application

        self.app = create_application()
        from app.main_window import MainWindow

        self.window = window = MainWindow()
        window.resize(1280, 800)
        window.show()
        seconds = wait(lambda: window.is_ready and window.editor.workbench is not None)
        self.add("window ready to fit and edit", seconds, "s", None, "numerics and body model loaded")

    def open_path(self, path: Path) -> None:
        window, opened = self.window, []
        window.opened.connect(opened.append)
        window.open_path(path)
        wait(lambda: bool(opened) and window.session.cloud is not None)
        window.opened.disconnect(opened.append)
        window.viewport.setUpdatesEnabled(False)

    def scrub_to(self, frame: int) -> float:
        session = self.window.session
        begin = time.perf_counter()
        self.window.player.go_to(frame)
        wait(lambda: session.cloud is not None and session.cloud.frame == frame)
        seconds = time.perf_counter() - begin
        self.app.processEvents()  # a frame in memory is there at once, but what was read ahead must be handed over
        return 1e3 * seconds

    def scrub(self) -> None:
        reader = self.window.reader
        points = len(self.window.session.cloud.points_world)
        faces = len(self.window.session.fit.faces)
        jumps = np.random.default_rng(1).permutation(np.arange(40, FRAMES, 9))[: 12 if self.quick else 28].tolist()
        uncached = []
        for frame in jumps:
            wait(lambda: reader._thread.idle)
            if frame not in reader.cached_frames:
                uncached.append(self.scrub_to(frame))
        wait(lambda: reader._thread.idle)
        cached = []
        for _ in range(40 if self.quick else 150):
            known = reader.cached_frames
            cached.append(self.scrub_to(known[len(cached) * 7 % len(known)]))
        shown = f"{points:,} points, {faces:,} triangles"
        self.add("scrub to a frame in memory, p95", float(np.percentile(cached, 95)), "ms", 33, shown)
        self.add("scrub to a frame on disk, p95", float(np.percentile(uncached, 95)), "ms", 100, shown)
        self.window.viewport.setUpdatesEnabled(True)
        before = self.window.viewport.paint_count
        wait(lambda: self.window.viewport.paint_count > before)
        self.add("paint", self.window.viewport.frame_time_ms, "ms", None, "hardware's share; in software here or not")
        self.window.viewport.setUpdatesEnabled(False)

    def sliders(self) -> None:
        window = self.window
        panel, session = window.edit_workspace.codes_panel, window.session
        window.turn_to("edit")
        wait(lambda: window.reader._thread.idle)  # frames are read ahead for half a second after opening

        def drag(slider: Any, value: int) -> float:
            received: list[Any] = []
            session.edited_changed.connect(received.append)
            begin = time.perf_counter()
            slider.setValue(value)
            wait(lambda: bool(received))
            session.edited_changed.disconnect(received.append)
            return 1e3 * (time.perf_counter() - begin)

        def release(slider: Any) -> float:
            begin = time.perf_counter()
            slider.setSliderDown(False)
            wait(lambda: session.edited is not None and not session.edited.preview and window.editor.idle)
            return 1e3 * (time.perf_counter() - begin)

        slider = panel.pose_sliders[0]
        slider.setSliderDown(True)
        drag(slider, 20)  # the coarse mesh is extracted once
        times = [drag(slider, 20 + 7 * step) for step in range(1, 12 if self.quick else 31)]
        self.add("pose slider, p95", float(np.percentile(times, 95)), "ms", 50)
        release(slider)
        slider = panel.shape_sliders[0]
        slider.setSliderDown(True)
        drag(slider, 20)
        times = [drag(slider, 20 + 20 * step) for step in range(1, 6 if self.quick else 12)]
        self.add("shape slider, preview, median", float(np.median(times)), "ms", 150)
        times = []
        for step in range(2 if self.quick else 5):
            slider.setSliderDown(True)
            drag(slider, -20 - 20 * step)
            wait(lambda: window.editor.idle)
            times.append(release(slider))
        self.add("shape slider, full, median", float(np.median(times)), "ms", 1000, "after letting go")
        window.editing.reset()
        wait(lambda: window.session.edited is None)

    def memory(self) -> None:
        import psutil

        window, process = self.window, psutil.Process()
        count = 300 if self.quick else 10_000
        # Few enough to stay in memory together with those that are read ahead of them.
        known = list(range(8))
        self.scrub_to(0)
        wait(lambda: window.reader._thread.idle)

        def rounds(number: int) -> None:
            for step in range(number):
                self.scrub_to(known[step % len(known)])

        rounds(100)
        before = after = process.memory_info().rss
        for tenth in range(10):
            rounds(count // 10)
            after = process.memory_info().rss
            print(f"{(tenth + 1) * count // 10:,} scrubs: {after >> 20} MB", file=sys.stderr, flush=True)
        grown = 100 * (after - before) / before
        self.add(f"memory grown over {count:,} scrubs", grown, "%", 1, f"{before >> 20} MB before")

    def fit(self, out: Path) -> None:
        from spams_core.tasks.fit import FitSettings

        window = self.window
        recording = window.session.sequence.path
        wait(lambda: not window.jobs.running)  # the labels of the whole recording
        dog, done = Watchdog(), []
        window.jobs.fit_ended.connect(lambda: done.append(True))
        dog.start()
        begin = time.perf_counter()
        window.start_fit(FitSettings(recording, out / "whole", frames="0:4" if self.quick else "0:8"))
        while not done:
            wait(lambda: True)
            self.app.processEvents()
            time.sleep(0.001)
            if time.perf_counter() - begin > 600:
                raise TimeoutError("the fit does not end")
        wait(lambda: window.session.live is None)
        dog.stop()
        self.add(
            "longest stall of the window while fitting", 1e3 * dog.longest_s, "ms", 100, f"{len(dog.places)} above"
        )
        self.stalls = dog.places
        window.start_fit(FitSettings(recording, out / "cancelled"))
        wait(lambda: window.session.live is not None, 300)
        begin = time.perf_counter()
        window.fit_workspace.panel.cancel_button.click()
        wait(lambda: window.jobs.fitting is None)
        self.add("cancel a fit", 1e3 * (time.perf_counter() - begin), "ms", 500)
        wait(lambda: not window.jobs.running)

    def close(self) -> None:
        self.window.close()
        wait(lambda: not self.window.isVisible())


def window_up() -> float:
    """Seconds until a fresh process has drawn the window, Python's own start included."""
    script = """
from app.launch import create_application
app = create_application()
from app.main_window import MainWindow
window = MainWindow()
window.show()
app.processEvents()
print("up", flush=True)
window.close()
"""
    root = Path(__file__).parents[2]
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - begin


def main() -> int:
    """Measure and print; returns 1 where a figure misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: a minute instead of ten")
    parser.add_argument("--only", nargs="+", choices=_STAGES, default=_STAGES, help="leave the other measurements out")
    parser.add_argument("--out", type=Path, help="write the table there too")
    options = parser.parse_args()
    from PySide6.QtCore import QSettings

    from spams_core.resources import resource_path
    from spams_core.tasks.edit import open_workbench
    from spams_core.tasks.fit import default_model

    bench = Bench(options.quick)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(place / "settings"))
        if "start" in options.only:
            times = [window_up() for _ in range(1 if options.quick else 3)]
            bench.add("window up", float(np.median(times)), "s", 3, "a fresh process")
        recording = write_recording(place / "wall")
        fit = write_synthetic_fit(place / "fit", recording, open_workbench(default_model("spam"), "spam"))
        bench.open()
        bench.open_path(fit)
        for stage in ("scrub", "memory", "sliders"):
            if stage in options.only:
                getattr(bench, stage)()
        if "fit" in options.only:
            bench.open_path(resource_path("demo/recording"))
            bench.fit(place)
        bench.close()
    table = ["| what | measured | target | verdict | |", "|---|---|---|---|---|", *(row.cells() for row in bench.rows)]
    print("\n".join(table))
    for stall in sorted(set(bench.stalls), key=bench.stalls.count, reverse=True)[:6]:
        print(f"stall ({bench.stalls.count(stall)}): {stall}", file=sys.stderr)
    if options.out is not None:
        options.out.write_text("\n".join(table) + "\n", encoding="utf-8")
    return int(any(row.limit is not None and row.value > row.limit for row in bench.rows))


if __name__ == "__main__":
    sys.exit(main())

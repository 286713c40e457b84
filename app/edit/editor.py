"""Decodes what sliders and blending ask for, in a thread, the newest request only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QObject, Signal, Slot

from app.latest import Job, LatestWins
from app.session import EditedBody, Session

if TYPE_CHECKING:
    from app.opening import Survey
    from spams_core.data.fit import Fit
    from spams_core.geometry.mesh import Mesh
    from spams_core.tasks.edit import Workbench

__all__ = ["Blend", "Codes", "Editor"]

_PREVIEW_RESOLUTION = 64
_FULL_RESOLUTION = 128
_CACHED_MESHES = 6


@dataclass(frozen=True)
class Codes:
    """Shape and pose of one body, and what to call it."""

    title: str
    shape: Float[np.ndarray, "Q Ds"]
    pose: Float[np.ndarray, "Q Dp"]


@dataclass(frozen=True)
class Blend:
    """A body between two others; amounts from 0 (a) to 1 (b)."""

    a: Codes
    b: Codes
    shape_amount: float
    pose_amount: float


@dataclass(frozen=True)
class _Request:
    frame: int
    shape: Float[np.ndarray, "Q Ds"]
    pose: Float[np.ndarray, "Q Dp"]
    root_rotation: Float[np.ndarray, "3 3"]
    root_translation_m: Float[np.ndarray, "3"]
    fitted: Fit | None
    """The fit whose own canonical mesh belongs to these shape codes, or None."""
    resolution: int


class Editor(QObject):
    """Keeps `session.edited` at what the sliders say, on top of the fit's codes of the frame."""

    model_loaded = Signal(object)
    failed = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._thread = LatestWins("body decoder", self)
        self._bench: Workbench | None = None
        self._model: Path | None = None
        self._meshes: dict[tuple[bytes, int], Mesh] = {}
        self._shape_sigma: Float[np.ndarray, "Q K"] | None = None
        self._pose_sigma: Float[np.ndarray, "Q K"] | None = None
        self._blend: Blend | None = None
        self._stand: tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]] = (np.eye(3), np.zeros(3))
        self._always = False
        self._random = np.random.default_rng()
        session.frame_changed.connect(self._on_frame)
        session.fit_changed.connect(self._on_fit)

    # --- the model ------------------------------------------------------------------------------------------------

    @property
    def workbench(self) -> Workbench | None:
        """The loaded model."""
        return self._bench

    @property
    def idle(self) -> bool:
        """Whether nothing is being decoded."""
        return self._thread.idle

    def load(self, model: Path | None = None, method: str = "spam") -> None:
        """Load a model in the background; None is the bundled one of that method."""
        self._bench = None
        self._thread.submit(Job(partial(_load, model, method), self._on_loaded, self.failed.emit))

    def _on_loaded(self, loaded: tuple[Path, Workbench, Mesh]) -> None:
        self._model, self._bench, mean = loaded
        self._meshes.clear()
        self._shape_sigma = self._pose_sigma = self._blend = None
        self._session.part_names = self._bench.part_names
        self._session.mean_body = mean
        self.model_loaded.emit(self._bench)
        self.request(dragging=False)

    @Slot(object)
    def _on_fit(self, fit: Fit | None) -> None:
        self._blend = None
        if fit is None or "model" not in fit.manifest:
            return
        model = Path(fit.manifest["model"])
        # A fit from another machine names a folder that is not here; the same code sizes tell the bundled model.
        if model != self._model and (model.exists() or not _same_codes(self._bench, fit)):
            self.load(model, str(fit.manifest.get("method", "spam")))

    # --- edits ----------------------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Whether the body on screen differs from the fit, or stands there without one."""
        moved = any(sigma is not None and bool(sigma.any()) for sigma in (self._shape_sigma, self._pose_sigma))
        return moved or self._blend is not None or (self._always and self._session.fit is None)

    @property
    def frame(self) -> int:
        """The frame under the playhead."""
        return self._session.frame

    @property
    def blend(self) -> Blend | None:
        """The blend under the sliders."""
        return self._blend

    def set_sliders(self, shape_sigma: Float[np.ndarray, "Q K"], pose_sigma: Float[np.ndarray, "Q K"]) -> None:
        """Offsets along the principal directions, in standard deviations."""
        self._shape_sigma, self._pose_sigma = shape_sigma, pose_sigma

    def set_blend(self, blend: Blend | None) -> None:
        """Start from a blend instead of the fit's codes; None goes back."""
        self._blend = blend

    def stand_in(self, survey: Survey | None) -> None:
        """Where a body without a fit stands: in the middle of the recording, facing the sensor."""
        self._always = survey is None
        if survey is None:
            self._stand = (np.eye(3), np.zeros(3))
            return
        towards = (survey.sensor - survey.center) * np.array([1.0, 0.0, 1.0])
        towards = towards / max(float(np.linalg.norm(towards)), 1e-6)
        rotation = np.stack([np.cross([0.0, 1.0, 0.0], towards), [0.0, 1.0, 0.0], towards], axis=1)
        self._stand = (rotation, survey.center)

    def mean_codes(self) -> Codes:
        """The middle of the training bodies."""
        assert self._bench is not None
        return Codes("Mean body", self._bench.mean_shape, self._bench.mean_pose)

    def random_codes(self) -> Codes:
        """A body drawn from the training codes' distribution; its pose is the mean one."""
        bench = self._bench
        assert bench is not None
        sigma = self._random.normal(size=bench.shape_directions.shape[1])
        shape = bench.mean_shape + np.einsum("k,qkd->qd", sigma, bench.shape_directions)
        return Codes("Random body", shape.astype(np.float32), bench.mean_pose)

    def fitted_codes(self, frame: int) -> Codes | None:
        """The fit's codes in the fitted frame nearest to a frame of the recording."""
        fit, row = self._session.fit, self._session.track_row(frame)
        if fit is None or row is None or self._session.live is not None or not _same_codes(self._bench, fit):
            return None
        return Codes(f"Fit, frame {int(fit.frame_indices[row])}", fit.shape_codes, fit.pose_codes[row])

    def codes_on_screen(self) -> Codes | None:
        """What is shown now, edits included."""
        if self._bench is None:
            return None
        base = self._base()
        return Codes("Body on screen", *self._moved(base))

    def _base(self) -> Codes:
        if self._blend is not None:
            from spams_core.tasks.edit import interpolate_codes

            b = self._blend
            return Codes(
                "Blend",
                interpolate_codes(b.a.shape, b.b.shape, b.shape_amount),
                interpolate_codes(b.a.pose, b.b.pose, b.pose_amount),
            )
        return self.fitted_codes(self._session.frame) or self.mean_codes()

    def _moved(self, base: Codes) -> tuple[Float[np.ndarray, "Q Ds"], Float[np.ndarray, "Q Dp"]]:
        bench, shape, pose = self._bench, base.shape, base.pose
        assert bench is not None
        if self._shape_sigma is not None and self._shape_sigma.any():
            shape = shape + np.einsum("qk,qkd->qd", self._shape_sigma, bench.shape_directions).astype(np.float32)
        if self._pose_sigma is not None and self._pose_sigma.any():
            pose = pose + np.einsum("qk,qkd->qd", self._pose_sigma, bench.pose_directions).astype(np.float32)
        return shape, pose

    @Slot(int)
    def _on_frame(self, _: int) -> None:
        if self.active:
            self.request(dragging=True)

    def request(self, *, dragging: bool) -> None:
        """Decode the current state: coarsely while dragging, finely otherwise."""
        if self._bench is None:
            return
        if not self.active:
            self._thread.submit()
            self._session.edited = None
            return
        fit, row = self._session.fit, self._session.track_row(self._session.frame)
        base = self._base()
        shape, pose = self._moved(base)
        rotation, translation = self._stand
        fitted = None
        if fit is not None and row is not None and self._session.live is None:
            rotation, translation = fit.root_rotation[row], fit.root_translation_m[row]
            fitted = fit if np.array_equal(shape, fit.shape_codes) else None
        wanted = [_PREVIEW_RESOLUTION] if dragging else [_FULL_RESOLUTION]
        if not dragging and (shape.tobytes(), _FULL_RESOLUTION) not in self._meshes and fitted is None:
            wanted = [_PREVIEW_RESOLUTION, _FULL_RESOLUTION]  # something to look at while the fine one is extracted
        jobs = []
        for resolution in wanted:
            request = _Request(self._session.frame, shape, pose, rotation, translation, fitted, resolution)
            jobs.append(Job(partial(_decode, self._bench, self._meshes, request), self._receive, self.failed.emit))
        self._thread.submit(*jobs)

    def _receive(self, body: EditedBody) -> None:
        while len(self._meshes) > _CACHED_MESHES:
            self._meshes.pop(next(iter(self._meshes)))
        if self.active:
            self._session.edited = body

    def close(self) -> None:
        """End the thread."""
        self._thread.close()


def _same_codes(bench: Workbench | None, fit: Fit) -> bool:
    """Whether a fit's codes are of the size of this model's."""
    return bench is not None and (
        fit.shape_codes.shape == bench.mean_shape.shape and fit.pose_codes.shape[1:] == bench.mean_pose.shape
    )


def _load(model: Path | None, method: str) -> tuple[Path, Workbench, Mesh]:
    from spams_core.tasks.edit import open_workbench
    from spams_core.tasks.fit import Method, default_model

    known = cast(Method, method)
    path = (model or default_model(known)).resolve()
    bench = open_workbench(path, known)
    return path, bench, bench.canonical_mesh(bench.mean_shape, _FULL_RESOLUTION)


def _decode(bench: Workbench, meshes: dict[tuple[bytes, int], Mesh], request: _Request) -> EditedBody:
    """Canonical mesh of the shape codes, moved by the pose codes, placed by the root transform."""
    key = (request.shape.tobytes(), request.resolution)
    mesh = meshes.get(key)
    if mesh is None:
        full = request.resolution == _FULL_RESOLUTION and request.fitted is not None
        mesh = request.fitted.canonical_mesh() if full and request.fitted is not None else None
        mesh = mesh or bench.canonical_mesh(request.shape, request.resolution)
        meshes[key] = mesh
    posed = bench.pose_vertices(mesh.vertices, request.shape, request.pose)
    vertices = _to_world(posed, request.root_rotation, request.root_translation_m)
    return EditedBody(request.frame, mesh, vertices, request.resolution == _PREVIEW_RESOLUTION)


def _to_world(posed: Any, rotation: Any, translation_m: Any) -> Float[np.ndarray, "V 3"]:
    import torch

    from spams_core.frames import world_from_posed

    tensors = [torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)) for a in (posed, rotation, translation_m)]
    vertices: np.ndarray = world_from_posed(*tensors).numpy()
    return vertices

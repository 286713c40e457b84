"""Decodes what sliders and blending ask for, in a thread, the newest request only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import QObject, Signal, Slot

from app.edit.decoding import FULL_RESOLUTION, PREVIEW_RESOLUTION, BodyRequest, decode_body, same_codes
from app.edit.state import Codes, EditState, Kind, edited_codes
from app.latest import Job, LatestWins
from app.session import EditedBody, Session
from app.translation import tr
from spams_core.errors import InputError

if TYPE_CHECKING:
    from app.opening import Survey
    from spams_core.data.fit import Fit
    from spams_core.geometry.mesh import Mesh
    from spams_core.tasks.bake import EditedMotion
    from spams_core.tasks.code_map import CodeMap
    from spams_core.tasks.edit import Workbench

__all__ = ["Codes", "Editor"]

_CACHED_MESHES = 6


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
        self._loading: tuple[Path, str] | None = None
        self._meshes: dict[tuple[bytes, int], Mesh] = {}
        self._state = EditState.neutral()
        self._maps: tuple[CodeMap, CodeMap] | None = None
        self._mirrors: dict[Kind, Float[np.ndarray, "Q K K"]] = {}
        self._opposites: tuple[int | None, ...] = ()
        self._stand: tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]] = (np.eye(3), np.zeros(3))
        self._always = False
        session.frame_changed.connect(self._on_frame)
        session.fit_changed.connect(self._on_fit)

    # --- the model ------------------------------------------------------------------------------------------------

    @property
    def workbench(self) -> Workbench | None:
        """The loaded model."""
        return self._bench

    @property
    def loading(self) -> bool:
        """Whether a model is on its way."""
        return self._loading is not None

    @property
    def idle(self) -> bool:
        """Whether nothing is being decoded."""
        return self._thread.idle

    def load(self, model: Path | None = None, method: str = "spam") -> None:
        """Load a model in the background; None is the bundled one of that method. One that is on its way goes on."""
        try:
            wanted = _resolved(model, method), method
        except InputError as error:
            self.failed.emit(error)
            return
        if wanted == self._loading:
            return
        self._bench, self._model, self._loading = None, None, wanted
        self._thread.submit(Job(partial(_load, *wanted), partial(self._on_loaded, wanted), self._fail(wanted)))

    def _fail(self, wanted: tuple[Path, str]) -> Callable[[Exception], None]:
        def fail(error: Exception) -> None:
            if wanted == self._loading:
                self._loading = None
            self.failed.emit(error)

        return fail

    def _on_loaded(self, wanted: tuple[Path, str], loaded: _Loaded) -> None:
        if wanted != self._loading:  # another is on its way
            return
        self._loading = None
        self._model, self._bench, mean = loaded.path, loaded.bench, loaded.mean
        self._maps, self._mirrors, self._opposites = loaded.maps, loaded.mirrors, loaded.opposites
        self._meshes.clear()
        self._session.part_names = self._bench.part_names
        self._session.mean_body = mean
        self.model_loaded.emit(self._bench)
        self.request(dragging=False)
        self._on_fit(self._session.fit)

    @Slot(object)
    def _on_fit(self, fit: Fit | None) -> None:
        if fit is None or "model" not in fit.manifest:
            return
        model = Path(fit.manifest["model"]).resolve()
        if self._loading is not None and not model.exists():
            return  # asked again when there is a model to compare with
        # A fit from another machine names a folder that is not here; the same code sizes tell the bundled model.
        if model != self._model and (model.exists() or not same_codes(self._bench, fit)):
            self.load(model, str(fit.manifest.get("method", "spam")))

    # --- edits ----------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Path | None:
        """Folder of the loaded model."""
        return self._model if self._bench is not None else None

    @property
    def maps(self) -> tuple[CodeMap, CodeMap] | None:
        """Where the training shapes and the training poses lie; None until the model is loaded."""
        return self._maps if self._bench is not None else None

    def opposite_part(self, part: int) -> int | None:
        """The part on the other side, or None."""
        return self._opposites[part] if part < len(self._opposites) else None

    def mirror(self, kind: Kind) -> Float[np.ndarray, "Q K K"]:
        """Deviations of a part to those of the opposite part; see `mirror_maps`."""
        return self._mirrors[kind]

    @property
    def active(self) -> bool:
        """Whether the body on screen differs from the fit, or stands there without one."""
        return self._state.changes_anything or (self._always and self._session.fit is None)

    @property
    def frame(self) -> int:
        """The frame under the playhead."""
        return self._session.frame

    def set_state(self, state: EditState) -> None:
        """What to show at the next request."""
        self._state = state

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
        return Codes(tr("Mean body"), self._bench.mean_shape, self._bench.mean_pose)

    def random_codes(self, seed: int) -> Codes:
        """A body drawn from the training codes' distribution; its pose is the mean one."""
        bench = self._bench
        assert bench is not None
        sigma = np.random.default_rng(seed).normal(size=bench.shape_directions.shape[1])
        shape = bench.mean_shape + np.einsum("k,qkd->qd", sigma, bench.shape_directions)
        return Codes(tr("Random body {seed}", seed=seed), shape.astype(np.float32), bench.mean_pose)

    def fit_codes(self) -> Codes | None:
        """The open fit's body in all its poses; None without one, or where the model is another."""
        fit = self._session.fit
        if fit is None or self._session.live is not None or not same_codes(self._bench, fit):
            return None
        return Codes(tr("This fit, all frames"), fit.shape_codes, fit.pose_codes[0], fit.pose_codes, fit.frame_indices)

    def fitted_codes(self, frame: int) -> Codes | None:
        """The fit's codes in the fitted frame nearest to a frame of the recording."""
        fit, row = self._session.fit, self._session.track_row(frame)
        if fit is None or row is None or self._session.live is not None or not same_codes(self._bench, fit):
            return None
        return Codes(tr("Fit, frame {frame}", frame=int(fit.frame_indices[row])), fit.shape_codes, fit.pose_codes[row])

    def codes_on_screen(self) -> Codes | None:
        """What is shown now, edits included."""
        if self._bench is None or self._maps is None:
            return None
        return Codes(tr("Body on screen"), *self.codes_at(self._session.frame))

    def codes_at(self, frame: int) -> tuple[Float[np.ndarray, "Q Ds"], Float[np.ndarray, "Q Dp"]]:
        """Edited shape and pose codes of a frame."""
        assert self._bench is not None
        assert self._maps is not None
        start = self.fit_codes() or self.mean_codes()
        return edited_codes(self._state, frame, start, self._bench, self._maps)

    def motion(self) -> EditedMotion | None:
        """The edited fit: its codes in every fitted frame; None without a fit of this model."""
        from spams_core.tasks.bake import EditedMotion

        fit = self._session.fit
        if fit is None or self.fit_codes() is None:
            return None
        codes = [self.codes_at(int(frame)) for frame in fit.frame_indices]
        poses = np.stack([pose for _, pose in codes])
        return EditedMotion(codes[0][0], poses, fit.root_rotation, fit.root_translation_m, fit.frame_indices)

    def walk(self, count: int) -> EditedMotion | None:
        """The blend from 0 to what its sliders say, in a number of frames, at the playhead's place and time."""
        from spams_core.tasks.bake import EditedMotion

        if not self._state.blending or self._bench is None or self._maps is None:
            return None
        frame, start = self._session.frame, self.fit_codes() or self.mean_codes()
        shapes, poses = [], []
        for share in np.linspace(0.0, 1.0, count):
            state = dataclasses.replace(
                self._state, shape_amount=share * self._state.shape_amount, pose_amount=share * self._state.pose_amount
            )
            shape, pose = edited_codes(state, frame, start, self._bench, self._maps)
            shapes.append(shape)
            poses.append(pose)
        changes = any(not np.array_equal(shape, shapes[0]) for shape in shapes)
        rotation, translation = self.place()
        return EditedMotion(
            np.stack(shapes) if changes else shapes[0], np.stack(poses),
            np.broadcast_to(rotation, (count, 3, 3)), np.broadcast_to(translation, (count, 3)), np.arange(count),
        )  # fmt: skip

    def place(self) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
        """Rotation and place of the body at the playhead."""
        fit, row = self._session.fit, self._session.track_row(self._session.frame)
        if fit is not None and row is not None and self._session.live is None:
            return fit.root_rotation[row], fit.root_translation_m[row]
        return self._stand

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
        shape, pose = self.codes_at(self._session.frame)
        rotation, translation = self.place()
        fitted = None
        if fit is not None and row is not None and self._session.live is None:
            fitted = fit if np.array_equal(shape, fit.shape_codes) else None
        wanted = [PREVIEW_RESOLUTION] if dragging else [FULL_RESOLUTION]
        if not dragging and (shape.tobytes(), FULL_RESOLUTION) not in self._meshes and fitted is None:
            wanted = [PREVIEW_RESOLUTION, FULL_RESOLUTION]  # something to look at while the fine one is extracted
        jobs = []
        for resolution in wanted:
            mean = self._session.mean_body
            request = BodyRequest(self._session.frame, shape, pose, rotation, translation, fitted, resolution, mean)
            jobs.append(Job(partial(decode_body, self._bench, self._meshes, request), self._receive, self.failed.emit))
        self._thread.submit(*jobs)

    def _receive(self, body: EditedBody) -> None:
        while len(self._meshes) > _CACHED_MESHES:
            self._meshes.pop(next(iter(self._meshes)))
        if self.active:
            self._session.edited = body

    def close(self) -> None:
        """End the thread."""
        self._thread.close()


@dataclass(frozen=True)
class _Loaded:
    path: Path
    bench: Workbench
    mean: Mesh
    maps: tuple[CodeMap, CodeMap]
    mirrors: dict[Kind, Float[np.ndarray, "Q K K"]]
    opposites: tuple[int | None, ...]


def _resolved(model: Path | None, method: str) -> Path:
    if model is None:
        from spams_core.tasks.fit import Method, default_model

        model = default_model(cast(Method, method))
    return model.resolve()


def _load(path: Path, method: str) -> _Loaded:
    from spams_core.tasks.code_map import CodeMap
    from spams_core.tasks.edit import open_workbench
    from spams_core.tasks.fit import Method
    from spams_core.tasks.mirror import opposite_parts

    bench = open_workbench(path, cast(Method, method))
    shape_mirror, pose_mirror = bench.mirror_maps()
    return _Loaded(
        path, bench, bench.canonical_mesh(bench.mean_shape, FULL_RESOLUTION),
        (
            CodeMap.of(bench.training_shape, bench.shape_directions),
            CodeMap.of(bench.training_pose, bench.pose_directions),
        ),
        {"shape": shape_mirror, "pose": pose_mirror}, opposite_parts(bench.part_names),
    )  # fmt: skip

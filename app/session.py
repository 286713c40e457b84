"""What is open and what is shown of it: plain state with one signal per field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args, overload

import numpy as np
from jaxtyping import Float, Int, UInt8
from PySide6.QtCore import QObject, Signal

if TYPE_CHECKING:  # trimesh comes with these, and the window is up before it is imported
    from spams_core.data.fit import Fit
    from spams_core.data.sequence import DepthSequence
    from spams_core.geometry.mesh import Mesh

__all__ = [
    "BodyPaint",
    "CloudColors",
    "CompareAs",
    "Compared",
    "EditedBody",
    "FrameCloud",
    "LiveFit",
    "ReplayedBody",
    "Session",
]

CloudColors = Literal["part", "depth", "confidence"]
CompareAs = Literal["ghost", "beside", "wipe"]
V = TypeVar("V")


@dataclass(frozen=True)
class FrameCloud:
    """The observed points of one frame of the recording.

    Attributes:
        points_world: [N, 3] metres.
        normals_world: [N, 3] unit, or None where only the fit's points are known.
        labels: [N] part of each point, or None until they are known.
        confidences: [N] probability of that part, 0 where it is unknown; None until the segmenter has said it.
    """

    frame: int
    points_world: Float[np.ndarray, "N 3"]
    normals_world: Float[np.ndarray, "N 3"] | None
    labels: Int[np.ndarray, "N"] | None
    confidences: Float[np.ndarray, "N"] | None = None


@dataclass(frozen=True)
class LiveFit:
    """The coarse mesh of a fit that is still running: every fitted frame in world metres."""

    frame_indices: Int[np.ndarray, "T"]
    vertices_world: Float[np.ndarray, "T V 3"]
    faces: Int[np.ndarray, "F 3"]
    vertex_parts: Int[np.ndarray, "V"]


@dataclass(frozen=True)
class EditedBody:
    """A body decoded from edited codes: canonical mesh and its vertices in the world of one frame."""

    frame: int
    canonical: Mesh
    vertices_world: Float[np.ndarray, "V 3"]
    preview: bool


@dataclass(frozen=True)
class ReplayedBody(EditedBody):
    """The body of a frame as it was after a round of the fit, and which of how many rounds that is."""

    round: int
    rounds: int


@dataclass(frozen=True)
class BodyPaint:
    """Colours of the fitted mesh that say something about it, instead of those of its parts.

    Attributes:
        fit: Whose mesh it is.
        row: The fitted frame that they were computed for; the next frame wears them until its own are known.
        colors: [V, 3].
    """

    fit: Fit
    row: int
    colors: UInt8[np.ndarray, "V 3"]


@dataclass(frozen=True)
class Compared:
    """A second fit of the same recording, and where it is: over the first, in the input's place, or beyond a line."""

    fit: Fit
    show_as: CompareAs


class _Field(Generic[V]):
    """An attribute that emits `NAME_changed` when it is given another value."""

    def __init__(self, default: V, words: tuple[V, ...] = ()) -> None:
        self.default = default
        self.words = words
        """All that it can be, where these are a few words."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> _Field[V]: ...
    @overload
    def __get__(self, instance: QObject, owner: type) -> V: ...
    def __get__(self, instance: QObject | None, owner: type) -> Any:
        if instance is None:
            return self
        return instance.__dict__.get(self._name, self.default)

    def __set__(self, instance: QObject, value: V) -> None:
        old = self.__get__(instance, type(instance))
        # Arrays and what holds them compare by identity: comparing them by value costs more than drawing them.
        if value is old or (isinstance(value, (bool, int, float, str, Path)) and value == old):
            return
        instance.__dict__[self._name] = value
        getattr(instance, f"{self._name}_changed").emit(value)


class Session(QObject):
    """Everything the views draw from. Only the GUI thread touches it."""

    sequence_changed = Signal(object)
    fit_changed = Signal(object)
    fit_path_changed = Signal(object)
    live_changed = Signal(object)
    edited_changed = Signal(object)
    replayed_changed = Signal(object)
    mean_body_changed = Signal(object)
    body_paint_changed = Signal(object)
    compared_changed = Signal(object)
    part_names_changed = Signal(object)
    frame_changed = Signal(int)
    cloud_changed = Signal(object)
    cloud_colors_changed = Signal(str)
    show_cloud_changed = Signal(bool)
    show_mesh_changed = Signal(bool)
    show_matches_changed = Signal(bool)
    match_reasons_changed = Signal(object)
    picked_match_changed = Signal(object)
    follow_changed = Signal(bool)
    linked_changed = Signal(bool)
    device_changed = Signal(str)
    unit_changed = Signal(str)

    sequence: _Field[DepthSequence | None] = _Field(None)
    """The open recording."""
    fit: _Field[Fit | None] = _Field(None)
    """The open fit."""
    fit_path: _Field[Path | None] = _Field(None)
    """Where the open fit lies on disk."""
    live: _Field[LiveFit | None] = _Field(None)
    """The mesh of the fit that is running."""
    edited: _Field[EditedBody | None] = _Field(None)
    """What the sliders make of the body; None shows the fit as it is."""
    replayed: _Field[ReplayedBody | None] = _Field(None)
    """The body after an earlier round of the fit, instead of all others; None shows what is there now."""
    mean_body: _Field[Mesh | None] = _Field(None)
    """The model's mean shape in the canonical frame."""
    body_paint: _Field[BodyPaint | None] = _Field(None)
    """Colours of the fitted mesh; None colours it by part."""
    compared: _Field[Compared | None] = _Field(None)
    """A second fit that is shown too."""
    part_names: _Field[tuple[str, ...]] = _Field(())
    """Names of the parts that labels count."""
    frame: _Field[int] = _Field(0)
    """The frame under the playhead, counted in the recording."""
    cloud: _Field[FrameCloud | None] = _Field(None)
    """The observed points of the frame, once they are read."""
    cloud_colors: _Field[CloudColors] = _Field("part", get_args(CloudColors))
    """What the input cloud's colours mean."""
    show_cloud: _Field[bool] = _Field(True)
    """Whether the fit's view has the cloud in it."""
    show_mesh: _Field[bool] = _Field(True)
    """Whether the fit's view has the mesh in it."""
    show_matches: _Field[bool] = _Field(False)
    """Whether the fit's view has the correspondences in it."""
    match_reasons: _Field[frozenset[int]] = _Field(frozenset({0}))
    """Which correspondences these are, as `MatchReason`: 0 = those that were kept."""
    picked_match: _Field[int | None] = _Field(None)
    """The correspondence that was clicked, a row of the frame's observation."""
    follow: _Field[bool] = _Field(False)
    """Whether the camera walks along with the subject."""
    linked: _Field[bool] = _Field(True)
    """Whether the canonical view turns with the other two."""
    device: _Field[str] = _Field("")
    """Where tensors are computed, for the status line."""
    unit: _Field[str] = _Field("mm")
    """Unit of lengths on screen."""

    @classmethod
    def _fields(cls, kind: type) -> list[str]:
        """Names of the fields whose value is of a kind; device and unit belong to computer and user."""
        own = (
            (name, field)
            for name, field in vars(cls).items()
            if isinstance(field, _Field) and name not in ("device", "unit")
        )
        return [name for name, field in own if type(field.default) is kind]

    def switches(self) -> tuple[dict[str, bool], dict[str, str]]:
        """What is shown and how: every field that is on or off, and every field that is a chosen word."""
        return (
            {name: getattr(self, name) for name in self._fields(bool)},
            {name: getattr(self, name) for name in self._fields(str)},
        )

    def set_switches(self, layers: Mapping[str, bool], colors: Mapping[str, str]) -> None:
        """Set such fields; names that are no field, and words that it does not know, are passed over."""
        for kind, values in ((bool, layers), (str, colors)):
            for name in self._fields(kind):
                words = vars(type(self))[name].words
                if name in values and (not words or values[name] in words):
                    setattr(self, name, values[name])

    @property
    def frame_count(self) -> int:
        """Frames on the timeline: the recording's, or up to the last one fitted where there is no recording."""
        if self.sequence is not None:
            return self.sequence.frame_count
        return int(self.fit.frame_indices.max()) + 1 if self.fit is not None else 0

    @property
    def fps(self) -> float:
        """Frames per second of the recording, 30 where it is unknown."""
        return self.sequence.fps if self.sequence is not None else 30.0

    @property
    def track(self) -> Fit | LiveFit | None:
        """The mesh over time to show: of the running fit, or else of the open one."""
        return self.live or self.fit

    @property
    def has_body(self) -> bool:
        """Whether there is a mesh in the fit's view."""
        return self.edited is not None or self.track is not None

    def body_on_screen(self) -> Mesh | None:
        """The mesh in the fit's view, world frame, metres."""
        from spams_core.geometry.mesh import Mesh

        decoded = self.replayed or self.edited
        if decoded is not None:
            return Mesh(decoded.vertices_world, decoded.canonical.faces, decoded.canonical.vertex_parts)
        row = self.track_row(self.frame)
        if self.track is not None and row is not None:
            return Mesh(self.track.vertices_world[row], self.track.faces, self.track.vertex_parts)
        return None

    def track_row(self, frame: int) -> int | None:
        """Row of the fitted frame nearest to a frame of the recording; None while nothing is fitted."""
        if self.track is None:
            return None
        return int(np.abs(np.asarray(self.track.frame_indices) - frame).argmin())

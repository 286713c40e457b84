"""One number per vertex of a fitted surface, to colour it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from spams_core.data.fit import Fit
from spams_core.data.sequence import DepthSequence
from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.nearest import closest_on_surface

__all__ = ["MEASURES", "Measure", "SurfaceMeasure", "displacement_range_m", "surface_values"]

Measure = Literal["distance", "kept", "displacement", "truth"]

_SEEN_M = 0.03
"""A vertex counts as observed where an observed point's nearest place on the surface is this near: the points of a fit
are a subset of the pixels, some 10 to 20 mm apart on a body three metres away."""

_NEIGHBOURS = 4


@dataclass(frozen=True)
class SurfaceMeasure:
    """What one of the numbers says.

    Attributes:
        title: For people to read.
        hint: What it is, in one sentence.
        unit: Of the numbers as they are shown.
        scale: Shown number per stored number.
        top: Upper end of its colours as shown; 0 where it depends on the fit.
        missing: What vertices without a number are.
    """

    title: str
    hint: str
    unit: str
    scale: float
    top: float
    missing: str


MEASURES: Mapping[str, SurfaceMeasure] = {
    "distance": SurfaceMeasure(
        "Distance to observation", "How far the observed points lie from the surface, at the place nearest to them",
        "mm", 1e3, 30.0, "not observed",
    ),
    "kept": SurfaceMeasure(
        "Confidence of the matches", "Share of the observed points here whose match was kept, not rejected", "%", 1e2,
        100.0, "not observed",
    ),
    "displacement": SurfaceMeasure(
        "Way since the first frame", "How far each place of the surface is from where it was in the first fitted frame",
        "cm", 1e2, 0.0, "",
    ),
    "truth": SurfaceMeasure(
        "Error against ground truth", "Distance from the fitted surface to the true surface of the recording", "mm",
        1e3, 60.0, "",
    ),
}  # fmt: skip
"""What each measure says, in the order in which they are offered."""

assert tuple(MEASURES) == get_args(Measure)


def surface_values(
    fit: Fit, row: int, measure: Measure, sequence: DepthSequence | None = None
) -> Float[np.ndarray, "V"]:
    """A measure at every vertex in fitted frame `row`; NaN where it is not known.

    - distance: mean over the nearest observed points of their distance to the surface, metres. A point counts for the
      vertices within 30 mm of its nearest place on the surface.
    - kept: mean weight of these points' pairs, in [0, 1].
    - displacement: way from the first fitted frame, metres.
    - truth: distance to the recording's true surface, metres.

    Args:
        sequence: The recording, for "truth".

    Raises:
        InputError: "truth" without ground truth, or its file cannot be read.
    """
    vertices = fit.vertices_world[row]
    if measure == "displacement":
        moved: np.ndarray = np.linalg.norm(vertices - fit.vertices_world[0], axis=1)
        return moved.astype(np.float32)
    if measure == "truth":
        if sequence is None or sequence.read_ground_truth is None:
            raise InputError("This recording has no ground truth. Colour the mesh by another measure.")
        truth = sequence.read_ground_truth(int(fit.frame_indices[row]))
        return closest_on_surface(vertices, truth)[0].astype(np.float32)
    seen = fit.observation(row)
    if not len(seen.points_world):
        return np.full(len(vertices), np.nan, dtype=np.float32)
    mesh = fit.mesh_world(row)
    distance, face, barycentric = closest_on_surface(seen.points_world, mesh)
    values = distance if measure == "distance" else seen.match_weights
    return _spread(_places(mesh, face, barycentric), np.asarray(values, dtype=np.float64), vertices)


def displacement_range_m(fit: Fit) -> float:
    """The longest way of any vertex from the first fitted frame, metres."""
    first = fit.vertices_world[0]
    return float(max(np.sqrt(((later - first) ** 2).sum(1).max()) for later in fit.vertices_world))


def _places(mesh: Mesh, face: np.ndarray, barycentric: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
    places: np.ndarray = (mesh.vertices[mesh.faces[face]] * barycentric[..., None]).sum(1)
    return places


def _spread(
    places: Float[np.ndarray, "N 3"], values: Float[np.ndarray, "N"], vertices: Float[np.ndarray, "V 3"]
) -> Float[np.ndarray, "V"]:
    """Mean value of the nearest places within reach of each vertex."""
    near, index = cKDTree(places).query(vertices, k=_NEIGHBOURS, distance_upper_bound=_SEEN_M)
    found = np.isfinite(near)
    padded = np.append(values, 0.0)[index]  # a neighbour that is missing has the index N
    count = found.sum(1)
    spread: np.ndarray = np.full(len(vertices), np.nan, dtype=np.float32)
    spread[count > 0] = padded.sum(1)[count > 0] / count[count > 0]
    return spread

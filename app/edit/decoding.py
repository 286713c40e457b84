"""From codes to a body on screen: what a thread computes for sliders, blending and replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from app.session import EditedBody

if TYPE_CHECKING:
    from spams_core.data.fit import Fit
    from spams_core.geometry.mesh import Mesh
    from spams_core.tasks.edit import Workbench

__all__ = ["FULL_RESOLUTION", "PREVIEW_RESOLUTION", "BodyRequest", "decode_body", "same_codes"]

PREVIEW_RESOLUTION = 64
FULL_RESOLUTION = 128


@dataclass(frozen=True)
class BodyRequest:
    """A body to decode: codes, place, and cells per axis of its surface."""

    frame: int
    shape: Float[np.ndarray, "Q Ds"]
    pose: Float[np.ndarray, "Q Dp"]
    root_rotation: Float[np.ndarray, "3 3"]
    root_translation_m: Float[np.ndarray, "3"]
    fitted: Fit | None
    """The fit whose own canonical mesh belongs to these shape codes, or None."""
    resolution: int
    mean: Mesh | None = None
    """The mean body: the surface is looked for around it, which is faster; None looks everywhere."""


def decode_body(bench: Workbench, meshes: dict[tuple[bytes, int], Mesh], request: BodyRequest) -> EditedBody:
    """Canonical mesh of the shape codes, moved by the pose codes, placed by the root transform.

    Args:
        meshes: Canonical meshes that are known already, by shape codes and resolution; a new one is added.
    """
    key = (request.shape.tobytes(), request.resolution)
    mesh = meshes.get(key)
    if mesh is None:
        full = request.resolution == FULL_RESOLUTION and request.fitted is not None
        mesh = request.fitted.canonical_mesh() if full and request.fitted is not None else None
        # Looked for around the mean body and not around the last one: the same codes give the same mesh.
        mesh = mesh or bench.canonical_mesh(request.shape, request.resolution, request.mean)
        meshes[key] = mesh
    posed = bench.pose_vertices(mesh.vertices, request.shape, request.pose)
    vertices = _to_world(posed, request.root_rotation, request.root_translation_m, bench.canonical_per_metre)
    return EditedBody(request.frame, mesh, vertices, request.resolution == PREVIEW_RESOLUTION)


def same_codes(bench: Workbench | None, fit: Fit) -> bool:
    """Whether a fit's codes are of the size of this model's."""
    return bench is not None and (
        fit.shape_codes.shape == bench.mean_shape.shape and fit.pose_codes.shape[1:] == bench.mean_pose.shape
    )


def _to_world(posed: Any, rotation: Any, translation_m: Any, per_metre: float) -> Float[np.ndarray, "V 3"]:
    import torch

    from spams_core.frames import world_from_posed

    points, turn, shift = (
        torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)) for a in (posed, rotation, translation_m)
    )
    vertices: np.ndarray = world_from_posed(points, turn, shift, per_metre).numpy()
    return vertices

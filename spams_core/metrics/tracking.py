"""How well a moving surface is followed: end-point error of carried surface samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from spams_core.geometry.mesh import Mesh, sample_surface
from spams_core.geometry.nearest import nearest_points

__all__ = ["Binding", "bind_samples", "end_point_errors", "errors_by_part"]


@dataclass(frozen=True)
class _Places:
    """N places on a surface that moves with its vertices."""

    corners: Int[np.ndarray, "N 3"]
    barycentric: Float[np.ndarray, "N 3"]

    def at(self, vertices: Float[np.ndarray, "V 3"]) -> Float[np.ndarray, "N 3"]:
        points: np.ndarray[Any, Any] = (vertices[self.corners] * self.barycentric[..., None]).sum(1)
        return points


@dataclass(frozen=True)
class Binding:
    """Samples of the true surface and the places of the predicted surface that shall follow them."""

    truth: _Places
    predicted: _Places


def bind_samples(
    predicted_first: Mesh, truth_first: Mesh, generator: np.random.Generator, count: int = 100_000
) -> Binding:
    """Bind area-uniform samples of the true surface to the nearest samples of the predicted one, at the first frame.

    Every true sample is bound, however far the nearest predicted sample is.

    Args:
        predicted_first, truth_first: Both surfaces at the first frame, in one frame and unit.
        generator: Draws the samples.
        count: Samples per surface.
    """
    predicted_points, predicted_face, predicted_barycentric = sample_surface(predicted_first, count, generator)
    truth_points, truth_face, truth_barycentric = sample_surface(truth_first, count, generator)
    _, nearest = nearest_points(truth_points, predicted_points)
    return Binding(
        _Places(truth_first.faces[truth_face], truth_barycentric),
        _Places(predicted_first.faces[predicted_face[nearest]], predicted_barycentric[nearest]),
    )


def end_point_errors(
    binding: Binding, predicted_vertices: Float[np.ndarray, "V 3"], truth_vertices: Float[np.ndarray, "W 3"]
) -> Float[np.ndarray, "N"]:
    """Distance between each true sample and the predicted place bound to it, both carried to a later frame.

    Both surfaces keep their topology, so that a sample keeps its triangle and barycentric coordinates.
    """
    offset = binding.predicted.at(predicted_vertices) - binding.truth.at(truth_vertices)
    errors: np.ndarray[Any, Any] = np.linalg.norm(offset, axis=1)
    return errors


def errors_by_part(
    errors: Float[np.ndarray, "N"], binding: Binding, truth_parts: Int[np.ndarray, "W"], part_names: Sequence[str]
) -> dict[str, float | None]:
    """Mean end-point error of the samples of each true part; None for a part without samples.

    Args:
        errors: From `end_point_errors`.
        binding: Its samples; one belongs to the part of the true vertex that weighs most in it.
        truth_parts: Part of each true vertex.
        part_names: Names of the parts.
    """
    places = binding.truth
    nearest = places.corners[np.arange(len(errors)), places.barycentric.argmax(1)]
    parts = truth_parts[nearest]
    return {
        name: float(errors[parts == part].mean()) if (parts == part).any() else None
        for part, name in enumerate(part_names)
    }

"""Garment-like offsets: smooth displacements along the normals that dress a naked body, hair and shoes included.

People in front of a sensor are dressed. A garment here is a thickness per vertex, in metres, drawn region by region
(sleeves, trunk, trousers, skirt, shoes, hair) and smoothed over the surface, so that the dressed body keeps the naked
body's topology, parts and correspondences. It is no cloth simulation: nothing swings or drapes between the legs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.special import expit

__all__ = ["REGIONS", "Garments", "Skin", "dress", "sample_garments", "smoothing_operator", "thickness_m"]

Array = np.ndarray[Any, Any]

REGIONS = (
    "head", "neck", "chest", "belly", "hips", "upper_arm", "forearm", "hand", "thigh", "shin", "foot",
)  # fmt: skip
"""Regions that a garment covers or leaves, both sides of the body alike."""

_SMOOTHING_STEPS = 12  # over about 5 cm of the body's mesh
_NORMAL_STEPS = 20


@dataclass(frozen=True)
class Garments:
    """What a person wears.

    Attributes:
        thickness_m: Distance from the skin for each of `REGIONS`, metres; regions that are missing are bare.
        hair_m: Thickness of the hair on top and at the back of the head, metres.
        hair_length_m: How far it hangs down the neck and back, metres.
        flare: How much thicker trouser legs and skirts get from hip to hem, relative.
        fold_share: Size of the folds, as a share of the thickness.
        fold_waves: [K, 3] wave vectors of the folds, radians per metre.
        fold_phases: [K] their phases.
    """

    thickness_m: Mapping[str, float]
    hair_m: float
    hair_length_m: float
    flare: float
    fold_share: float
    fold_waves: Float[np.ndarray, "K 3"]
    fold_phases: Float[np.ndarray, "K"]


@dataclass(frozen=True)
class Skin:
    """What dressing must know of a body's mesh.

    Attributes:
        regions: [V, R] soft membership in `REGIONS`; rows sum to 1.
        smoothing: [V, V] sparse averaging over neighbouring vertices, from `smoothing_operator`.
    """

    regions: Float[np.ndarray, "V R"]
    smoothing: csr_array


def smoothing_operator(faces: Int[np.ndarray, "F 3"], vertices: int) -> csr_array:
    """Half of a vertex's own value, half the mean of its neighbours': one step of Laplacian smoothing."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    adjacency = csr_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(vertices, vertices))
    adjacency.data[:] = 1.0
    degree = np.maximum(np.asarray(adjacency.sum(1)).ravel(), 1.0)
    rows = np.repeat(np.arange(vertices), np.diff(adjacency.indptr))
    half = csr_array((0.5 * adjacency.data / degree[rows], adjacency.indices, adjacency.indptr), shape=adjacency.shape)
    own = csr_array((np.full(vertices, 0.5), (np.arange(vertices), np.arange(vertices))), shape=adjacency.shape)
    return csr_array(half + own)


def sample_garments(generator: np.random.Generator) -> Garments:
    """Draw an outfit: a top with short or long sleeves, trousers, shorts or a skirt, shoes or bare feet, hair.

    Thin and thick alike: from 4 mm of a T-shirt to 35 mm of a coat; skirts stand off by up to 8 cm.
    """
    uniform = generator.uniform
    thickness = dict.fromkeys(REGIONS, 0.0)
    top = uniform(0.004, 0.015) if generator.random() < 0.6 else uniform(0.012, 0.035)
    thickness["chest"], thickness["belly"] = top * uniform(0.6, 1.0), top * uniform(0.8, 1.4)
    thickness["upper_arm"] = top * uniform(0.6, 1.1)
    if generator.random() < 0.55:
        thickness["forearm"] = top * uniform(0.5, 1.0)
    thickness["neck"] = uniform(0.0, 0.012) if generator.random() < 0.3 else 0.0
    kind = generator.choice(3, p=[0.65, 0.2, 0.15])  # trousers, shorts, skirt
    legs = uniform(0.004, 0.03)
    thickness["hips"] = max(0.6 * legs, 0.7 * top if generator.random() < 0.6 else 0.0)
    if kind == 0:
        thickness["thigh"], thickness["shin"] = legs * uniform(0.7, 1.1), legs * uniform(0.7, 1.4)
    elif kind == 1:
        thickness["thigh"] = legs * uniform(0.8, 1.5)
    else:
        thickness["hips"], thickness["thigh"] = uniform(0.01, 0.04), uniform(0.025, 0.08)
        thickness["shin"] = thickness["thigh"] * uniform(0.5, 1.0) if generator.random() < 0.4 else 0.0
    thickness["foot"] = uniform(0.006, 0.018) if generator.random() < 0.8 else 0.0
    hair = uniform(0.008, 0.045) if generator.random() < 0.85 else 0.0
    waves = 6
    direction = generator.normal(size=(waves, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    wavelength_m = uniform(0.06, 0.35, (waves, 1))
    return Garments(
        thickness_m=thickness,
        hair_m=float(hair),
        hair_length_m=float(uniform(0.05, 0.4)) if hair > 0 and generator.random() < 0.45 else 0.0,
        flare=float(uniform(0.0, 0.8)),
        fold_share=float(uniform(0.1, 0.4)),
        fold_waves=2 * np.pi * direction / wavelength_m,
        fold_phases=uniform(0.0, 2 * np.pi, waves),
    )


def _normals(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"], skin: Skin) -> Array:
    """Normals smoothed so far that thick cloth over a fold of the skin doesn't cross itself."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    of_face = np.cross(b - a, c - a)
    total = np.zeros(vertices.shape)
    for k in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, k], of_face[:, axis], len(vertices))
    normals = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    for _ in range(_NORMAL_STEPS):
        normals = skin.smoothing @ normals
    unit: Array = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return unit


def thickness_m(
    garments: Garments,
    rest_m: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    skin: Skin,
) -> Float[np.ndarray, "V"]:
    """How far the garments stand off the skin at each vertex, metres.

    Args:
        garments: The outfit.
        rest_m: The naked body in the canonical pose, metres, canonical axes (+y up, facing +z, left = +x).
        faces: Its triangles.
        skin: Its regions and smoothing.
    """
    normals = _normals(rest_m, faces, skin)
    bare = np.array([garments.thickness_m.get(name, 0.0) for name in REGIONS])
    worn: Array = skin.regions @ bare
    row = {name: k for k, name in enumerate(REGIONS)}
    legs = skin.regions[:, row["thigh"]] + skin.regions[:, row["shin"]]
    of_leg = legs > 0.5
    if of_leg.any() and garments.flare > 0:
        top, bottom = rest_m[of_leg, 1].max(), rest_m[of_leg, 1].min()
        worn = worn * (1 + legs * garments.flare * np.clip((top - rest_m[:, 1]) / max(top - bottom, 1e-6), 0, 1))
    # Between the legs, and between arm and trunk, there is no room.
    inwards = np.clip(-np.sign(rest_m[:, 0]) * normals[:, 0], 0, 1)
    limbs = legs + skin.regions[:, row["upper_arm"]]
    worn = worn * (1 - 0.75 * inwards * np.clip(limbs, 0, 1))
    folds = np.sin(rest_m @ garments.fold_waves.T + garments.fold_phases).mean(1) * np.sqrt(2.0)
    worn = worn * (1 + garments.fold_share * 2 * folds)
    worn += _hair_m(garments, rest_m, skin)
    worn = np.clip(worn, 0.0, None)
    for _ in range(_SMOOTHING_STEPS):
        worn = skin.smoothing @ worn
    return worn


def _hair_m(garments: Garments, rest_m: Float[np.ndarray, "V 3"], skin: Skin) -> Array:
    """Thickness of the hair: on the skull above and behind the face, and down the back as far as it is long."""
    if garments.hair_m == 0:
        return np.zeros(len(rest_m))
    row = {name: k for k, name in enumerate(REGIONS)}
    head = skin.regions[:, row["head"]]
    inside = head > 0.5
    low, high = rest_m[inside].min(0), rest_m[inside].max(0)
    size = np.maximum(high - low, 1e-6)
    height, depth = (rest_m[:, 1] - low[1]) / size[1], (rest_m[:, 2] - low[2]) / size[2]
    # The hairline runs from the forehead (high, in front) down to the nape.
    above = expit(14 * (height + 0.55 * (1 - depth) - 0.95))
    hair = garments.hair_m * head * above
    if garments.hair_length_m > 0:
        nape = skin.regions[:, row["neck"]] + skin.regions[:, row["chest"]]
        behind = expit(-(rest_m[:, 2] - (low[2] + 0.35 * size[2])) / 0.015)
        hanging = expit((rest_m[:, 1] - low[1] + garments.hair_length_m) / 0.02)
        narrow = np.exp(-((rest_m[:, 0] / 0.11) ** 4))
        hair = hair + 0.8 * garments.hair_m * nape * behind * hanging * narrow
    return np.asarray(hair)


def dress(
    vertices_m: Float[np.ndarray, "V 3"],
    faces: Int[np.ndarray, "F 3"],
    skin: Skin,
    worn_m: Float[np.ndarray, "V"],
) -> Float[np.ndarray, "V 3"]:
    """The dressed body in any pose: every vertex moved along the pose's smoothed normal by its thickness."""
    dressed: Array = vertices_m + worn_m[:, None] * _normals(vertices_m, faces, skin)
    return dressed

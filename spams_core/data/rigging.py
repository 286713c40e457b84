"""A rig of rigid parts for a body whose surface moves freely: joints, poses and skinning weights, by least squares.

With weights w_b(v) that sum to 1, a skin that hangs on a tree of joints is v = p + Σ_b R_b u_b(v): u_b is linear in
w_b x and in the weights of b's descendants, so poses and joints need the surface only through sums over its vertices.
Rotations follow one after the other from their exact optima (Kabsch 1976), joints from linear least squares, each
vertex's weights from least squares on the simplex over all frames, held near a smooth start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix, csc_matrix, diags, identity
from scipy.sparse.linalg import splu

from spams_core.geometry.mesh import Mesh
from spams_core.geometry.rig import Rig, RigMotion, skin
from spams_core.progress import Progress, Task

__all__ = ["RigError", "RigSettings", "RiggedBody", "part_tree", "rig_body", "smooth_weights"]

Array = np.ndarray[Any, Any]

_INFLUENCES = 4  # per vertex; what game engines and glTF's JOINTS_0 take
_SWEEPS = 60
_SETTLED_M = 1e-6  # a sweep that moves nothing by more ends the pose


@dataclass(frozen=True)
class RigSettings:
    """How a rig is fitted.

    Attributes:
        rounds: How often poses and weights follow from each other.
        smooth_m: Distance over which the smooth weights fade from one part to the next, metres.
        weight_sigma_m: Weights leave the smooth ones where that brings a vertex closer than this, metres per frame.
        joint_rad: Joints leave the middle of the border between two parts where these turn against each other by more.
    """

    rounds: int = 4
    smooth_m: float = 0.05
    weight_sigma_m: float = 0.01
    joint_rad: float = 0.15


@dataclass(frozen=True)
class RigError:
    """Distances between the rig's skin and the surface it stands for, over all vertices and frames, millimetres."""

    mean_mm: float
    p95_mm: float
    max_mm: float


@dataclass(frozen=True)
class RiggedBody:
    """A rig, its motion, and how far its skin is from the surface."""

    rig: Rig
    motion: RigMotion
    error: RigError


def part_tree(mesh: Mesh, part_count: int) -> tuple[tuple[int, ...], tuple[int, ...], Float[np.ndarray, "B 3"]]:
    """Which parts hang on which: the tree along the longest borders, from the part that touches most others.

    Args:
        mesh: A labelled surface.
        part_count: Number of parts; those without a vertex get no bone.

    Returns:
        The part of each bone, parents first; the row of each bone's parent, -1 for the root; where each bone meets its
        parent: the middle of their border, or of the shortest bridge between parts that do not touch. The root gets
        the middle of its part.
    """
    parts, points = np.asarray(mesh.vertex_parts), np.asarray(mesh.vertices, dtype=np.float64)
    edges = _edges(mesh.faces)
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    across = parts[edges[:, 0]] != parts[edges[:, 1]]
    border = np.zeros((part_count, part_count))
    np.add.at(border, tuple(parts[edges[across]].T), length[across])
    border += border.T
    present = np.unique(parts).tolist()
    area = np.bincount(parts, minlength=part_count)
    root = max(present, key=lambda part: ((border[part] > 0).sum(), border[part].sum(), area[part]))
    order, parents, places = [root], [-1], [points[parts == root].mean(0)]
    while len(order) < len(present):
        waiting = [part for part in present if part not in order]
        up, part = max(((a, b) for a in order for b in waiting), key=lambda pair: border[pair])
        if border[up, part] > 0:
            at = across & ((parts[edges] == up).any(1)) & ((parts[edges] == part).any(1))
            share = length[at] / length[at].sum()
            place = share @ points[edges[at]].mean(1)
        else:
            up, place = _bridge(points, parts, order, part)
        order.append(part)
        parents.append(order.index(up))
        places.append(place)
    return tuple(order), tuple(parents), np.stack(places)


def _edges(faces: Int[np.ndarray, "F 3"]) -> Int[np.ndarray, "E 2"]:
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique: Array = np.unique(ends, axis=0)
    return unique


def _bridge(points: Array, parts: Array, order: Sequence[int], part: int) -> tuple[int, Array]:
    """Where a part that touches nothing comes closest to the others, and to which of them."""
    from scipy.spatial import cKDTree

    placed = np.flatnonzero(np.isin(parts, order))
    own = points[parts == part]
    distance, nearest = cKDTree(points[placed]).query(own)
    start = int(distance.argmin())
    end = placed[nearest[start]]
    return int(parts[end]), (own[start] + points[end]) / 2


def smooth_weights(
    mesh: Mesh, bone_of_vertex: Int[np.ndarray, "V"], bones: int, length_m: float
) -> Float[np.ndarray, "V B"]:
    """Parts that fade into each other: labels after one implicit step of diffusion along the surface's edges.

    Args:
        mesh: The surface, metres.
        bone_of_vertex: The bone of each vertex.
        bones: Their number.
        length_m: About how far a label spreads.

    Returns:
        Weights of all bones, 0 or more; each row sums to 1.
    """
    count = len(mesh.vertices)
    edges = _edges(mesh.faces)
    length = np.linalg.norm(mesh.vertices[edges[:, 0]] - mesh.vertices[edges[:, 1]], axis=1)
    # With about six neighbours at distance l, Σ (w_j − w_i) is 3/2 l² of the Laplacian.
    strength = (length_m / np.maximum(length, 1e-3 * length.mean())) ** 2 / 1.5
    near = coo_matrix((strength, edges.T), (count, count))
    near = csc_matrix(near + near.T)
    system = csc_matrix(identity(count) + diags(np.asarray(near.sum(1)).ravel()) - near)
    weights: Array = np.clip(splu(system).solve(np.eye(bones)[bone_of_vertex]), 0, None)
    weights /= weights.sum(1, keepdims=True)
    return weights


def rig_body(
    rest: Mesh,
    part_names: Sequence[str],
    frame_count: int,
    frame: Callable[[int], Float[np.ndarray, "V 3"]],
    settings: RigSettings | None = None,
) -> Task[RiggedBody]:
    """Fit a rig to a surface that moves.

    Args:
        rest: The surface at rest with its parts, metres.
        part_names: Names of the parts; a bone is called like its part.
        frame_count: T.
        frame: Its vertices in frame t, metres; asked for several times, one frame at a time.
        settings: How.
    """
    settings = settings or RigSettings()
    fitting = _Fitting(rest, part_names, frame_count, settings)
    passes = 2 * settings.rounds + 1
    done = 0

    def frames(message: str) -> Iterator[tuple[Progress, int, Array]]:
        nonlocal done
        for t in range(frame_count):
            yield Progress(done, passes * frame_count, message), t, np.asarray(frame(t), dtype=np.float64)
            done += 1

    for turn in range(settings.rounds):
        fitting.start_sums()
        for report, t, points in frames("Fit the skeleton"):
            yield report
            fitting.add_sums(t, points)
        fitting.pose(first=turn == 0)
        fitting.start_weights()
        for report, t, points in frames("Fit the skinning weights"):
            yield report
            fitting.add_weights(t, points)
        fitting.finish_weights()
    fitting.start_sums()
    for report, t, points in frames("Fit the skeleton"):
        yield report
        fitting.add_sums(t, points)
    fitting.pose(first=False)
    rig, motion = fitting.result()
    distances = np.empty((frame_count, len(rest.vertices)), dtype=np.float32)
    for t in range(frame_count):
        yield Progress(passes * frame_count, passes * frame_count, "Measure the rig")
        distances[t] = np.linalg.norm(skin(rig, motion, t) - frame(t), axis=1)
    distances *= 1000
    p95 = float(np.percentile(distances, 95))
    return RiggedBody(rig, motion, RigError(float(distances.mean(dtype=np.float64)), p95, float(distances.max())))


class _Fitting:
    """Weights, joints and poses as they get better; sums over vertices stand for the surface.

    A vertex's features are φ = (w_1 x, …, w_B x, w_1, …, w_B), 4B numbers, in which its skinned place is linear.
    """

    def __init__(self, rest: Mesh, part_names: Sequence[str], frame_count: int, settings: RigSettings) -> None:
        self.settings, self.points = settings, np.asarray(rest.vertices, dtype=np.float64)
        order, self.parents, self.middles = part_tree(rest, len(part_names))
        self.names = tuple(part_names[part] for part in order)
        self.joints = self.middles.copy()
        self.count, self.frames = len(order), frame_count
        row = np.full(len(part_names), -1)
        row[list(order)] = np.arange(self.count)
        self.owner = row[np.asarray(rest.vertex_parts)]
        fading = smooth_weights(rest, self.owner, self.count, settings.smooth_m)
        self.influences = min(_INFLUENCES, self.count)
        self.bones = np.argsort(-fading, axis=1, kind="stable")[:, : self.influences]
        self.smooth = np.take_along_axis(fading, self.bones, axis=1)
        self.smooth /= self.smooth.sum(1, keepdims=True)
        self.weights = (self.bones == self.owner[:, None]).astype(np.float64)  # the first round's parts are rigid
        self.below = np.eye(self.count, dtype=bool)  # [a, b]: whether b is a or hangs on it
        for bone in range(self.count - 1, 0, -1):
            self.below[self.parents[bone]] |= self.below[bone]
        self.rotations = np.broadcast_to(np.eye(3), (frame_count, self.count, 3, 3)).copy()
        self.place = np.zeros((frame_count, 3))

    def start_sums(self) -> None:
        """Begin a pass that sums over vertices."""
        dense = np.zeros((len(self.points), self.count))
        np.put_along_axis(dense, self.bones, self.weights, axis=1)
        self._features = np.concatenate(
            [(dense[:, :, None] * self.points[:, None]).reshape(len(self.points), -1), dense], axis=1
        )
        self._gram = self._features.T @ self._features
        self._cross = np.zeros((self.frames, 3, 4 * self.count))

    def add_sums(self, t: int, points: Array) -> None:
        """Take frame t into the sums."""
        self._cross[t] = points.T @ self._features

    def _levers(self) -> Array:
        """[B, 3, 4B]: u_b = lever_b φ."""
        count = self.count
        levers = np.zeros((count, 3, 4 * count))
        for bone in range(count):
            levers[bone, :, 3 * bone : 3 * bone + 3] = np.eye(3)
            levers[bone, :, 3 * count + bone] -= self.joints[bone]
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                carried = 3 * count + np.flatnonzero(self.below[bone])
                levers[parent][:, carried] += (self.joints[bone] - self.joints[parent])[:, None]
        return levers

    def pose(self, *, first: bool) -> None:
        """Rotations, the root's places and the joints that bring the skin closest to the surface."""
        if first:
            self._turn_alone()
        for _ in range(4):
            self._turn()
            if self.count > 1:
                self._move_joints()
        self._turn()

    def _turn_alone(self) -> None:
        """Each part for itself, free of the others."""
        for bone in range(self.count):
            moment, weight = slice(3 * bone, 3 * bone + 3), 3 * self.count + bone
            middle = self._gram[moment, weight] / self._gram[weight, weight]
            around = self._cross[:, :, moment] - self._cross[:, :, weight, None] * middle
            self.rotations[:, bone] = _nearest_rotation(around)

    def _turn(self) -> None:
        levers = self._levers()
        flat = levers.reshape(-1, 4 * self.count)
        total = self._gram[:, 3 * self.count :].sum(1)  # Σ φ
        number = total[3 * self.count :].sum()
        pairs = (flat @ self._gram @ flat.T).reshape(self.count, 3, self.count, 3)
        sums = levers @ total
        seen = np.einsum("tif,bjf->tbij", self._cross, levers)
        middle = self._cross[:, :, 3 * self.count :].sum(-1)
        for _ in range(_SWEEPS):
            before = self.rotations.copy()
            for bone in range(self.count):
                self.place = (middle - np.einsum("tbij,bj->ti", self.rotations, sums)) / number
                others = np.einsum("tbij,bjk->tik", self.rotations, pairs[:, :, bone])
                others -= self.rotations[:, bone] @ pairs[bone, :, bone]
                wanted = seen[:, bone] - self.place[:, :, None] * sums[bone] - others
                self.rotations[:, bone] = _nearest_rotation(wanted)
            if np.abs(self.rotations - before).max() < _SETTLED_M:
                break
        self.place = (middle - np.einsum("tbij,bj->ti", self.rotations, sums)) / number

    def _move_joints(self) -> None:
        """∂v/∂j_b = W_b (R_parent − R_b), where W_b are the weights of b and all that hangs on it."""
        count, child = self.count, np.arange(1, self.count)
        below = np.concatenate([np.zeros((count, 3 * count)), self.below.astype(float)], axis=1)[1:]  # W = below φ
        apart = self.rotations[:, list(self.parents)][:, 1:] - self.rotations[:, 1:]
        levers = self._levers()
        shown = np.einsum("tbij,bjf->tif", self.rotations, levers)
        shown[:, :, 3 * count :] += self.place[:, :, None]
        missing = (self._cross - shown @ self._gram) @ below.T  # [T, 3, B - 1]
        overlap = below @ self._gram @ below.T
        left = np.einsum("ab,taki,tbkj->aibj", overlap, apart, apart)
        right = np.einsum("taki,tka->ai", apart, missing)
        hold = self.frames * self.settings.joint_rad**2 * overlap[child - 1, child - 1]
        for row in child - 1:
            left[row, :, row] += hold[row] * np.eye(3)
            right[row] += hold[row] * (self.middles[row + 1] - self.joints[row + 1])
        size = 3 * (count - 1)
        self.joints[1:] += np.linalg.solve(left.reshape(size, size), right.ravel()).reshape(-1, 3)

    def start_weights(self) -> None:
        """Begin a pass that sums over frames."""
        self._off = np.zeros((len(self.points), self.influences, self.influences))
        self._moved = self._shifts()

    def _shifts(self) -> Array:
        """[T, B, 3]: t_b, so that bone b takes x to R_b x + t_b."""
        places = np.empty((self.frames, self.count, 3))
        for bone, parent in enumerate(self.parents):
            if parent < 0:
                places[:, bone] = self.place
            else:
                arm = self.joints[bone] - self.joints[parent]
                places[:, bone] = places[:, parent] + self.rotations[:, parent] @ arm
        shifts: Array = places - np.einsum("tbij,bj->tbi", self.rotations, self.joints)
        return shifts

    def add_weights(self, t: int, points: Array) -> None:
        """Take frame t into the sums: how far each bone alone would put each vertex from its place."""
        alone = np.einsum("bij,vj->bvi", self.rotations[t], self.points) + self._moved[t][:, None]
        off = alone[self.bones, np.arange(len(self.points))[:, None]] - points[:, None]
        self._off += off @ off.transpose(0, 2, 1)

    def finish_weights(self) -> None:
        """The weights w ≥ 0, Σ w = 1 with the least wᵀ G w + σ² T |w − smooth|²."""
        hold = self.frames * self.settings.weight_sigma_m**2
        matrix = self._off + hold * np.eye(self.influences)
        self.weights = _on_simplex(matrix, hold * self.smooth)

    def result(self) -> tuple[Rig, RigMotion]:
        """What has come out."""
        lacking = _INFLUENCES - self.influences
        weights = np.pad(self.weights, ((0, 0), (0, lacking)))
        bones = np.pad(self.bones, ((0, 0), (0, lacking)))
        rig = Rig(self.names, self.parents, self.joints, self.points, np.where(weights > 0, bones, 0), weights)
        return rig, RigMotion(self.rotations, self.place)


def _nearest_rotation(matrices: Float[np.ndarray, "T 3 3"]) -> Float[np.ndarray, "T 3 3"]:
    """The rotation R with the largest trace(Rᵀ M) for each M."""
    u, _, vh = np.linalg.svd(matrices)
    u[..., 2] *= np.where(np.linalg.det(u @ vh) < 0, -1.0, 1.0)[..., None]
    result: Array = u @ vh
    return result


def _on_simplex(matrix: Float[np.ndarray, "V K K"], linear: Float[np.ndarray, "V K"]) -> Float[np.ndarray, "V K"]:
    """argmin wᵀ M w − 2 lᵀ w over w ≥ 0, Σ w = 1, for positive definite M.

    The problem is convex, so of the optima on all faces of the simplex the best admissible one is the answer.
    """
    count, size = linear.shape
    best, found = np.full(count, np.inf), np.zeros((count, size))
    for number in range(1, size + 1):
        for members in combinations(range(size), number):
            inner = matrix[:, members][:, :, members]
            both = np.stack([linear[:, members], np.ones((count, number))], axis=-1)
            solved = np.linalg.solve(inner, both)
            free, ones = solved[..., 0], solved[..., 1]
            slack = (1 - free.sum(1)) / ones.sum(1)
            weights = free + slack[:, None] * ones
            value = np.einsum("vi,vij,vj->v", weights, inner, weights) - 2 * (linear[:, members] * weights).sum(1)
            better = (weights >= -1e-12).all(1) & (value < best)
            best[better] = value[better]
            found[better] = 0
            found[np.ix_(better, members)] = np.clip(weights[better], 0, None)
    found /= found.sum(1, keepdims=True)
    return found

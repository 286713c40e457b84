"""A skeleton of rigid bones that moves a skin by linear blending: v = Σ w_b (R_b (x − j_b) + p_b).

Each bone turns about its joint, which its parent carries along: p_b = p_a + R_a (j_b − j_a) for the parent a. Only the
root is also moved. Joints, weights and the skin at rest are the rig's; rotations and the root's place are its motion's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

__all__ = ["Rig", "RigMotion", "bone_ends", "joint_places", "local_rotations", "quaternions", "skin"]


@dataclass(frozen=True)
class Rig:
    """B bones and a skin of V vertices at rest, in one unit and one frame of axes.

    Attributes:
        names: Bones; a parent comes before its children.
        parents: Row of each bone's parent, -1 for the root, which is row 0.
        joints: [B, 3] what each bone turns about, at rest.
        vertices: [V, 3] the skin at rest.
        bones: [V, 4] rows of the bones that move a vertex; a bone is named at most once where it has weight.
        weights: [V, 4] how much each of them does, 0 or more; they sum to 1.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    joints: Float[np.ndarray, "B 3"]
    vertices: Float[np.ndarray, "V 3"]
    bones: Int[np.ndarray, "V 4"]
    weights: Float[np.ndarray, "V 4"]

    @property
    def offsets(self) -> Float[np.ndarray, "B 3"]:
        """Each joint at rest relative to its parent's; the root's relative to the origin."""
        start = np.array([self.joints[up] if up >= 0 else np.zeros(3) for up in self.parents])
        offsets: np.ndarray = self.joints - start
        return offsets


@dataclass(frozen=True)
class RigMotion:
    """T poses of a rig.

    Attributes:
        rotations: [T, B, 3, 3] what turns each bone from rest to its pose, about the axes of the world.
        root_place: [T, 3] where the root's joint is.
    """

    rotations: Float[np.ndarray, "T B 3 3"]
    root_place: Float[np.ndarray, "T 3"]

    def __len__(self) -> int:
        return len(self.root_place)


def bone_ends(rig: Rig) -> Float[np.ndarray, "B 3"]:
    """How far each bone reaches at rest: from its joint through the middle of what it moves most, to the last of it."""
    owner = rig.bones[np.arange(len(rig.bones)), rig.weights.argmax(1)]
    ends = rig.joints.astype(np.float64)
    for bone, joint in enumerate(rig.joints):
        arms = rig.vertices[owner == bone] - joint
        along = arms.mean(0) if len(arms) else np.zeros(3)
        if (length := np.linalg.norm(along)) > 0:
            ends[bone] += (arms @ along).max() / length**2 * along
    return ends


def joint_places(rig: Rig, motion: RigMotion) -> Float[np.ndarray, "T B 3"]:
    """Where each joint is in each pose."""
    places = np.empty((len(motion), len(rig.names), 3))
    for bone, (parent, offset) in enumerate(zip(rig.parents, rig.offsets, strict=True)):
        if parent < 0:
            places[:, bone] = motion.root_place
        else:
            places[:, bone] = places[:, parent] + motion.rotations[:, parent] @ offset
    return places


def local_rotations(rig: Rig, motion: RigMotion) -> Float[np.ndarray, "T B 3 3"]:
    """Each bone's rotation relative to its parent's; the root's as it is."""
    local = motion.rotations.copy()
    for bone, parent in enumerate(rig.parents):
        if parent >= 0:
            local[:, bone] = motion.rotations[:, parent].transpose(0, 2, 1) @ motion.rotations[:, bone]
    return local


def quaternions(rotations: Float[np.ndarray, "T B 3 3"]) -> Float[np.ndarray, "T B 4"]:
    """Unit quaternions (x, y, z, w); the sign nearer to the pose before, so that blending goes straight."""
    frames, bones = rotations.shape[:2]
    turns = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat(canonical=True).reshape(frames, bones, 4)
    flips = np.where((turns[1:] * turns[:-1]).sum(-1) < 0, -1.0, 1.0)
    turns[1:] *= np.cumprod(flips, axis=0)[..., None]
    result: np.ndarray = turns
    return result


def skin(rig: Rig, motion: RigMotion, t: int) -> Float[np.ndarray, "V 3"]:
    """The skin in pose t."""
    turned = motion.rotations[t]
    shift = joint_places(rig, RigMotion(motion.rotations[t : t + 1], motion.root_place[t : t + 1]))[0] - np.einsum(
        "bij,bj->bi", turned, rig.joints
    )
    posed = np.zeros_like(rig.vertices, dtype=np.float64)
    for bones, weights in zip(rig.bones.T, rig.weights.T, strict=True):
        posed += weights[:, None] * (np.einsum("vij,vj->vi", turned[bones], rig.vertices) + shift[bones])
    return posed

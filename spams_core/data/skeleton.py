"""The skeleton that poses turn: joints, poses, motions, forward kinematics, and checks on a coarse proxy of the body.

A pose is a rotation per joint relative to its parent, written in canonical axes (+x the subject's left, +y up, +z
forward) of the rest A-pose. With G the rotation that takes a bone from rest to its posed orientation, G_child =
G_parent · R_joint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

__all__ = [
    "FINGERS",
    "JOINTS",
    "JOINT_INDEX",
    "LEG_LENGTH_M",
    "NECK",
    "PARENTS",
    "REST_JOINTS_M",
    "SPINE",
    "Motion",
    "Poses",
    "axes_along",
    "floor_clearance_m",
    "intersects_itself",
    "is_plausible",
    "joint_positions_m",
    "split_twist",
    "unit",
]

Array = np.ndarray[Any, Any]

SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")
_ARM = ("clavicle", "shoulder01", "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
_LEG = ("upperleg01", "upperleg02", "lowerleg01", "lowerleg02", "foot")
FINGERS = tuple(f"finger{finger}-{bone}" for finger in range(1, 6) for bone in range(1, 4))

# Joint positions of an average adult in the rest A-pose: canonical axes, metres, root at the origin, left side.
_REST_LEFT_M: dict[str, tuple[float, float, float]] = {
    "spine05": (0.0, 0.0, 0.0),
    "spine04": (0.0, 0.086, -0.039),
    "spine03": (0.0, 0.160, -0.024),
    "spine02": (0.0, 0.246, -0.025),
    "spine01": (0.0, 0.387, -0.040),
    "neck01": (0.0, 0.580, -0.011),
    "neck02": (0.0, 0.610, -0.002),
    "neck03": (0.0, 0.654, 0.011),
    "head": (0.0, 0.684, 0.025),
    "clavicle": (0.025, 0.502, 0.009),
    "shoulder01": (0.113, 0.520, 0.011),
    "upperarm01": (0.185, 0.480, 0.005),
    "upperarm02": (0.240, 0.412, 0.008),
    "lowerarm01": (0.372, 0.266, 0.012),
    "lowerarm02": (0.434, 0.201, 0.097),
    "wrist": (0.501, 0.134, 0.185),
    "finger1-1": (0.502, 0.125, 0.234),
    "finger1-2": (0.480, 0.115, 0.257),
    "finger1-3": (0.466, 0.100, 0.292),
    "finger2-1": (0.531, 0.089, 0.290),
    "finger2-2": (0.535, 0.073, 0.313),
    "finger2-3": (0.534, 0.055, 0.331),
    "finger3-1": (0.549, 0.076, 0.270),
    "finger3-2": (0.557, 0.048, 0.293),
    "finger3-3": (0.560, 0.025, 0.312),
    "finger4-1": (0.557, 0.068, 0.252),
    "finger4-2": (0.567, 0.042, 0.267),
    "finger4-3": (0.572, 0.019, 0.281),
    "finger5-1": (0.559, 0.059, 0.230),
    "finger5-2": (0.566, 0.038, 0.239),
    "finger5-3": (0.568, 0.022, 0.245),
    "upperleg01": (0.116, -0.011, -0.009),
    "upperleg02": (0.115, -0.109, 0.018),
    "lowerleg01": (0.152, -0.452, 0.024),
    "lowerleg02": (0.175, -0.680, 0.008),
    "foot": (0.198, -0.905, -0.009),
}
# Heel, ball and toes of the left sole relative to the ankle.
_SOLE_M = np.array([[0.0, -0.083, -0.05], [0.0, -0.083, 0.12], [0.02, -0.075, 0.18]])
_UP = np.array([0.0, 1.0, 0.0])
_LIMB_RADIUS_M = 0.05  # of what else may touch the floor: knees, hands, the seat


def _tree() -> tuple[tuple[str, ...], tuple[int, ...], Array]:
    """Names, parents (-1 is the root) and rest positions of all joints; parents come before children."""
    parent: dict[str, str | None] = {}
    last: str | None = None
    for name in SPINE + NECK:
        parent[name], last = last, name
    for suffix in (".L", ".R"):
        last = "spine01"
        for name in _ARM:
            parent[name + suffix], last = last, name + suffix
        for name in FINGERS:
            parent[name + suffix] = f"{name[:-1]}{int(name[-1]) - 1}{suffix}" if name[-1] != "1" else "wrist" + suffix
        last = None
        for name in _LEG:
            parent[name + suffix], last = last, name + suffix
    names = tuple(parent)
    rest = np.array([_REST_LEFT_M[name.split(".")[0]] for name in names])
    rest[[name.endswith(".R") for name in names], 0] *= -1
    index = {name: row for row, name in enumerate(names)}
    return names, tuple(-1 if up is None else index[up] for up in parent.values()), rest


JOINTS, PARENTS, REST_JOINTS_M = _tree()
"""Joint names (left ends in .L), the row of each one's parent (-1: the root), rest positions in metres [J, 3]."""

JOINT_INDEX: Mapping[str, int] = {name: row for row, name in enumerate(JOINTS)}
"""Row of a joint in `Poses.rotations`."""

LEG_LENGTH_M = float(
    np.linalg.norm(REST_JOINTS_M[JOINT_INDEX["lowerleg01.L"]] - REST_JOINTS_M[JOINT_INDEX["upperleg01.L"]])
    + np.linalg.norm(REST_JOINTS_M[JOINT_INDEX["foot.L"]] - REST_JOINTS_M[JOINT_INDEX["lowerleg01.L"]])
)
"""Hip to knee to ankle of the average adult that motions are made for."""


@dataclass(frozen=True)
class Poses:
    """T poses of anybody's skeleton.

    Attributes:
        rotations: [T, J, 3] rotation vectors in radians, one per joint of `JOINTS`, relative to the parent, in
            canonical axes of the rest A-pose; zeros are the A-pose.
    """

    rotations: Float[np.ndarray, "T J 3"]

    def __len__(self) -> int:
        return len(self.rotations)

    def __getitem__(self, rows: slice | Array) -> Poses:
        return Poses(self.rotations[rows])


@dataclass(frozen=True)
class Motion:
    """Poses that follow each other in time, and where the body is.

    Attributes:
        poses: T poses.
        root_rotation: [T, 3, 3] from the posed frame to the world.
        root_translation_m: [T, 3] the root in the world: metres, +y up. The average adult stands on y = 0;
            `BodyGenerator.grounded` makes a given body stand there.
        fps: Frames per second.
    """

    poses: Poses
    root_rotation: Float[np.ndarray, "T 3 3"]
    root_translation_m: Float[np.ndarray, "T 3"]
    fps: float


def joint_positions_m(poses: Poses) -> tuple[Float[np.ndarray, "T J 3"], Float[np.ndarray, "T J 3 3"]]:
    """Joint positions of the average adult, metres in the posed frame, and each bone's rotation from rest."""
    count = len(poses)
    local = Rotation.from_rotvec(poses.rotations.reshape(-1, 3)).as_matrix().reshape(count, len(JOINTS), 3, 3)
    turned = np.empty_like(local)
    place = np.empty((count, len(JOINTS), 3))
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            turned[:, joint], place[:, joint] = local[:, joint], REST_JOINTS_M[joint]
        else:
            turned[:, joint] = turned[:, parent] @ local[:, joint]
            place[:, joint] = place[:, parent] + turned[:, parent] @ (REST_JOINTS_M[joint] - REST_JOINTS_M[parent])
    return place, turned


def floor_clearance_m(motion: Motion) -> Float[np.ndarray, "T"]:
    """Height of the average adult's lowest point above the floor, metres; 0 when standing, more in a jump."""
    place, turned = joint_positions_m(motion.poses)
    points = [place - _LIMB_RADIUS_M * motion.root_rotation[:, None, 1]]
    for suffix, left in ((".L", 1.0), (".R", -1.0)):
        foot = JOINT_INDEX["foot" + suffix]
        sole = _SOLE_M * np.array([left, 1.0, 1.0])
        points.append(place[:, foot, None] + np.einsum("tij,nj->tni", turned[:, foot], sole))
    height = np.einsum("tnj,tj->tn", np.concatenate(points, axis=1), motion.root_rotation[:, 1])
    lowest: Array = height.min(axis=1) + motion.root_translation_m[:, 1]
    return lowest


def unit(vector: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The vector at length 1."""
    result: Array = vector / np.linalg.norm(vector)
    return result


def axes_along(first: Float[np.ndarray, "3"], second: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Orthonormal columns: along `first`, then the part of `second` across it, then their cross product."""
    x = unit(first)
    y = unit(second - x * (x @ second))
    return np.stack([x, y, np.cross(x, y)], axis=1)


def split_twist(rotations: Rotation, axis: Float[np.ndarray, "3"]) -> tuple[Rotation, Rotation]:
    """Swing and twist: R = swing · twist, the twist about `axis`, the swing's axis across it."""
    along = unit(axis)
    quaternion = rotations.as_quat()
    about = np.concatenate([(quaternion[:, :3] @ along)[:, None] * along, quaternion[:, 3:]], axis=1)
    # A half turn of pure swing leaves no twist to measure.
    about[np.linalg.norm(about, axis=1) < 1e-9] = (0.0, 0.0, 0.0, 1.0)
    twist = Rotation.from_quat(about)
    return rotations * twist.inv(), twist


def _capsule_depth(points: Array, start: Array, end: Array, radius: Array) -> Array:
    """How deep points lie inside capsules with elliptic sections: 1 on the axis, 0 on the skin, negative outside."""
    along = end - start
    share = np.clip(((points - start) * along).sum(-1) / (along * along).sum(-1), 0.0, 1.0)
    offset = points - start - share[..., None] * along
    depth: Array = 1.0 - np.linalg.norm(offset / radius, axis=-1)
    return depth


def intersects_itself(poses: Poses, tolerance: float = 0.25) -> Bool[np.ndarray, "T"]:
    """Whether hands, forearms or legs go deep into the trunk, the head or each other, on a coarse proxy.

    The proxy is the average adult: elliptic capsules for the trunk, a ball for the head, capsules for the limbs.

    Args:
        poses: T poses.
        tolerance: Share of a capsule's radius by which a limb's axis may enter, beyond the limb's own thickness.
    """
    place, turned = joint_positions_m(poses)

    def at(name: str) -> Array:
        row: Array = place[:, JOINT_INDEX[name]]
        return row

    def between(start: str, end: str, shares: tuple[float, ...], beyond: float = 0.0) -> Array:
        a, b = at(start), at(end)
        return np.stack([a + (b - a) * (share + beyond) for share in shares], axis=1)

    hit = np.zeros(len(poses), dtype=bool)
    origin = np.zeros_like(at("head"))
    head = at("head") + np.einsum("tij,j->ti", turned[:, JOINT_INDEX["head"]], np.array([0.0, 0.06, 0.03]))
    trunk = (
        (origin - 0.06 * _UP, at("spine03"), np.array([0.19, 0.13, 0.13]), "spine05"),
        (at("spine03"), at("spine01") + 0.25 * (at("neck01") - at("spine01")), np.array([0.16, 0.12, 0.12]), "spine02"),
    )

    for suffix in (".L", ".R"):
        other = ".R" if suffix == ".L" else ".L"
        arm = np.concatenate(
            [
                between("lowerarm01" + suffix, "wrist" + suffix, (0.3, 0.65, 1.0)),
                between("wrist" + suffix, "finger3-2" + suffix, (0.6, 1.0)),
            ],
            axis=1,
        )
        for start, end, radius, bone in trunk:
            inverse = turned[:, JOINT_INDEX[bone]].transpose(0, 2, 1)
            inside = _capsule_depth(
                np.einsum("tij,tnj->tni", inverse, arm - start[:, None]),
                np.zeros(3),
                np.einsum("tij,tj->ti", inverse, end - start)[:, None],
                radius,
            )
            hit |= (inside > tolerance - 0.25).any(1)
        hit |= (np.linalg.norm(arm - head[:, None], axis=-1) < 0.11).any(1)
        for thigh_side in (".L", ".R"):
            hip, knee = at("upperleg01" + thigh_side), at("lowerleg01" + thigh_side)
            hit |= (_capsule_depth(arm, hip[:, None], knee[:, None], np.full(3, 0.10)) > tolerance - 0.2).any(1)
        # Forearm through forearm, shin through shin.
        fore = between("lowerarm01" + other, "wrist" + other, (0.0, 1.0))
        hit |= (_capsule_depth(arm, fore[:, :1], fore[:, 1:], np.full(3, 0.055)) > tolerance - 0.2).any(1)
        shin = between("lowerleg01" + suffix, "foot" + suffix, (0.2, 0.5, 0.8, 1.0))
        against = between("lowerleg01" + other, "foot" + other, (0.0, 1.0))
        hit |= (_capsule_depth(shin, against[:, :1], against[:, 1:], np.full(3, 0.09)) > tolerance - 0.2).any(1)
        heel_in_trunk = _capsule_depth(shin, origin[:, None] - 0.06 * _UP, at("spine03")[:, None], np.full(3, 0.13))
        hit |= (heel_in_trunk > tolerance - 0.2).any(1)
    return hit


def is_plausible(poses: Poses) -> Bool[np.ndarray, "T"]:
    """Whether poses from elsewhere are fit for training: not through the own body, no thigh behind or beside the trunk.

    Hips are where captures fail: a deep squat turns inside out. A thigh may extend by 35° and flex by 150°.
    """
    place, _ = joint_positions_m(poses)
    good = ~intersects_itself(poses)
    for suffix in (".L", ".R"):
        thigh = place[:, JOINT_INDEX["lowerleg01" + suffix]] - place[:, JOINT_INDEX["upperleg01" + suffix]]
        thigh = thigh / np.linalg.norm(thigh, axis=1, keepdims=True)
        good &= (thigh[:, 2] > -np.sin(np.deg2rad(35.0))) & (thigh[:, 1] < np.sin(np.deg2rad(60.0)))
    return good

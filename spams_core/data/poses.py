"""Human poses: joint rotations, anatomical angles within human limits, and samplers of poses and smooth motions.

A pose is a rotation per joint relative to its parent, written in canonical axes (+x the subject's left, +y up, +z
forward) of the rest A-pose. With G the rotation that takes a bone from rest to its posed orientation, G_child =
G_parent · R_joint. Samplers work in anatomical angles, clipped to `LIMITS_DEG` and then turned into rotations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation

__all__ = [
    "ANGLES",
    "JOINTS",
    "JOINT_INDEX",
    "LEG_LENGTH_M",
    "LIMITS_DEG",
    "NECK",
    "NEUTRAL_DEG",
    "PARENTS",
    "REST_JOINTS_M",
    "SPINE",
    "Motion",
    "Poses",
    "floor_clearance_m",
    "intersects_itself",
    "joint_positions_m",
    "neutral_pose",
    "poses_from_angles",
    "sample_angles",
    "sample_motion",
    "sample_poses",
    "split_twist",
]

Array = np.ndarray[Any, Any]

SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")
_ARM = ("clavicle", "shoulder01", "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
_LEG = ("upperleg01", "upperleg02", "lowerleg01", "lowerleg02", "foot")
_FINGERS = tuple(f"finger{finger}-{bone}" for finger in range(1, 6) for bone in range(1, 4))

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
        for name in _FINGERS:
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


def split_twist(rotations: Rotation, axis: Float[np.ndarray, "3"]) -> tuple[Rotation, Rotation]:
    """Swing and twist: R = swing · twist, the twist about `axis`, the swing's axis across it."""
    unit = _unit(axis)
    quaternion = rotations.as_quat()
    about = np.concatenate([(quaternion[:, :3] @ unit)[:, None] * unit, quaternion[:, 3:]], axis=1)
    # A half turn of pure swing leaves no twist to measure.
    about[np.linalg.norm(about, axis=1) < 1e-9] = (0.0, 0.0, 0.0, 1.0)
    twist = Rotation.from_quat(about)
    return rotations * twist.inv(), twist


# --- anatomical angles ------------------------------------------------------------------------------------------------

# Ranges of motion of healthy adults, degrees: American Academy of Orthopaedic Surgeons, "Joint Motion: Method of
# Measuring and Recording" (1965), and Norkin & White, "Measurement of Joint Motion", 5th ed., app. B; spine and neck
# are sums over their bones. Zero is upright standing with hanging arms and straight legs. A side's angles mirror.
_TRUNK_LIMITS = {
    "spine_flexion": (-25.0, 80.0),  # forwards +
    "spine_bend": (-35.0, 35.0),  # to the left +
    "spine_twist": (-40.0, 40.0),  # to the left +
    "neck_flexion": (-50.0, 45.0),
    "neck_bend": (-40.0, 40.0),
    "neck_twist": (-70.0, 70.0),
}
_SIDE_LIMITS = {
    "shoulder_elevation": (0.0, 170.0),  # 0 hanging, 90 horizontal
    "shoulder_plane": (-50.0, 130.0),  # of elevation: 0 sideways, 90 forwards, more across the chest, less backwards
    "shoulder_twist": (-70.0, 90.0),  # about the upper arm, outwards +
    "elbow_flexion": (0.0, 145.0),
    "forearm_pronation": (-80.0, 80.0),
    "wrist_flexion": (-60.0, 70.0),
    "wrist_deviation": (-20.0, 30.0),  # towards the little finger +
    "finger_curl": (0.0, 70.0),  # per finger bone
    "hip_flexion": (-20.0, 120.0),
    "hip_abduction": (-20.0, 45.0),
    "hip_rotation": (-35.0, 45.0),  # outwards +
    "knee_flexion": (0.0, 140.0),
    "ankle_flexion": (-20.0, 45.0),  # toes down +
    "ankle_inversion": (-15.0, 25.0),
}
LIMITS_DEG: Mapping[str, tuple[float, float]] = {
    **_TRUNK_LIMITS,
    **{f"{side}_{name}": limits for side in ("left", "right") for name, limits in _SIDE_LIMITS.items()},
}
"""Lowest and highest value of each anatomical angle in degrees."""

ANGLES = tuple(LIMITS_DEG)
"""Names of the anatomical angles, in the order of the columns of an angle array."""

_ANGLE_INDEX = {name: column for column, name in enumerate(ANGLES)}
_LOWER = np.array([low for low, _ in LIMITS_DEG.values()])
_UPPER = np.array([high for _, high in LIMITS_DEG.values()])

_NEUTRAL_SIDE = {
    "shoulder_elevation": 10.0,
    "shoulder_plane": 20.0,
    "elbow_flexion": 12.0,
    "finger_curl": 18.0,
    "hip_abduction": 4.0,
    "hip_rotation": 6.0,
    "knee_flexion": 3.0,
}
NEUTRAL_DEG = np.array([_NEUTRAL_SIDE.get(name.split("_", 1)[1], 0.0) for name in ANGLES])
"""Relaxed upright standing, one value per name in `ANGLES`."""

_SPINE_SHARE = (0.2, 0.2, 0.2, 0.2, 0.2)
_NECK_SHARE = (0.2, 0.2, 0.2, 0.4)


def _unit(vector: Array) -> Array:
    result: Array = vector / np.linalg.norm(vector)
    return result


def _about(axis: Array, degrees: Array) -> Rotation:
    """Rotations about one axis, or one axis each, by an angle each."""
    return Rotation.from_rotvec(np.broadcast_to(axis, (len(degrees), 3)) * np.deg2rad(degrees)[:, None])


def _frame(first: Array, second: Array) -> Array:
    """Orthonormal columns: along `first`, then the part of `second` across it, then their cross product."""
    x = _unit(first)
    y = _unit(second - x * (x @ second))
    return np.stack([x, y, np.cross(x, y)], axis=1)


_X, _Y, _Z = np.eye(3)


def _rest(name: str) -> Array:
    row: Array = REST_JOINTS_M[JOINT_INDEX[name]]
    return row


def poses_from_angles(angles_deg: Float[np.ndarray, "T A"]) -> Poses:
    """Joint rotations of anatomical angles; columns as in `ANGLES`, degrees, clipped to `LIMITS_DEG`."""
    angles = np.clip(angles_deg, _LOWER, _UPPER)
    count = len(angles)
    local: dict[str, Rotation] = {}

    def value(name: str) -> Array:
        column: Array = angles[:, _ANGLE_INDEX[name]]
        return column

    for names, shares, trunk in ((SPINE, _SPINE_SHARE, "spine"), (NECK, _NECK_SHARE, "neck")):
        vector = np.stack([value(f"{trunk}_flexion"), value(f"{trunk}_twist"), -value(f"{trunk}_bend")], axis=1)
        for name, share in zip(names, shares, strict=True):
            local[name] = Rotation.from_rotvec(np.deg2rad(vector) * share)

    for side, suffix, left in (("left", ".L", 1.0), ("right", ".R", -1.0)):
        get: Callable[[str], Array] = lambda name, side=side: value(f"{side}_{name}")  # type: ignore[misc] # noqa: E731
        _arm(local, get, suffix, left)
        _leg(local, get, suffix, left)

    rotations = np.zeros((count, len(JOINTS), 3))
    for name, rotation in local.items():
        rotations[:, JOINT_INDEX[name]] = rotation.as_rotvec()
    return Poses(rotations)


def _arm(local: dict[str, Rotation], get: Callable[[str], Array], suffix: str, left: float) -> None:
    """Rotations of one arm; `left` is +1 for the left arm, -1 for the right, which mirrors in x."""
    upper = _rest("lowerarm01" + suffix) - _rest("upperarm01" + suffix)
    fore = _rest("wrist" + suffix) - _rest("lowerarm01" + suffix)
    elbow_axis = _unit(np.cross(upper, fore))  # the rest forearm is bent, which shows the elbow's axis
    rest_flexion = np.rad2deg(np.arccos(_unit(upper) @ _unit(fore)))
    # The hanging arm: upper arm down, elbow bending forwards.
    hang = Rotation.from_matrix(_frame(-_Y, -_X) @ _frame(upper, elbow_axis).T)

    elevation, plane, twist = get("shoulder_elevation"), np.deg2rad(get("shoulder_plane")), get("shoulder_twist")
    sideways = np.stack([left * np.cos(plane), np.zeros_like(plane), np.sin(plane)], axis=1)
    axis = np.cross(-_Y, sideways)
    total = _about(axis, elevation) * _about(left * _Y, twist)
    # Scapulohumeral rhythm (Inman et al. 1944): above 30° a third of the elevation is the shoulder girdle's.
    girdle = np.clip(elevation - 30.0, 0.0, None) / 3.0
    local["clavicle" + suffix] = _about(left * _Z, 0.4 * girdle * np.cos(plane / 2)) * _about(
        -left * _Y, 0.15 * girdle * np.sin(plane)
    )
    local["shoulder01" + suffix] = _about(axis, 0.5 * girdle)
    shoulder = (local["clavicle" + suffix] * local["shoulder01" + suffix]).inv() * total * hang
    # Half of the humeral rotation sits on the second bone, so that the skin twists along the upper arm.
    half = _about(_unit(-upper) * left, twist / 2)
    local["upperarm01" + suffix] = shoulder * half.inv()
    local["upperarm02" + suffix] = half

    pronation = _about(-left * _unit(fore), get("forearm_pronation") / 2)
    local["lowerarm01" + suffix] = _about(elbow_axis, get("elbow_flexion") - rest_flexion)
    local["lowerarm02" + suffix] = pronation
    hand = _unit(_rest("finger3-1" + suffix) - _rest("wrist" + suffix))
    thumb_side = _rest("finger2-1" + suffix) - _rest("finger5-1" + suffix)
    palm = _unit(np.cross(hand, thumb_side)) * left
    flexion_axis = np.cross(hand, palm)
    local["wrist" + suffix] = (
        pronation * _about(flexion_axis, get("wrist_flexion")) * _about(-left * palm, get("wrist_deviation"))
    )
    for name in _FINGERS:
        if not name.startswith("finger1"):
            # The rest fingers are bent by about 20° each.
            local[name + suffix] = _about(flexion_axis, get("finger_curl") - 20.0)


def _leg(local: dict[str, Rotation], get: Callable[[str], Array], suffix: str, left: float) -> None:
    """Rotations of one leg; `left` as in `_arm`."""
    thigh = _rest("lowerleg01" + suffix) - _rest("upperleg01" + suffix)
    shin = _rest("foot" + suffix) - _rest("lowerleg01" + suffix)
    straight = Rotation.from_matrix(_frame(-_Y, _X) @ _frame(thigh, _X).T)
    straight_shin = Rotation.from_matrix(_frame(thigh, _X) @ _frame(shin, _X).T)
    total = (
        _about(-_X, get("hip_flexion"))
        * _about(left * _Z, get("hip_abduction"))
        * _about(left * _Y, get("hip_rotation"))
    )
    half = _about(_unit(-thigh) * left, get("hip_rotation") / 2)
    local["upperleg01" + suffix] = total * straight * half.inv()
    local["upperleg02" + suffix] = half
    local["lowerleg01" + suffix] = _about(_X, get("knee_flexion")) * straight_shin
    # The sole is level in the rest pose: undo what straightening the leg did to it.
    level = (straight * straight_shin).inv()
    local["foot" + suffix] = level * _about(_X, get("ankle_flexion")) * _about(-left * _Z, get("ankle_inversion"))


def neutral_pose() -> Poses:
    """Relaxed upright standing, one pose."""
    return poses_from_angles(NEUTRAL_DEG[None])


# --- sampling ---------------------------------------------------------------------------------------------------------

_ARM_ANGLES = ("shoulder_elevation", "shoulder_plane", "shoulder_twist", "elbow_flexion")


class _Draft:
    """One set of angles while it is drawn: neutral standing, to which the pose kinds add."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self.angles = NEUTRAL_DEG.copy()

    def put(self, name: str, low: float, high: float) -> float:
        """Draw one angle uniformly."""
        value = float(self.generator.uniform(low, high))
        self.angles[_ANGLE_INDEX[name]] = value
        return value

    def jitter(self, prefix: str, degrees: float) -> None:
        """Add noise to all angles whose names start with `prefix`."""
        for name, column in _ANGLE_INDEX.items():
            if name.startswith(prefix):
                self.angles[column] += self.generator.normal(0.0, degrees)

    def side(self) -> str:
        return "left" if self.generator.random() < 0.5 else "right"


def _other(side: str) -> str:
    return "right" if side == "left" else "left"


def _hand(draft: _Draft, side: str) -> None:
    draft.put(f"{side}_forearm_pronation", -55, 65)
    draft.put(f"{side}_wrist_flexion", -35, 35)
    draft.put(f"{side}_wrist_deviation", -12, 18)
    draft.put(f"{side}_finger_curl", 5, 60)


def _head(draft: _Draft) -> None:
    draft.put("neck_flexion", -25, 30)
    draft.put("neck_bend", -20, 20)
    draft.put("neck_twist", -50, 50)


def _arm_free(draft: _Draft, side: str) -> None:
    """Anywhere within reach."""
    draft.put(f"{side}_shoulder_elevation", 5, 165)
    draft.put(f"{side}_shoulder_plane", -30, 110)
    draft.put(f"{side}_shoulder_twist", -50, 70)
    draft.put(f"{side}_elbow_flexion", 0, 135)
    _hand(draft, side)


def _arm_low(draft: _Draft, side: str) -> None:
    """Hanging to slightly raised, as in standing and in the A-pose."""
    draft.put(f"{side}_shoulder_elevation", 4, 60)
    draft.put(f"{side}_shoulder_plane", -25, 70)
    draft.put(f"{side}_shoulder_twist", -30, 25)
    draft.put(f"{side}_elbow_flexion", 2, 60)
    _hand(draft, side)


def _arm_wave(draft: _Draft, side: str) -> None:
    """Forearm upright beside the head, or the whole arm overhead."""
    if draft.generator.random() < 0.5:
        draft.put(f"{side}_shoulder_elevation", 60, 120)
        draft.put(f"{side}_shoulder_plane", -15, 50)
        draft.put(f"{side}_shoulder_twist", 40, 90)
        draft.put(f"{side}_elbow_flexion", 50, 130)
    else:
        draft.put(f"{side}_shoulder_elevation", 110, 168)
        draft.put(f"{side}_shoulder_plane", -15, 50)
        draft.put(f"{side}_shoulder_twist", -10, 50)
        draft.put(f"{side}_elbow_flexion", 0, 75)
    _hand(draft, side)


def _arm_gesture(draft: _Draft, side: str) -> None:
    """In front of the body, as in talking, holding, pointing."""
    draft.put(f"{side}_shoulder_elevation", 10, 90)
    draft.put(f"{side}_shoulder_plane", 20, 100)
    draft.put(f"{side}_shoulder_twist", -45, 30)
    draft.put(f"{side}_elbow_flexion", 20, 125)
    _hand(draft, side)


def _arm_side(draft: _Draft, side: str) -> None:
    """Stretched sideways."""
    draft.put(f"{side}_shoulder_elevation", 65, 120)
    draft.put(f"{side}_shoulder_plane", -20, 30)
    draft.put(f"{side}_shoulder_twist", -40, 60)
    draft.put(f"{side}_elbow_flexion", 0, 50)
    _hand(draft, side)


def _arm_on_hip(draft: _Draft, side: str) -> None:
    draft.put(f"{side}_shoulder_elevation", 38, 58)
    draft.put(f"{side}_shoulder_plane", -25, 10)
    draft.put(f"{side}_shoulder_twist", -70, -50)
    draft.put(f"{side}_elbow_flexion", 85, 115)
    _hand(draft, side)


def _arm_crossed(draft: _Draft, side: str) -> None:
    draft.put(f"{side}_shoulder_elevation", 28, 50)
    draft.put(f"{side}_shoulder_plane", 50, 85)
    draft.put(f"{side}_shoulder_twist", -62, -40)
    draft.put(f"{side}_elbow_flexion", 95, 125)
    _hand(draft, side)


def _arm_guard(draft: _Draft, side: str) -> None:
    """Fists before the chin, as in boxing."""
    draft.put(f"{side}_shoulder_elevation", 20, 60)
    draft.put(f"{side}_shoulder_plane", 30, 95)
    draft.put(f"{side}_shoulder_twist", -25, 15)
    draft.put(f"{side}_elbow_flexion", 90, 140)
    _hand(draft, side)
    draft.put(f"{side}_finger_curl", 50, 70)


_ARM_KINDS: tuple[tuple[float, Callable[[_Draft, str], None]], ...] = (
    (0.26, _arm_free),
    (0.14, _arm_low),
    (0.17, _arm_wave),
    (0.17, _arm_gesture),
    (0.12, _arm_side),
    (0.06, _arm_on_hip),
    (0.08, _arm_guard),
)


def _any_arm(draft: _Draft, side: str) -> None:
    weights = np.array([weight for weight, _ in _ARM_KINDS])
    _ARM_KINDS[int(draft.generator.choice(len(_ARM_KINDS), p=weights / weights.sum()))][1](draft, side)


def _legs_stand(draft: _Draft) -> None:
    for side in ("left", "right"):
        flexion = draft.put(f"{side}_hip_flexion", -8, 12)
        draft.put(f"{side}_hip_abduction", 0, 14)
        draft.put(f"{side}_hip_rotation", -6, 20)
        draft.put(f"{side}_knee_flexion", 0, 16 + max(flexion, 0.0))


def _legs_gait(draft: _Draft) -> None:
    phase = draft.generator.uniform(0, 1)
    stride = draft.generator.uniform(0.6, 1.4)
    draft.angles += _gait_deg(np.array([phase]), stride)[0]
    draft.jitter("left_hip", 3)
    draft.jitter("right_hip", 3)


def _legs_squat(draft: _Draft) -> None:
    depth = draft.generator.uniform(0.2, 1.0)
    lean = draft.generator.uniform(0.8, 1.1)
    for side in ("left", "right"):
        draft.put(f"{side}_hip_flexion", 95 * depth * lean - 6, 95 * depth * lean + 6)
        draft.put(f"{side}_knee_flexion", 110 * depth - 6, 110 * depth + 6)
        draft.put(f"{side}_hip_abduction", 4, 30)
        draft.put(f"{side}_hip_rotation", 0, 30)
        draft.put(f"{side}_ankle_flexion", -20 * depth - 3, -20 * depth + 3)
    draft.put("spine_flexion", 0, 35)


def _legs_lunge(draft: _Draft) -> None:
    front = draft.side()
    back = _other(front)
    draft.put(f"{front}_hip_flexion", 40, 95)
    draft.put(f"{front}_knee_flexion", 40, 95)
    draft.put(f"{back}_hip_flexion", -20, 5)
    draft.put(f"{back}_knee_flexion", 5, 75)
    draft.put(f"{back}_ankle_flexion", -15, 30)
    for side in (front, back):
        draft.put(f"{side}_hip_abduction", -2, 20)
        draft.put(f"{side}_hip_rotation", -10, 25)


def _legs_kick(draft: _Draft) -> None:
    leg = draft.side()
    draft.put(f"{leg}_hip_flexion", 35, 105)
    draft.put(f"{leg}_knee_flexion", 0, 110)
    draft.put(f"{leg}_hip_abduction", -5, 40)
    draft.put(f"{leg}_hip_rotation", -25, 35)
    draft.put(f"{leg}_ankle_flexion", -10, 40)
    draft.put(f"{_other(leg)}_knee_flexion", 2, 30)
    draft.put(f"{_other(leg)}_hip_abduction", -4, 10)
    draft.put("spine_flexion", -20, 25)


def _legs_back(draft: _Draft) -> None:
    """A heel lifted behind, as in running and jumping."""
    leg = draft.side()
    draft.put(f"{leg}_hip_flexion", -18, 45)
    draft.put(f"{leg}_knee_flexion", 40, 125)
    draft.put(f"{leg}_ankle_flexion", -5, 35)
    draft.put(f"{_other(leg)}_hip_flexion", -10, 40)
    draft.put(f"{_other(leg)}_knee_flexion", 2, 50)


def _legs_wide(draft: _Draft) -> None:
    for side in ("left", "right"):
        draft.put(f"{side}_hip_abduction", 8, 40)
        draft.put(f"{side}_hip_rotation", -5, 35)
        bend = draft.put(f"{side}_knee_flexion", 0, 55)
        draft.put(f"{side}_hip_flexion", bend / 2 - 8, bend / 2 + 12)


_LEG_KINDS: tuple[tuple[float, Callable[[_Draft], None]], ...] = (
    (0.28, _legs_stand),
    (0.14, _legs_gait),
    (0.12, _legs_squat),
    (0.12, _legs_lunge),
    (0.13, _legs_kick),
    (0.09, _legs_back),
    (0.12, _legs_wide),
)


def _trunk(draft: _Draft, scale: float) -> None:
    draft.put("spine_flexion", -15 * scale, 30 * scale)
    draft.put("spine_bend", -22 * scale, 22 * scale)
    draft.put("spine_twist", -30 * scale, 30 * scale)


def _draw_standing(draft: _Draft) -> None:
    _trunk(draft, 0.4)
    _head(draft)
    _legs_stand(draft)
    for side in ("left", "right"):
        _arm_low(draft, side)
    if draft.generator.random() < 0.35:
        _any_arm(draft, draft.side())


def _draw_gesture(draft: _Draft) -> None:
    _trunk(draft, 0.4)
    _head(draft)
    if draft.generator.random() < 0.55:
        for side in ("left", "right"):
            _hand(draft, side)
        _legs_gait(draft)
        if draft.generator.random() < 0.3:
            _arm_gesture(draft, draft.side())
        return
    _legs_stand(draft)
    kinds = (_arm_low, _arm_wave, _arm_gesture, _arm_on_hip)
    for side in ("left", "right"):
        kinds[int(draft.generator.choice(4, p=(0.25, 0.25, 0.4, 0.1)))](draft, side)


def _draw_broad(draft: _Draft) -> None:
    _trunk(draft, 1.0)
    _head(draft)
    weights = np.array([weight for weight, _ in _LEG_KINDS])
    _LEG_KINDS[int(draft.generator.choice(len(_LEG_KINDS), p=weights / weights.sum()))][1](draft)
    fold = draft.generator.random()
    if fold < 0.05:
        for side in ("left", "right"):
            _arm_crossed(draft, side)
    elif fold < 0.10:
        for side in ("left", "right"):
            _arm_on_hip(draft, side)
    else:
        for side in ("left", "right"):
            _any_arm(draft, side)
    if draft.generator.random() < 0.08:  # reaching down
        draft.put("spine_flexion", 30, 80)


_POSE_KINDS: tuple[tuple[float, Callable[[_Draft], None]], ...] = (
    (0.25, _draw_standing),
    (0.25, _draw_gesture),
    (0.50, _draw_broad),
)


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
        (origin - 0.06 * _Y, at("spine03"), np.array([0.17, 0.12, 0.12]), "spine05"),
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
            hit |= (_capsule_depth(arm, hip[:, None], knee[:, None], np.full(3, 0.08)) > tolerance).any(1)
        # Forearm through forearm, shin through shin.
        fore = between("lowerarm01" + other, "wrist" + other, (0.0, 1.0))
        hit |= (_capsule_depth(arm, fore[:, :1], fore[:, 1:], np.full(3, 0.055)) > tolerance - 0.2).any(1)
        shin = between("lowerleg01" + suffix, "foot" + suffix, (0.2, 0.5, 0.8, 1.0))
        against = between("lowerleg01" + other, "foot" + other, (0.0, 1.0))
        hit |= (_capsule_depth(shin, against[:, :1], against[:, 1:], np.full(3, 0.09)) > tolerance - 0.2).any(1)
        heel_in_trunk = _capsule_depth(shin, origin[:, None] - 0.06 * _Y, at("spine03")[:, None], np.full(3, 0.13))
        hit |= (heel_in_trunk > tolerance - 0.2).any(1)
    return hit


def sample_angles(generator: np.random.Generator, count: int) -> Float[np.ndarray, "T A"]:
    """Anatomical angles of poses as people take them, degrees, within `LIMITS_DEG`, hardly any through the own body.

    A quarter stands, a quarter walks or gestures, a half is wide: waving, dancing, kicking, lunging, squatting.
    """
    weights = np.array([weight for weight, _ in _POSE_KINDS])
    result = np.empty((count, len(ANGLES)))
    for row in range(count):
        kind = _POSE_KINDS[int(generator.choice(len(_POSE_KINDS), p=weights))][1]
        for _ in range(200):
            draft = _Draft(generator)
            kind(draft)
            angles = np.clip(draft.angles, _LOWER, _UPPER)
            if not intersects_itself(poses_from_angles(angles[None]))[0]:
                break
        result[row] = angles
    return result


def sample_poses(generator: np.random.Generator, count: int) -> Poses:
    """Poses as people take them; see `sample_angles`."""
    return poses_from_angles(sample_angles(generator, count))


# --- motion -----------------------------------------------------------------------------------------------------------

# Sagittal joint angles of level walking over one cycle from heel strike, degrees at every tenth of it, after the
# normative curves in Winter, "Biomechanics and Motor Control of Human Movement", 4th ed., app. A.
_GAIT_HIP = (26.0, 22.0, 14.0, 5.0, -4.0, -10.0, -6.0, 8.0, 21.0, 28.0)
_GAIT_KNEE = (4.0, 17.0, 15.0, 8.0, 5.0, 12.0, 36.0, 62.0, 42.0, 8.0)
_GAIT_ANKLE = (0.0, 5.0, -3.0, -7.0, -10.0, -8.0, 17.0, 8.0, 0.0, -1.0)


_SWING_OUT_DEG = 11.0  # a swinging arm stays this far off the trunk


def _cycle(values: tuple[float, ...]) -> CubicSpline:
    return CubicSpline(np.linspace(0.0, 1.0, len(values) + 1), [*values, values[0]], bc_type="periodic")


_GAIT = {"hip_flexion": _cycle(_GAIT_HIP), "knee_flexion": _cycle(_GAIT_KNEE), "ankle_flexion": _cycle(_GAIT_ANKLE)}


def _gait_deg(phase: Array, stride: float | Array) -> Array:
    """What walking adds to neutral standing at phases of the cycle (1 = two steps); arms swing against the legs."""
    added = np.zeros((len(phase), len(ANGLES)))
    for side, shift in (("left", 0.0), ("right", 0.5)):
        moved = (phase + shift) % 1.0
        for name, curve in _GAIT.items():
            added[:, _ANGLE_INDEX[f"{side}_{name}"]] = curve(moved) * stride
        swing = -np.cos(2 * np.pi * moved)  # the arm is back when its own leg is in front
        forwards = stride * (3.0 + 20.0 * swing)
        for name, angle in (
            ("shoulder_elevation", np.hypot(forwards, _SWING_OUT_DEG)),
            ("shoulder_plane", np.rad2deg(np.arctan2(forwards, _SWING_OUT_DEG))),
        ):
            added[:, _ANGLE_INDEX[f"{side}_{name}"]] = angle - _NEUTRAL_SIDE[name]
        added[:, _ANGLE_INDEX[f"{side}_elbow_flexion"]] = stride * (8.0 + 10.0 * swing)
    turn = np.cos(2 * np.pi * phase)
    added[:, _ANGLE_INDEX["spine_twist"]] = 5.0 * turn * stride
    return added


def _smooth_curve(generator: np.random.Generator, seconds: float, times: Array, spacing_s: float, size: float) -> Array:
    """A smooth random curve through normally distributed knots."""
    knots = np.arange(0.0, seconds + 2 * spacing_s, spacing_s)
    curve: Array = CubicSpline(knots, generator.normal(0.0, size, len(knots)))(times)
    return curve


def sample_motion(generator: np.random.Generator, frames: int, fps: float, walk: bool) -> Motion:
    """A smooth motion: key poses joined by splines, walking a winding path through the room or staying in place.

    Angles run on monotone splines through their keys, so they stay within human limits between keys, too.

    Args:
        generator: Source of all draws.
        frames: T.
        fps: Frames per second.
        walk: Whether the subject walks, at 0.6–1.2 m/s within about 1.2 m of the origin, else performs in place.
    """
    times = np.arange(frames) / fps
    seconds = float(times[-1]) if frames > 1 else 0.0
    spacing = generator.uniform(0.7, 1.1)
    knots = np.arange(0.0, seconds + 2 * spacing, spacing)
    keys = sample_angles(generator, len(knots))
    heading = generator.uniform(-np.pi, np.pi)
    place = np.zeros((frames, 3))
    if walk:
        speed = generator.uniform(0.6, 1.2)
        stride_m = 0.75 * LEG_LENGTH_M / 0.9 * (0.7 + 0.5 * speed)  # one step; longer when faster
        stride = stride_m / (0.75 * LEG_LENGTH_M / 0.9 * 1.2)
        phase = generator.uniform() + times * speed / (2 * stride_m)
        legs = [column for name, column in _ANGLE_INDEX.items() if "hip" in name or "knee" in name or "ankle" in name]
        trunk = [column for name, column in _ANGLE_INDEX.items() if name.startswith("spine")]
        keys[:, legs] = NEUTRAL_DEG[legs]
        keys[:, trunk] *= 0.3
        gait = _gait_deg(phase, stride)
        angles = PchipInterpolator(knots, keys)(times)
        free = generator.random(2) < 0.5  # an arm either swings or does something of its own
        for side, own in zip(("left", "right"), free, strict=True):
            arm = [_ANGLE_INDEX[f"{side}_{name}"] for name in _ARM_ANGLES]
            if own:
                gait[:, arm] = 0.0
            else:
                angles[:, arm] = NEUTRAL_DEG[arm]
        angles = angles + gait
        # A circle bends the path back into the room; its radius breathes.
        turn = generator.choice([-1.0, 1.0]) / generator.uniform(0.7, 1.1)
        yaw = heading + turn * speed * times + _smooth_curve(generator, seconds, times, 1.5, 0.2)
        step = speed / fps * np.stack([np.sin(yaw), np.zeros(frames), np.cos(yaw)], axis=1)
        place = np.concatenate([np.zeros((1, 3)), np.cumsum(step, axis=0)[:-1]])
        place -= place.mean(axis=0)
    else:
        angles = PchipInterpolator(knots, keys)(times)
        yaw = heading + _smooth_curve(generator, seconds, times, 1.5, 0.5)
        place[:, 0] = _smooth_curve(generator, seconds, times, 1.2, 0.06)
        place[:, 2] = _smooth_curve(generator, seconds, times, 1.2, 0.06)
    poses = poses_from_angles(angles)
    rotation = Rotation.from_rotvec(yaw[:, None] * _Y).as_matrix()
    place[:, 1] -= floor_clearance_m(Motion(poses, rotation, place, fps))
    return Motion(poses, rotation, place, fps)

"""Anatomical angles, their limits in people, and the joint rotations that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from spams_core.data.skeleton import FINGERS, JOINT_INDEX, JOINTS, NECK, REST_JOINTS_M, SPINE, Poses, axes_along, unit

__all__ = ["ANGLES", "ANGLE_INDEX", "LIMITS_DEG", "NEUTRAL_DEG", "clip_angles", "neutral_pose", "poses_from_angles"]

Array = np.ndarray[Any, Any]

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

ANGLE_INDEX: Mapping[str, int] = {name: column for column, name in enumerate(ANGLES)}
"""Column of an anatomical angle."""

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


def _about(axis: Array, degrees: Array) -> Rotation:
    """Rotations about one axis, or one axis each, by an angle each."""
    return Rotation.from_rotvec(np.broadcast_to(axis, (len(degrees), 3)) * np.deg2rad(degrees)[:, None])


_X, _Y, _Z = np.eye(3)


def _rest(name: str) -> Array:
    row: Array = REST_JOINTS_M[JOINT_INDEX[name]]
    return row


def clip_angles(angles_deg: Float[np.ndarray, "T A"]) -> Float[np.ndarray, "T A"]:
    """The nearest angles within `LIMITS_DEG`; columns as in `ANGLES`."""
    clipped: Array = np.clip(angles_deg, _LOWER, _UPPER)
    return clipped


def poses_from_angles(angles_deg: Float[np.ndarray, "T A"]) -> Poses:
    """Joint rotations of anatomical angles; columns as in `ANGLES`, degrees, clipped to `LIMITS_DEG`."""
    angles = clip_angles(angles_deg)
    count = len(angles)
    local: dict[str, Rotation] = {}

    def value(name: str) -> Array:
        column: Array = angles[:, ANGLE_INDEX[name]]
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
    elbow_axis = unit(np.cross(upper, fore))  # the rest forearm is bent, which shows the elbow's axis
    rest_flexion = np.rad2deg(np.arccos(unit(upper) @ unit(fore)))
    # The hanging arm: upper arm down, elbow bending forwards.
    hang = Rotation.from_matrix(axes_along(-_Y, -_X) @ axes_along(upper, elbow_axis).T)

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
    half = _about(unit(-upper) * left, twist / 2)
    local["upperarm01" + suffix] = shoulder * half.inv()
    local["upperarm02" + suffix] = half

    pronation = _about(-left * unit(fore), get("forearm_pronation") / 2)
    local["lowerarm01" + suffix] = _about(elbow_axis, get("elbow_flexion") - rest_flexion)
    local["lowerarm02" + suffix] = pronation
    hand = unit(_rest("finger3-1" + suffix) - _rest("wrist" + suffix))
    thumb_side = _rest("finger2-1" + suffix) - _rest("finger5-1" + suffix)
    palm = unit(np.cross(hand, thumb_side)) * left
    flexion_axis = np.cross(hand, palm)
    local["wrist" + suffix] = (
        pronation * _about(flexion_axis, get("wrist_flexion")) * _about(-left * palm, get("wrist_deviation"))
    )
    for name in FINGERS:
        if not name.startswith("finger1"):
            # The rest fingers are bent by about 20° each.
            local[name + suffix] = _about(flexion_axis, get("finger_curl") - 20.0)


def _leg(local: dict[str, Rotation], get: Callable[[str], Array], suffix: str, left: float) -> None:
    """Rotations of one leg; `left` as in `_arm`."""
    thigh = _rest("lowerleg01" + suffix) - _rest("upperleg01" + suffix)
    shin = _rest("foot" + suffix) - _rest("lowerleg01" + suffix)
    straight = Rotation.from_matrix(axes_along(-_Y, _X) @ axes_along(thigh, _X).T)
    straight_shin = Rotation.from_matrix(axes_along(thigh, _X) @ axes_along(shin, _X).T)
    total = (
        _about(-_X, get("hip_flexion"))
        * _about(left * _Z, get("hip_abduction"))
        * _about(left * _Y, get("hip_rotation"))
    )
    half = _about(unit(-thigh) * left, get("hip_rotation") / 2)
    local["upperleg01" + suffix] = total * straight * half.inv()
    local["upperleg02" + suffix] = half
    knee_axis = axes_along(thigh, _X)[:, 1]
    local["lowerleg01" + suffix] = _about(knee_axis, get("knee_flexion")) * straight_shin
    # The sole is level in the rest pose: undo what straightening the leg did to it.
    level = (straight * straight_shin).inv()
    local["foot" + suffix] = level * _about(_X, get("ankle_flexion")) * _about(-left * _Z, get("ankle_inversion"))


def neutral_pose() -> Poses:
    """Relaxed upright standing, one pose."""
    return poses_from_angles(NEUTRAL_DEG[None])

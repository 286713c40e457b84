"""Samplers of human poses and smooth motions: standing, walking, gesturing, waving, dancing, sports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation

from spams_core.data.anatomy import (
    ANGLE_INDEX,
    ANGLES,
    LIMITS_DEG,
    NEUTRAL_DEG,
    clip_angles,
    neutral_pose,
    poses_from_angles,
)
from spams_core.data.skeleton import JOINT_INDEX, Motion, Poses, floor_clearance_m, intersects_itself, joint_positions_m

__all__ = [
    "ANGLES",
    "LIMITS_DEG",
    "NEUTRAL_DEG",
    "Motion",
    "Poses",
    "carried",
    "neutral_pose",
    "poses_from_angles",
    "sample_angles",
    "sample_motion",
    "sample_poses",
]

Array = np.ndarray[Any, Any]
Ranges = Mapping[str, tuple[float, float]]

# Ranges in degrees from which angles are drawn uniformly; what a table doesn't name stays relaxed.
_HAND: Ranges = {
    "forearm_pronation": (-55, 65),
    "wrist_flexion": (-35, 35),
    "wrist_deviation": (-12, 18),
    "finger_curl": (5, 60),
}
_HEAD: Ranges = {"neck_flexion": (-25, 30), "neck_bend": (-20, 20), "neck_twist": (-50, 50)}
_TRUNK: Ranges = {"spine_flexion": (-15, 30), "spine_bend": (-22, 22), "spine_twist": (-30, 30)}


def _arm(elevation: tuple[int, int], plane: tuple[int, int], twist: tuple[int, int], elbow: tuple[int, int]) -> Ranges:
    return {"shoulder_elevation": elevation, "shoulder_plane": plane, "shoulder_twist": twist, "elbow_flexion": elbow}


_ARM_FREE = _arm((5, 165), (-30, 110), (-50, 70), (0, 135))
_ARM_LOW = _arm((4, 60), (-25, 70), (-30, 25), (2, 60))
_ARM_BESIDE_HEAD = _arm((60, 120), (-15, 50), (40, 90), (50, 130))
_ARM_OVERHEAD = _arm((110, 168), (-15, 50), (-10, 50), (0, 75))
_ARM_GESTURE = _arm((10, 90), (20, 100), (-45, 30), (20, 125))
_ARM_SIDEWAYS = _arm((65, 120), (-20, 30), (-40, 60), (0, 50))
_ARM_ON_HIP = _arm((38, 58), (-25, 10), (-70, -50), (85, 115))
_ARM_CROSSED = _arm((28, 50), (50, 85), (-62, -40), (95, 125))
_ARM_GUARD = {**_arm((20, 60), (30, 95), (-25, 15), (90, 140)), "finger_curl": (50.0, 70.0)}

_ANY_ARM: tuple[tuple[float, Ranges], ...] = (
    (0.26, _ARM_FREE),
    (0.14, _ARM_LOW),
    (0.09, _ARM_BESIDE_HEAD),
    (0.08, _ARM_OVERHEAD),
    (0.17, _ARM_GESTURE),
    (0.12, _ARM_SIDEWAYS),
    (0.06, _ARM_ON_HIP),
    (0.08, _ARM_GUARD),
)
_GESTURE_ARM: tuple[tuple[float, Ranges], ...] = (
    (0.25, _ARM_LOW),
    (0.13, _ARM_BESIDE_HEAD),
    (0.12, _ARM_OVERHEAD),
    (0.40, _ARM_GESTURE),
    (0.10, _ARM_ON_HIP),
)

_LEG_STAND: Ranges = {
    "hip_flexion": (-8, 12),
    "hip_abduction": (0, 14),
    "hip_rotation": (-6, 20),
    "knee_flexion": (0, 20),
}
_LUNGE_FRONT: Ranges = {
    "hip_flexion": (40, 95),
    "knee_flexion": (40, 95),
    "hip_abduction": (-2, 20),
    "hip_rotation": (-10, 25),
}
_LUNGE_BACK: Ranges = {
    "hip_flexion": (-20, 5),
    "knee_flexion": (5, 75),
    "ankle_flexion": (-15, 30),
    "hip_abduction": (-2, 20),
    "hip_rotation": (-10, 25),
}
_KICK: Ranges = {
    "hip_flexion": (35, 105),
    "knee_flexion": (0, 110),
    "hip_abduction": (-5, 40),
    "hip_rotation": (-25, 35),
    "ankle_flexion": (-10, 40),
}
_KICK_SUPPORT: Ranges = {"knee_flexion": (2, 30), "hip_abduction": (-4, 10)}
_HEEL_UP: Ranges = {"hip_flexion": (-18, 45), "knee_flexion": (40, 125), "ankle_flexion": (-5, 35)}
_HEEL_UP_SUPPORT: Ranges = {"hip_flexion": (-10, 40), "knee_flexion": (2, 50)}


class _Draft:
    """One set of angles while it is drawn: relaxed standing, into which the kinds of pose put theirs."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self.angles = NEUTRAL_DEG.copy()

    def put(self, ranges: Ranges, side: str = "", scale: float = 1.0) -> None:
        """Draw the angles of a table, for one side of the body or for the trunk."""
        for name, (low, high) in ranges.items():
            column = ANGLE_INDEX[f"{side}_{name}" if side else name]
            self.angles[column] = scale * self.generator.uniform(low, high)

    def put_arm(self, kind: Ranges, side: str) -> None:
        self.put({**_HAND, **kind}, side)

    def put_one_of(self, kinds: tuple[tuple[float, Ranges], ...], side: str) -> None:
        self.put_arm(kinds[self.pick([weight for weight, _ in kinds])][1], side)

    def pick(self, weights: list[float]) -> int:
        return int(self.generator.choice(len(weights), p=np.array(weights) / sum(weights)))

    def sides(self) -> tuple[str, str]:
        """Both sides, in random order."""
        return ("left", "right") if self.generator.random() < 0.5 else ("right", "left")


def _stand(draft: _Draft) -> None:
    for side in draft.sides():
        draft.put(_LEG_STAND, side)


def _step(draft: _Draft) -> None:
    phase = draft.generator.uniform(0.0, 1.0, 1)
    draft.angles += _gait_deg(phase, float(draft.generator.uniform(0.6, 1.4)))[0]
    for name, column in ANGLE_INDEX.items():
        if "_hip_" in name:
            draft.angles[column] += draft.generator.normal(0.0, 3.0)


def _squat(draft: _Draft) -> None:
    depth = draft.generator.uniform(0.2, 1.0)
    lean = draft.generator.uniform(0.8, 1.1)
    for side in draft.sides():
        hip, knee, ankle = 95 * depth * lean, 110 * depth, -20 * depth
        # Knees go out over the feet: outward rotation without abduction would cross the shins.
        apart = draft.generator.uniform(4, 30)
        draft.put(
            {
                "hip_flexion": (hip - 6, hip + 6),
                "knee_flexion": (knee - 6, knee + 6),
                "hip_abduction": (apart, apart),
                "hip_rotation": (0, apart),
                "ankle_flexion": (ankle - 3, ankle + 3),
            },
            side,
        )
    draft.put({"spine_flexion": (0, 35)})


def _lunge(draft: _Draft) -> None:
    front, back = draft.sides()
    draft.put(_LUNGE_FRONT, front)
    draft.put(_LUNGE_BACK, back)


def _kick(draft: _Draft) -> None:
    leg, support = draft.sides()
    draft.put(_KICK, leg)
    draft.put(_KICK_SUPPORT, support)
    draft.put({"spine_flexion": (-20, 25)})


def _heel_up(draft: _Draft) -> None:
    leg, support = draft.sides()
    draft.put(_HEEL_UP, leg)
    draft.put(_HEEL_UP_SUPPORT, support)


def _straddle(draft: _Draft) -> None:
    for side in draft.sides():
        bend = draft.generator.uniform(0, 55)
        draft.put(
            {
                "hip_abduction": (8, 40),
                "hip_rotation": (-5, 35),
                "knee_flexion": (bend, bend),
                "hip_flexion": (bend / 2 - 8, bend / 2 + 12),
            },
            side,
        )


_ANY_LEGS: tuple[tuple[float, Callable[[_Draft], None]], ...] = (
    (0.28, _stand),
    (0.14, _step),
    (0.12, _squat),
    (0.12, _lunge),
    (0.13, _kick),
    (0.09, _heel_up),
    (0.12, _straddle),
)


def _draw_standing(draft: _Draft) -> None:
    _stand(draft)
    draft.put(_TRUNK, scale=0.4)
    for side in draft.sides():
        draft.put_arm(_ARM_LOW, side)
    if draft.generator.random() < 0.35:
        draft.put_one_of(_ANY_ARM, draft.sides()[0])


def _draw_everyday(draft: _Draft) -> None:
    draft.put(_TRUNK, scale=0.4)
    if draft.generator.random() < 0.55:
        for side in draft.sides():
            draft.put(_HAND, side)
        _step(draft)
        if draft.generator.random() < 0.3:
            draft.put_arm(_ARM_GESTURE, draft.sides()[0])
        return
    _stand(draft)
    for side in draft.sides():
        draft.put_one_of(_GESTURE_ARM, side)


def _draw_wide(draft: _Draft) -> None:
    draft.put(_TRUNK)
    _ANY_LEGS[draft.pick([weight for weight, _ in _ANY_LEGS])][1](draft)
    arms = draft.pick([0.05, 0.05, 0.9])
    for side in draft.sides():
        if arms == 2:
            draft.put_one_of(_ANY_ARM, side)
        else:
            draft.put_arm((_ARM_CROSSED, _ARM_ON_HIP)[arms], side)
    if draft.generator.random() < 0.08:  # reaching down
        draft.put({"spine_flexion": (30, 80)})


_POSE_KINDS: tuple[tuple[float, Callable[[_Draft], None]], ...] = (
    (0.25, _draw_standing),
    (0.25, _draw_everyday),
    (0.50, _draw_wide),
)
_MAX_TRIES = 200


def sample_angles(generator: np.random.Generator, count: int) -> Float[np.ndarray, "T A"]:
    """Anatomical angles of poses as people take them, degrees, within `LIMITS_DEG` and not through the own body.

    A quarter stands, a quarter walks or gestures, a half is wide: waving, dancing, kicking, lunging, squatting.
    """
    result = np.empty((count, len(ANGLES)))
    for row in range(count):
        kind = _POSE_KINDS[_Draft(generator).pick([weight for weight, _ in _POSE_KINDS])][1]
        for _ in range(_MAX_TRIES):
            draft = _Draft(generator)
            draft.put(_HEAD)
            kind(draft)
            angles = clip_angles(draft.angles)
            if not intersects_itself(poses_from_angles(angles[None]))[0]:
                break
        else:
            raise AssertionError(f"every draw of {kind.__name__} goes through the body")
        result[row] = angles
    return result


def sample_poses(generator: np.random.Generator, count: int) -> Poses:
    """Poses as people take them; see `sample_angles`."""
    return poses_from_angles(sample_angles(generator, count))


# Sagittal joint angles of level walking over one cycle from heel strike, degrees at every tenth of it, after the
# normative curves in Winter, "Biomechanics and Motor Control of Human Movement", 4th ed., app. A.
def _cycle(*values: float) -> CubicSpline:
    return CubicSpline(np.linspace(0.0, 1.0, len(values) + 1), [*values, values[0]], bc_type="periodic")


_GAIT = {
    "hip_flexion": _cycle(26, 22, 14, 5, -4, -10, -6, 8, 21, 28),
    "knee_flexion": _cycle(4, 17, 15, 8, 5, 12, 36, 62, 42, 8),
    "ankle_flexion": _cycle(0, 5, -3, -7, -10, -8, 17, 8, 0, -1),
}
_SWING_OUT_DEG = 13.0  # a swinging arm stays this far off the trunk


def _gait_deg(phase: Float[np.ndarray, "T"], stride: float) -> Float[np.ndarray, "T A"]:
    """What walking adds to relaxed standing at phases of the cycle (1 = two steps); arms swing against the legs."""
    added = np.zeros((len(phase), len(ANGLES)))
    for side, shift in (("left", 0.0), ("right", 0.5)):
        moved = (phase + shift) % 1.0
        swing = -np.cos(2 * np.pi * moved)  # the arm is back when its own leg is in front
        forwards = stride * (3.0 + 20.0 * swing)
        for name, angle in (
            *((name, curve(moved) * stride) for name, curve in _GAIT.items()),
            ("shoulder_elevation", np.hypot(forwards, _SWING_OUT_DEG)),
            ("shoulder_plane", np.rad2deg(np.arctan2(forwards, _SWING_OUT_DEG))),
            ("elbow_flexion", stride * (8.0 + 10.0 * swing)),
        ):
            column = ANGLE_INDEX[f"{side}_{name}"]
            added[:, column] = angle - (NEUTRAL_DEG[column] if name.startswith("shoulder") else 0.0)
    added[:, ANGLE_INDEX["spine_twist"]] = 5.0 * stride * np.cos(2 * np.pi * phase)
    return added


def _smooth_curve(generator: np.random.Generator, times: Array, spacing_s: float, size: float) -> Array:
    """A smooth random curve through normally distributed knots."""
    knots = np.arange(0.0, times[-1] + 2 * spacing_s, spacing_s)
    curve: Array = CubicSpline(knots, generator.normal(0.0, size, len(knots)))(times)
    return curve


def _walking_deg(generator: np.random.Generator, times: Array, acted: Array, cadence_hz: float) -> Array:
    """Gait below the waist; above it, either arm swings or keeps doing what `acted` says."""
    gait = _gait_deg(generator.uniform() + times * cadence_hz, float(generator.uniform(0.75, 1.1)))
    angles: Array = np.broadcast_to(NEUTRAL_DEG, acted.shape) + gait
    for side in ("left", "right"):
        if generator.random() < 0.5:
            arm = [ANGLE_INDEX[f"{side}_{name}"] for name in _ARM_FREE]
            angles[:, arm] = acted[:, arm]
        hand = [ANGLE_INDEX[f"{side}_{name}"] for name in _HAND]
        angles[:, hand] = acted[:, hand]
    head = [ANGLE_INDEX[name] for name in _HEAD]
    angles[:, head] = acted[:, head]
    trunk = [ANGLE_INDEX[name] for name in _TRUNK]
    angles[:, trunk] += 0.3 * acted[:, trunk]
    return angles


_MOTION_TRIES = 8
_CONTACT_SOFTNESS_M = 0.015


def carried(poses: Poses, root_rotation: Array) -> Float[np.ndarray, "T 3"]:
    """Where the root goes when the lower foot stays where it is; horizontal, the mean at the origin."""
    place, _ = joint_positions_m(poses)
    feet = np.einsum("tij,tnj->tni", root_rotation, place[:, [JOINT_INDEX["foot.L"], JOINT_INDEX["foot.R"]]])
    # A soft choice between the feet keeps the path smooth while the weight changes over.
    left = 1.0 / (1.0 + np.exp((feet[:, 0, 1] - feet[:, 1, 1]) / _CONTACT_SOFTNESS_M))
    share = np.stack([left, 1.0 - left], axis=1)[:-1, :, None]
    path = np.concatenate([np.zeros((1, 3)), np.cumsum(-(share * np.diff(feet, axis=0)).sum(axis=1), axis=0)])
    path[:, 1] = 0.0
    centred: Array = path - path.mean(axis=0)
    return centred


def _acted_deg(generator: np.random.Generator, times: Array) -> Array:
    """Angles through drawn key poses; of a few draws the one whose in-betweens go least through the body."""
    best: tuple[float, Array] | None = None
    for _ in range(_MOTION_TRIES):
        spacing_s = generator.uniform(0.8, 1.2)
        knots = np.arange(0.0, times[-1] + 2 * spacing_s, spacing_s)
        angles = PchipInterpolator(knots, sample_angles(generator, len(knots)))(times)
        through = float(intersects_itself(poses_from_angles(angles)).mean())
        if best is None or through < best[0]:
            best = (through, angles)
        if through == 0.0:
            break
    assert best is not None
    return best[1]


def sample_motion(generator: np.random.Generator, frames: int, fps: float, walk: bool) -> Motion:
    """A smooth motion: key poses joined by splines, walking a winding path through the room or staying in place.

    Angles run on monotone splines through their keys, so they stay within human limits between keys, too. The root
    moves so that the standing foot doesn't slide.

    Args:
        generator: Source of all draws.
        frames: T.
        fps: Frames per second.
        walk: Whether the subject walks along a winding circle of about 1 m radius, else performs in place.
    """
    times = np.arange(frames) / fps
    angles = _acted_deg(generator, times)
    yaw = generator.uniform(-np.pi, np.pi) + _smooth_curve(generator, times, 1.5, 0.2 if walk else 0.4)
    if walk:
        cadence_hz = generator.uniform(0.6, 0.9)
        angles = _walking_deg(generator, times, angles, cadence_hz)
        # Two steps of 0.6 m per cycle around a circle.
        yaw += generator.choice([-1.0, 1.0]) * times * cadence_hz * 1.2 / generator.uniform(0.8, 1.2)
    poses = poses_from_angles(angles)
    rotation = Rotation.from_rotvec(yaw[:, None] * np.array([0.0, 1.0, 0.0])).as_matrix()
    place = carried(poses, rotation)
    place[:, 1] -= floor_clearance_m(Motion(poses, rotation, place, fps))
    return Motion(poses, rotation, place, fps)

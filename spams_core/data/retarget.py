"""Motion clips onto the body: BVH joints are recognised by name and carried over as bone orientations.

A bone's orientation in a frame is its rotation from the clip's reference pose (T- or A-pose), after aligning the
body's rest bone with the clip's: G_body = G_clip(t) · G_clip(reference)⁻¹ · A, A taking the rest bone's direction and
hinge axis to those of the clip's reference pose. Limbs therefore point where the clip's limbs point, whatever the
proportions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from spams_core.data.skeleton import (
    JOINT_INDEX,
    JOINTS,
    LEG_LENGTH_M,
    NECK,
    PARENTS,
    REST_JOINTS_M,
    SPINE,
    Motion,
    Poses,
    axes_along,
    floor_clearance_m,
    split_twist,
    unit,
)
from spams_core.errors import InputError
from spams_core.io.bvh import BvhClip

__all__ = ["retarget"]

Array = np.ndarray[Any, Any]

# Names of the joints where a bone begins, lower case, without prefix, separators and side, for: CMU/Poser ("lShldr"),
# Mixamo ("mixamorig:LeftArm"), 3ds Max biped-like and plain English skeletons.
_TRUNK_ALIASES: Mapping[str, tuple[str, ...]] = {
    "hips": ("hips", "hip", "pelvis", "root"),
    "neck": ("neck", "neck1", "neck01"),
    "head": ("head",),
}
_SPINE_ALIASES = (
    "abdomen", "lowerback", "spine", "spine0", "spine1", "spine2", "spine3", "spine4", "spine01", "spine02", "spine03",
    "chest", "chest1", "chest2", "chest3", "chest4", "upperchest", "torso",
)  # fmt: skip
_SIDE_ALIASES: Mapping[str, tuple[str, ...]] = {
    "collar": ("collar", "clavicle", "shoulder"),
    "upper_arm": ("shldr", "arm", "upperarm", "uparm", "shoulder"),
    "forearm": ("forearm", "lowerarm", "lowarm", "elbow"),
    "hand": ("hand", "wrist"),
    "thigh": ("thigh", "upleg", "upperleg", "hip"),
    "shin": ("shin", "leg", "lowerleg", "lowleg", "calf", "knee"),
    "foot": ("foot", "ankle"),
}
_OPTIONAL = ("collar", "neck", "head")
# Clips that begin with a T-pose for alignment blend from it into the motion within a tenth of a second, faster than
# people move.
_LEAD_IN_S = 0.1
_LEAD_IN_DEG_PER_S = 720.0
# Faster turns are faults of the capture (kicks and throws stay below); frames around and between them are bridged.
_FAULT_DEG_PER_S = 2400.0
_FAULT_GAP_S = 0.25
_FAULT_MARGIN_S = 0.05

_X, _Y, _Z = np.eye(3)


@dataclass(frozen=True)
class _Skeleton:
    """Rows of the clip's joints by this module's names ("left_hand", "hips", ...), and the spine's from below."""

    rows: Mapping[str, int]
    spine: tuple[int, ...]


def _simple(name: str) -> tuple[str, str]:
    """Side ("left", "right" or "") and the lower-case rest of a joint name."""
    bare = re.sub(r"[\s_.\-]", " ", name.split(":")[-1]).strip()
    for side, letter in (("left", "l"), ("right", "r")):
        for pattern in (rf"^{side}\s*", rf"\s*{side}$", rf"^{letter}(?=[A-Z])", rf"^{letter}\s+", rf"\s+{letter}$"):
            found = re.sub(pattern, "", bare, flags=0 if "[A-Z]" in pattern else re.IGNORECASE)
            if found != bare:
                return side, found.replace(" ", "").lower()
    return "", bare.replace(" ", "").lower()


def _recognise(clip: BvhClip) -> _Skeleton:
    simple = [_simple(name) for name in clip.names]

    def find(side: str, aliases: tuple[str, ...], taken: set[int]) -> int | None:
        for alias in aliases:
            if (side, alias) in simple and simple.index((side, alias)) not in taken:
                return simple.index((side, alias))
        return None

    rows: dict[str, int] = {}
    wanted = [(name, "", name, aliases) for name, aliases in _TRUNK_ALIASES.items()]
    for side in ("left", "right"):
        # The arm comes before the collar: a lone "shoulder" is the upper arm's joint.
        order = ("upper_arm", "collar", "forearm", "hand", "thigh", "shin", "foot")
        wanted += [(f"{side}_{bone}", side, bone, _SIDE_ALIASES[bone]) for bone in order]
    for name, side, bone, aliases in wanted:
        row = find(side, aliases, set(rows.values()))
        if row is not None:
            rows[name] = row
        elif bone not in _OPTIONAL:
            raise InputError(
                f"{clip.path}: no joint is called like {name.replace('_', ' ')!r}; the skeleton has "
                f"{', '.join(clip.names[:12])}, … Rename its joints as CMU or Mixamo clips call them."
            )
    spine = tuple(row for row, (side, name) in enumerate(simple) if side == "" and name in _SPINE_ALIASES)
    return _Skeleton(rows, spine)


def _upright(place: Array, skeleton: _Skeleton) -> Array:
    """Rotation from the clip's axes to +y up, +z where the reference pose faces, +x its left."""
    rows = skeleton.rows
    hips = (place[rows["left_thigh"]] + place[rows["right_thigh"]]) / 2
    shoulders = (place[rows["left_upper_arm"]] + place[rows["right_upper_arm"]]) / 2
    # The vertical is an axis of the file; a T-pose's trunk only shows which.
    trunk = shoulders - hips
    up = np.zeros(3)
    up[np.abs(trunk).argmax()] = np.sign(trunk[np.abs(trunk).argmax()])
    left = place[rows["left_thigh"]] - place[rows["right_thigh"]]
    left = unit(left - up * (left @ up))
    upright: Array = np.stack([left, up, np.cross(left, up)])
    return upright


def _is_reference(place: Array, skeleton: _Skeleton) -> bool:
    """Whether a pose is a T- or A-pose: straight legs down, straight arms to the sides."""
    rows = skeleton.rows
    turned = place @ _upright(place, skeleton).T

    def direction(start: str, end: str) -> Array:
        return unit(turned[rows[end]] - turned[rows[start]])

    good = True
    for side, out in (("left", _X), ("right", -_X)):
        for start, end in (("thigh", "shin"), ("shin", "foot")):
            good &= bool(direction(f"{side}_{start}", f"{side}_{end}") @ -_Y > 0.9)
        for start, end in (("upper_arm", "forearm"), ("forearm", "hand")):
            good &= bool(direction(f"{side}_{start}", f"{side}_{end}") @ out > 0.5)
    return good


def _reference_pose(clip: BvhClip, turned: Array, place: Array, skeleton: _Skeleton) -> tuple[Array, Array]:
    """Rotations and positions of the clip's T- or A-pose: its first frame, or the skeleton without rotations."""
    if _is_reference(place[0], skeleton):
        return turned[0], place[0]
    rest = np.zeros((len(clip.names), 3))
    for joint, parent in enumerate(clip.parents):
        rest[joint] = clip.offsets[joint] + (rest[parent] if parent >= 0 else 0.0)
    if _is_reference(rest, skeleton):
        return np.broadcast_to(np.eye(3), turned[0].shape), rest
    raise InputError(
        f"{clip.path}: neither the first frame nor the skeleton without rotations is a T- or A-pose, so its limbs "
        "cannot be aligned. Export the clip with a T-pose as its first frame."
    )


def _turn_speed(clip: BvhClip) -> Float[np.ndarray, "T1"]:
    """Degrees per second of the fastest joint between each frame and the next."""
    step = Rotation.from_matrix((clip.rotations[:-1].mT @ clip.rotations[1:]).reshape(-1, 3, 3)).magnitude()
    speed: Array = np.rad2deg(step).reshape(len(clip) - 1, -1).max(axis=1) * clip.fps
    return speed


def _without_lead_in(clip: BvhClip) -> BvhClip:
    """The clip without the T-pose at its start and the jump from there into the motion."""
    lead = max(int(np.ceil(_LEAD_IN_S * clip.fps)), 1)
    fast = np.nonzero(_turn_speed(clip)[:lead] > _LEAD_IN_DEG_PER_S)[0]
    start = int(fast[-1]) + 1 if len(fast) else 0
    return replace(clip, rotations=clip.rotations[start:], translations=clip.translations[start:])


def _sound_frames(clip: BvhClip) -> Array:
    """Rows of the frames that are not around or between faults of the capture; first and last are always kept."""
    faults = np.nonzero(_turn_speed(clip) > _FAULT_DEG_PER_S)[0]
    sound = np.ones(len(clip), dtype=bool)
    margin = round(_FAULT_MARGIN_S * clip.fps)
    for group in np.split(faults, np.nonzero(np.diff(faults) > _FAULT_GAP_S * clip.fps)[0] + 1):
        if len(group):
            sound[max(group[0] + 1 - margin, 1) : group[-1] + 1 + margin] = False
    sound[[0, -1]] = True
    rows: Array = np.nonzero(sound)[0]
    return rows


def _resampled(clip: BvhClip, fps: float) -> BvhClip:
    """The clip at another frame rate, faults bridged: rotations turn at constant speed, positions move linearly."""
    rows = _sound_frames(clip)
    times = np.arange(int((len(clip) - 1) / clip.fps * fps + 1e-6) + 1) * clip.fps / fps
    position = np.interp(times, rows, np.arange(len(rows)))
    before = np.minimum((position + 1e-6).astype(int), len(rows) - 1)
    share = np.clip(position - before, 0.0, 1.0)[:, None]
    before, after = rows[before], rows[np.minimum(before + 1, len(rows) - 1)]
    first = Rotation.from_matrix(clip.rotations[before].reshape(-1, 3, 3))
    step = (first.inv() * Rotation.from_matrix(clip.rotations[after].reshape(-1, 3, 3))).as_rotvec()
    part = Rotation.from_rotvec(step * np.repeat(share, len(clip.names), axis=0))
    return replace(
        clip,
        rotations=(first * part).as_matrix().reshape(len(times), len(clip.names), 3, 3),
        translations=(1 - share[..., None]) * clip.translations[before] + share[..., None] * clip.translations[after],
        fps=fps,
    )


def _elbow_axis(moved: Array, place: Array, reference: Array, skeleton: _Skeleton, side: str) -> Array:
    """The axis about which the clip bends an elbow, in the reference pose: the mean over the frames that bend it.

    Arms that the clip never bends are taken to bend forwards, as in a T-pose with palms down: arm × forwards.
    """
    shoulder, elbow, hand = (skeleton.rows[f"{side}_{name}"] for name in ("upper_arm", "forearm", "hand"))
    upper = place[:, elbow] - place[:, shoulder]
    bend = np.cross(upper, place[:, hand] - place[:, elbow])  # its length grows with the sine of the bend
    axis = np.einsum("tji,tj->ti", moved[:, shoulder], bend).sum(axis=0)
    straight = np.cross(reference[elbow] - reference[shoulder], _Z)
    scale = np.linalg.norm(upper[0]) ** 2 * len(place)
    seen = np.linalg.norm(axis) > 0.1 * scale and unit(axis) @ unit(straight) > -0.3
    return unit(axis if seen else straight)


def _alignments(moved: Array, frames: Array, place: Array, skeleton: _Skeleton) -> dict[str, Array]:
    """Per limb bone the rotation from the body's rest to the clip's reference pose, upright axes."""
    rows = skeleton.rows
    result: dict[str, Array] = {}

    def towards(start: str, end: str) -> Array:
        vector: Array = place[rows[end]] - place[rows[start]]
        return vector

    for side, suffix in (("left", ".L"), ("right", ".R")):
        body = {name: REST_JOINTS_M[JOINT_INDEX[name + suffix]] for name in
                ("upperarm01", "lowerarm01", "wrist", "finger3-1", "upperleg01", "lowerleg01", "foot")}  # fmt: skip
        upper, fore = body["lowerarm01"] - body["upperarm01"], body["wrist"] - body["lowerarm01"]
        elbow = np.cross(upper, fore)
        hinge = _elbow_axis(moved, frames, place, skeleton, side)
        for bone, rest, start, end in (
            ("upper_arm", upper, "upper_arm", "forearm"),
            ("forearm", fore, "forearm", "hand"),
        ):
            direction = towards(f"{side}_{start}", f"{side}_{end}")
            result[f"{side}_{bone}"] = axes_along(direction, hinge) @ axes_along(rest, elbow).T
        # The hand goes on straight from the forearm in the reference pose.
        result[f"{side}_hand"] = result[f"{side}_forearm"]
        for bone, rest, start, end in (
            ("thigh", body["lowerleg01"] - body["upperleg01"], "thigh", "shin"),
            ("shin", body["foot"] - body["lowerleg01"], "shin", "foot"),
        ):
            result[f"{side}_{bone}"] = (
                axes_along(towards(f"{side}_{start}", f"{side}_{end}"), _X) @ axes_along(rest, _X).T
            )
        # Soles are level in both.
        result[f"{side}_foot"] = np.eye(3)
    return result


def _between(turned: list[Array], count: int) -> list[Array]:
    """Rotations at `count` equal steps along a chain of bones, the last one being the chain's last."""
    result = []
    for step in range(1, count + 1):
        position = step / count * (len(turned) - 1)
        low = min(int(position), len(turned) - 2)
        first = Rotation.from_matrix(turned[low])
        vector = (first.inv() * Rotation.from_matrix(turned[low + 1])).as_rotvec()
        result.append((first * Rotation.from_rotvec(vector * (position - low))).as_matrix())
    return result


def retarget(clip: BvhClip, fps: float) -> Motion:
    """Carry a clip over to the body.

    Fingers keep their rest pose. The path is scaled with the legs; the 20th percentile of the lowest point's height is
    the floor.

    Args:
        clip: A human skeleton with a T- or A-pose as first frame or without rotations.
        fps: Wanted frames per second.

    Raises:
        InputError: Limbs can't be recognised by name, or there is no T- or A-pose.
    """
    skeleton = _recognise(clip)
    rows = skeleton.rows
    turned, place = clip.global_transforms()
    reference_turned, reference_place = _reference_pose(clip, turned, place, skeleton)
    clip = _resampled(_without_lead_in(clip), fps)
    turned, place = clip.global_transforms()
    upright = _upright(reference_place, skeleton)
    place, reference_place = place @ upright.T, reference_place @ upright.T
    # Rotation from the reference pose, world axes, both upright.
    moved = upright @ turned @ reference_turned.mT @ upright.T
    align = _alignments(moved, place, reference_place, skeleton)

    bones: dict[str, Array] = {}
    hips = moved[:, rows["hips"]]
    trunk = [hips, *(moved[:, row] for row in skeleton.spine)]
    bones.update(zip(SPINE, _between(trunk if len(trunk) > 1 else [hips, hips], len(SPINE)), strict=True))
    chest = bones["spine01"]
    neck = [chest, *(moved[:, rows[name]] for name in ("neck", "head") if name in rows)]
    bones.update(zip(NECK, _between(neck if len(neck) > 1 else [chest, chest], len(NECK)), strict=True))
    for side, suffix in (("left", ".L"), ("right", ".R")):
        collar = moved[:, rows[f"{side}_collar"]] if f"{side}_collar" in rows else chest
        for bone in ("clavicle", "shoulder01"):
            bones[bone + suffix] = collar
        for name, pair in (
            ("upper_arm", ("upperarm01", "upperarm02")),
            ("forearm", ("lowerarm01", "lowerarm02")),
            ("thigh", ("upperleg01", "upperleg02")),
            ("shin", ("lowerleg01", "lowerleg02")),
        ):
            for bone in pair:
                bones[bone + suffix] = moved[:, rows[f"{side}_{name}"]] @ align[f"{side}_{name}"]
        bones["wrist" + suffix] = moved[:, rows[f"{side}_hand"]] @ align[f"{side}_hand"]
        bones["foot" + suffix] = moved[:, rows[f"{side}_foot"]] @ align[f"{side}_foot"]
    poses = _local(bones, hips)

    leg = sum(
        float(np.linalg.norm(reference_place[rows[f"left_{end}"]] - reference_place[rows[f"left_{start}"]]))
        for start, end in (("thigh", "shin"), ("shin", "foot"))
    )
    between_thighs = (place[:, rows["left_thigh"]] + place[:, rows["right_thigh"]]) / 2
    translation = between_thighs * (LEG_LENGTH_M / leg)
    motion = Motion(poses, hips, translation, fps)
    clearance = floor_clearance_m(motion)
    translation[:, 1] -= np.percentile(clearance, 20)
    # Proportions differ: where the lowest point would still sink in, lift the body.
    translation[:, 1] += np.clip(np.percentile(clearance, 20) - clearance, 0.0, None)
    return Motion(poses, hips, translation, fps)


def _local(bones: Mapping[str, Array], root: Array) -> Poses:
    """Joint rotations relative to the parents; twist along a limb goes to its second bone, as skin does."""
    count = len(root)
    vectors = np.zeros((count, len(JOINTS), 3))

    def relative(name: str, parent: Array) -> Rotation:
        return Rotation.from_matrix(parent.mT @ bones[name])

    for name, parent in zip(JOINTS, PARENTS, strict=True):
        if name in bones:
            above = root if parent < 0 else bones[JOINTS[parent]]
            vectors[:, JOINT_INDEX[name]] = relative(name, above).as_rotvec()
    for suffix in (".L", ".R"):
        for first, second, end, share in (
            ("upperarm01", "upperarm02", "lowerarm01", 0.5),
            ("lowerarm01", "lowerarm02", "wrist", 1.0),
            ("upperleg01", "upperleg02", "lowerleg01", 0.5),
        ):
            row, next_row = JOINT_INDEX[first + suffix], JOINT_INDEX[second + suffix]
            axis = REST_JOINTS_M[JOINT_INDEX[end + suffix]] - REST_JOINTS_M[row]
            swing, twist = split_twist(Rotation.from_rotvec(vectors[:, row]), axis)
            turn = twist.as_rotvec()
            # Twist flips its sign at half a turn: take less of it near there, for a continuous motion.
            calm = share * np.clip((np.pi - np.linalg.norm(turn, axis=1)) / (np.pi / 2), 0.0, 1.0)[:, None]
            vectors[:, row] = (swing * Rotation.from_rotvec(turn * (1.0 - calm))).as_rotvec()
            vectors[:, next_row] = turn * calm
        # Half of the hand's twist is the forearm's: pronation.
        row, next_row = JOINT_INDEX["lowerarm02" + suffix], JOINT_INDEX["wrist" + suffix]
        axis = REST_JOINTS_M[next_row] - REST_JOINTS_M[JOINT_INDEX["lowerarm01" + suffix]]
        both = Rotation.from_rotvec(vectors[:, row]) * Rotation.from_rotvec(vectors[:, next_row])
        _, twist = split_twist(both, axis)
        half = Rotation.from_rotvec(twist.as_rotvec() / 2)
        vectors[:, row] = half.as_rotvec()
        vectors[:, next_row] = (half.inv() * both).as_rotvec()
    return Poses(vectors)

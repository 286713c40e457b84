"""Clips carried over to the body: limbs point where the clip's limbs point, whatever names and axes it uses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spams_core.data.retarget import retarget
from spams_core.data.skeleton import JOINT_INDEX, LEG_LENGTH_M, floor_clearance_m, is_plausible, joint_positions_m
from spams_core.errors import InputError
from spams_core.io.bvh import read_bvh

# Joint: (parent, offset in a T-pose that faces +z, +y up, left = +x), decimetres.
T_POSE = {
    "Hips": ("", (0.0, 0.0, 0.0)),
    "Spine": ("Hips", (0.0, 2.0, 0.0)),
    "Neck": ("Spine", (0.0, 3.0, 0.0)),
    "Head": ("Neck", (0.0, 1.0, 0.0)),
    "LeftShoulder": ("Spine", (0.5, 2.5, 0.0)),
    "LeftArm": ("LeftShoulder", (1.5, 0.0, 0.0)),
    "LeftForeArm": ("LeftArm", (3.0, 0.0, 0.0)),
    "LeftHand": ("LeftForeArm", (2.5, 0.0, 0.0)),
    "RightShoulder": ("Spine", (-0.5, 2.5, 0.0)),
    "RightArm": ("RightShoulder", (-1.5, 0.0, 0.0)),
    "RightForeArm": ("RightArm", (-3.0, 0.0, 0.0)),
    "RightHand": ("RightForeArm", (-2.5, 0.0, 0.0)),
    "LeftUpLeg": ("Hips", (1.0, -0.5, 0.0)),
    "LeftLeg": ("LeftUpLeg", (0.0, -5.0, 0.0)),
    "LeftFoot": ("LeftLeg", (0.0, -4.0, 0.0)),
    "RightUpLeg": ("Hips", (-1.0, -0.5, 0.0)),
    "RightLeg": ("RightUpLeg", (0.0, -5.0, 0.0)),
    "RightFoot": ("RightLeg", (0.0, -4.0, 0.0)),
}
UPRIGHT = np.eye(3)
LIMBS = [
    (f"{side}{start}", f"{side}{end}", f"{bone}{side[0].join('. ').strip()}", f"{tip}{side[0].join('. ').strip()}")
    for side in ("Left", "Right")
    for start, end, bone, tip in (
        ("Arm", "ForeArm", "upperarm01", "lowerarm01"),
        ("ForeArm", "Hand", "lowerarm01", "wrist"),
        ("UpLeg", "Leg", "upperleg01", "lowerleg01"),
        ("Leg", "Foot", "lowerleg01", "foot"),
    )
]


def bvh_text(frames: list[dict[str, tuple[float, float, float]]], *, axes=UPRIGHT, rename=lambda n: n, fps=30.0) -> str:
    """A clip of T_POSE; a frame gives joints' rotation vectors in degrees, in T_POSE's axes; `axes` turns them all."""

    def block(name: str, indent: str) -> str:
        offset = axes @ np.array(T_POSE[name][1])
        channels = "6 Xposition Yposition Zposition " if name == "Hips" else "3 "
        children = [child for child, (parent, _) in T_POSE.items() if parent == name]
        inner = "".join(f"{indent}  JOINT {rename(child)}\n" + block(child, indent + "  ") for child in children)
        inner = inner or f"{indent}  End Site\n{indent}  {{\n{indent}    OFFSET 0 0 0\n{indent}  }}\n"
        numbers = " ".join(f"{value:.9f}" for value in offset)
        return (
            f"{indent}{{\n{indent}  OFFSET {numbers}\n"
            f"{indent}  CHANNELS {channels}Zrotation Xrotation Yrotation\n{inner}{indent}}}\n"
        )

    order: list[str] = []

    def visit(name: str) -> None:
        order.append(name)
        for child, (parent, _) in T_POSE.items():
            if parent == name:
                visit(child)

    visit("Hips")
    lines = []
    for frame in frames:
        numbers = list(axes @ np.array([0.0, 10.0, 0.0]))
        for name in order:
            turn = Rotation.from_rotvec(axes @ np.array(frame.get(name, (0.0, 0.0, 0.0))), degrees=True)
            numbers += list(turn.as_euler("ZXY", degrees=True))
        lines.append(" ".join(f"{value:.9f}" for value in numbers))
    return (
        f"HIERARCHY\nROOT {rename('Hips')}\n{block('Hips', '')}MOTION\nFrames: {len(frames)}\n"
        f"Frame Time: {1 / fps:.9f}\n" + "\n".join(lines) + "\n"
    )


def clip(tmp_path, frames, **options):
    path = tmp_path / "clip.bvh"
    path.write_text(bvh_text(frames, **options))
    return read_bvh(path)


def moving_frames(count=12):
    """A T-pose, then limbs that turn smoothly and slowly, elbows and knees about their hinges."""
    frames = [{}]
    for share in np.linspace(0.0, 1.0, count):
        frames.append(
            {
                "Hips": (0, 40 * share, 0),
                "Spine": (15 * share, 0, 0),
                "LeftArm": (0, 10 * share, -50 * share),
                "LeftForeArm": (0, -70 * share, 0),
                "RightArm": (0, 20 * share, -30 * share),
                "RightForeArm": (0, 60 * share, 0),
                "LeftUpLeg": (-60 * share, 0, 10 * share),
                "LeftLeg": (50 * share, 0, 0),
            }
        )
    return frames


def directions(place, rows, start, end):
    vector = place[:, rows[end]] - place[:, rows[start]]
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


def body_directions(motion, start, end):
    place, _ = joint_positions_m(motion.poses)
    world = np.einsum("tij,tnj->tni", motion.root_rotation, place)
    return directions(world, JOINT_INDEX, start, end)


CMU = {
    "Hips": "hip", "Spine": "abdomen", "Neck": "neck", "Head": "head", "Shoulder": "Collar", "Arm": "Shldr",
    "ForeArm": "ForeArm", "Hand": "Hand", "UpLeg": "Thigh", "Leg": "Shin", "Foot": "Foot",
}  # fmt: skip


def cmu_name(name):
    for side in ("Left", "Right"):
        if name.startswith(side):
            return side[0].lower() + CMU[name[len(side) :]]
    return CMU[name]


Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
FACING_X = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("axes", "rename"),
    [
        (UPRIGHT, lambda name: name),
        (UPRIGHT, lambda name: "mixamorig:" + name),
        (UPRIGHT, cmu_name),
        (Z_UP, lambda name: name),
        (FACING_X, cmu_name),
    ],
    ids=["plain", "mixamo", "cmu", "z-up", "facing-x"],
)
def test_limbs_point_where_the_clips_limbs_point(tmp_path, axes, rename):
    source = clip(tmp_path, moving_frames(), axes=axes, rename=rename)
    motion = retarget(source, source.fps)
    _, place = source.global_transforms()
    rows = {name: source.names.index(rename(name)) for name in T_POSE}
    for start, end, bone, tip in LIMBS:
        # Twist bones lie up to a millimetre off the limb's axis.
        np.testing.assert_allclose(
            body_directions(motion, bone, tip), directions(place @ axes, rows, start, end), atol=2e-3
        )


def test_t_pose_faces_forwards_with_the_left_arm_on_the_left(tmp_path):
    motion = retarget(clip(tmp_path, [{}, {}, {}]), 30.0)
    place, turned = joint_positions_m(motion.poses)
    np.testing.assert_allclose(motion.root_rotation[0], np.eye(3), atol=1e-9)
    assert place[0, JOINT_INDEX["wrist.L"], 0] > 0.5
    assert place[0, JOINT_INDEX["wrist.R"], 0] < -0.5
    np.testing.assert_allclose(turned[0, JOINT_INDEX["head"]], np.eye(3), atol=1e-9)


def test_a_turned_subject_faces_where_it_turned_to(tmp_path):
    motion = retarget(clip(tmp_path, [{"Hips": (0, 5 * t, 0)} for t in range(19)]), 30.0)
    # A quarter turn to the left: the front looks along +x, the subject's left along −z.
    np.testing.assert_allclose(motion.root_rotation[-1] @ [0, 0, 1], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(motion.root_rotation[-1] @ [1, 0, 0], [0, 0, -1], atol=1e-6)


def test_elbow_hinges_match_even_where_the_clip_bends_sideways(tmp_path):
    # These arms bend upwards in the T-pose: palms forwards instead of down.
    bend = {"LeftForeArm": (0, 0, 60), "RightForeArm": (0, 0, -60)}
    motion = retarget(clip(tmp_path, [{}] + [bend] * 20), 30.0)
    hinge = motion.poses.rotations[-1]
    for suffix in (".L", ".R"):
        # 60° minus the rest pose's own bend, about one axis: no twist goes into the forearm.
        assert np.rad2deg(np.linalg.norm(hinge[JOINT_INDEX["lowerarm02" + suffix]])) < 1.0
        assert np.rad2deg(np.linalg.norm(hinge[JOINT_INDEX["lowerarm01" + suffix]])) < 30.0


def test_resampling_halves_the_frames_and_keeps_the_poses_between(tmp_path):
    source = clip(tmp_path, moving_frames(41), fps=120.0)
    fine, coarse = retarget(source, 120.0), retarget(source, 30.0)
    assert len(coarse.poses) == (len(fine.poses) - 1) // 4 + 1
    np.testing.assert_allclose(coarse.poses.rotations[1], fine.poses.rotations[4], atol=1e-6)
    np.testing.assert_allclose(coarse.root_rotation[2], fine.root_rotation[8], atol=1e-6)
    between = retarget(source, 50.0)
    assert np.abs(np.diff(between.poses.rotations, axis=0)).max() < np.deg2rad(70 / 40 * 120 / 50) * 1.2


def test_scale_comes_from_the_legs(tmp_path):
    frames = [{}] * 5
    text = bvh_text(frames).splitlines()
    # Walk one leg length (9 dm) along +x.
    first = next(row for row, line in enumerate(text) if line.startswith("Frame Time")) + 1
    for t in range(5):
        numbers = text[first + t].split()
        numbers[0] = str(9.0 * t / 4)
        text[first + t] = " ".join(numbers)
    path = tmp_path / "walk.bvh"
    path.write_text("\n".join(text))
    motion = retarget(read_bvh(path), 30.0)
    travelled = motion.root_translation_m[-1] - motion.root_translation_m[0]
    np.testing.assert_allclose(travelled, [LEG_LENGTH_M, 0, 0], atol=1e-6)
    np.testing.assert_allclose(floor_clearance_m(motion), 0.0, atol=1e-9)


def test_lead_in_from_the_t_pose_is_dropped_and_faults_are_bridged(tmp_path):
    calm = {"LeftArm": (0, 0, -60)}
    frames = [{}, *[calm] * 60]
    frames[30] = {"LeftArm": (0, 0, -60), "LeftUpLeg": (150, 0, 0)}
    motion = retarget(clip(tmp_path, frames, fps=60.0), 60.0)
    assert len(motion.poses) == 60
    np.testing.assert_allclose(np.ptp(motion.poses.rotations, axis=0), 0.0, atol=1e-6)


def test_unknown_names_and_missing_t_pose_are_refused(tmp_path):
    unnamed = clip(tmp_path, [{}], rename=lambda name: f"bone{list(T_POSE).index(name)}")
    with pytest.raises(InputError, match=r"clip\.bvh: no joint is called like 'hips'"):
        retarget(unnamed, 30.0)
    text = bvh_text([{"LeftUpLeg": (-80, 0, 0)}]).replace("OFFSET 3.000000000 0.0", "OFFSET 0.0 3.0")
    path = tmp_path / "sitting.bvh"
    path.write_text(text)
    with pytest.raises(InputError, match="T- or A-pose"):
        retarget(read_bvh(path), 30.0)


@pytest.mark.parametrize("name", ["salsa_04", "martial_07", "indian_15"])
def test_published_clips_look_human(shared_data, name):
    source = read_bvh(shared_data / "motion" / f"{name}.bvh")
    motion = retarget(source, 30.0)
    assert len(motion.poses) == pytest.approx(len(source) / 4, abs=6)
    assert is_plausible(motion.poses).mean() > 0.75
    assert (floor_clearance_m(motion) > -1e-9).all()
    # Hip to floor of an adult.
    assert 0.7 < np.median(motion.root_translation_m[:, 1]) < 1.05
    place, turned = joint_positions_m(motion.poses)
    for suffix in (".L", ".R"):
        # Knees bend backwards about the thigh's own lateral axis.
        thigh = turned[:, JOINT_INDEX["upperleg02" + suffix]]
        shin = place[:, JOINT_INDEX["foot" + suffix]] - place[:, JOINT_INDEX["lowerleg01" + suffix]]
        in_thigh = np.einsum("tji,tj->ti", thigh, shin / np.linalg.norm(shin, axis=1, keepdims=True))
        assert (in_thigh[:, 2] < 0.2).mean() > 0.99
        # Feet under knees point the way the body faces, not backwards.
        foot = turned[:, JOINT_INDEX["foot" + suffix]] @ [0, 0, 1]
        assert np.median(foot[:, 2]) > 0.5

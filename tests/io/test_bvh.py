"""The BVH reader on hand-written clips with known positions and on every fault; the writer as others read it."""

from __future__ import annotations

import numpy as np
import pybvh
import pytest
from scipy.spatial.transform import Rotation

from spams_core.errors import InputError
from spams_core.io.bvh import BvhClip, read_bvh, write_bvh

CLIP = """HIERARCHY
ROOT hip
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT knee
  {
    OFFSET 0 -2 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -1 0
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.025
0 3 0  0 0 0   0 0 0
1 3 0  90 0 0  0 0 0
0 3 0  90 90 0 0 90 0
"""


def write(tmp_path, text):
    path = tmp_path / "clip.bvh"
    path.write_text(text)
    return path


def test_positions_follow_from_channels(tmp_path):
    clip = read_bvh(write(tmp_path, CLIP))
    assert clip.names == ("hip", "knee", "knee end")
    assert clip.parents == (-1, 0, 1)
    assert clip.fps == pytest.approx(40.0)
    _, place = clip.global_transforms()
    np.testing.assert_allclose(place[0], [[0, 3, 0], [0, 1, 0], [0, 0, 0]], atol=1e-12)
    # A quarter turn about +z takes −y to +x.
    np.testing.assert_allclose(place[1], [[1, 3, 0], [3, 3, 0], [4, 3, 0]], atol=1e-12)
    # Rz·Rx: −y becomes −z under Rx, which Rz keeps; the knee's own Rx turns −y to −z, which Rx makes +y and Rz −x.
    np.testing.assert_allclose(place[2], [[0, 3, 0], [0, 3, -2], [-1, 3, -2]], atol=1e-12)


def test_channel_order_is_multiplication_order(tmp_path):
    swapped = CLIP.replace("Zposition Zrotation Xrotation", "Zposition Xrotation Zrotation")
    _, place = read_bvh(write(tmp_path, swapped)).global_transforms()
    # Rx·Rz: −y becomes +x under Rz, which Rx keeps.
    np.testing.assert_allclose(place[2, 1], [2, 3, 0], atol=1e-12)


def test_position_channels_replace_the_offset(tmp_path):
    moved = CLIP.replace("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 3 Xposition Yposition Zposition")
    clip = read_bvh(write(tmp_path, moved))
    np.testing.assert_allclose(clip.translations[2, 1], [0, 90, 0])
    np.testing.assert_allclose(clip.translations[2, 2], [0, -1, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 0: the file ends too early"),
        ("solid cube\nendsolid\n", "line 1: 'solid' stands where HIERARCHY should"),
        (CLIP.replace("HIERARCHY\n", ""), "line 1: 'ROOT' stands where HIERARCHY should"),
        (CLIP[: CLIP.index("End Site")], "the file ends too early"),
        (CLIP[: CLIP.index("MOTION")], "the file ends too early"),
        (CLIP.rsplit("\n", 2)[0], "need 27 numbers but 18 follow"),
        (CLIP + "1 2 3\n", "need 27 numbers but 30 follow"),
        (CLIP.replace("CHANNELS 3", "CHANNELS 2"), "line 9: 'Yrotation' stands where JOINT or END or } should"),
        (CLIP.replace("CHANNELS 3", "CHANNELS 4"), "'End' is no channel"),
        (CLIP.replace("CHANNELS 3", "CHANNELS 7"), "a joint has 7 channels"),
        (CLIP.replace("CHANNELS 3", "CHANNELS -1"), "-1 is no count"),
        (CLIP.replace("3 Zrotation Xrotation", "3 Zrotation Zrotation"), "joint 'knee' names a channel twice"),
        (CLIP.replace("OFFSET 0 -2 0", "OFFSET 0 nan 0"), "line 8: nan is no finite number"),
        (CLIP.replace("OFFSET 0 -2 0", "OFFSET 0 down 0"), "line 8: 'down' is no number"),
        (CLIP.replace("1 3 0  90", "1 NaN 0  90"), "line 20: NaN is no finite number"),
        (CLIP.replace("1 3 0  90", "1 x 0  90"), "line 20: 'x' is no number"),
        (CLIP.replace("Frames: 3", "Frames: 0"), "0 frames"),
        (CLIP.replace("Frames: 3", "Frames: 2.5"), "2.5 is no count"),
        (CLIP.replace("0.025", "0"), "frames of 0 s make no motion"),
        (
            "HIERARCHY ROOT a " + "{ OFFSET 0 0 0 CHANNELS 0 JOINT b " * 300,
            "joints are nested more than 200 deep",
        ),
    ],
)
def test_malformed_clips_are_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_bvh(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_bvh(tmp_path / "absent.bvh")
    (tmp_path / "binary.bvh").write_bytes(b"\xff\xfe\x00\x81" * 10)
    with pytest.raises(InputError, match="it is no text"):
        read_bvh(tmp_path / "binary.bvh")


def test_published_clip(shared_data):
    clip = read_bvh(shared_data / "motion" / "salsa_04.bvh")
    assert len(clip) == 1872
    assert clip.fps == pytest.approx(120.0, abs=0.01)
    assert sum(not name.endswith(" end") for name in clip.names) == 43
    _, place = clip.global_transforms()
    bone = np.linalg.norm(place[:, clip.names.index("lFoot")] - place[:, clip.names.index("lShin")], axis=1)
    # Rotations keep a bone's length.
    np.testing.assert_allclose(bone, np.linalg.norm([-0.73152, -45.1104, -5.12064]), rtol=1e-9)


def chain_clip(tmp_path) -> BvhClip:
    """A skeleton whose tree branches, in which a child stands between its sibling and that one's child."""
    generator = np.random.default_rng(0)
    names = ("hip", "left leg", "spine", "left foot", "left foot end", "spine end")
    parents = (-1, 0, 0, 1, 3, 2)
    offsets = np.array([[0, 0, 0], [0.1, -0.4, 0], [0, 0.3, 0.01], [0, -0.4, 0.02], [0, 0, 0.2], [0, 0.2, 0]])
    rotations = np.broadcast_to(np.eye(3), (7, 6, 3, 3)).copy()
    turns = Rotation.from_rotvec(generator.normal(size=(28, 3))).as_matrix()
    rotations[:, :4] = turns.reshape(7, 4, 3, 3)
    translations = np.broadcast_to(offsets, (7, 6, 3)).copy()
    translations[:, 0] = generator.normal(size=(7, 3))
    return BvhClip(tmp_path / "a.bvh", names, parents, offsets, rotations, translations, 15.0)


def test_what_is_written_is_read_back(tmp_path):
    clip = chain_clip(tmp_path)
    write_bvh(clip.path, clip)
    seen = read_bvh(clip.path)
    assert seen.names == ("hip", "left_leg", "left_foot", "left_foot end", "spine", "spine end")
    assert seen.fps == pytest.approx(15.0)
    order = [clip.names.index(name.replace("_", " ")) for name in seen.names]
    for found, wanted in zip(seen.global_transforms(), clip.global_transforms(), strict=True):
        np.testing.assert_allclose(found, wanted[:, order], atol=1e-8)


def test_another_reader_finds_every_joint_where_it_was(tmp_path):
    clip = chain_clip(tmp_path)
    write_bvh(clip.path, clip)
    seen = pybvh.read_bvh_file(clip.path)
    assert seen.frame_count == 7
    assert seen.frame_time == pytest.approx(1 / 15)
    assert list(seen.joint_names) == ["hip", "left_leg", "left_foot", "spine"]
    joints = [clip.names.index(name) for name in ("hip", "left leg", "left foot", "spine")]
    np.testing.assert_allclose(seen.joint_positions(), clip.global_transforms()[1][:, joints], atol=1e-6)

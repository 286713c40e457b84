"""The pose encoder: voxels against a loop, proper rotations, roots that follow the world, files, foreign models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figure import TINY
from scipy.spatial.transform import Rotation

from spams_core.data.partial_clouds import to_upright, upright_frame
from spams_core.data.virtual_camera import orbit_camera
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE, transform_points, world_from_posed
from spams_core.models.codes import CodeSpace
from spams_core.models.pose_encoder import (
    COMPACT,
    PAPER,
    PoseEncoder,
    PoseEncoderSettings,
    encode_clouds,
    read_pose_encoder,
    require_same_codes,
    rotation_from_columns,
    voxelise,
    write_pose_encoder,
)
from spams_core.models.spam import Spam

SMALL = PoseEncoderSettings(points=64, grid=8, widths=(8, 8), layers=(1, 2), squeeze=4, hidden=16, components=5)


def training_codes(count: int = 40, seed: int = 0) -> torch.Tensor:
    return 0.3 * torch.randn(count, 2, 4, generator=torch.Generator().manual_seed(seed))


def small_encoder() -> PoseEncoder:
    """Weights as drawn, but a head that really turns, and running statistics that aren't the initial ones."""
    encoder = PoseEncoder(SMALL, CodeSpace.of(training_codes(), SMALL.components), seed=1)
    with torch.no_grad():
        encoder.head.weight.mul_(20)
    points = 0.5 * torch.randn(8, 64, 3, generator=torch.Generator().manual_seed(2))
    for _ in range(20):
        encoder(points)
    return encoder.eval()


def test_voxels_equal_a_loop():
    points = 0.6 * torch.randn(2, 300, 3, generator=torch.Generator().manual_seed(0))
    grid, extent = 6, 0.9
    found = voxelise(points, grid, extent)
    cells: dict[tuple[int, ...], list[np.ndarray]] = {}
    outside = 0
    for b in range(2):
        for point in points[b].double().numpy():
            place = (point + extent) / (2 * extent) * grid
            cell = np.floor(place).astype(int)
            if (cell < 0).any() or (cell >= grid).any():
                outside += 1
                continue
            cells.setdefault((b, *cell), []).append(place - cell - 0.5)
    expected = np.zeros((2, 4, grid, grid, grid))
    for (b, x, y, z), offsets in cells.items():
        expected[b, :, x, y, z] = [1, *(2 * np.mean(offsets, axis=0))]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert outside > 20
    assert max(len(offsets) for offsets in cells.values()) > 1


def test_a_cell_gives_back_its_only_point():
    point = torch.tensor([[[0.33, -0.71, 0.05]]])
    voxels = voxelise(point, 16, 1.1)[0]
    (cell,) = voxels[0].nonzero().tolist()
    size = 2 * 1.1 / 16
    centre = (torch.tensor(cell) + 0.5) * size - 1.1
    torch.testing.assert_close(centre + voxels[1:, *cell] * size / 2, point[0, 0], atol=1e-6, rtol=0)


def test_rotations_are_proper_and_keep_a_rotations_columns():
    columns = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rotation = rotation_from_columns(columns)
    eye = torch.eye(3, dtype=torch.float64).expand(50, 3, 3)
    torch.testing.assert_close(rotation.mT @ rotation, eye)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(50, dtype=torch.float64))
    again = rotation_from_columns(3.0 * torch.cat([rotation[..., 0], rotation[..., 1]], dim=-1))
    torch.testing.assert_close(again, rotation)
    assert torch.autograd.gradcheck(rotation_from_columns, columns[:3].requires_grad_())


def test_an_untrained_encoder_says_mean_pose_facing_the_camera():
    encoder = PoseEncoder(SMALL, CodeSpace.of(training_codes(), 5)).eval()
    with torch.no_grad():
        encoder.head.weight.zero_()
        found = encoder(torch.randn(3, 64, 3))
    torch.testing.assert_close(found.pose_codes, training_codes().mean(0).expand(3, 2, 4))
    torch.testing.assert_close(found.root_rotation, torch.eye(3).expand(3, 3, 3))
    assert not found.root_translation.any()


@pytest.mark.parametrize("settings", [COMPACT, PAPER, SMALL])
def test_shapes(settings: PoseEncoderSettings):
    codes = 0.3 * torch.randn(300, 6, 32, generator=torch.Generator().manual_seed(0))
    encoder = PoseEncoder(settings, CodeSpace.of(codes, settings.components)).eval()
    with torch.no_grad():
        found = encoder(torch.randn(1, 70, 3))
    assert found.coefficients.shape == (1, min(settings.components, 192))
    assert found.pose_codes.shape == (1, 6, 32)
    assert found.root_rotation.shape == (1, 3, 3)
    assert found.root_translation.shape == (1, 3)


def test_roots_are_in_the_world_in_metres():
    encoder = small_encoder()
    generator = np.random.default_rng(0)
    camera = orbit_camera(40, 20, 3.0, np.array([0.3, 0.9, -1.0]), 64, 64, 60.0)
    cloud = generator.normal(size=(64, 3)) * 0.4 + [0.3, 0.9, -1.0]
    codes, rotation, translation = encode_clouds(encoder, [cloud], camera)
    with torch.no_grad():
        found = encoder(torch.from_numpy(to_upright(cloud, camera))[None])
    torch.testing.assert_close(codes, found.pose_codes)
    posed = torch.from_numpy(generator.normal(size=(10, 3))).float()
    upright = posed @ found.root_rotation[0].mT + found.root_translation[0]
    turn, centre = upright_frame(cloud, camera)
    expected = upright.double().numpy() / CANONICAL_PER_METRE @ turn + centre
    world = world_from_posed(posed, rotation[0], translation[0])
    np.testing.assert_allclose(world.numpy(), expected, atol=1e-5)
    assert np.abs(translation.numpy()[0] - centre).max() > 1e-3


def test_roots_follow_a_moved_and_turned_world():
    encoder = small_encoder()
    generator = np.random.default_rng(1)
    # More and fewer points than the network sees.
    clouds = [generator.normal(size=(size, 3)) * 0.4 + [0.1, 1.0, -2.0] for size in (200, 41, 64)]
    camera = orbit_camera(10, 15, 3.0, np.array([0.0, 1.0, -2.0]), 64, 64, 60.0)
    codes, rotation, translation = encode_clouds(encoder, clouds, camera, batch=2)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("y", 130, degrees=True).as_matrix()
    motion[:3, 3] = [4.0, -1.0, 7.0]
    moved_camera = replace(camera, world_from_camera=motion @ camera.world_from_camera)
    moved = encode_clouds(encoder, [transform_points(motion, cloud) for cloud in clouds], moved_camera)
    turn, shift = (torch.from_numpy(value).float() for value in (motion[:3, :3], motion[:3, 3]))
    # A point may round into the neighbouring cell; the offset then jumps from one side of a cell to the other, which
    # these clouds don't do.
    torch.testing.assert_close(moved[0], codes, atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[1], turn @ rotation, atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[2], translation @ turn.T + shift, atol=1e-4, rtol=0)
    assert (rotation[0] - rotation[1]).abs().max() > 1e-2  # clouds differ, so there was something to follow


def test_no_clouds_give_no_poses():
    camera = orbit_camera(0, 0, 3.0, np.zeros(3), 64, 64, 60.0)
    assert [tuple(value.shape) for value in encode_clouds(small_encoder(), [], camera)] == [
        (0, 2, 4), (0, 3, 3), (0, 3)
    ]  # fmt: skip


def test_file_round_trip(tmp_path: Path):
    encoder = small_encoder()
    write_pose_encoder(tmp_path / "a", encoder, {"seed": 0})
    again = read_pose_encoder(tmp_path / "a", torch.device("cpu"))
    assert again.settings == encoder.settings
    points = 0.5 * torch.randn(5, 64, 3, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        for before, after in zip(encoder(points), again(points), strict=True):
            torch.testing.assert_close(before, after, atol=2e-2, rtol=0)  # 16 bits: 11 of them for each weight
    write_pose_encoder(tmp_path / "b", again, {"seed": 0})
    for name, value in read_pose_encoder(tmp_path / "b", torch.device("cpu")).state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_compact_takes_at_most_two_and_a_half_megabytes(tmp_path: Path):
    codes = 0.3 * torch.randn(200, 6, 32, generator=torch.Generator().manual_seed(0))
    write_pose_encoder(tmp_path / "a", PoseEncoder(COMPACT, CodeSpace.of(codes, COMPACT.components)), {})
    assert (tmp_path / "a" / "arrays.safetensors").stat().st_size <= 2.5e6


@pytest.mark.parametrize("change", [{"widths": [8, 16]}, {"hidden": 17}])
def test_weights_of_another_size_are_refused(tmp_path: Path, change: dict[str, object]):
    write_pose_encoder(tmp_path / "model", small_encoder(), {})
    path = tmp_path / "model" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["model"].update(change)
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="do not fit"):
        read_pose_encoder(tmp_path / "model", torch.device("cpu"))


def test_an_encoder_of_another_model_is_refused():
    encoder, path = small_encoder(), Path("model/encoder")
    spam = Spam(TINY)
    spam.pose_codes = training_codes()
    require_same_codes(encoder, spam, path)
    spam.pose_codes = training_codes().half().float()
    require_same_codes(encoder, spam, path)
    spam.pose_codes = training_codes(seed=9) + 0.2
    with pytest.raises(InputError, match=r"encoder was trained on other pose codes"):
        require_same_codes(encoder, spam, path)
    with pytest.raises(InputError, match=r"predicts 2 pose codes of length 4, but the model has 2 of length 8"):
        require_same_codes(encoder, Spam(replace(TINY, pose_code=8)), path)
    with pytest.raises(InputError, match=r"but the model has 1 of length 4"):
        require_same_codes(encoder, Spam(replace(TINY, part_names=("body",))), path)


@pytest.mark.parametrize(
    "change", [{"grid": 10}, {"grid": 0}, {"layers": (1,)}, {"widths": (), "layers": ()}, {"points": 0}, {"extent": 0}]
)
def test_impossible_sizes_are_refused(change: dict[str, object]):
    with pytest.raises(InputError, match="pose encoder"):
        replace(SMALL, **change)

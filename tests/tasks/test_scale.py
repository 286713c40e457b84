"""Subjects that are no larger than a hand: whatever holds for the bundled recording holds for its miniature."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from spams_core.data.fit import Fit, read_fit
from spams_core.data.recording import read_sequence
from spams_core.data.sequence import enlarge
from spams_core.errors import InputError
from spams_core.fitting.settings import SolveSettings
from spams_core.frames import enlargement
from spams_core.io.ply import read_ply, write_ply
from spams_core.models.spam import read_spam
from spams_core.progress import run_to_end
from spams_core.resources import resource_path
from spams_core.tasks.bake import EditedMotion, decode_fit
from spams_core.tasks.evaluate import EvaluateSettings, evaluate
from spams_core.tasks.fit import FitSettings, fit
from spams_core.tasks.inspect import InspectSettings, inspect
from spams_core.tasks.segment import SegmentSettings, segment

DEMO, HUMAN = resource_path("demo/recording"), resource_path("models/human")
TIMES = 8  # a power of two: the numbers in between are the same to the last bit
SHORT = SolveSettings(
    align_iterations=3, rounds=1, rigid_rounds=1, joint_rounds=1, iterations=2, part_points=32, surface_points=24,
    match_resolution=48, mesh_resolution=48,
)  # fmt: skip


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled recording with all metres divided by eight."""
    folder = tmp_path_factory.mktemp("miniature") / "recording"
    shutil.copytree(DEMO, folder)
    camera = json.loads((folder / "camera.json").read_text())
    camera["depth_scale"] /= TIMES
    place = np.array(camera["world_from_camera"])
    place[:3, 3] /= TIMES
    camera["world_from_camera"] = place.tolist()
    (folder / "camera.json").write_text(json.dumps(camera))
    for path in sorted((folder / "ground_truth").iterdir())[:6]:
        mesh = read_ply(path)
        write_ply(path, type(mesh)(mesh.vertices / TIMES, mesh.faces, mesh.vertex_parts))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model as one of people who are an eighth as large."""
    folder = tmp_path_factory.mktemp("model") / "tiny_people"
    shutil.copytree(HUMAN, folder)
    for network in ("shape", "parts", "pose", "segmenter"):
        path = folder / network / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["model"]["canonical_per_metre"] = 0.8 * TIMES
        manifest["parts"] = [{"name": "torso", "title": "Tiny torso", "color": "#0a957b"}]
        path.write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def fits(miniature: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same fit at both sizes."""
    folder = tmp_path_factory.mktemp("fits")
    run_to_end(fit(FitSettings(DEMO, folder / "large", HUMAN, frames="0:6:5", solve=SHORT)))
    run_to_end(fit(FitSettings(miniature, folder / "small", model, frames="0:6:5", solve=SHORT)))
    return folder / "large", folder / "small"


def test_enlargement_is_one_for_people():
    assert enlargement(0.8) == 1
    sequence = read_sequence(DEMO)
    assert enlarge(sequence, 1.0) is sequence


def test_an_enlarged_recording_is_the_large_one(miniature: Path):
    large, small = read_sequence(DEMO), enlarge(read_sequence(miniature), TIMES)
    np.testing.assert_array_equal(small.read_depth_m(3), large.read_depth_m(3))
    np.testing.assert_array_equal(small.camera.world_from_camera, large.camera.world_from_camera)
    assert small.read_ground_truth is not None
    assert large.read_ground_truth is not None
    np.testing.assert_allclose(small.read_ground_truth(0).vertices, large.read_ground_truth(0).vertices, atol=1e-6)


def test_a_miniature_is_fitted_like_the_original(fits: tuple[Path, Path]):
    large, small = map(read_fit, fits)
    for name in ("shape_codes", "pose_codes", "root_rotation", "canonical_vertices", "match_weights"):
        np.testing.assert_allclose(getattr(small, name), getattr(large, name), atol=1e-5, err_msg=name)
    for name in ("root_translation_m", "vertices_world", "residual_m", "observed_points", "matched_points"):
        np.testing.assert_allclose(TIMES * getattr(small, name), getattr(large, name), atol=1e-4, err_msg=name)
    assert small.manifest["depth_residual_mm"] == pytest.approx(large.manifest["depth_residual_mm"] / TIMES, rel=1e-3)
    assert (large.canonical_per_metre, small.canonical_per_metre) == (0.8, 0.8 * TIMES)
    assert small.manifest["parts"][0]["title"] == "Tiny torso"


def test_figures_in_units_stay_and_millimetres_shrink(fits: tuple[Path, Path]):
    few = {"volume_samples": 20_000, "surface_samples": 4_000}
    large, small = (run_to_end(evaluate(EvaluateSettings(path, **few))).mean for path in fits)
    for name in ("iou", "chamfer_l2", "normal_consistency", "epe", "silhouette_iou"):
        assert small[name] == pytest.approx(large[name], rel=2e-3), name
    for name in ("epe_mm", "depth_residual_mm"):
        assert small[name] == pytest.approx(large[name] / TIMES, rel=2e-3), name
    assert small["part_epe_mm"]["head"] == pytest.approx(large["part_epe_mm"]["head"] / TIMES, rel=2e-3)


def test_edited_codes_stand_where_the_fit_stood(fits: tuple[Path, Path], model: Path):
    small: Fit = read_fit(fits[1])
    spam = read_spam(model, torch.device("cpu"))
    motion = EditedMotion(
        small.shape_codes, small.pose_codes, small.root_rotation, small.root_translation_m, small.frame_indices
    )
    decoded = decode_fit(spam, model, motion, small, {})
    assert np.ptp(decoded.vertices_world[0], axis=0) == pytest.approx(np.ptp(small.vertices_world[0], axis=0), abs=0.01)
    assert decoded.canonical_per_metre == small.canonical_per_metre


def test_some_frames_are_fitted_anew_at_their_own_scale(
    fits: tuple[Path, Path], miniature: Path, model: Path, tmp_path
):
    settings = FitSettings(miniature, tmp_path / "again", model, frames="5", solve=SHORT, start_from=fits[1])
    again, before = run_to_end(fit(settings)), read_fit(fits[1])
    assert np.linalg.norm(again.vertices_world - before.vertices_world, axis=-1).mean() < 0.05 / TIMES
    np.testing.assert_array_equal(again.vertices_world[0], before.vertices_world[0])


def test_points_are_labelled_alike(miniature: Path, model: Path):
    large = run_to_end(segment(SegmentSettings(DEMO, model=HUMAN, frames="0")))
    small = run_to_end(segment(SegmentSettings(miniature, model=model, frames="0")))
    np.testing.assert_array_equal(small.labels[0], large.labels[0])
    np.testing.assert_allclose(TIMES * small.points_world[0], large.points_world[0], atol=1e-5)


def test_a_subject_of_another_size_than_the_models_is_refused(miniature: Path, model: Path, tmp_path: Path):
    with pytest.raises(
        InputError, match=r"what is seen is 0\.2.* m large, but the model knows subjects of about 1\.7 m"
    ):
        run_to_end(fit(FitSettings(miniature, tmp_path / "fit", HUMAN, frames="0", solve=SHORT)))
    with pytest.raises(InputError, match=r"about 0\.21 m"):
        run_to_end(fit(FitSettings(DEMO, tmp_path / "fit", model, frames="0", solve=SHORT)))


def test_a_segmenter_of_another_scale_is_refused(model: Path, miniature: Path, tmp_path: Path):
    mixed = tmp_path / "mixed"
    shutil.copytree(model, mixed)
    shutil.rmtree(mixed / "segmenter")
    shutil.copytree(HUMAN / "segmenter", mixed / "segmenter")
    with pytest.raises(InputError, match="subjects of another scale"):
        run_to_end(fit(FitSettings(miniature, tmp_path / "fit", mixed, frames="0", solve=SHORT)))


def test_inspect_expects_the_size_of_the_models_subjects(miniature: Path, model: Path):
    def warnings(recording: Path, of: Path | None) -> dict[str, str]:
        return run_to_end(inspect(InspectSettings(recording, looked_at=2, model=of))).warnings()

    assert warnings(miniature, None)["scale"].endswith("If it is no person, fit the model of its kind.")
    assert "scale" not in warnings(miniature, model)
    assert "If only the subject is kept, the scale is wrong" in warnings(DEMO, model)["scale"]

"""The clouds task passes its settings on; what the clouds are is tested with `write_clouds`."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from spams_core.data.partial_clouds import ViewSettings
from spams_core.data.subjects import subjects_writer
from spams_core.data.virtual_camera import EXACT
from spams_core.errors import InputError
from spams_core.io.archive import read_archive
from spams_core.progress import run_to_end
from spams_core.tasks.clouds import CloudsSettings, clouds

pytest.importorskip("embreex")


@pytest.fixture
def subjects(tmp_path):
    ball = trimesh.creation.icosphere(3, 0.4)
    bodies = np.tile(ball.vertices.astype(np.float32), (3, 1, 1))
    arrays = {
        "faces": ball.faces.astype(np.int32),
        "part_weights": np.ones((len(ball.vertices), 1), dtype=np.float32),
        "canonical": bodies,
        "identity_split": np.arange(3, dtype=np.uint8),
        "posed_identity": np.arange(3, dtype=np.int32),
    }
    with subjects_writer(tmp_path / "balls") as writer:
        writer.append(bodies)
        writer.finish({"part_names": ["body"]}, arrays)
    return tmp_path / "balls"


def test_settings_decide_how_many_clouds_of_how_many_points(subjects, tmp_path):
    view = ViewSettings(points=64, crop_share=0.0, noise=EXACT)
    settings = CloudsSettings(subjects, tmp_path / "out", views_per_instance=3, train=2, validation=9, view=view)
    archive = read_archive(run_to_end(clouds(settings)), "clouds")
    assert archive.array("points").shape == (8, 64, 3)
    np.testing.assert_array_equal(archive.array("split"), [0, 0, 1, 1, 1, 2, 2, 2])
    # Points of a ball of radius 0.4 in its own upright frame: at most a diameter apart.
    points = archive.array("points").astype(np.float32)
    assert np.linalg.norm(points[:, :, None] - points[:, None], axis=-1).max() <= 0.8 + 2e-3
    np.testing.assert_allclose(np.linalg.norm(archive.array("canonical").astype(np.float32), axis=-1), 0.4, atol=5e-3)


def test_wrong_settings_are_refused(subjects, tmp_path):
    with pytest.raises(InputError, match="validation is -1"):
        CloudsSettings(subjects, tmp_path / "out", validation=-1)
    with pytest.raises(InputError, match="no posed instances"):
        run_to_end(clouds(CloudsSettings(subjects, tmp_path / "out", train=0, validation=0, test=0)))
    assert not (tmp_path / "out").exists()

"""One mesh as every suffix says, read back by another program."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from fits import ball_fit

from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.progress import run_to_end
from spams_core.resources import part_colors
from spams_core.tasks.export_mesh import MESH_SUFFIXES, export_mesh

NAMES = ("head", "torso")


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_the_mesh_comes_back(tmp_path, suffix):
    body = ball_fit().mesh_world(2)
    assert run_to_end(export_mesh(body, NAMES, tmp_path / f"a.{suffix}")) == tmp_path / f"a.{suffix}"
    seen = trimesh.load(tmp_path / f"a.{suffix}", force="mesh", process=False, maintain_order=True)
    assert np.abs(seen.bounds - [body.vertices.min(0), body.vertices.max(0)]).max() < 1e-6
    assert seen.area == pytest.approx(body.trimesh().area, rel=1e-5)
    if suffix == "ply":
        assert np.array_equal(seen.visual.vertex_colors[:, :3], part_colors(NAMES)[body.vertex_parts])
    assert list(tmp_path.iterdir()) == [tmp_path / f"a.{suffix}"]


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_a_mesh_without_parts_is_whole(tmp_path, suffix):
    body = ball_fit().mesh_world(0)
    run_to_end(export_mesh(Mesh(body.vertices, body.faces), (), tmp_path / f"a.{suffix}"))
    assert len(trimesh.load(tmp_path / f"a.{suffix}", force="mesh", process=False).faces) == len(body.faces)


def test_nothing_is_replaced_unasked_and_other_names_are_refused(tmp_path):
    body = ball_fit().mesh_world(0)
    (tmp_path / "a.ply").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        run_to_end(export_mesh(body, NAMES, tmp_path / "a.ply"))
    assert (tmp_path / "a.ply").read_text() == "mine"
    run_to_end(export_mesh(body, NAMES, tmp_path / "a.ply", replace=True))
    assert (tmp_path / "a.ply").read_bytes()[:3] == b"ply"
    with pytest.raises(InputError, match=r"must end in \.ply, \.obj, \.glb or \.stl"):
        run_to_end(export_mesh(body, NAMES, tmp_path / "a.doc"))

"""Users' meshes: what comes out of a good folder, and what is said about a bad one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from figure import bend
from mesh_folders import bar_labels, write_bar_folder

from spams_core.data.mesh_folder import open_mesh_folder, read_labels, read_mesh
from spams_core.data.mesh_report import MeshReport
from spams_core.data.mesh_subjects import MeshSubjects, check_meshes, split_of
from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.topology import find_edges
from spams_core.io.obj import write_obj
from spams_core.io.ply import write_ply
from spams_core.progress import run_to_end


@pytest.fixture
def bars(tmp_path):
    write_bar_folder(tmp_path / "bars")
    return tmp_path / "bars"


def check(path, **options) -> tuple[MeshReport, MeshSubjects | None]:
    return run_to_end(check_meshes(open_mesh_folder(path), **options))


def findings(path, level: str, about: str) -> list:
    report, _ = check(path)
    return [found for found in report.findings if (found.level, found.about) == (level, about)]


def rewrite(path, change) -> None:
    """Change a mesh on disk."""
    mesh = read_mesh(path)
    write_ply(path, change(mesh))


def moved(mesh: Mesh, vertices) -> Mesh:
    return replace(mesh, vertices=vertices)


def test_good_meshes_become_subjects_without_the_motion_of_the_root(bars):
    report, subjects = check(bars)
    assert subjects is not None
    assert [(found.level, found.about) for found in report.findings] == [("note", "holes")]
    assert report.facts["vertices"] == len(read_mesh(bars / "bar_0" / "canonical.ply").vertices)
    assert report.facts["canonical_per_metre"] == subjects.canonical_per_metre
    assert report.facts["root"] == "lower"
    # The subject fills the unit box about as a person does.
    assert 1.0 < np.ptp(subjects.canonical, axis=1).max() <= 1.5
    assert np.abs(subjects.canonical).max() <= 1.0
    # Its hole is closed, and its surface faces outwards.
    edges = find_edges(subjects.faces)
    assert (len(edges.border), edges.opposed) == (0, 0)
    # Scale and place are all that happened to the canonical mesh.
    for row in range(5):
        mesh = read_mesh(bars / f"bar_{row}" / "canonical.ply")
        scaled = mesh.vertices * subjects.canonical_per_metre
        offset = scaled - subjects.canonical[row, : len(scaled)]
        np.testing.assert_allclose(offset, np.broadcast_to(offset[0], offset.shape), atol=2e-6)
        # Vertices on the border belong to the lower half of some bars and to the upper one of others.
        lower = mesh.vertices[:, 1] < 0
        np.testing.assert_allclose(subjects.canonical[row, : len(scaled)][lower].mean(0), 0, atol=0.02)
    # Scans lie anywhere in the world, turned and shifted; what is left is the bend about the resting lower half.
    posed = subjects.posed(1)
    rest = subjects.canonical[1]
    unit = 0.2 * subjects.canonical_per_metre
    straight = read_mesh(bars / "bar_1" / "canonical.ply").vertices / 0.2
    deep = straight[:, 1] < -0.1
    for vertices, angle in zip(posed, np.linspace(-0.8, 0.9, 3), strict=True):
        expected = bend(straight, angle) * unit + (rest[: len(straight)] - straight * unit)[0]
        # The seam bends a little within the lower half, so the best rigid motion is not exactly the bar's.
        assert np.abs(vertices[: len(straight)] - expected)[deep].max() < 0.03
        assert np.abs(vertices[: len(straight)] - expected).max() < 0.08


def test_parts_meet_in_a_narrow_seam(bars):
    _, subjects = check(bars)
    assert subjects is not None
    weights = subjects.part_weights
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    height = read_mesh(bars / "bar_0" / "canonical.ply").vertices[:, 1] * subjects.canonical_per_metre
    assert (weights[: len(height)][height > 0.2, 1] > 0.95).all()
    assert (weights[: len(height)][height < -0.2, 0] > 0.95).all()
    seam = np.ptp(weights.argmax(1)[subjects.faces], axis=1) == 1
    assert seam.any()
    assert (weights[subjects.faces[seam]].mean(1) > 0.2).all()


def test_the_unit_of_the_files_makes_no_difference(bars, tmp_path):
    _, metres = check(bars)
    write_bar_folder(tmp_path / "mm", size_m=200.0)
    told = json.loads((tmp_path / "mm" / "parts.json").read_text())
    (tmp_path / "mm" / "parts.json").write_text(json.dumps({**told, "unit_m": 0.001}))
    _, millimetres = check(tmp_path / "mm")
    assert metres is not None
    assert millimetres is not None
    assert millimetres.canonical_per_metre == pytest.approx(metres.canonical_per_metre)
    np.testing.assert_allclose(millimetres.canonical, metres.canonical, atol=1e-5)
    np.testing.assert_allclose(millimetres.posed(2), metres.posed(2), atol=1e-5)


def test_holes_may_stay_open(bars):
    report, subjects = check(bars, close_holes=False)
    assert subjects is not None
    assert len(find_edges(subjects.faces).border) > 0
    assert "winding number" in report.findings[0].message


@pytest.mark.parametrize("source", ["vertex file", "face file", "shared file", "face property", "obj"])
def test_labels_come_from_many_places(tmp_path, source):
    write_bar_folder(tmp_path / "bars", ending=".obj" if source == "obj" else ".ply")
    path = tmp_path / "bars" / "bar_0" / ("canonical.obj" if source == "obj" else "canonical.ply")
    mesh = read_mesh(path)
    for number in range(5):  # the labels that came with them
        other = tmp_path / "bars" / f"bar_{number}" / path.name
        (other.parent / "labels.npy").unlink(missing_ok=True)
        (write_obj if source == "obj" else write_ply)(other, replace(read_mesh(other), vertex_parts=None))
    of_vertex = bar_labels(mesh.vertices)
    of_face = bar_labels(mesh.vertices[mesh.faces].mean(1))
    if source == "face property":
        write_face_labels(path, mesh, of_face)
    else:
        at = tmp_path / "bars" if source == "shared file" else path.parent
        np.save(at / "labels.npy", of_face if source == "face file" else of_vertex)
    folder = open_mesh_folder(tmp_path / "bars")
    found = read_labels(folder, folder.identities[0])
    assert found is not None
    np.testing.assert_array_equal(found[1], of_face if source.startswith("face") else of_vertex)
    report, subjects = check(tmp_path / "bars")
    assert report.fatal == ()
    assert subjects is not None
    agree = subjects.part_weights[: len(of_vertex)].argmax(1) == of_vertex
    assert agree[np.abs(mesh.vertices[:, 1]) > 0.01].all()


def write_face_labels(path, mesh: Mesh, labels) -> None:
    head = (
        f"ply\nformat ascii 1.0\nelement vertex {len(mesh.vertices)}\nproperty float x\nproperty float y\n"
        f"property float z\nelement face {len(mesh.faces)}\nproperty list uchar int vertex_indices\n"
        "property uchar part\nend_header\n"
    )
    rows = [" ".join(f"{x:.9g}" for x in vertex) for vertex in mesh.vertices]
    rows += [f"3 {a} {b} {c} {label}" for (a, b, c), label in zip(mesh.faces, labels, strict=True)]
    path.write_text(head + "\n".join(rows) + "\n")


def test_other_vertex_counts_are_no_correspondence(bars):
    def drop_last(mesh: Mesh) -> Mesh:
        last = len(mesh.vertices) - 1
        return Mesh(mesh.vertices[:last], mesh.faces[~(mesh.faces == last).any(1)])

    rewrite(bars / "bar_2" / "poses" / "001.ply", drop_last)
    (found,) = findings(bars, "fatal", "correspondence")
    assert found.file.endswith("bar_2/poses/001.ply")
    assert "there is no correspondence" in found.message
    assert "Register" in found.remedy
    # Where a canonical mesh lacks it, too, all that is wrong is told at once.
    rewrite(bars / "bar_1" / "canonical.ply", drop_last)
    files = [found.file for found in findings(bars, "fatal", "correspondence")]
    assert [file.split("bars/")[1] for file in files] == ["bar_1/canonical.ply", "bar_2/poses/001.ply"]


def test_vertices_in_another_order_are_noticed_by_their_edges(bars):
    def scrambled(mesh: Mesh) -> Mesh:
        return moved(mesh, np.random.default_rng(0).permutation(mesh.vertices))

    rewrite(bars / "bar_2" / "poses" / "001.ply", scrambled)
    (found,) = findings(bars, "fatal", "correspondence")
    assert "another order" in found.message


def test_one_mesh_in_another_unit_is_told_from_a_wrong_unit_of_all(bars):
    rewrite(bars / "bar_2" / "poses" / "001.ply", lambda mesh: moved(mesh, 1000 * mesh.vertices))
    (found,) = findings(bars, "fatal", "scale")
    assert found.file.endswith("bar_2/poses/001.ply")
    assert "1e+03 times as large" in found.message


def test_a_subject_of_17_m_is_doubted(tmp_path):
    write_bar_folder(tmp_path / "bars", size_m=17.0)
    (found,) = findings(tmp_path / "bars", "warning", "scale")
    assert found.file.endswith("parts.json")
    assert "m large" in found.message
    assert "With 0.1 it would be" in found.remedy


def test_canonical_meshes_that_face_elsewhere_are_turned_back(bars):
    _, before = check(bars)
    turn = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    rewrite(bars / "bar_3" / "canonical.ply", lambda mesh: moved(mesh, mesh.vertices @ turn.T))
    (found,) = findings(bars, "warning", "orientation")
    assert found.file.endswith("bar_3/canonical.ply")
    assert "90°" in found.message
    _, after = check(bars)
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(after.canonical[3], before.canonical[3], atol=5e-3)


def test_triangles_that_face_inwards_are_turned_over(bars):
    _, before = check(bars)
    for path in bars.rglob("*.ply"):
        rewrite(path, lambda mesh: replace(mesh, faces=mesh.faces[:, ::-1]))
    (found,) = findings(bars, "note", "orientation")
    assert "turned over" in found.message
    _, after = check(bars)
    assert before is not None
    assert after is not None
    key = [np.sort(np.roll(f, -int(f.argmin())).tolist()) for f in before.faces]
    assert len(key) == len(after.faces)
    assert np.sign(_volume(after)) == np.sign(_volume(before)) == 1


def _volume(subjects: MeshSubjects) -> float:
    return float(Mesh(subjects.canonical[0], subjects.faces).trimesh().volume)


def test_a_mirrored_identity_is_refused(bars):
    rewrite(bars / "bar_1" / "canonical.ply", lambda mesh: moved(mesh, mesh.vertices * [-1, 1, 1]))
    (found,) = findings(bars, "fatal", "orientation")
    assert "inside out" in found.message


def test_labels_must_be_there_fit_and_name_every_part(bars):
    def relabelled(change) -> None:
        for number in range(5):
            rewrite(bars / f"bar_{number}" / "canonical.ply", change)

    relabelled(lambda mesh: replace(mesh, vertex_parts=np.zeros(len(mesh.vertices), dtype=np.int64)))
    (found,) = findings(bars, "fatal", "labels")
    assert "No vertex belongs to upper (label 1)" in found.message
    relabelled(lambda mesh: replace(mesh, vertex_parts=np.full(len(mesh.vertices), 7)))
    assert "label 7 is no part" in findings(bars, "fatal", "labels")[0].message
    relabelled(lambda mesh: replace(mesh, vertex_parts=None))
    (found,) = findings(bars, "fatal", "labels")
    assert "labels.npy" in found.remedy
    np.save(bars / "labels.npy", np.zeros(11, dtype=int))
    (found,) = findings(bars, "fatal", "labels")
    assert "11 labels" in found.message


def test_a_surface_that_cuts_itself_is_counted(bars):
    def folded(mesh: Mesh) -> Mesh:
        x, y, z = mesh.vertices.T
        # The upper half is folded back through the lower one.
        return moved(mesh, np.stack([x, np.where(y > 0, -0.8 * y, y), z], 1))

    rewrite(bars / "bar_0" / "canonical.ply", folded)
    report, _ = check(bars)
    (found,) = [found for found in report.findings if found.about == "intersections"]
    assert found.file.endswith("bar_0/canonical.ply")
    assert 10 < int(found.message.split()[0]) < 8000


def test_missing_and_broken_files_are_told_one_by_one(bars):
    (bars / "bar_0" / "canonical.ply").unlink()
    (bars / "bar_1" / "poses" / "000.ply").write_bytes(b"ply\nnonsense")
    for path in (bars / "bar_2" / "poses").iterdir():
        path.unlink()
    report, subjects = check(bars)
    assert subjects is None
    said = {found.file.split("bars/")[1]: found.message for found in report.fatal}
    assert said.keys() == {"bar_0", "bar_1/poses/000.ply", "bar_2"}
    assert "canonical mesh is missing" in said["bar_0"]
    assert "no poses" in said["bar_2"]
    with pytest.raises(InputError, match="canonical mesh is missing"):
        report.require_usable()


def test_three_identities_are_too_few(tmp_path):
    write_bar_folder(tmp_path / "bars", identities=3)
    (found,) = findings(tmp_path / "bars", "fatal", "files")
    assert "at least 4" in found.message


def test_the_last_tenths_are_held_out():
    assert split_of(4).tolist() == [0, 0, 1, 2]
    assert np.bincount(split_of(40)).tolist() == [32, 4, 4]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is no JSON"),
        ("{}", "lists no parts"),
        ('{"parts": []}', "lists no parts"),
        ('{"parts": ["a", "a"]}', "twice"),
        ('{"parts": ["left_a"]}', "no part right_a"),
        ('{"parts": ["a b"]}', "no part name"),
        ('{"parts": [{"name": "a", "color": "red"}]}', "#rrggbb"),
        ('{"parts": ["a"], "unit_m": 0}', "unit_m is 0"),
        ('{"parts": ["a"], "root": "b"}', "root is 'b'"),
        ('{"parts": ["a"], "units": 1}', "unknown entry 'units'"),
    ],
)
def test_parts_json_is_checked(bars, text, complaint):
    (bars / "parts.json").write_text(text)
    with pytest.raises(InputError, match=complaint):
        open_mesh_folder(bars)


def test_folders_without_meshes_are_no_identities(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        open_mesh_folder(tmp_path / "none")
    with pytest.raises(InputError, match=r"parts\.json is missing"):
        open_mesh_folder(tmp_path)
    (tmp_path / "parts.json").write_text('{"parts": ["a"]}')
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match="holds no identity"):
        open_mesh_folder(tmp_path)

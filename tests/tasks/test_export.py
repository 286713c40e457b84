"""Every format read back by other programs, vertex by vertex."""

from __future__ import annotations

import base64
import csv
import dataclasses
import json
import re
import struct

import numpy as np
import pygltflib
import pytest
import trimesh
from fits import FRAMES, ball_fit, write_ball_fit

from spams_core.data.fit import write_fit
from spams_core.errors import InputError
from spams_core.io.ply import read_ply
from spams_core.progress import run_to_end
from spams_core.resources import part_colors
from spams_core.tasks.export import ExportSettings, export, plan_export, written_paths

SUFFIX = {
    "ply": "",
    "obj": "",
    "glb": ".glb",
    "glb_animation": ".glb",
    "glb_rigged": ".glb",
    "bvh": ".bvh",
    "abc": ".abc",
    "usd": ".usd",
    "usdz": ".usdz",
    "pc2": "",
    "vtu": "",
    "stl": "",
    "csv": "",
    "npz": ".npz",
}


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    return write_ball_fit(tmp_path_factory.mktemp("fit") / "ball")


def test_ply_sequence_holds_every_frame_colored_by_part(fit, tmp_path):
    truth = ball_fit()
    run_to_end(export(ExportSettings(fit, tmp_path / "out")))
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == [f"{t:06d}.ply" for t in range(FRAMES)] + ["manifest.json"]
    colors = part_colors(["head", "torso"])
    for t in range(FRAMES):
        seen = trimesh.load(tmp_path / "out" / f"{t:06d}.ply", process=False)
        assert np.array_equal(seen.vertices.astype(np.float32), truth.vertices_world[t])
        assert np.array_equal(seen.faces, truth.faces)
        assert np.array_equal(seen.visual.vertex_colors[:, :3], colors[truth.vertex_parts])
        assert np.array_equal(read_ply(tmp_path / "out" / f"{t:06d}.ply").vertex_parts, truth.vertex_parts)


def test_obj_sequence_holds_the_chosen_frames_grouped_by_part(fit, tmp_path):
    truth = ball_fit()
    run_to_end(export(ExportSettings(fit, tmp_path / "out", "obj", "1::2")))
    assert len(list((tmp_path / "out").glob("*.obj"))) == 2
    for count, t in enumerate((1, 3)):
        path = tmp_path / "out" / f"{count:06d}.obj"
        seen = trimesh.load(path, process=False, maintain_order=True)
        assert np.abs(seen.vertices - truth.vertices_world[t]).max() < 1e-6
        wanted, found = (np.unique(np.sort(faces, axis=1), axis=0) for faces in (truth.faces, seen.faces))
        assert np.array_equal(found, wanted)
        text = path.read_text()
        assert text.index("\ng head\n") < text.index("\ng torso\n")
        assert f"# recording frame {2 * t}\n" in text


def test_glb_is_the_first_chosen_frame(fit, tmp_path):
    truth = ball_fit()
    assert run_to_end(export(ExportSettings(fit, tmp_path / "a.glb", "glb", "3"))) == tmp_path / "a.glb"
    seen = trimesh.load(tmp_path / "a.glb", force="mesh", process=False)
    assert np.array_equal(seen.vertices.astype(np.float32), truth.vertices_world[3])
    assert np.array_equal(seen.faces, truth.faces)
    assert pygltflib.GLTF2().load(str(tmp_path / "a.glb")).asset.extras["recording_frame"] == 6


def test_npz_holds_animation_codes_and_roots(fit, tmp_path):
    truth = ball_fit()
    run_to_end(export(ExportSettings(fit, tmp_path / "a.npz", "npz", "1:4")))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as seen:
        assert np.array_equal(seen["vertices"], truth.vertices_world[1:4])
        for name in ("pose_codes", "root_rotation", "root_translation_m", "frame_indices"):
            assert np.array_equal(seen[name], getattr(truth, name)[1:4])
        for name in ("faces", "vertex_parts", "shape_codes", "canonical_vertices"):
            assert np.array_equal(seen[name], getattr(truth, name))
        assert seen["part_names"].tolist() == ["head", "torso"]
        assert seen["fps"] == 15


def block(page: str, name: str) -> str:
    """What the page holds in one of its data blocks."""
    (found,) = re.findall(rf'<script id="{name}" type="[^"]*">(.*?)</script>', page, re.DOTALL)
    return found


def provenance(path, kind: str) -> dict:
    if kind in ("usd", "usdz"):
        Usd = pytest.importorskip("pxr.Usd", reason="needs the extra usd")
        stage = Usd.Stage.Open(str(path))
        return json.loads(stage.GetRootLayer().customLayerData["provenance"])
    if kind.startswith("glb"):
        return pygltflib.GLTF2().load(str(path)).asset.extras
    if kind == "npz":
        with np.load(path) as seen:
            return json.loads(str(seen["provenance"]))
    if kind == "html":
        return json.loads(block(path.read_text(), "facts"))["provenance"]
    if kind == "abc":
        Abc = pytest.importorskip("alembic3d.Abc", reason="needs the extra alembic")
        return json.loads(Abc.GetArchiveInfo(Abc.IArchive(str(path)))["userDescription"])
    if kind == "bvh":
        return json.loads(path.with_name(f"{path.name}.json").read_text())
    if kind in ("pc2", "vtu", "stl", "csv"):
        return json.loads((path / "manifest.json").read_text())
    head = (path / f"000000.{kind}").read_bytes()[:5000].decode("utf-8", errors="replace")
    (line,) = [line for line in head.splitlines() if "provenance {" in line]
    manifest = json.loads((path / "manifest.json").read_text())
    told = json.loads(line.partition("provenance ")[2])
    assert told.items() <= manifest.items()
    assert manifest["recording_frames"] == [0, 2, 4, 6, 8]
    return told


@pytest.mark.parametrize("kind", SUFFIX)
def test_every_format_tells_where_it_comes_from(fit, tmp_path, kind):
    out = tmp_path / f"out{SUFFIX[kind]}"
    run_to_end(export(ExportSettings(fit, out, kind)))
    told = provenance(out, kind)
    assert told["fit"]["settings"] == {"sequence": "walk", "out": "ball", "seed": 3}
    assert told["fit"]["inputs"] == {"sequence": "c0ffee"}
    chosen = {"fit": str(fit), "out": str(out), "format": kind, "frames": ":"}
    assert chosen.items() <= told["export"].items()
    assert len(told["fit_sha256"]) == 64
    assert told["program"].startswith("spams ")


def test_a_manifest_with_nan_gives_valid_json(tmp_path):
    fit = write_ball_fit(tmp_path / "ball", depth_residual_mm=float("nan"))
    run_to_end(export(ExportSettings(fit, tmp_path / "a.glb", "glb")))
    content = (tmp_path / "a.glb").read_bytes()
    length = int.from_bytes(content[12:16], "little")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    assert json.loads(content[20 : 20 + length], parse_constant=refuse)


@pytest.mark.parametrize("kind", SUFFIX)
def test_nothing_is_overwritten(fit, tmp_path, kind):
    out = tmp_path / f"out{SUFFIX[kind]}"
    out.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        run_to_end(export(ExportSettings(fit, out, kind)))
    assert out.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("kind", SUFFIX)
def test_an_unwritable_place_is_one_clear_line(fit, tmp_path, kind):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory|exists"):
        run_to_end(export(ExportSettings(fit, tmp_path / "file" / f"out{SUFFIX[kind]}", kind)))


@pytest.mark.parametrize("kind", SUFFIX)
def test_cancelling_leaves_nothing(fit, tmp_path, kind):
    task = export(ExportSettings(fit, tmp_path / f"out{SUFFIX[kind]}", kind))
    next(task)
    task.close()
    assert list(tmp_path.iterdir()) == []


def test_wrong_requests_are_one_clear_line(fit, tmp_path):
    with pytest.raises(InputError, match=r"name the file out\.glb"):
        ExportSettings(fit, tmp_path / "out", "glb")
    with pytest.raises(InputError, match="chooses none of the 5 frames"):
        run_to_end(export(ExportSettings(fit, tmp_path / "out", frames="7:")))
    with pytest.raises(InputError, match="is no archive"):
        run_to_end(export(ExportSettings(tmp_path / "nothing", tmp_path / "out")))


@pytest.mark.parametrize(
    "broken",
    [
        {"vertices_world": np.zeros((FRAMES, 3, 3), np.float32)},
        {"faces": np.array([[0, 1, 1000]], np.int32)},
        {"vertex_parts": np.full(162, 7, np.int32)},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_a_fit_whose_arrays_do_not_match_is_refused(tmp_path, broken):
    write_fit(tmp_path / "ball", dataclasses.replace(ball_fit(), **broken))
    with pytest.raises(InputError, match="do not belong together"):
        run_to_end(export(ExportSettings(tmp_path / "ball", tmp_path / "out")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", SUFFIX)
def test_the_plan_names_the_files_and_comes_close_to_their_size(tmp_path, kind):
    """A subdivided ball has as many vertices as a fitted body, so that headers don't count."""
    sphere = trimesh.creation.icosphere(5, 0.4)
    canonical = np.asarray(sphere.vertices, np.float32)
    whole = dataclasses.replace(
        ball_fit(),
        canonical_vertices=canonical,
        faces=np.asarray(sphere.faces, np.int32),
        vertex_parts=(canonical[:, 1] < 0).astype(np.int32),
        vertices_world=np.stack([canonical + 0.1 * t for t in range(FRAMES)]).astype(np.float32),
    )
    write_fit(tmp_path / "ball", whole)
    settings = ExportSettings(tmp_path / "ball", tmp_path / f"out{SUFFIX[kind]}", kind, "1:4", fps=10)
    plan = plan_export(settings, whole.frame_indices, len(canonical), len(sphere.faces), 15)
    out = run_to_end(export(settings))
    files = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else written_paths(settings)
    assert sorted(plan.files) == sorted(
        path.relative_to(out if out.is_dir() else out.parent).as_posix() for path in files
    )
    written = sum(path.stat().st_size for path in files)
    if kind in ("csv", "bvh"):  # as large as codes and trees are, of which a plan knows nothing; it thinks of real ones
        assert written < plan.bytes
    else:
        assert plan.bytes == pytest.approx(written, rel=0.2)
    single = kind == "glb"
    assert plan.recording_frames == ((2,) if single else (2, 4, 6))
    assert plan.seconds == pytest.approx(0 if single else 0.6)  # three frames, two recorded ones apart


@pytest.mark.parametrize("kind", SUFFIX)
def test_overwrite_replaces_an_earlier_export_whole(fit, tmp_path, kind):
    out = tmp_path / f"out{SUFFIX[kind]}"
    run_to_end(export(ExportSettings(fit, out, kind)))
    run_to_end(export(ExportSettings(fit, out, kind, "0:2", overwrite=True)))
    assert provenance_of_two_frames(out, kind)
    assert sorted(tmp_path.iterdir()) == sorted(written_paths(ExportSettings(fit, out, kind)))


def provenance_of_two_frames(out, kind) -> bool:
    told = json.loads((out / "manifest.json").read_text()) if out.is_dir() else provenance(out, kind)
    return told["export"]["frames"] == "0:2"


def test_overwrite_never_replaces_a_folder_of_other_things(fit, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="no earlier export"):
        run_to_end(export(ExportSettings(fit, tmp_path / "home", overwrite=True)))
    with pytest.raises(InputError, match="no earlier export"):
        run_to_end(export(ExportSettings(fit, fit, overwrite=True)))
    assert (tmp_path / "home" / "letter.txt").read_text() == "mine"


def test_a_rate_out_of_range_is_refused(fit, tmp_path):
    with pytest.raises(InputError, match=r"--fps 0: it must be above 0"):
        ExportSettings(fit, tmp_path / "out", fps=0)


def test_pc2_by_its_published_layout(fit, tmp_path):
    truth = ball_fit()
    run_to_end(export(ExportSettings(fit, tmp_path / "walk", "pc2", "1::2")))
    content = (tmp_path / "walk" / "walk.pc2").read_bytes()
    signature, version, points, start, rate, samples = struct.unpack_from("<12siiffi", content)
    assert (signature, version, points, start, rate, samples) == (b"POINTCACHE2\0", 1, 162, 2.0, 4.0, 2)
    vertices = np.array(list(struct.iter_unpack("<3f", content[32:])), np.float32).reshape(2, 162, 3)
    assert np.array_equal(vertices, truth.vertices_world[1::2])
    rest = trimesh.load(tmp_path / "walk" / "walk.obj", process=False, maintain_order=True)
    assert np.abs(rest.vertices - vertices[0]).max() < 1e-6


def test_vtu_series_as_vtk_reads_it(fit, tmp_path):
    import pyvista as pv

    truth = ball_fit()
    run_to_end(export(ExportSettings(fit, tmp_path / "walk", "vtu", program="paraview")))
    reader = pv.get_reader(tmp_path / "walk" / "walk.pvd")
    assert np.allclose(reader.time_values, np.arange(FRAMES) * 2 / 15)
    for t in range(FRAMES):
        reader.set_active_time_point(t)
        grid = reader.read()[0]
        assert np.array_equal(grid.points, truth.vertices_world[t])
        assert np.array_equal(grid.cells.reshape(-1, 4)[:, 1:], truth.faces)
        assert np.array_equal(grid.point_data["part"], truth.vertex_parts)
        assert np.array_equal(grid.point_data["color"], part_colors(["head", "torso"])[truth.vertex_parts])


def test_stl_holds_the_triangles_in_order(fit, tmp_path):
    truth = ball_fit()
    run_to_end(export(ExportSettings(fit, tmp_path / "walk", "stl", "2")))
    seen = trimesh.load(tmp_path / "walk" / "000000.stl", process=False)
    assert np.array_equal(seen.triangles.astype(np.float32), truth.vertices_world[2][truth.faces])
    mine = trimesh.Trimesh(truth.vertices_world[2], truth.faces, process=False)
    assert np.allclose(seen.face_normals, mine.face_normals, atol=1e-5)


def test_csv_tables_give_back_codes_and_figures(fit, tmp_path):
    truth = ball_fit()
    run_to_end(export(ExportSettings(fit, tmp_path / "walk", "csv", "1:4")))

    def table(name: str) -> list[dict[str, str]]:
        with (tmp_path / "walk" / f"{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    frames, shape, pose = table("frames"), table("shape_codes"), table("pose_codes")
    assert [row["recording_frame"] for row in frames] == ["2", "4", "6"]
    assert np.allclose([float(row["time_s"]) for row in frames], np.arange(3) * 2 / 15)
    assert np.allclose([float(row["residual_mm"]) for row in frames], 5, rtol=1e-6)
    roots = np.array([[row[f"root_{axis}_m"] for axis in "xyz"] for row in frames], np.float32)
    assert np.array_equal(roots, truth.root_translation_m[1:4])
    assert [row["part"] for row in shape] == ["head", "torso"]
    found = np.array([[row[f"code_{k}"] for k in range(8)] for row in shape], np.float32)
    assert np.array_equal(found, truth.shape_codes)
    found = np.array([[row[f"code_{k}"] for k in range(4)] for row in pose], np.float32)
    assert np.array_equal(found.reshape(3, 2, 4), truth.pose_codes[1:4])


def test_a_point_cache_refuses_uneven_frames(tmp_path):
    uneven = np.array([0, 2, 4, 7, 8], np.int32)
    write_fit(tmp_path / "ball", dataclasses.replace(ball_fit(), frame_indices=uneven))
    with pytest.raises(InputError, match="even intervals"):
        run_to_end(export(ExportSettings(tmp_path / "ball", tmp_path / "walk", "pc2")))
    assert not (tmp_path / "walk").exists()


def test_html_player_holds_the_animation_and_asks_no_network(tmp_path):
    write_ball_fit(tmp_path / "ball", sequence="</script><script>alert(1)</script>")
    truth = ball_fit()
    run_to_end(export(ExportSettings(tmp_path / "ball", tmp_path / "a.html", "html")))
    page = (tmp_path / "a.html").read_text()
    facts = json.loads(block(page, "facts"))
    assert facts["provenance"]["fit"]["sequence"] == "</script><script>alert(1)</script>"
    faces, parts, steps = (
        np.frombuffer(base64.b64decode(block(page, name), validate=True), kind)
        for name, kind in (("faces", "<u4"), ("parts", "u1"), ("vertices", "<u2"))
    )
    assert np.array_equal(faces.reshape(-1, 3), truth.faces)
    assert np.array_equal(parts, truth.vertex_parts)
    vertices = facts["low"] + steps.reshape(FRAMES, -1, 3) * np.array(facts["step"])
    # Half a step of the 2 m that the ball spans.
    assert np.abs(vertices - truth.vertices_world).max() <= 0.5 * 2.0 / 65535 + 1e-6
    assert facts["recording_frames"] == [0, 2, 4, 6, 8]
    assert np.allclose(facts["seconds"], np.arange(FRAMES) * 2 / 15, atol=1e-6)
    assert facts["residual_mm"] == [5.0] * FRAMES
    assert facts["part_titles"] == ["Head", "Torso"]
    assert facts["part_rgb"] == part_colors(["head", "torso"]).tolist()
    assert "default-src 'none'" in page
    assert re.findall(r"(?:src|href)\s*=|https?://|import\s|fetch\(|\$[A-Z]+\$", page) == []
    assert page.count("<script") == page.count("</script>") == 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a", "ply"), ("a.glb", "glb_animation"), ("a.GLB", "glb_animation"), ("a.usd", "usd"), ("a.usdz", "usdz"),
        ("a.bvh", "bvh"), ("a.html", "html"), ("a.npz", "npz"),
    ],
)  # fmt: skip
def test_the_name_tells_the_format(tmp_path, name, kind):
    settings = ExportSettings(tmp_path / "fit", tmp_path / name)
    assert settings.format == settings.kind == kind


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.obj", "obj is written as a folder of files. Name that, such as --out a --format obj"),
        ("a.csv", "csv is written as a folder"),
        ("a.pvd", "vtu is written as a folder"),
        ("a.pc2", "pc2 is written as a folder"),
        (
            "a.fbx",
            "no format ends in .fbx. End it in one of .glb, .bvh, .usd, .usdz, .abc, .html, .npz, or give --format",
        ),
    ],
)
def test_a_name_that_tells_no_file_format_is_refused(tmp_path, name, message):
    with pytest.raises(InputError) as caught:
        ExportSettings(tmp_path / "fit", tmp_path / "out" / ".." / name)
    assert message in str(caught.value)


def test_a_folder_may_have_a_suffix_where_the_format_is_given(fit, tmp_path):
    run_to_end(export(ExportSettings(fit, tmp_path / "walk.v2", "obj")))
    assert len(list((tmp_path / "walk.v2").glob("*.obj"))) == FRAMES


def test_a_glb_of_one_frame_says_what_it_leaves_out(fit, tmp_path, caplog):
    settings = ExportSettings(fit, tmp_path / "a.glb", "glb", "0:2")
    run_to_end(export(settings))
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "of the 2 chosen, only the first is in it. For all, give --format glb_animation" in record.getMessage()
    truth = ball_fit()
    assert plan_export(settings, truth.frame_indices, 162, 320, 15).remark == "Only the first of the 2 chosen frames"
    caplog.clear()
    one = ExportSettings(fit, tmp_path / "b.glb", "glb", "1")
    run_to_end(export(one))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert plan_export(one, truth.frame_indices, 162, 320, 15).remark == ""


def test_a_refusal_names_the_option_that_replaces(fit, tmp_path):
    (tmp_path / "a.npz").write_text("mine")
    with pytest.raises(InputError, match=r"a\.npz exists already\. Choose another name, or give --overwrite"):
        run_to_end(export(ExportSettings(fit, tmp_path / "a.npz")))

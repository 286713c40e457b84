"""Every format that Blender reads, opened in Blender as its page in docs/formats says, and held against the fit.

The environment variable SPAMS_BLENDER_PYTHON names a Python that can import `bpy`, Blender as a module.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from chain import CHAIN_PARTS, write_chain_fit
from scipy.spatial import cKDTree

from spams_core.geometry.mesh import vertex_normals
from spams_core.geometry.rig import joint_places, skin
from spams_core.io.glb import linear_colors
from spams_core.io.obj import face_parts
from spams_core.progress import run_to_end
from spams_core.resources import part_colors
from spams_core.tasks.export import ExportSettings, export
from spams_core.tasks.export_rig import rigged, told_distance
from spams_core.tasks.export_source import ExportJob, FittedMeshes

BLENDER = os.environ.get("SPAMS_BLENDER_PYTHON") or (sys.executable if importlib.util.find_spec("bpy") else "")
READER = Path(__file__).resolve().parents[1] / "blender_reader.py"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "blender.md"

pytestmark = pytest.mark.skipif(not BLENDER, reason="needs SPAMS_BLENDER_PYTHON, a Python that can import bpy")

FRAMES, FPS, STEP = 6, 15.0, 2
"""The fit's frames; the recording's rate; frames of the recording from one to the next."""

PLACES = (0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 4.25, 5.0)
"""Rows of the fit that are looked at, all of them and some places in between."""

ROWS = [number for number, row in enumerate(PLACES) if row == int(row)]

STANDING = {"forward_axis": "NEGATIVE_Z", "up_axis": "Y"}
"""What to choose for files with +y up where the importer expects +z."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A file in Blender.

    Attributes:
        format: What the export wrote.
        program: For whom.
        fps: The scene's rate before the import; None for Blender's own, 24.
        options: Of the importer.
        start, each: Frame of the scene that shows the fit's first row, and frames of the scene from row to row; 0 where
            the file is a single mesh.
        cache: Settings of the cache's modifier.
    """

    format: str
    program: str
    fps: float | None = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    start: float = 0.0
    each: float = 0.0
    cache: dict[str, float] | None = None

    def __str__(self) -> str:
        scaled = f"-from-{self.start:g}" if self.cache else ""
        return f"{self.format}-{self.program}-{self.fps or 'default'}{scaled}"

    @property
    def moves(self) -> bool:
        return self.each > 0

    @property
    def frames(self) -> list[float]:
        return [self.start + self.each * row for row in (PLACES if self.moves else PLACES[:1])]


def seconds(fps: float | None) -> float:
    """Frames of the scene from row to row, where the file tells seconds."""
    return STEP / FPS * (fps or 24)


def placed(a: int) -> dict[str, float]:
    """The cache's modifier shows every STEP-th frame at its own number, the first at a."""
    return {"frame_scale": 1 / STEP, "frame_start": a / STEP}


GROUPS = {"import_vertex_groups": True}
PACE = {"update_scene_fps": True, "update_scene_duration": True}
CASES = [
    Case("ply", "blender"),
    Case("ply", "any", options=STANDING),
    Case("stl", "blender"),
    Case("stl", "any", options=STANDING),
    Case("obj", "blender", options=GROUPS),
    Case("obj", "any", options=GROUPS),
    Case("glb", "any"),
    *(Case("glb_animation", "blender", fps, each=seconds(fps)) for fps in (FPS, None)),
    *(Case("glb_rigged", "blender", fps, each=seconds(fps)) for fps in (FPS, None)),
    *(Case("bvh", program, options=PACE, start=1, each=1) for program in ("blender", "any")),
    *(Case(kind, program, FPS, each=STEP) for kind in ("usd", "usdz") for program in ("blender", "any")),
    *(Case("usd", program, FPS, each=STEP) for program in ("maya", "unreal")),
    *(Case("abc", "blender", fps, each=seconds(fps)) for fps in (FPS, 29.97, None)),
    Case("abc", "any", FPS, each=STEP),
    *(Case("pc2", program, FPS, each=1) for program in ("blender", "any")),
    *(Case("pc2", "blender", FPS, start=a, each=STEP, cache=placed(a)) for a in (0, 3)),
]
SUFFIX = {"glb_animation": "glb", "glb_rigged": "glb", "pc2": "obj"}


@dataclasses.dataclass(frozen=True)
class Scene:
    """What Blender told of one case, and the file."""

    path: Path
    told: dict[str, Any]
    arrays: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Seen:
    """The fit, and Blender's scene of every case."""

    fit: Path
    source: FittedMeshes
    surface: np.ndarray
    scenes: dict[str, Scene]

    def at(self, row: float) -> np.ndarray:
        """The fit's surface as it stands in Blender, linear between rows."""
        low = math.floor(row)
        high = min(low + 1, FRAMES - 1)
        y_up = (1 - row + low) * self.surface[low].astype(float) + (row - low) * self.surface[high]
        return standing(y_up)


def standing(points: np.ndarray) -> np.ndarray:
    """+y up as +z up."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)


def run_blender(folder: Path, *words: str) -> None:
    """Run a script of Blender's Python in a folder, with none of our packages and no one's settings."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(
        [BLENDER, *words], env={**alone, "BLENDER_USER_RESOURCES": str(folder)}, cwd=folder, capture_output=True,
        text=True, timeout=240, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """All cases in one run of Blender."""
    work = tmp_path_factory.mktemp("blender")
    surface = write_chain_fit(work / "chain", FRAMES)
    jobs = []
    for case in CASES:
        suffix = SUFFIX.get(case.format, case.format)
        folder = case.format in ("ply", "obj", "stl", "pc2")
        out = work / (f"{case.program}_{case.format}" + ("" if folder else f".{suffix}"))
        if not out.exists():
            frames = "0" if case.format == "glb" else ":"
            run_to_end(export(ExportSettings(work / "chain", out, case.format, frames, program=case.program)))
        job: dict[str, Any] = {"options": case.options, "fps": case.fps, "frames": case.frames}
        job["path"] = str(sorted(out.glob(f"*.{suffix}"))[0] if folder else out)
        if case.format == "pc2":
            job["cache"] = {"cache_format": "PC2", "filepath": str(out / f"{out.name}.pc2"), **(case.cache or {})}
        jobs.append(job)
    (work / "jobs.json").write_text(json.dumps(jobs))
    run_blender(work, str(READER), str(work / "jobs.json"), str(work))
    scenes = {}
    for number, (case, job, told) in enumerate(
        zip(CASES, jobs, json.loads((work / "told.json").read_text()), strict=True)
    ):
        with np.load(work / f"{number}.npz", allow_pickle=False) as arrays:
            scenes[str(case)] = Scene(Path(job["path"]), told, dict(arrays))
    return Seen(work / "chain", FittedMeshes.read(work / "chain"), surface, scenes)


def cases(*formats: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [case for case in CASES if case.format in formats], ids=str)


KEPT = ("ply", "obj", "glb", "glb_animation", "usd", "usdz", "abc", "pc2")
"""Formats that keep the surface and the order of its vertices."""


@cases(*KEPT)
def test_every_vertex_is_where_the_fit_has_it_on_frames_and_in_between(seen, case):
    scene = seen.scenes[str(case)]
    if case.program in ("maya", "unreal") and scene.told["blender"].startswith("4.2"):
        pytest.skip("Blender 4.2 takes no unit from USD")
    points = scene.arrays["points"]
    wanted = np.stack([seen.at(row) for row in (PLACES if case.moves else PLACES[:1])])
    assert points.shape == wanted.shape
    assert np.abs(points - wanted).max() <= 1e-6 * np.abs(wanted).max()


@cases("stl")
def test_stl_is_the_first_frame(seen, case):
    (points,) = seen.scenes[str(case)].arrays["points"]
    distance, row = cKDTree(seen.at(0)).query(points)
    assert sorted(row) == list(range(len(seen.at(0))))  # the importer merges corners, in an order of its own
    assert distance.max() <= 1e-6


@cases(*KEPT, "stl")
def test_triangles_are_the_fits_and_face_outward(seen, case):
    arrays = seen.scenes[str(case)].arrays
    faces, wanted = arrays["faces"], seen.source.faces
    if case.format == "stl":
        faces = cKDTree(seen.at(0)).query(arrays["points"][0])[1][faces]
    turned = [np.stack([np.roll(face, -int(np.argmin(face))) for face in some]) for some in (faces, wanted)]
    if case.format not in ("stl", "obj", "pc2"):  # those sort them by part, or lose their order
        assert np.array_equal(*turned)
    assert np.array_equal(*(np.unique(some, axis=0) for some in turned))


@cases(*KEPT)
def test_surfaces_are_shaded_smoothly_with_our_normals(seen, case):
    scene = seen.scenes[str(case)]
    # Blender bends the normals of a morphing mesh with it, and where there are none it makes some by the triangles'
    # angles, not their areas. A GLB of one frame has them by angles too.
    closest = 0.9999 if case.format in ("ply", "usd", "usdz") else 0.99
    triangles = torch.from_numpy(seen.source.faces.astype(np.int64))
    for row in range(FRAMES if case.moves else 1):
        wanted = vertex_normals(torch.from_numpy(seen.at(row)), triangles).numpy()
        found = scene.arrays["normals"][ROWS[row]]
        length = np.linalg.norm(found, axis=1)
        # A vertex's is the mean of its corners', which agree on a smooth surface only; a scaled scene scales all.
        assert length.min() > 0.9999 * length.max()
        assert ((found * wanted).sum(1) / length).min() > closest


@cases("ply", "glb", "glb_animation", "glb_rigged", "usd", "usdz", "abc")
def test_vertices_have_their_parts_colors(seen, case):
    arrays, parts = seen.scenes[str(case)].arrays, seen.source.vertex_parts
    # sRGB as linear light, to the nearest of 255 levels, which are wide in the dark for linear ones.
    wanted = linear_colors(part_colors(CHAIN_PARTS))[parts, :3] / 255
    assert np.abs(arrays["colors"] - wanted).max() < 0.005
    if case.format != "abc":
        assert np.array_equal(arrays["parts"], parts)


@cases("usd", "usdz", "abc")
def test_faces_have_materials_called_like_their_parts(seen, case):
    scene = seen.scenes[str(case)]
    materials = scene.told["mesh"]["materials"]
    assert sorted(materials) == sorted(CHAIN_PARTS)
    names = np.array(list(materials))[scene.arrays["face_materials"]]
    owners = face_parts(seen.source.faces, seen.source.vertex_parts)
    assert np.array_equal(names, np.array(CHAIN_PARTS)[owners])
    if case.format != "abc":  # which has no place for a material's colour
        wanted = linear_colors(part_colors(CHAIN_PARTS))[:, :3] / 255
        assert np.allclose([materials[name] for name in CHAIN_PARTS], wanted, atol=1e-6)


@cases("glb", "glb_animation", "glb_rigged")
def test_the_material_of_a_glb_shows_the_vertices_colors(seen, case):
    assert seen.scenes[str(case)].told["mesh"]["materials"] == {"body": "attribute"}


@cases("obj")
def test_obj_groups_become_vertex_groups(seen, case):
    scene = seen.scenes[str(case)]
    assert scene.told["mesh"]["groups"] == list(CHAIN_PARTS)
    owners = face_parts(seen.source.faces, seen.source.vertex_parts)
    for part, weights in enumerate(scene.arrays["weights"]):
        assert np.array_equal(np.flatnonzero(weights), np.unique(seen.source.faces[owners == part]))


OBJECTS = {
    "glb": {"body": "MESH"}, "glb_animation": {"body": "MESH"}, "glb_rigged": {"body": "MESH", "parts": "ARMATURE"},
    "usd": {"mesh": "MESH"}, "usdz": {"mesh": "MESH"}, "abc": {"body": "MESH"},
}  # fmt: skip


@cases(*OBJECTS)
def test_objects_have_our_names_and_nothing_else_is_there(seen, case):
    assert seen.scenes[str(case)].told["objects"] == OBJECTS[case.format]


@cases("usd", "usdz", "abc", "pc2")
def test_points_come_from_a_cache(seen, case):
    (modifier,) = seen.scenes[str(case)].told["mesh"]["modifiers"]
    assert modifier == ("MESH_CACHE" if case.format == "pc2" else "MESH_SEQUENCE_CACHE")


@cases("usd", "usdz", "abc")
def test_the_scene_lasts_as_long_as_the_fit(seen, case):
    assert seen.scenes[str(case)].told["range"] == [0, math.ceil(case.frames[-1] - 1e-6)]


@cases("glb_animation", "glb_rigged", "bvh")
def test_keyframes_last_as_long_as_the_fit(seen, case):
    (keys,) = seen.scenes[str(case)].told["actions"]
    assert keys == pytest.approx([case.frames[0], case.frames[-1]], rel=1e-5)


@cases("bvh")
def test_a_bvh_sets_the_scenes_rate_where_told_to(seen, case):
    assert seen.scenes[str(case)].told["fps"] == pytest.approx(FPS / STEP)


def skeleton(seen: Seen) -> tuple[Any, np.ndarray]:
    """The rig that both formats hold, and where its joints are in Blender."""
    source = seen.source
    body = run_to_end(rigged(ExportJob(source, range(FRAMES), source.fps, (), "chain", {})))
    return body, standing(joint_places(body.rig, body.motion))


@cases("glb_rigged", "bvh")
def test_bones_have_their_parts_names_and_places(seen, case):
    scene = seen.scenes[str(case)]
    body, joints = skeleton(seen)
    names = body.rig.names
    parents = [names[up] if up >= 0 else None for up in body.rig.parents]
    assert scene.told["bones"] == dict(zip(names, parents, strict=True))
    order = [names.index(name) for name in scene.told["bones"]]
    assert np.abs(scene.arrays["heads"][ROWS] - joints[:, order]).max() < 1e-5


@cases("glb_rigged")
def test_the_skin_is_as_far_from_the_fit_as_the_file_says(seen, case):
    scene = seen.scenes[str(case)]
    body, _ = skeleton(seen)
    assert scene.told["mesh"]["groups"] == list(body.rig.names)
    assert np.allclose(scene.arrays["weights"].sum(0), 1, atol=1e-5)
    told = told_distance(scene.path)
    assert told is not None
    points = scene.arrays["points"][ROWS]
    ours = np.stack([standing(skin(body.rig, body.motion, row)) for row in range(FRAMES)])
    assert np.abs(points - ours).max() <= 1e-5 * np.abs(ours).max()
    off_mm = 1000 * np.linalg.norm(points - standing(seen.surface), axis=2)
    measured = {"mean_mm": off_mm.mean(), "p95_mm": np.percentile(off_mm, 95), "max_mm": off_mm.max()}
    assert measured == pytest.approx(told, rel=1e-3)


def test_the_pages_script_renders_the_clip(seen, tmp_path):
    (script,) = re.findall(r"^```python blender\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for said, quick in (("640, 360", "64, 36"), ("samples = 16", "samples = 4")):
        assert said in script
        script = script.replace(said, quick)
    (tmp_path / "clip.py").write_text(script)
    shutil.copyfile(seen.scenes["usd-blender-15.0"].path, tmp_path / "walk.usd")
    run_blender(tmp_path, "clip.py")
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "walk.mp4"), *raw]
    decoded = subprocess.run(words, capture_output=True, timeout=60, check=True)
    assert b" 64x36" in decoded.stderr
    assert b" 15 fps" in decoded.stderr
    pictures = np.frombuffer(decoded.stdout, np.uint8).reshape(-1, 36, 64, 3).astype(int)
    assert len(pictures) == STEP * (FRAMES - 1) + 1
    # The parts' colours are in it, and the bar walks to the right.
    colorful = [(picture.max(-1) - picture.min(-1)) > 40 for picture in pictures]
    assert min(mask.sum() for mask in colorful) > 20
    columns = [np.argwhere(mask)[:, 1].mean() for mask in colorful]
    assert columns[-1] > columns[0] + 10

"""Animated GLB and USD as other programs read them, vertex by vertex and time by time."""

from __future__ import annotations

import json
import sys

import lightusd
import numpy as np
import pygltflib
import pytest
import trimesh

from spams_core.errors import InputError
from spams_core.io.alembic import write_alembic
from spams_core.io.glb import linear_colors
from spams_core.io.glb_animation import write_animated_glb
from spams_core.io.usd import write_usd

COLORS = np.array([[0, 128, 255], [255, 64, 0]], dtype=np.uint8)
SECONDS = np.array([0.0, 0.1, 0.2, 0.5])


@pytest.fixture
def ball():
    """Faces, parts, and four frames that bend, turn and walk away."""
    sphere = trimesh.creation.icosphere(2)
    base = np.asarray(sphere.vertices, np.float32)
    turn = [trimesh.transformations.rotation_matrix(0.4 * t, [0, 1, 0])[:3, :3] for t in range(4)]
    frames = np.stack([(base * [1, 1 + 0.2 * t, 1]) @ turn[t].T + [2.0 * t, 1, -3] for t in range(4)]).astype(
        np.float32
    )
    return np.asarray(sphere.faces, np.int32), (base[:, 1] > 0).astype(np.int32), frames


def accessor(document: pygltflib.GLTF2, index: int) -> np.ndarray:
    entry = document.accessors[index]
    view = document.bufferViews[entry.bufferView]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[entry.type]
    kind = {5126: "<f4", 5125: "<u4", 5121: "u1"}[entry.componentType]
    values = np.frombuffer(document.binary_blob(), kind, entry.count * width, view.byteOffset or 0)
    if entry.min:
        assert np.allclose(values.reshape(-1, width).min(0), entry.min)
        assert np.allclose(values.reshape(-1, width).max(0), entry.max)
    return values.reshape(-1, width)


def test_glb_keyframes_are_the_frames_and_their_times(ball, tmp_path):
    faces, parts, frames = ball
    write_animated_glb(tmp_path / "a.glb", iter(frames), SECONDS, faces, parts, COLORS, {"made": "here"})
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    assert document.asset.extras == {"made": "here"}
    (mesh,), (animation,) = document.meshes, document.animations
    (primitive,), (sampler,), (channel,) = mesh.primitives, animation.samplers, animation.channels
    assert (channel.target.path, channel.target.node, sampler.interpolation) == ("weights", 0, "LINEAR")
    assert np.array_equal(accessor(document, primitive.indices).reshape(-1, 3), faces)
    assert np.array_equal(accessor(document, primitive.attributes._PART)[:, 0], parts)
    assert np.array_equal(accessor(document, primitive.attributes.COLOR_0), linear_colors(COLORS)[parts])
    assert np.allclose(accessor(document, sampler.input)[:, 0], SECONDS, rtol=1e-6)
    weights = accessor(document, sampler.output).reshape(len(SECONDS), len(primitive.targets))
    base, normals = (
        accessor(document, index) for index in (primitive.attributes.POSITION, primitive.attributes.NORMAL)
    )
    moves = np.stack([accessor(document, target["POSITION"]) for target in primitive.targets])
    turns = np.stack([accessor(document, target["NORMAL"]) for target in primitive.targets])
    for t, frame in enumerate(frames):
        shown = base + np.tensordot(weights[t], moves, 1)
        assert np.abs(shown - frame).max() <= 1e-5 * np.abs(frame).max()
        true = trimesh.Trimesh(frame, faces, process=False).vertex_normals
        found = normals + np.tensordot(weights[t], turns, 1)
        # Weighted by area here and by angle there: some degrees apart on so coarse a ball.
        assert (found * true).sum(1).min() > 0.99
        assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5


def test_one_frame_is_a_glb_without_animation(ball, tmp_path):
    faces, parts, frames = ball
    write_animated_glb(tmp_path / "a.glb", frames[:1], SECONDS[:1], faces, parts, COLORS)
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    assert not document.animations
    assert not document.meshes[0].primitives[0].targets
    seen = trimesh.load(tmp_path / "a.glb", force="mesh", process=False)
    assert np.array_equal(seen.vertices.astype(np.float32), frames[0])


@pytest.mark.parametrize("suffix", ["usd", "usdz"])
def test_usd_samples_are_the_frames_and_their_times(ball, tmp_path, suffix):
    pytest.importorskip("pxr", reason="needs the extra usd")
    from pxr import Usd, UsdGeom, UsdShade

    faces, parts, frames = ball
    codes, path = np.array([3, 4, 5, 8]), tmp_path / f"a.{suffix}"
    write_usd(path, iter(frames), codes, 25.0, faces, parts, ["lower", "upper"], COLORS, "z", 0.01, {"made": "here"})
    stage = Usd.Stage.Open(str(path))
    assert (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) == ("Z", 0.01)
    assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (25, 3, 8)
    assert json.loads(stage.GetRootLayer().customLayerData["provenance"]) == {"made": "here"}
    assert stage.GetDefaultPrim().GetPath() == "/body"
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/body/mesh"))
    assert np.array_equal(np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3), faces)
    assert mesh.GetPointsAttr().GetTimeSamples() == codes.tolist()
    for code, frame in zip(codes, frames, strict=True):
        assert np.array_equal(np.array(mesh.GetPointsAttr().Get(float(code))), frame)
        normals = np.array(mesh.GetNormalsAttr().Get(float(code)))
        assert (normals * trimesh.Trimesh(frame, faces, process=False).vertex_normals).sum(1).min() > 0.99
        assert np.allclose(mesh.GetExtentAttr().Get(float(code)), [frame.min(0), frame.max(0)])
    primvars = UsdGeom.PrimvarsAPI(mesh)
    assert np.array_equal(np.array(primvars.GetPrimvar("part").Get()), parts)
    # sRGB 128 is 0.2159 of full light, 64 is 0.0513 (IEC 61966-2-1); here to the nearest of 255 levels.
    linear = np.array([[0, 0.2159, 1], [1, 0.0513, 0]])
    assert np.abs(np.array(primvars.GetPrimvar("displayColor").Get()) - linear[parts]).max() < 0.002
    subsets = UsdShade.MaterialBindingAPI(mesh).GetMaterialBindSubsets()
    assert [subset.GetPrim().GetName() for subset in subsets] == ["lower", "upper"]
    for subset, color in zip(subsets, linear, strict=True):
        material, _ = UsdShade.MaterialBindingAPI(subset).ComputeBoundMaterial()
        assert material.GetPath() == f"/body/materials/{subset.GetPrim().GetName()}"
        surface, *_ = material.ComputeSurfaceSource()
        assert surface.GetShaderId() == "UsdPreviewSurface"
        assert np.abs(np.array(surface.GetInput("diffuseColor").Get()) - color).max() < 0.002
    assert sorted(index for subset in subsets for index in subset.GetIndicesAttr().Get()) == list(range(len(faces)))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["usd", "usdz"])
def test_usd_as_a_library_reads_it_that_did_not_write_it(ball, tmp_path, suffix):
    pytest.importorskip("pxr", reason="needs the extra usd")
    faces, parts, frames = ball
    codes, path = np.array([3, 4, 5, 8]), tmp_path / f"a.{suffix}"
    write_usd(path, iter(frames), codes, 25.0, faces, parts, ["lower", "upper"], COLORS, "z", 0.01, {"made": "here"})
    stage = lightusd.load(str(path))
    assert (stage.up_axis, stage.meters_per_unit, stage.time_codes_per_second) == ("Z", 0.01, 25)
    assert (stage.start_time, stage.end_time) == (3, 8)
    mesh = stage.prim_at("/body/mesh")
    assert mesh.type_name == "Mesh"
    assert np.array_equal(np.asarray(mesh.attribute("faceVertexIndices").get()).reshape(-1, 3), faces)
    assert set(np.asarray(mesh.attribute("faceVertexCounts").get()).tolist()) == {3}
    assert np.array_equal(np.asarray(mesh.attribute("primvars:part").get()), parts)
    points = mesh.attribute("points")
    assert [sample[0] for sample in points.timesamples] == codes.tolist()
    for code, frame in zip(codes, frames, strict=True):
        assert np.array_equal(np.asarray(points.get(time=float(code))), frame)
    # Linear in between, as the format has it.
    assert np.allclose(np.asarray(points.get(time=3.25)), 0.75 * frames[0] + 0.25 * frames[1], atol=1e-6)
    assert json.loads(stage.custom_layer_data["provenance"]) == {"made": "here"}


@pytest.mark.parametrize("suffix", ["usd", "usdz"])
def test_usd_has_nothing_that_its_own_validators_object_to(ball, tmp_path, suffix):
    pytest.importorskip("pxr.UsdValidation", reason="needs the extra usd, 25.2 or newer")
    from pxr import Usd, UsdShade, UsdValidation

    faces, parts, frames = ball
    path = tmp_path / f"a.{suffix}"
    # The third part has no vertex.
    colors = np.concatenate([COLORS, COLORS[:1]])
    write_usd(path, iter(frames), np.arange(4), 25.0, faces, parts, ["lower", "upper", "2nd tail"], colors)
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    stage = Usd.Stage.Open(str(path))
    assert stage.GetPrimAtPath("/body/mesh/_nd_tail")
    assert [error.GetMessage() for error in context.Validate(stage)] == []
    # They do look: without the schema, a binding is one that programs pass over.
    stage.GetPrimAtPath("/body/mesh/upper").RemoveAPI(UsdShade.MaterialBindingAPI)
    assert any("MaterialBindingAPI" in error.GetMessage() for error in context.Validate(stage))


def test_alembic_samples_are_the_frames_and_their_times(ball, tmp_path):
    pytest.importorskip("alembic3d", reason="needs the extra alembic")
    from alembic3d import Abc, AbcGeom

    faces, parts, frames = ball
    path = tmp_path / "a.abc"
    write_alembic(path, iter(frames), 0.08, faces, parts, ["lower", "upper"], COLORS, {"made": "here"})
    assert list(tmp_path.iterdir()) == [path]
    archive = Abc.IArchive(str(path))
    info = Abc.GetArchiveInfo(archive)
    assert json.loads(info["userDescription"]) == {"made": "here"}
    mesh = AbcGeom.IPolyMesh(archive.getTop(), "body").getSchema()
    assert mesh.getNumSamples() == len(frames)
    times = mesh.getTimeSampling()
    assert np.allclose([times.getSampleTime(t) for t in range(4)], [0, 0.08, 0.16, 0.24])
    for t, frame in enumerate(frames):
        sample = mesh.getValue(Abc.ISampleSelector(float(times.getSampleTime(t))))
        assert np.array_equal(np.array(memoryview(sample.getPositions())), frame)
        # Clockwise, as the format has it.
        assert np.array_equal(np.array(list(sample.getFaceIndices())).reshape(-1, 3)[:, ::-1], faces)
        assert set(sample.getFaceCounts()) == {3}
    groups = {name: list(mesh.getFaceSet(name).getSchema().getValue().getFaces()) for name in mesh.getFaceSetNames()}
    assert set(groups) == {"lower", "upper"}
    assert sorted(face for members in groups.values() for face in members) == list(range(len(faces)))
    colors = AbcGeom.IC3fGeomParam(mesh.getArbGeomParams(), "Cd").getExpandedValue().getVals()
    assert np.abs(np.array([[*color] for color in colors]) - COLORS[parts] / 255).max() < 1e-6


def test_alembic_without_its_extra_names_it(ball, tmp_path, monkeypatch):
    faces, parts, frames = ball
    monkeypatch.setitem(sys.modules, "alembic3d", None)
    with pytest.raises(InputError, match=r"pip install 'spam-studio\[alembic\]'"):
        write_alembic(tmp_path / "a.abc", iter(frames), 0.1, faces, parts, ["lower", "upper"], COLORS)


def test_usd_without_its_extra_names_it(ball, tmp_path, monkeypatch):
    faces, parts, frames = ball
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(InputError, match=r"pip install 'spam-studio\[usd\]'"):
        write_usd(tmp_path / "a.usd", iter(frames), np.arange(4), 25.0, faces, parts, ["lower", "upper"], COLORS)

"""USD and USDZ: one mesh whose points carry time samples, for film and game tools."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from spams_core.errors import InputError
from spams_core.geometry.mesh import vertex_normals
from spams_core.io.glb import linear_colors
from spams_core.io.obj import face_parts

__all__ = ["require_usd", "write_usd"]


def require_usd() -> None:
    """Find out early whether USD can be written.

    Raises:
        InputError: The extra `usd` is not installed.
    """
    try:
        import pxr  # noqa: F401
    except ImportError as error:
        raise InputError(
            "USD needs the extra 'usd': pip install 'spam-studio[usd]'. Or choose glb_animation."
        ) from error


def write_usd(
    path: Path,
    frames: Iterable[Float[np.ndarray, "V 3"]],
    time_codes: Int[np.ndarray, "T"],
    fps: float,
    faces: Int[np.ndarray, "F 3"],
    vertex_parts: Int[np.ndarray, "V"],
    part_names: Sequence[str],
    part_rgb: UInt8[np.ndarray, "Q 3"],
    up: Literal["y", "z"] = "y",
    meters_per_unit: float = 1.0,
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Write the mesh `/body/mesh`: points and normals with a sample per frame, primvars `part` and `displayColor`.

    Each part is also a geometry subset, bound to a material of its name and colour; what a name may not hold becomes _.

    Args:
        path: File to write; `.usdz` makes a package.
        frames: Vertices in the unit and the axes that the next arguments name, taken one by one.
        time_codes: Frame number of each sample.
        fps: Frame numbers per second.
        faces: Triangles of all frames.
        vertex_parts: Part of each vertex.
        part_names: Names of the parts.
        part_rgb: sRGB colour of each part, 0..255; USD has them linear.
        up: The vertical axis.
        meters_per_unit: Length of a unit.
        extras: JSON-able data, kept as text in the layer's custom data `provenance`.

    Raises:
        InputError: The extra `usd` is not installed.
    """
    require_usd()
    from pxr import Sdf, Tf, Usd, UsdGeom, UsdShade, UsdUtils, Vt

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y if up == "y" else UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, meters_per_unit)
    stage.SetTimeCodesPerSecond(fps)
    stage.SetFramesPerSecond(fps)
    stage.SetStartTimeCode(float(time_codes[0]))
    stage.SetEndTimeCode(float(time_codes[-1]))
    stage.GetRootLayer().customLayerData = {"provenance": json.dumps(dict(extras or {}), sort_keys=True)}
    root = UsdGeom.Xform.Define(stage, "/body")
    stage.DefinePrim("/body/materials")  # without a type: programs make an object of every scope
    stage.SetDefaultPrim(root.GetPrim())
    mesh = UsdGeom.Mesh.Define(stage, "/body/mesh")
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(faces, np.int32).ravel()))
    primvars = UsdGeom.PrimvarsAPI(mesh)
    part = primvars.CreatePrimvar("part", Sdf.ValueTypeNames.IntArray, UsdGeom.Tokens.vertex)
    part.Set(Vt.IntArray.FromNumpy(np.ascontiguousarray(vertex_parts, np.int32)))
    color = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    linear = linear_colors(part_rgb)[:, :3].astype(np.float32) / 255
    color.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(linear[vertex_parts])))
    owners = face_parts(faces, vertex_parts)
    binding = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
    for index, title in enumerate(part_names):
        name = Tf.MakeValidIdentifier(title)
        members = np.ascontiguousarray(np.flatnonzero(owners == index), np.int32)
        subset = binding.CreateMaterialBindSubset(name, Vt.IntArray.FromNumpy(members), UsdGeom.Tokens.face)
        material = _material(stage, f"/body/materials/{name}", linear[index])
        UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)
    binding.SetMaterialBindSubsetsFamilyType(UsdGeom.Tokens.partition)
    points, normals, extent = mesh.CreatePointsAttr(), mesh.CreateNormalsAttr(), mesh.CreateExtentAttr()
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    triangles = torch.from_numpy(np.asarray(faces, dtype=np.int64))
    for code, frame in zip(time_codes, frames, strict=True):
        vertices = np.ascontiguousarray(frame, np.float32)
        time = Usd.TimeCode(float(code))
        points.Set(Vt.Vec3fArray.FromNumpy(vertices), time)
        normals.Set(Vt.Vec3fArray.FromNumpy(vertex_normals(torch.from_numpy(vertices), triangles).numpy()), time)
        extent.Set(Vt.Vec3fArray.FromNumpy(np.stack([vertices.min(0), vertices.max(0)])), time)
    with tempfile.TemporaryDirectory(dir=Path(path).parent, prefix=".usd-") as work:
        layer = str(Path(work) / "body.usdc")
        stage.GetRootLayer().Export(layer)
        if Path(path).suffix == ".usdz":
            packed = Path(work) / "body.usdz"
            if not UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(layer), str(packed)):
                raise InputError(f"{path} cannot be packed. Export as .usd instead.")
            packed.replace(path)
        else:
            Path(layer).replace(path)


def _material(stage: Any, path: str, linear_rgb: Float[np.ndarray, "3"]) -> Any:
    """A matt surface of one colour."""
    from pxr import Gf, Sdf, UsdShade

    material = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, f"{path}/surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*map(float, linear_rgb)))
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.8)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    return material

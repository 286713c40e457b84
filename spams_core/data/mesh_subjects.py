"""From a folder of registered meshes to training subjects, and what is wrong with the meshes before that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_array

from spams_core.data.mesh_folder import (
    LABELS_FILE,
    PARTS_FILE,
    MeshFolder,
    MeshIdentity,
    read_labels,
    read_mesh,
)
from spams_core.data.mesh_report import Finding, Level, MeshReport
from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.rigid import weighted_procrustes
from spams_core.geometry.topology import Holes, find_edges, find_holes, self_intersections, surface_pieces
from spams_core.progress import Progress, Task

__all__ = ["MeshSubjects", "check_meshes", "split_of"]

Array = np.ndarray[Any, Any]

_LEAST_IDENTITIES = 4
_LEAST_SIZE_M, _MOST_SIZE_M = 0.02, 5.0
_OTHER_UNIT = 2.5
"""A mesh whose edges are this many times longer or shorter than the others' is in another unit."""
_DOUBTFUL_STRETCH, _SCRAMBLED_STRETCH = 0.25, 0.6
"""Median |log| of how edges stretch against each other: skin stretches by a tenth, unrelated vertices by far more."""
_TURNED_DEG = 20.0
_SMALL_PART = 0.005
_LARGE_HOLE = 0.35
_CUT_SHARE = 0.02
_WANTED_SIZE, _MOST_REACH = 1.5, 0.95
"""Canonical units: about the size of a person, whose canonical body all defaults were made for."""
_SEAM = 0.03
"""Width of the border between two parts that belongs to both, canonical units."""


def split_of(count: int) -> Int[np.ndarray, "I"]:
    """Split of each of so many identities, an index into SPLITS: the last tenths, at least one each, are held out."""
    held = max(1, count // 10)
    split: Array = np.repeat(np.array([0, 1, 2], dtype=np.uint8), [count - 2 * held, held, held])
    return split


@dataclass(frozen=True)
class MeshSubjects:
    """Checked meshes, ready to be written as subjects; holes are closed.

    Attributes:
        folder: Where they come from.
        faces: [F, 3] int32.
        part_weights: [V, Q] float32, rows sum to 1.
        canonical: [I, V, 3] float32, canonical units, the root part's middle at the origin.
        canonical_per_metre: Canonical units per metre.
        root: Index of the root part.
    """

    folder: MeshFolder
    faces: Int[np.ndarray, "F 3"]
    part_weights: Float[np.ndarray, "V Q"]
    canonical: Float[np.ndarray, "I V 3"]
    canonical_per_metre: float
    root: int
    _holes: Holes
    _root_rows: Int[np.ndarray, "r"]

    def posed(self, identity: int) -> Float[np.ndarray, "K V 3"]:
        """An identity's poses without the root part's motion; posed frame, canonical units, float32.

        Raises:
            InputError: A file is missing or broken.
        """
        scale = self.folder.unit_m * self.canonical_per_metre
        files = self.folder.identities[identity].poses
        vertices = np.stack([read_mesh(path).vertices * scale for path in files])
        count, rows = vertices.shape[1], self._root_rows
        still = _without_motion(vertices, self.canonical[identity, :count].astype(np.float64), rows)
        return self._holes.closed(still).astype(np.float32)


def _without_motion(posed: Array, canonical: Array, rows: Array) -> Array:
    """Poses moved rigidly so that some vertices lie on their canonical places as well as they can."""
    source, target = torch.from_numpy(posed[:, rows]), torch.from_numpy(canonical[rows])
    ones = torch.ones(source.shape[:2], dtype=source.dtype)
    rotation, translation = weighted_procrustes(source, target.expand_as(source), ones)
    moved: Array = posed @ rotation.mT.numpy() + translation[:, None].numpy()
    return moved


@dataclass
class _Check:
    """Findings as they are made, and what is known so far."""

    folder: MeshFolder
    findings: list[Finding] = field(default_factory=list)

    def add(self, level: Level, about: str, file: Path | str, message: str, remedy: str = "") -> None:
        self.findings.append(Finding(level, about, str(file), message, remedy))

    def mesh(self, path: Path) -> Mesh | None:
        """A readable mesh; what is wrong with it otherwise is a finding."""
        try:
            return read_mesh(path)
        except InputError as error:
            self.add("fatal", "files", path, str(error).removeprefix(f"{path} ").removeprefix(f"{path}: "))
            return None


def check_meshes(folder: MeshFolder, *, close_holes: bool = True) -> Task[tuple[MeshReport, MeshSubjects | None]]:
    """Read every mesh once and say what is wrong; the subjects are None where something is fatal.

    Canonical meshes that are turned against the first one are turned back, triangles that face inwards are turned over,
    and the canonical unit is chosen so that the subjects fill the unit box as people do.

    Args:
        folder: From `open_mesh_folder`.
        close_holes: Close holes by a fan around their middle, in every pose.
    """
    check = _Check(folder)
    total = len(folder.identities) + sum(len(each.poses) for each in folder.identities)
    facts: dict[str, Any] = {
        "identities": len(folder.identities),
        "poses": total - len(folder.identities),
        "parts": list(folder.part_names),
    }
    canonical = _read_canonical(check)
    yield Progress(len(folder.identities), total, "Read the canonical meshes")
    if not canonical:
        return _report(check, facts), None
    template = next(iter(canonical.values()))
    vertex_count, faces = len(template.vertices), template.faces
    facts |= {"vertices": vertex_count, "triangles": len(faces)}
    sizes = {name: float(np.ptp(mesh.vertices, axis=0).max()) * folder.unit_m for name, mesh in canonical.items()}
    facts["size_m"] = float(np.median(list(sizes.values())))
    faces = _check_surface(check, canonical, faces)
    _check_scale(check, sizes)
    if any(found.about == "correspondence" for found in check.findings):
        yield from _check_posed_counts(check, canonical, total)
        return _report(check, facts), None
    holes = find_holes(faces, vertex_count)
    _check_holes(check, canonical, holes, close_holes)
    if not close_holes:
        holes = Holes((), holes.faces[:0])
    labels = _read_weights(check, canonical, faces)
    if labels is None:
        yield from _check_posed_counts(check, canonical, total)
        return _report(check, facts), None
    upright = _turned_alike(check, canonical)
    root = _root_part(folder, labels, upright)
    root_rows = np.nonzero(labels.argmax(1) == root)[0]
    facts["root"] = folder.part_names[root]
    largest = yield from _check_poses(check, canonical, upright, faces, root_rows, total)
    if any(found.level == "fatal" for found in check.findings):
        return _report(check, facts), None
    stacked = np.stack([vertices - vertices[root_rows].mean(0) for vertices in upright])
    extent = max(largest, float(np.ptp(stacked, axis=1).max()))
    per_unit = min(_WANTED_SIZE / extent, _MOST_REACH / float(np.abs(stacked).max()))
    per_metre = float(f"{per_unit / folder.unit_m:.3g}")
    while per_metre * folder.unit_m * np.abs(stacked).max() > _MOST_REACH * 1.01:
        per_metre *= 0.99
    facts["canonical_per_metre"] = per_metre
    closed_faces = np.concatenate([faces, holes.faces]).astype(np.int32)
    scaled = holes.closed(stacked * per_metre * folder.unit_m).astype(np.float32)
    weights = _softened(holes.closed(labels), closed_faces, scaled[0])
    subjects = MeshSubjects(folder, closed_faces, weights, scaled, per_metre, root, holes, root_rows)
    return _report(check, facts), subjects


def _report(check: _Check, facts: dict[str, Any]) -> MeshReport:
    order = {"fatal": 0, "warning": 1, "note": 2}
    return MeshReport(check.folder.path, facts, tuple(sorted(check.findings, key=lambda found: order[found.level])))


def _read_canonical(check: _Check) -> dict[str, Mesh]:
    """The readable canonical meshes by identity, those without correspondence left out."""
    folder = check.folder
    if len(folder.identities) < _LEAST_IDENTITIES:
        check.add(
            "fatal", "files", folder.path, f"There are {len(folder.identities)} identities; training needs at least "
            f"{_LEAST_IDENTITIES}: two to learn from, one to validate, one to test.", "Add identities.",
        )  # fmt: skip
    found: dict[str, Mesh] = {}
    first: Path | None = None
    for identity in folder.identities:
        place = folder.path / identity.name
        if identity.canonical is None:
            check.add("fatal", "files", place, "The canonical mesh is missing.", "Add canonical.ply or canonical.obj.")
            continue
        if not identity.poses:
            check.add("fatal", "poses", place, "There are no poses.", "Put posed meshes into its folder poses/.")
        mesh = check.mesh(identity.canonical)
        if mesh is None:
            continue
        if first is None:
            first = identity.canonical
        elif not _corresponds(check, identity.canonical, mesh, first, next(iter(found.values()))):
            continue
        found[identity.name] = mesh
    return found


def _corresponds(check: _Check, path: Path, mesh: Mesh, template_path: Path, template: Mesh) -> bool:
    """Whether a mesh has the same triangles over the same vertices as another; if not, a finding says so."""
    remedy = "Register all scans to one template mesh, so that vertex k is the same place on all of them."
    if len(mesh.vertices) != len(template.vertices):
        check.add(
            "fatal", "correspondence", path,
            f"It has {len(mesh.vertices)} vertices, {template_path} has {len(template.vertices)}: there is no "
            "correspondence.", remedy,
        )  # fmt: skip
        return False
    if not np.array_equal(mesh.faces, template.faces):
        ours, theirs = (np.sort(np.sort(mesh.faces, axis=1) @ [1 << 40, 1 << 20, 1]) for mesh in (mesh, template))
        if len(mesh.faces) != len(template.faces) or not np.array_equal(ours, theirs):
            check.add("fatal", "correspondence", path, f"Its triangles are not those of {template_path}.", remedy)
            return False
    return True


def _check_posed_counts(check: _Check, canonical: dict[str, Mesh], total: int) -> Task[None]:
    """Where the canonical meshes are faulty already, still tell which poses lack the correspondence."""
    step = len(check.folder.identities)
    for identity in check.folder.identities:
        template = canonical.get(identity.name)
        for path in identity.poses:
            mesh = check.mesh(path)
            if mesh is not None and template is not None and identity.canonical is not None:
                _corresponds(check, path, mesh, identity.canonical, template)
            step += 1
        yield Progress(step, total, f"Check {identity.name}")


def _edge_lengths(vertices: Array, edges: Array) -> Array:
    lengths: Array = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    return np.maximum(lengths, 1e-12)


def _unique_edges(faces: Array) -> Array:
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    found: Array = np.unique(edges, axis=0)
    return found


def _check_stretch(check: _Check, path: Path, stretch: Array, of: str, looser: float) -> bool:
    """Judge how much longer a mesh's edges are than the same edges of another; False where that is fatal."""
    ratio = float(np.median(stretch))
    spread = float(np.median(np.abs(np.log(stretch / ratio))))
    if spread > _SCRAMBLED_STRETCH:
        check.add(
            "fatal", "correspondence", path,
            f"Against {of} its edges stretch by a factor of {np.exp(spread):.2g}: the vertices are in another order.",
            "Export with the vertices' order kept, or register the scan again.",
        )  # fmt: skip
        return False
    if not 1 / (looser * _OTHER_UNIT) < ratio < looser * _OTHER_UNIT:
        check.add(
            "fatal", "scale", path, f"It is {ratio:.3g} times as large as {of}: another unit.",
            "Export all meshes in the unit that parts.json states as unit_m.",
        )  # fmt: skip
        return False
    if spread > looser * _DOUBTFUL_STRETCH:
        check.add(
            "warning", "correspondence", path,
            f"Against {of} its edges stretch by a factor of {np.exp(spread):.2g}: the registration may have slipped.",
            "Look at it, and register it again where skin slides.",
        )  # fmt: skip
    return True


def _check_surface(check: _Check, canonical: dict[str, Mesh], faces: Array) -> Array:
    """Winding, crowded edges, degenerate triangles, self-intersections; the triangles, facing outwards."""
    files = {each.name: each.canonical for each in check.folder.identities}
    first = next(iter(canonical))
    edges = find_edges(faces)
    if edges.opposed:
        check.add(
            "warning", "orientation", str(files[first]),
            f"Along {edges.opposed} edges the two triangles face opposite ways.",
            "Make the normals consistent in the modelling program.",
        )  # fmt: skip
    if edges.crowded:
        check.add(
            "warning", "holes", str(files[first]), f"{edges.crowded} edges have three or more triangles.",
            "Remove inner walls and doubled triangles.",
        )  # fmt: skip
    pieces = int(surface_pieces(faces, len(canonical[first].vertices)).max()) + 1
    if pieces > 1:
        check.add(
            "warning", "labels", str(files[first]), f"The surface falls into {pieces} pieces that nothing joins.",
            "Join them, or keep the outer skin alone.",
        )  # fmt: skip
    holes = find_holes(faces, len(canonical[first].vertices))
    closed = np.concatenate([faces, holes.faces])
    volumes = {name: _volume(holes.closed(mesh.vertices), closed) for name, mesh in canonical.items()}
    inwards = [name for name, volume in volumes.items() if volume < 0]
    if len(inwards) > len(canonical) / 2:
        check.add("note", "orientation", str(files[first]), "The triangles face inwards; they are turned over.")
        faces = np.ascontiguousarray(faces[:, ::-1])
        inwards = [name for name in canonical if name not in inwards]
    for name in inwards:
        check.add(
            "fatal", "orientation", str(files[name]), "It is inside out against the others: perhaps mirrored.",
            "Mirror it back; left and right hands, say, are two classes.",
        )  # fmt: skip
    for name, mesh in canonical.items():
        a, b, c = (mesh.vertices[faces[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        flat = int((area <= 1e-9 * area.mean()).sum())
        if flat:
            check.add(
                "warning", "holes", str(files[name]), f"{flat} triangles have no area.",
                "Merge doubled vertices in the template and register again.",
            )  # fmt: skip
        cut = len(np.unique(self_intersections(mesh.vertices, faces)))
        if cut:
            share = cut / len(faces)
            check.add(
                "warning" if share > _CUT_SHARE else "note", "intersections", str(files[name]),
                f"{cut} of {len(faces)} triangles ({share:.1%}) cut others in the canonical pose.",
                "Open the pose (arms away from the body, fingers apart), or mend the surface there.",
            )  # fmt: skip
    return faces


def _volume(vertices: Array, faces: Array) -> float:
    a, b, c = (vertices[faces[:, k]] - vertices.mean(0) for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def _check_scale(check: _Check, sizes: dict[str, float]) -> None:
    files = {each.name: each.canonical for each in check.folder.identities}
    middle = float(np.median(list(sizes.values())))
    for name, size in sizes.items():
        if not 1 / 3 < size / middle < 3:
            check.add(
                "fatal", "scale", str(files[name]), f"It is {size:.3g} m large, the others are about {middle:.3g} m.",
                "Export all meshes in the unit that parts.json states as unit_m.",
            )  # fmt: skip
    if not _LEAST_SIZE_M <= middle <= _MOST_SIZE_M:
        unit = check.folder.unit_m
        better = [each for each in (1.0, 0.1, 0.01, 0.001) if 0.1 <= middle / unit * each <= 2.5 and each != unit]
        advice = f" With {better[0]:g} it would be {middle / unit * better[0]:.3g} m." if better else ""
        check.add(
            "warning", "scale", check.folder.path / PARTS_FILE,
            f"With unit_m {unit:g} a subject is {middle:.3g} m large. Fits to recordings in metres need the true size.",
            f"Correct unit_m if that is not so.{advice}",
        )  # fmt: skip


def _check_holes(check: _Check, canonical: dict[str, Mesh], holes: Holes, close: bool) -> None:
    if not holes.rims:
        return
    first, mesh = next(iter(canonical.items()))
    file = str(next(each.canonical for each in check.folder.identities if each.name == first))
    size = float(np.ptp(mesh.vertices, axis=0).max())
    widest = max(float(np.ptp(mesh.vertices[rim], axis=0).max()) for rim in holes.rims) / size
    many = f"{len(holes.rims)} hole{'s' if len(holes.rims) > 1 else ''}, the widest {widest:.0%} of the subject's size"
    if close:
        check.add(
            "warning" if widest > _LARGE_HOLE else "note", "holes", file,
            f"The surface has {many}; each is closed by a fan around its middle.",
            "Fill it in the template if a flat lid is wrong there." if widest > _LARGE_HOLE else "",
        )  # fmt: skip
    else:
        check.add(
            "note", "holes", file,
            f"The surface has {many}; inside and outside are told by the generalised winding number.",
        )  # fmt: skip


def _read_weights(check: _Check, canonical: dict[str, Mesh], faces: Array) -> Float[np.ndarray, "V Q"] | None:
    """Share of each part at each vertex, the mean over the identities' labels; None where that is fatal."""
    folder, parts = check.folder, len(check.folder.parts)
    mean = np.zeros((len(next(iter(canonical.values())).vertices), parts))
    counted, fatal, seen = 0, False, set()
    for identity in folder.identities:
        if identity.name not in canonical:
            continue
        try:
            found = read_labels(folder, identity)
        except InputError as error:
            check.add("fatal", "labels", folder.path / identity.name, str(error))
            fatal = True
            continue
        if found is None or found[0] in seen:
            continue
        seen.add(found[0])
        weights = _weights_of(check, *found, canonical[identity.name], faces, parts)
        fatal |= weights is None
        if weights is not None:
            if counted and (weights.argmax(1) != mean.argmax(1)).mean() > 0.1:
                check.add(
                    "warning", "labels", found[0], "More than a tenth of its labels differ from the other identities'.",
                    "Label one identity only, or all alike; the mean counts.",
                )  # fmt: skip
            mean += weights
            counted += 1
    if not seen and not fatal:
        check.add(
            "fatal", "labels", folder.path, "Nothing says which part a vertex belongs to.",
            f"Save one number per vertex or per face, counting the parts of {PARTS_FILE} from 0, as {LABELS_FILE}, or "
            "as the property part in a canonical.ply.",
        )  # fmt: skip
        return None
    if fatal or not counted:
        return None
    mean /= counted
    area = _vertex_area(next(iter(canonical.values())).vertices, faces)
    for q, name in enumerate(folder.part_names):
        share = float((area * mean[:, q]).sum() / area.sum())
        if not (mean.argmax(1) == q).any():
            where = ", ".join(sorted(str(path) for path in seen)[:2])
            check.add(
                "fatal", "labels", where, f"No vertex belongs to {name} (label {q}).",
                f"Label it, or take the part out of {PARTS_FILE}.",
            )  # fmt: skip
            fatal = True
        elif share < _SMALL_PART:
            check.add(
                "warning", "labels", folder.path / PARTS_FILE, f"{name} has {share:.1%} of the surface.",
                "So small a part is hardly ever seen; join it with a neighbour.",
            )  # fmt: skip
    return None if fatal else mean


def _weights_of(
    check: _Check, path: Path, labels: Array, mesh: Mesh, faces: Array, parts: int
) -> Float[np.ndarray, "V Q"] | None:
    vertices = len(mesh.vertices)
    if len(labels) not in (vertices, len(faces)):
        check.add(
            "fatal", "labels", path,
            f"It holds {len(labels)} labels, but the mesh has {vertices} vertices and {len(faces)} triangles.",
            "Save one label per vertex or per triangle.",
        )  # fmt: skip
        return None
    if labels.min() < 0 or labels.max() >= parts:
        wrong = labels[(labels < 0) | (labels >= parts)][0]
        check.add(
            "fatal", "labels", path, f"The label {wrong} is no part: {PARTS_FILE} names {parts}, 0 to {parts - 1}.",
            "Correct the labels, or add the part.",
        )  # fmt: skip
        return None
    one_hot = np.eye(parts)[labels]
    if len(labels) == vertices:
        return one_hot
    spread = np.zeros((vertices, parts))
    a, b, c = (mesh.vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)[:, None] + 1e-12
    for k in range(3):
        np.add.at(spread, faces[:, k], area * one_hot)
    total = spread.sum(1, keepdims=True)
    shares: Array = np.where(total > 0, spread / np.maximum(total, 1e-30), 1 / parts)
    return shares


def _vertex_area(vertices: Array, faces: Array) -> Array:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(faces.ravel(), np.repeat(area, 3), minlength=len(vertices))


def _softened(weights: Array, faces: Array, vertices: Array) -> Float[np.ndarray, "V Q"]:
    """Labels that change gradually over the seams, some hundredths of a canonical unit wide."""
    edges = _unique_edges(faces)
    count = len(vertices)
    lengths = _edge_lengths(vertices, edges)
    step = float(np.median(lengths))
    # Long edges carry less, so that they don't carry farther.
    flows = np.tile(np.minimum(1.0, (step / lengths) ** 2), 2)
    rows, columns = np.concatenate([edges[:, 0], edges[:, 1]]), np.concatenate([edges[:, 1], edges[:, 0]])
    degree = np.maximum(np.bincount(rows, minlength=count), 1)
    average = coo_array((0.5 * flows / degree[rows], (rows, columns)), shape=(count, count)).tocsr()
    stays = 1.0 - np.bincount(rows, 0.5 * flows / degree[rows], minlength=count)[:, None]
    # A random walk of n steps of length h spreads by h √n; half of the steps rest.
    smooth = weights.astype(np.float64)
    for _ in range(int(np.clip(2 * (_SEAM / 2 / step) ** 2, 1, 60))):
        smooth = stays * smooth + average @ smooth
    smooth /= np.maximum(smooth.sum(1, keepdims=True), 1e-12)
    result: Array = smooth.astype(np.float32)
    return result


def _turned_alike(check: _Check, canonical: dict[str, Mesh]) -> list[Array]:
    """Canonical vertices with the middle at the origin; those that are turned against the first are turned back."""
    files = {each.name: each.canonical for each in check.folder.identities}
    names = list(canonical)
    first = canonical[names[0]].vertices - canonical[names[0]].vertices.mean(0)
    result = []
    for name in names:
        vertices = canonical[name].vertices - canonical[name].vertices.mean(0)
        source, target = torch.from_numpy(vertices)[None], torch.from_numpy(first)[None]
        rotation, _ = weighted_procrustes(source, target, torch.ones(1, len(vertices), dtype=source.dtype))
        turn = rotation[0].numpy()
        degrees = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
        if degrees > _TURNED_DEG:
            check.add(
                "warning", "orientation", str(files[name]),
                f"It is turned by {degrees:.0f}° against {files[names[0]]}; it is turned back.",
                "Export all canonical meshes facing the same way, +y up.",
            )  # fmt: skip
            vertices = vertices @ turn.T
        result.append(vertices)
    return result


def _root_part(folder: MeshFolder, weights: Array, upright: Sequence[Array]) -> int:
    """The part that parts.json calls the root, else the one nearest to the middle of the first identity."""
    if folder.root is not None:
        return folder.part_names.index(folder.root)
    part, vertices = weights.argmax(1), upright[0]
    middle = (vertices.min(0) + vertices.max(0)) / 2
    away = [np.linalg.norm(vertices[part == q].mean(0) - middle) for q in range(weights.shape[1])]
    return int(np.argmin(away))


def _check_poses(
    check: _Check, canonical: dict[str, Mesh], upright: list[Array], faces: Array, root_rows: Array, total: int
) -> Task[float]:
    """Read all poses; the largest extent of any of them without the root's motion, in the files' unit."""
    folder, edges, largest = check.folder, _unique_edges(faces), 0.0
    step = len(folder.identities)
    names = list(canonical)
    lengths = {name: _edge_lengths(mesh.vertices, edges) for name, mesh in canonical.items()}
    for name in names[1:]:
        path = next(each.canonical for each in folder.identities if each.name == name)
        assert path is not None
        _check_stretch(check, path, lengths[name] / lengths[names[0]], names[0], looser=1.5)
    for identity in folder.identities:
        if identity.name not in canonical or identity.canonical is None:
            continue
        rest = upright[names.index(identity.name)]
        moved = 0.0
        size = float(np.ptp(rest, axis=0).max())
        for path, mesh in _readable(check, identity):
            step += 1
            if not _corresponds(check, path, mesh, identity.canonical, canonical[identity.name]):
                continue
            stretch = _edge_lengths(mesh.vertices, edges) / lengths[identity.name]
            if not _check_stretch(check, path, stretch, f"{identity.name}'s canonical mesh", looser=1.0):
                continue
            still = _without_motion(mesh.vertices[None], rest, root_rows)[0]
            largest = max(largest, float(np.ptp(still, axis=0).max()))
            moved = max(moved, float(np.abs(still - rest).max()) / size)
        if identity.poses and moved < 1e-3:
            check.add(
                "warning", "poses", folder.path / identity.name / "poses", "Nothing moves in these poses.",
                "Add meshes in other poses; a model learns from them how the subject moves.",
            )  # fmt: skip
        yield Progress(step, total, f"Check {identity.name}")
    return largest


def _readable(check: _Check, identity: MeshIdentity) -> Iterator[tuple[Path, Mesh]]:
    for path in identity.poses:
        mesh = check.mesh(path)
        if mesh is not None:
            yield path, mesh

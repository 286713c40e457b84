"""Training subjects: bodies in a canonical pose and in correspondence with their posed instances, in shards on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE
from spams_core.io.archive import Archive, fill_archive, hash_file, new_folder, read_archive, write_archive

__all__ = ["SPLITS", "Split", "Subjects", "SubjectsWriter", "read_subjects", "subjects_writer"]

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Array = np.ndarray[Any, Any]

SHARD_INSTANCES = 512
"""Posed instances per shard: 84 MB of an anny body's 13,353 vertices."""


@dataclass(frozen=True)
class Subjects:
    """I identities in the canonical pose and P posed instances, one topology for all.

    The archive has kind "subjects"; its manifest carries `part_names` (list of Q names), `canonical_per_metre` (without
    it that of people) and perhaps `parts` (titles and colours), and it has these arrays::

        faces             [F, 3] int32
        part_weights      [V, Q] float32, soft part labels, rows sum to 1
        canonical         [I, V, 3] float32, canonical frame and units
        identity_split    [I] uint8, index into SPLITS
        posed_identity    [P] int32, row of `canonical`
        shard_sha256      [S, 32] uint8, hashes of the shards' arrays, so that this file's hash stands for all of them

    The posed instances lie in S archives of kind "posed" in the folder `posed`, `SHARD_INSTANCES` in all but the last::

        posed             [≤ SHARD_INSTANCES, V, 3] float32, posed frame (root at the origin, root rotation removed),
                          canonical units

    Posed vertices are never all in memory: they are read row by row, or gathered from memory-mapped shards.

    Attributes:
        archive: The archive itself, for arrays that are read in one piece.
        shards: The posed instances, memory-mapped.
    """

    archive: Archive
    shards: tuple[Float[np.ndarray, "S V 3"], ...]
    part_names: tuple[str, ...]
    faces: Int[np.ndarray, "F 3"]
    part_weights: Float[np.ndarray, "V Q"]
    identity_split: Int[np.ndarray, "I"]
    posed_identity: Int[np.ndarray, "P"]

    @property
    def canonical_per_metre(self) -> float:
        """Canonical units per metre of these subjects."""
        return float(self.archive.manifest.get("canonical_per_metre", CANONICAL_PER_METRE))

    def identities(self, split: Split) -> Int[np.ndarray, "K"]:
        """Rows of the identities in a split."""
        rows: Array = np.nonzero(self.identity_split == SPLITS.index(split))[0]
        return rows

    def instances(self, identities: Sequence[int] | Array) -> Int[np.ndarray, "K"]:
        """Rows of the posed instances of some identities."""
        rows: Array = np.nonzero(np.isin(self.posed_identity, identities))[0]
        return rows

    def canonical(self, identity: int) -> Float[np.ndarray, "V 3"]:
        """Canonical vertices of one identity, canonical units."""
        vertices: Array = self.archive.rows("canonical", identity, identity + 1)[0]
        return vertices

    def posed(self, instance: int) -> Float[np.ndarray, "V 3"]:
        """Posed vertices of one instance, posed frame, canonical units."""
        shard, row = divmod(int(instance), SHARD_INSTANCES)
        return np.array(self.shards[shard][row])

    def posed_at(
        self, instances: Int[np.ndarray, "K"], vertices: Int[np.ndarray, "K *n"]
    ) -> Float[np.ndarray, "K *n 3"]:
        """Some vertices of some instances, another choice for each; the rest stays on disk."""
        result = np.empty((*vertices.shape, 3), dtype=np.float32)
        for k, instance in enumerate(instances.tolist()):
            shard, row = divmod(instance, SHARD_INSTANCES)
            result[k] = self.shards[shard][row][vertices[k]]
        return result


class SubjectsWriter:
    """Takes posed instances in their order and keeps at most a shard of them in memory; see `subjects_writer`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[Array] = []
        self._hashes: list[bytes] = []

    def append(self, posed: Float[np.ndarray, "K V 3"]) -> None:
        """Add instances, posed frame, canonical units."""
        self._waiting.extend(posed.astype(np.float32))
        while len(self._waiting) >= SHARD_INSTANCES:
            self._write(self._waiting[:SHARD_INSTANCES])
            del self._waiting[:SHARD_INSTANCES]

    def _write(self, instances: list[Array]) -> None:
        shard = self._folder / "posed" / f"{len(self._hashes):04d}"
        write_archive(shard, "posed", {}, {"posed": np.stack(instances)})
        self._hashes.append(bytes.fromhex(hash_file(shard / "arrays.safetensors")))

    def finish(self, manifest: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Write the last shard and the rest of the archive: the manifest with `part_names`, all other arrays."""
        if self._waiting:
            self._write(self._waiting)
        hashes = np.frombuffer(b"".join(self._hashes), dtype=np.uint8).reshape(-1, 32)
        fill_archive(self._folder, "subjects", manifest, {**arrays, "shard_sha256": hashes})


@contextmanager
def subjects_writer(path: Path) -> Iterator[SubjectsWriter]:
    """Write a subjects archive shard by shard; it is whole or absent.

    Raises:
        InputError: The folder exists already or cannot be written.
    """
    with new_folder(path) as folder:
        yield SubjectsWriter(folder)


def read_subjects(path: Path) -> Subjects:
    """Open a subjects archive.

    Raises:
        InputError: It or one of its shards is missing, corrupted or of another kind.
    """
    archive = read_archive(path, "subjects")
    posed_identity = archive.array("posed_identity")
    count = len(archive.array("shard_sha256"))
    shards = tuple(read_archive(path / "posed" / f"{k:04d}", "posed").memory_map("posed") for k in range(count))
    if sum(len(shard) for shard in shards) != len(posed_identity):
        raise InputError(f"{path} lacks some of its posed instances; it is incomplete. Make it again.")
    return Subjects(
        archive,
        shards,
        archive.words("part_names"),
        archive.array("faces"),
        archive.array("part_weights"),
        archive.array("identity_split"),
        posed_identity,
    )

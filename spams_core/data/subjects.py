"""Training subjects: bodies in a canonical pose and in correspondence with their posed instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from spams_core.io.archive import Archive, read_archive

__all__ = ["SPLITS", "Split", "Subjects", "read_subjects"]

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Subjects:
    """I identities in the canonical pose and P posed instances, one topology for all.

    The archive has kind "subjects"; its manifest carries `part_names` (list of Q names) and these arrays:
        faces             [F, 3] int32
        part_weights      [V, Q] float32, soft part labels, rows sum to 1
        canonical         [I, V, 3] float32, canonical frame and units
        identity_split    [I] uint8, index into SPLITS
        posed             [P, V, 3] float32, posed frame (root at the origin, root rotation removed), canonical units
        posed_identity    [P] int32, row of `canonical`

    Attributes:
        archive: Where the large arrays are read from, row by row.
    """

    archive: Archive
    part_names: tuple[str, ...]
    faces: Int[np.ndarray, "F 3"]
    part_weights: Float[np.ndarray, "V Q"]
    identity_split: Int[np.ndarray, "I"]
    posed_identity: Int[np.ndarray, "P"]

    def identities(self, split: Split) -> Int[np.ndarray, "K"]:
        """Rows of the identities in a split."""
        rows: np.ndarray[Any, Any] = np.nonzero(self.identity_split == SPLITS.index(split))[0]
        return rows

    def instances(self, identities: Sequence[int] | np.ndarray[Any, Any]) -> Int[np.ndarray, "K"]:
        """Rows of the posed instances of some identities."""
        rows: np.ndarray[Any, Any] = np.nonzero(np.isin(self.posed_identity, identities))[0]
        return rows

    def canonical(self, identity: int) -> Float[np.ndarray, "V 3"]:
        """Canonical vertices of one identity, canonical units."""
        vertices: np.ndarray[Any, Any] = self.archive.rows("canonical", identity, identity + 1)[0]
        return vertices

    def posed(self, instance: int) -> Float[np.ndarray, "V 3"]:
        """Posed vertices of one instance, posed frame, canonical units."""
        vertices: np.ndarray[Any, Any] = self.archive.rows("posed", instance, instance + 1)[0]
        return vertices


def read_subjects(path: Path) -> Subjects:
    """Open a subjects archive.

    Raises:
        InputError: It is missing, corrupted or of another kind.
    """
    archive = read_archive(path, "subjects")
    return Subjects(
        archive,
        archive.words("part_names"),
        archive.array("faces"),
        archive.array("part_weights"),
        archive.array("identity_split"),
        archive.array("posed_identity"),
    )

"""Make meshes of synthetic hands: a folder as `spams generate --from-meshes` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spams_core.data.mesh_folder import MeshPart, write_identity, write_parts
from spams_core.data.mesh_subjects import split_of
from spams_core.data.synthetic_hands import HAND_PARTS, HandGenerator, hand_motion, sample_hand_angles
from spams_core.errors import InputError
from spams_core.geometry.mesh import Mesh
from spams_core.io.archive import new_folder, require_new
from spams_core.progress import Progress, Task
from spams_core.resources import part_colors, part_titles

__all__ = ["HandsSettings", "hands"]

_FPS = 30.0


@dataclass(frozen=True)
class HandsSettings:
    """Make meshes of synthetic right hands, cut from the body model anny: an example of a class of one's own.

    The folder is laid out as `spams generate --from-meshes` wants it. The last identities, which that command holds
    out, move smoothly, so that they can be filmed; the others show poses at random.
    """

    out: Path
    """Folder for the meshes; must not exist yet."""
    identities: int = 40
    """Number of hands."""
    poses: int = 40
    """Poses of each hand."""
    seed: int = 0
    """Seed of all draws; a hand doesn't change when more are asked for."""

    def __post_init__(self) -> None:
        for name, least in (("identities", 4), ("poses", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"--{name} {getattr(self, name)}: it must be {least} or more.")


def hands(settings: HandsSettings) -> Task[dict[str, Any]]:
    """Write one folder per hand: its canonical mesh, flat, with the parts' labels, and its poses.

    Raises:
        InputError: anny isn't installed, or the folder exists already or cannot be written.
    """
    require_new(settings.out)
    yield Progress(0, settings.identities, "Load the body model")
    generator = HandGenerator()
    split = split_of(settings.identities)
    colors = ["#" + bytes(rgb).hex() for rgb in part_colors(HAND_PARTS).tolist()]
    parts = [MeshPart(*row) for row in zip(HAND_PARTS, part_titles(HAND_PARTS), colors, strict=True)]
    with new_folder(settings.out) as folder:
        about = f"synthetic right hands cut from anny {generator.anny_version}; metres, fingers +y, palm +z"
        write_parts(folder, parts, root="palm", about=about)
        for number in range(settings.identities):
            draw = np.random.default_rng((settings.seed, number))
            hand = generator.sample_hand(draw)
            if split[number] == 0:
                angles = sample_hand_angles(draw, settings.poses)
            else:
                angles = hand_motion(draw, settings.poses, _FPS)
            flat = generator.posed(hand, generator.flat_angles())[0]
            posed = [Mesh(vertices, generator.faces) for vertices in generator.posed(hand, angles)]
            canonical = Mesh(flat, generator.faces, generator.parts)
            write_identity(folder / f"hand_{number:03d}", canonical, posed)
            yield Progress(number + 1, settings.identities, f"Hand {number + 1}")
    return {
        "path": settings.out, "identities": settings.identities, "poses": settings.identities * settings.poses,
        "vertices": len(generator.parts), "parts": list(HAND_PARTS),
    }  # fmt: skip

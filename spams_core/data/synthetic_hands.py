"""Synthetic right hands cut from the body model anny: a class of deformable subjects that is no body.

A hand has six parts, is about 0.2 m long, and is open at the wrist, as a scan would be. Its *hand frame*: metres, the
wrist at the origin, +y along the middle finger's metacarpal, +z out of the palm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from spams_core.data.skeleton import unit
from spams_core.errors import InputError

__all__ = ["HAND_LENGTH_RANGE_M", "HAND_PARTS", "Hand", "HandGenerator", "hand_motion", "sample_hand_angles"]

Array = np.ndarray[Any, Any]

HAND_PARTS = ("palm", "thumb", "index_finger", "middle_finger", "ring_finger", "little_finger")
"""The six parts of a hand, in the order of their labels."""

_SHAPE_CHANGES: Mapping[str, float] = {
    "r-hand-fingers-length-incr": 0.45,
    "r-hand-fingers-diameter-incr": 0.45,
    "r-hand-fingers-distance-incr": 0.3,
    "r-hand-scale-incr": 0.45,
    "measure-wrist-circ-incr": 0.4,
    "r-lowerarm-fat-incr": 0.3,
}
HAND_LENGTH_RANGE_M = (0.16, 0.22)
"""Lengths of flat hands that are drawn, from above the wrist to the longest finger's tip, metres."""

_ANGLES = 5 + 4 * 4
# Lowest and highest value in degrees. Thumb: opposition, flexion of its three bones, spread; fingers: flexion of the
# three bones (0 is straight), spread to the thumb's side. Norkin & White, "Measurement of Joint Motion", app. B.
_LOW = np.array([-5.0, -5.0, 0.0, -5.0, -10.0, *(4 * [-10.0, 0.0, 0.0, -8.0])])
_HIGH = np.array([40.0, 25.0, 50.0, 60.0, 20.0, *(4 * [80.0, 95.0, 60.0, 8.0])])
_REST_BEND_DEG = 20.0  # the model's rest fingers are bent by about this much at each bone
_KEY_S = 0.6
"""Time from one drawn hand pose to the next in a motion, seconds."""


@dataclass(frozen=True)
class Hand:
    """A hand's shape: what anny needs for the body that it is cut from."""

    phenotypes: Mapping[str, float]
    local_changes: Mapping[str, float]


def sample_hand_angles(generator: np.random.Generator, count: int) -> Float[np.ndarray, "T A"]:
    """Draw hand poses: joint angles in degrees, fingers that close together as often as each on its own."""
    share = generator.beta(0.8, 1.0, (count, 1))
    own = generator.beta(0.7, 1.0, (count, 5))
    together = generator.random((count, 1)) < 0.5
    curl = np.where(together, np.clip(share + generator.normal(0, 0.08, (count, 5)), 0, 1), own)
    angles = np.empty((count, _ANGLES))
    # The bones of a finger bend together, the last one least on its own.
    angles[:, 0] = curl[:, 0] + generator.normal(0, 0.2, count)
    for k in range(1, 4):
        angles[:, k] = curl[:, 0] + generator.normal(0, 0.15, count)
    angles[:, 4] = generator.random(count)
    for finger in range(4):
        first = 5 + 4 * finger
        for k in range(3):
            angles[:, first + k] = curl[:, 1 + finger] + generator.normal(0, 0.12, count)
        # Bent fingers cannot be spread.
        spread = 0.5 + (generator.random(count) - 0.5) * (1 - np.clip(curl[:, 1 + finger], 0, 1))
        angles[:, first + 3] = spread
    clipped: Array = _LOW + np.clip(angles, 0, 1) * (_HIGH - _LOW)
    return clipped


def hand_motion(generator: np.random.Generator, frames: int, fps: float) -> Float[np.ndarray, "T A"]:
    """A hand that moves smoothly from one drawn pose to the next; joint angles in degrees."""
    times = np.arange(frames) / fps
    keys = max(2, int(np.ceil(times[-1] / _KEY_S)) + 1)
    drawn = sample_hand_angles(generator, keys)
    spline = CubicSpline(np.arange(keys) * _KEY_S, drawn, bc_type="clamped")
    angles: Array = np.clip(spline(times), _LOW, _HIGH)
    return angles


class HandGenerator:
    """Shapes and poses right hands of one topology.

    Attributes:
        faces: [F, 3] int32, counter-clockwise seen from outside; open at the wrist.
        parts: [V] index into `HAND_PARTS`.
        anny_version: For manifests.

    Raises:
        InputError: anny isn't installed.
    """

    def __init__(self) -> None:
        try:
            import anny
            from anny.shape_distribution import SimpleShapeDistribution
        except ImportError as error:
            raise InputError(
                "Synthetic hands need the package anny. Install the extra `synthetic`: "
                "pip install 'spam-studio[synthetic]'."
            ) from error
        self.anny_version = str(anny.__version__)
        model = anny.Anny(
            local_changes=list(_SHAPE_CHANGES), pose_parameterization="local-ref", skinning_method="lbs"
        ).to(torch.float32)
        self._model: Any = model
        self._shapes = SimpleShapeDistribution(
            model, morphological_age_distribution=torch.distributions.Uniform(torch.tensor(18.0), torch.tensor(70.0))
        )
        self._bones = list(model.bone_labels)
        index, weight = (values.cpu().numpy() for values in (model.vertex_bone_indices, model.vertex_bone_weights))
        group = np.array([_part(name) for name in self._bones])
        per_part = np.stack([(weight * (group[index] == q)).sum(1) for q in range(len(HAND_PARTS))], 1)
        faces = model.faces.cpu().numpy()
        inside = (per_part.sum(1) > 0.5)[faces].all(1)
        self._kept = np.unique(faces[inside])
        row = np.full(len(per_part), -1)
        row[self._kept] = np.arange(len(self._kept))
        self.faces: Int[np.ndarray, "F 3"] = row[faces[inside]].astype(np.int32)
        self.parts: Int[np.ndarray, "V"] = per_part[self._kept].argmax(1).astype(np.int32)

    def sample_hand(self, generator: np.random.Generator) -> Hand:
        """Draw an adult's hand, `HAND_LENGTH_RANGE_M` long."""
        while True:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(generator.integers(2**62)))
                _, drawn = self._shapes.sample(1)
            phenotypes = {name: float(value[0]) for name, value in drawn.items()}
            changes = {
                name: float(np.clip(generator.normal(0, scale), -1, 1)) for name, scale in _SHAPE_CHANGES.items()
            }
            hand = Hand(phenotypes, changes)
            length = np.ptp(self.posed(hand, self.flat_angles())[0, :, 1])
            if HAND_LENGTH_RANGE_M[0] <= length <= HAND_LENGTH_RANGE_M[1]:
                return hand

    def flat_angles(self) -> Float[np.ndarray, "1 A"]:
        """The canonical pose: straight, slightly spread fingers."""
        angles = np.zeros((1, _ANGLES))
        angles[0, 0], angles[0, 3] = 5.0, 5.0
        for finger, spread in enumerate((6.0, 1.0, -3.0, -8.0)):
            angles[0, 5 + 4 * finger : 9 + 4 * finger] = (3.0, 5.0, 3.0, spread)
        return angles

    def posed(self, hand: Hand, angles_deg: Float[np.ndarray, "T A"]) -> Float[np.ndarray, "T V 3"]:
        """A hand in T poses; hand frame, metres, float32."""
        count = len(angles_deg)
        kwargs = {
            "phenotype_kwargs": dict(hand.phenotypes),
            "local_changes_kwargs": dict(hand.local_changes),
        }
        with torch.no_grad():
            rest = self._model(None, **kwargs)["bone_poses"][0, :, :3, 3].numpy().astype(np.float64)
            place = dict(zip(self._bones, rest, strict=True))
            deltas = torch.eye(4).repeat(count, len(self._bones), 1, 1)
            for name, turn in _turns(place, angles_deg).items():
                deltas[:, self._bones.index(name), :3, :3] = torch.from_numpy(turn.as_matrix()).float()
            chunks = [
                self._model(chunk, **kwargs)["vertices"][:, self._kept].numpy() for chunk in torch.split(deltas, 16)
            ]
        rotation, origin = _hand_frame(place)
        vertices = (np.concatenate(chunks).astype(np.float64) - origin) @ rotation.T
        return np.asarray(vertices, dtype=np.float32)


def _part(bone: str) -> int:
    """Index into `HAND_PARTS`, −1 for bones of the rest of the body and of the left hand."""
    if not bone.endswith(".R"):
        return -1
    if bone.startswith("finger"):
        return int(bone[len("finger")])
    return 0 if bone.startswith(("wrist", "metacarpal")) else -1


def _hand_frame(place: Mapping[str, Array]) -> tuple[Array, Array]:
    """Rows: the hand frame's axes in anny's; and its origin."""
    along = unit(place["finger3-1.R"] - place["wrist.R"])
    out = _palm_normal(place)
    return np.stack([np.cross(along, out), along, out]), place["wrist.R"]


def _palm_normal(place: Mapping[str, Array]) -> Array:
    along = unit(place["finger3-1.R"] - place["wrist.R"])
    to_thumb = place["finger2-1.R"] - place["finger5-1.R"]
    return unit(np.cross(to_thumb, along))


def _turns(place: Mapping[str, Array], angles_deg: Float[np.ndarray, "T A"]) -> dict[str, Rotation]:
    """Rotations of the finger bones relative to their parents, anny's axes."""

    def about(axis: Array, degrees: Array) -> Rotation:
        return Rotation.from_rotvec(np.deg2rad(degrees)[:, None] * axis)

    palm = _palm_normal(place)
    turns = {}
    thumb = unit(place["finger1-3.R"] - place["finger1-1.R"])
    across = unit(np.cross(thumb, place["finger5-1.R"] - place["finger1-2.R"]))  # towards the little finger's root
    spread = unit(np.cross(across, thumb))
    opposition, first, second, third, thumb_spread = angles_deg[:, :5].T
    turns["finger1-1.R"] = (
        about(across, opposition * 0.6) * about(spread, thumb_spread - 0.5 * opposition) * about(across, first)
    )
    turns["finger1-2.R"] = about(across, second)
    turns["finger1-3.R"] = about(across, third)
    for finger in range(2, 6):
        bones = [f"finger{finger}-{bone}.R" for bone in (1, 2, 3)]
        flexion_axis = unit(np.cross(unit(place[bones[2]] - place[bones[0]]), palm))
        one, two, three, side = angles_deg[:, 5 + 4 * (finger - 2) : 9 + 4 * (finger - 2)].T
        turns[bones[0]] = about(palm, side) * about(flexion_axis, one - _REST_BEND_DEG)
        turns[bones[1]] = about(flexion_axis, two - _REST_BEND_DEG)
        turns[bones[2]] = about(flexion_axis, three - _REST_BEND_DEG)
    return turns

"""Synthetic human bodies from the parametric model anny, in this program's frames, parts and units.

Needs the extra `synthetic`. anny (Brégier et al. 2025) is metric, +z up, facing −y; its `local-ref` pose
parameterisation starts every identity from the same A-pose, which is the canonical pose here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from spams_core.data.anatomy import neutral_pose
from spams_core.data.garments import REGIONS, Garments, Skin, dress, sample_garments, smoothing_operator, thickness_m
from spams_core.data.skeleton import JOINTS, LEG_LENGTH_M, Motion, Poses, floor_clearance_m
from spams_core.data.subjects import SPLITS, Split
from spams_core.errors import InputError
from spams_core.frames import CANONICAL_PER_METRE

__all__ = ["HEIGHT_RANGE_M", "PART_NAMES", "BodyGenerator", "Identity", "identity_stream", "outfit_stream"]

Array = np.ndarray[Any, Any]

PART_NAMES = ("head", "torso", "right_arm", "right_leg", "left_arm", "left_leg")
"""The six body parts, in the order of the columns of `BodyGenerator.part_weights`."""

HEIGHT_RANGE_M = (1.42, 1.97)
"""Standing heights that are drawn, metres."""

_CANONICAL_FROM_ANNY = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
_HEAD_BONES = ("neck", "head", "eye", "jaw", "tongue")
_ARM_BONES = ("shoulder", "upperarm", "lowerarm", "wrist", "finger", "metacarpal")
_LEG_BONES = ("upperleg", "lowerleg", "foot", "toe")
_CHUNK = 16  # posed bodies per call of anny: 30 MB of blended transforms

# anny's local changes that show in depth, each with the scale of its draw. Names that start with l- and r- are drawn
# together, for symmetric bodies.
_LOCAL_CHANGES: Mapping[str, float] = {
    "l-upperarm-fat-incr": 0.3,
    "l-lowerarm-fat-incr": 0.3,
    "l-upperarm-muscle-incr": 0.3,
    "measure-upperarm-length-incr": 0.25,
    "measure-lowerarm-length-incr": 0.25,
    "l-upperleg-fat-incr": 0.3,
    "l-lowerleg-fat-incr": 0.3,
    "l-upperleg-muscle-incr": 0.3,
    "measure-upperleg-height-incr": 0.25,
    "measure-lowerleg-height-incr": 0.25,
    "l-hand-scale-incr": 0.25,
    "l-foot-scale-incr": 0.2,
    "buttocks-volume-incr": 0.4,
    "stomach-tone-incr": 0.4,
    "stomach-pregnant-incr": 0.15,
    "hip-scale-horiz-incr": 0.35,
    "hip-scale-depth-incr": 0.3,
    "torso-scale-horiz-incr": 0.3,
    "torso-scale-depth-incr": 0.3,
    "torso-scale-vert-incr": 0.25,
    "torso-vshape-incr": 0.35,
    "measure-shoulder-dist-incr": 0.3,
    "measure-waist-circ-incr": 0.35,
    "breast-volume-vert-up": 0.3,
    "neck-scale-horiz-incr": 0.3,
    "neck-scale-vert-incr": 0.3,
    "head-scale-vert-incr": 0.3,
    "head-scale-horiz-incr": 0.3,
    "head-scale-depth-incr": 0.3,
    "head-fat-incr": 0.35,
    "chin-prominent-incr": 0.35,
    "nose-volume-incr": 0.35,
}


def identity_stream(seed: int, split: Split, number: int) -> np.random.Generator:
    """Source of an identity's draws: first its body, then its poses. More identities change none of the others."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split), number)))


def outfit_stream(seed: int, split: Split, number: int) -> np.random.Generator:
    """Source of an identity's clothes, apart from `identity_stream`: they change neither body nor poses."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split), number, 1)))


@dataclass(frozen=True)
class Identity:
    """A person: what anny needs to shape the body, and clothes.

    Attributes:
        phenotypes: anny's phenotype parameters, 0..1.
        local_changes: anny's local shape changes, -1..1; those that are missing are 0.
        garments: What the person wears; None is naked.
    """

    phenotypes: Mapping[str, float]
    local_changes: Mapping[str, float]
    garments: Garments | None = None


def _mirrored(name: str) -> tuple[str, ...]:
    return (name, "r" + name[1:]) if name.startswith("l-") else (name,)


def _part(bone: str) -> int:
    """Column of `PART_NAMES` that a bone belongs to."""
    if bone.startswith(_HEAD_BONES):
        return PART_NAMES.index("head")
    side = "left" if bone.endswith(".L") else "right"
    if bone.startswith(_ARM_BONES):
        return PART_NAMES.index(f"{side}_arm")
    if bone.startswith(_LEG_BONES):
        return PART_NAMES.index(f"{side}_leg")
    return PART_NAMES.index("torso")


_TRUNK_REGIONS = {
    "chest": ("clavicle", "spine01", "spine02", "breast", "shoulder"),
    "belly": ("spine03", "spine04"),
    "hips": ("spine05", "pelvis", "root"),
}
_LIMB_REGIONS = {
    "upper_arm": ("upperarm",),
    "forearm": ("lowerarm",),
    "hand": ("wrist", "finger", "metacarpal"),
    "thigh": ("upperleg",),
    "shin": ("lowerleg",),
    "foot": ("foot", "toe"),
    "neck": ("neck",),
    "head": ("head", "eye", "jaw", "tongue"),
}


def _region(bone: str) -> int:
    """Column of the garments' `REGIONS` that a bone belongs to."""
    for name, prefixes in {**_LIMB_REGIONS, **_TRUNK_REGIONS}.items():
        if bone.startswith(prefixes):
            return REGIONS.index(name)
    return REGIONS.index("head" if _part(bone) == PART_NAMES.index("head") else "belly")


class BodyGenerator:
    """Shapes and poses bodies; one topology, the closed outer skin without eyes and tongue.

    Attributes:
        part_names: The Q parts.
        faces: [F, 3] int32, counter-clockwise seen from outside.
        part_weights: [V, Q] float32 soft part labels: skinning weights summed per part; rows sum to 1.
        anny_version: For manifests.

    Raises:
        InputError: anny isn't installed.
    """

    part_names = PART_NAMES

    def __init__(self) -> None:
        try:
            import anny
            from anny.shape_distribution import SimpleShapeDistribution
        except ImportError as error:
            raise InputError(
                "Synthetic bodies need the package anny. Install the extra `synthetic`: "
                "pip install 'spam-studio[synthetic]'."
            ) from error
        self.anny_version = str(anny.__version__)
        labels = [label for name in _LOCAL_CHANGES for label in _mirrored(name)]
        self._model = anny.Anny(local_changes=labels, pose_parameterization="local-ref", skinning_method="lbs")
        self._model = self._model.to(torch.float32)
        # U-shaped: most people are clearly male (0) or female (1), some between.
        concentration = torch.tensor(0.4)
        self._shapes = SimpleShapeDistribution(
            self._model,
            morphological_age_distribution=torch.distributions.Uniform(torch.tensor(20.0), torch.tensor(70.0)),
            gender_distribution=torch.distributions.Beta(concentration, concentration),
        )
        bones = list(self._model.bone_labels)
        self._joint_rows = [bones.index(name) for name in JOINTS]
        self._bones = bones
        self._kept, self.faces = _largest_component(self._model.faces.cpu().numpy())
        self.part_weights = self._grouped([_part(bone) for bone in self._bones], len(PART_NAMES))
        regions = self._grouped([_region(bone) for bone in self._bones], len(REGIONS))
        self._skin = Skin(regions, smoothing_operator(self.faces, len(regions)))

    def _grouped(self, group_of_bone: list[int], groups: int) -> Float[np.ndarray, "V G"]:
        """Skinning weights summed over groups of bones; rows sum to 1."""
        group = np.zeros((len(self._bones), groups))
        group[np.arange(len(self._bones)), group_of_bone] = 1.0
        index = self._model.vertex_bone_indices.cpu().numpy()[self._kept]
        weight = self._model.vertex_bone_weights.cpu().numpy()[self._kept]
        parts: Array = np.einsum("vk,vkq->vq", weight, group[index])
        normalised: Array = (parts / parts.sum(axis=1, keepdims=True)).astype(np.float32)
        return normalised

    def sample_identity(self, generator: np.random.Generator) -> Identity:
        """Draw an adult of 20–70 years, either sex, standing `HEIGHT_RANGE_M` tall."""
        while True:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(generator.integers(2**62)))
                _, drawn = self._shapes.sample(1)
            phenotypes = {name: float(value[0]) for name, value in drawn.items()}
            local = {
                label: value
                for name, scale in _LOCAL_CHANGES.items()
                for value in (float(np.clip(generator.normal(0.0, scale), -1.0, 1.0)),)
                for label in _mirrored(name)
            }
            identity = Identity(phenotypes, local)
            standing = self.posed(identity, neutral_pose())[0] / CANONICAL_PER_METRE
            if HEIGHT_RANGE_M[0] <= np.ptp(standing[:, 1]) <= HEIGHT_RANGE_M[1]:
                return identity

    def dressed(self, identity: Identity, generator: np.random.Generator) -> Identity:
        """The same person in drawn clothes."""
        return replace(identity, garments=sample_garments(generator))

    def canonical(self, identity: Identity) -> Float[np.ndarray, "V 3"]:
        """The body in the A-pose: canonical frame and units, float32."""
        rest: Array = self.posed(identity, Poses(np.zeros((1, len(JOINTS), 3))))[0]
        return rest

    def posed(self, identity: Identity, poses: Poses) -> Float[np.ndarray, "T V 3"]:
        """The body in T poses, dressed if the identity is: posed frame, canonical units, float32."""
        naked = self._naked(identity, poses)
        if identity.garments is None:
            return naked
        rest = self._naked(identity, Poses(np.zeros((1, len(JOINTS), 3))))[0] / CANONICAL_PER_METRE
        worn = CANONICAL_PER_METRE * thickness_m(identity.garments, rest, self.faces, self._skin)
        return np.stack([dress(body, self.faces, self._skin, worn) for body in naked]).astype(np.float32)

    def _naked(self, identity: Identity, poses: Poses) -> Float[np.ndarray, "T V 3"]:
        rotations = Rotation.from_rotvec(poses.rotations.reshape(-1, 3)).as_matrix().reshape(len(poses), -1, 3, 3)
        rotations = _CANONICAL_FROM_ANNY.T @ rotations @ _CANONICAL_FROM_ANNY
        deltas = torch.eye(4).repeat(len(poses), len(self._bones), 1, 1)
        deltas[:, self._joint_rows, :3, :3] = torch.from_numpy(rotations).float()
        chunks = []
        with torch.no_grad():
            for chunk in torch.split(deltas, _CHUNK):
                output = self._model(
                    chunk,
                    phenotype_kwargs=dict(identity.phenotypes),
                    local_changes_kwargs=dict(identity.local_changes),
                )
                chunks.append(output["vertices"][:, self._kept].numpy())
        vertices = np.concatenate(chunks) @ (CANONICAL_PER_METRE * _CANONICAL_FROM_ANNY.T)
        return np.asarray(vertices, dtype=np.float32)

    def leg_length_m(self, identity: Identity) -> float:
        """Hip to knee to ankle in metres."""
        with torch.no_grad():
            output = self._model(
                None,
                phenotype_kwargs=dict(identity.phenotypes),
                local_changes_kwargs=dict(identity.local_changes),
            )
        joints = output["bone_poses"][0, :, :3, 3].numpy()
        hip, knee, ankle = (joints[self._bones.index(name)] for name in ("upperleg01.L", "lowerleg01.L", "foot.L"))
        return float(np.linalg.norm(hip - knee) + np.linalg.norm(knee - ankle))

    def grounded(self, identity: Identity, motion: Motion) -> Motion:
        """The motion as this body does it: its path scaled with the legs, standing on the floor, jumps kept."""
        posed = self.posed(identity, motion.poses)
        lowest = np.einsum("tvj,tj->tv", posed, motion.root_rotation[:, 1]).min(axis=1) / CANONICAL_PER_METRE
        scale = self.leg_length_m(identity) / LEG_LENGTH_M
        place = motion.root_translation_m * scale
        place[:, 1] = scale * np.clip(floor_clearance_m(motion), 0.0, None) - lowest
        return replace(motion, root_translation_m=place)


def _largest_component(faces: Int[np.ndarray, "F 3"]) -> tuple[Int[np.ndarray, "V"], Int[np.ndarray, "F 3"]]:
    """Vertex rows of the component with the most faces, and its faces over those rows."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    count = int(faces.max()) + 1
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    largest = int(np.bincount(labels[faces[:, 0]]).argmax())
    kept: Array = np.nonzero((labels == largest) & np.isin(np.arange(len(labels)), faces))[0]
    row = np.full(len(labels), -1)
    row[kept] = np.arange(len(kept))
    inside = faces[labels[faces[:, 0]] == largest]
    return kept, row[inside].astype(np.int32)

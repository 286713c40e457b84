"""The observed signed distance of one depth frame, as a narrow band around the seen surface.

No grid is kept. A query point is projected into the depth image (projective data association, Newcombe et al. 2011,
§3.3) and its distance to the tangent plane of the surface seen in that pixel is the observed signed distance; points
behind the surface are unobserved. Points in front of it, and points outside the subject's silhouette, are known to be
free. A frame costs 15 bytes per pixel of the subject's surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from torch import Tensor

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera, back_project
from spams_core.geometry.normals import pixel_normals

__all__ = ["SILHOUETTE_TOLERANCE_PX", "DistanceQuery", "ObservedDistance", "closed_silhouette", "observe_distance"]


@dataclass(frozen=True)
class DistanceQuery:
    """What one depth frame says about some points.

    Attributes:
        distance_m: [N] observed signed distance, positive towards the camera; where `free`, a lower bound of it.
            Differentiable in the points.
        known: [N] the point lies within the truncation of the surface seen in its pixel.
        free: [N] the point lies in front of the seen surface, or outside the subject's silhouette: no body is there.
        part: [N] the part seen in the pixel, -1 where none is known.
    """

    distance_m: Float[Tensor, "N"]
    known: Bool[Tensor, "N"]
    free: Bool[Tensor, "N"]
    part: Int[Tensor, "N"]


@dataclass(frozen=True)
class ObservedDistance:
    """Depth, normals, parts and silhouette of one frame, cut to the subject and its surroundings.

    Attributes:
        camera: Intrinsics of the whole image and the camera's place.
        corner: (u, v) of the cut's first pixel.
        depth_m: [h, w] float32, 0 where the subject has no reading.
        normals_camera: [h, w, 3] float16, towards the camera.
        parts: [h, w] int8, the part seen in a pixel, -1 where none is known: the part grid of the mask M_part.
        nearest: [h, w, 2] int16, (u, v) in the cut of the silhouette's nearest pixel; inside it the pixel itself.
    """

    camera: Camera
    corner: tuple[int, int]
    depth_m: Float[Tensor, "h w"]
    normals_camera: Float[Tensor, "h w 3"]
    parts: Int[Tensor, "h w"]
    nearest: Int[Tensor, "h w 2"]

    @property
    def bytes(self) -> int:
        """Memory that this frame holds."""
        fields = (self.depth_m, self.normals_camera, self.parts, self.nearest)
        return sum(field.numel() * field.element_size() for field in fields)

    def query(self, points_world: Float[Tensor, "N 3"], truncation_m: float) -> DistanceQuery:
        """Observed signed distance at some points.

        Args:
            points_world: Metres.
            truncation_m: Half the width of the band in which distances count as known.
        """
        camera, device = self.camera, points_world.device
        pose = torch.as_tensor(camera.world_from_camera, dtype=points_world.dtype, device=device)
        points = (points_world - pose[:3, 3]) @ pose[:3, :3]
        x, y, z = points.unbind(-1)
        safe = z.clamp_min(1e-6)
        u_real = camera.fx * x / safe + camera.cx - self.corner[0]
        v_real = camera.fy * y / safe + camera.cy - self.corner[1]
        u, v = torch.round(u_real.detach()).long(), torch.round(v_real.detach()).long()
        height, width = self.depth_m.shape
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height) & (z > 0)
        u, v = u.clamp(0, width - 1), v.clamp(0, height - 1)
        depth = self.depth_m[v, u]
        normal = self.normals_camera[v, u].to(points.dtype)
        column, row = (u + self.corner[0]).to(points.dtype), (v + self.corner[1]).to(points.dtype)
        seen = torch.stack([(column - camera.cx) / camera.fx * depth, (row - camera.cy) / camera.fy * depth, depth], -1)
        along_normal = ((points - seen) * normal).sum(-1)
        measured = inside & (depth > 0) & (normal != 0).any(-1)
        known = measured & (along_normal.detach().abs() < truncation_m)
        in_front = measured & (along_normal.detach() >= truncation_m) & (z.detach() < depth)
        # Outside the silhouette no surface is nearer than the way to its edge.
        nearest = self.nearest[v, u]
        du, dv = u_real - nearest[:, 0], v_real - nearest[:, 1]
        aside_px = (du.square() + dv.square() + 1e-12).sqrt() - SILHOUETTE_TOLERANCE_PX
        outside = inside & (nearest != torch.stack([u, v], -1)).any(-1) & (aside_px.detach() > 0)
        distance = torch.where(outside, aside_px * z / camera.fx, along_normal)
        return DistanceQuery(distance, known & ~outside, in_front | outside, self.parts[v, u])


SILHOUETTE_TOLERANCE_PX = 0.75
"""Edges of depth images are unsure by about this much."""

_CLOSING_PX = 3
"""Gaps in a mask that are not wider than twice this are missing readings of the subject."""

_SURROUNDINGS_PX = 48
"""How far around the subject the silhouette is known: half a metre at 2.5 m for a 320 × 288 camera."""


def closed_silhouette(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """A mask with its gaps of up to six pixels closed and the holes that remain inside it filled.

    Readings are missing in the middle of a body and along its edges; closing keeps such gaps from counting as free.
    """
    # Padded, because erosion takes what lies beyond the image's edge for background.
    closed = ndimage.binary_closing(np.pad(mask, _CLOSING_PX), iterations=_CLOSING_PX)
    silhouette: np.ndarray = ndimage.binary_fill_holes(closed)[_CLOSING_PX:-_CLOSING_PX, _CLOSING_PX:-_CLOSING_PX]
    return silhouette


def observe_distance(
    depth_m: Float[np.ndarray, "H W"],
    mask: Bool[np.ndarray, "H W"],
    camera: Camera,
    parts: Int[np.ndarray, "H W"],
    device: torch.device,
) -> ObservedDistance:
    """Cut a frame to its subject and keep depth, normals, parts (-1 = unlabelled) and the silhouette.

    Raises:
        InputError: The mask shows no subject with a reading.
    """
    valid = mask & (depth_m > 0)
    if not valid.any():
        raise InputError("a frame shows no subject: no pixel has both a reading and the mask. Leave the frame out.")
    normals = pixel_normals(back_project(depth_m, camera), valid)
    rows, columns = np.nonzero(valid)
    top, left = max(rows.min() - _SURROUNDINGS_PX, 0), max(columns.min() - _SURROUNDINGS_PX, 0)
    cut = (slice(top, rows.max() + 1 + _SURROUNDINGS_PX), slice(left, columns.max() + 1 + _SURROUNDINGS_PX))
    silhouette = closed_silhouette(mask[cut])
    nearest = ndimage.distance_transform_edt(~silhouette, return_distances=False, return_indices=True)
    return ObservedDistance(
        camera,
        (int(left), int(top)),
        torch.from_numpy(np.where(valid, depth_m, 0)[cut].astype(np.float32)).to(device),
        torch.from_numpy(normals[cut].astype(np.float16)).to(device),
        torch.from_numpy(np.where(valid, parts, -1)[cut].astype(np.int8)).to(device),
        torch.from_numpy(nearest[::-1].transpose(1, 2, 0).astype(np.int16)).to(device),
    )

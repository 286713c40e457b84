"""The observed signed distance of one depth frame, as a narrow band around the seen surface.

No grid is kept. A query point is projected into the depth image (projective data association, Newcombe et al. 2011,
§3.3) and its distance to the tangent plane of the surface seen in that pixel is the observed signed distance; points
farther than the truncation, or without a reading, are unobserved. A frame costs 11 bytes per pixel of the subject's
bounding box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.errors import InputError
from spams_core.geometry.camera import Camera, back_project, pixel_normals

__all__ = ["ObservedDistance", "observe_distance"]


@dataclass(frozen=True)
class ObservedDistance:
    """Depth and normals of one frame, cut to the subject.

    Attributes:
        camera: Intrinsics of the whole image and the camera's place.
        corner: (u, v) of the cut's first pixel.
        depth_m: [h, w] float32, 0 where the subject has no reading.
        normals_camera: [h, w, 3] float16, towards the camera.
        parts: [h, w] int8, the part seen in a pixel, -1 where none is known: the part grid of the mask M_part.
    """

    camera: Camera
    corner: tuple[int, int]
    depth_m: Float[Tensor, "h w"]
    normals_camera: Float[Tensor, "h w 3"]
    parts: Int[Tensor, "h w"]

    @property
    def bytes(self) -> int:
        """Memory that this frame holds."""
        return self.depth_m.numel() * 4 + self.normals_camera.numel() * 2 + self.parts.numel()

    def query(
        self, points_world: Float[Tensor, "N 3"], truncation_m: float
    ) -> tuple[Float[Tensor, "N"], Bool[Tensor, "N"], Int[Tensor, "N"]]:
        """Observed signed distance in metres, positive towards the camera, where it is known, and the part seen there.

        The distance is differentiable in the points: its gradient is the seen surface's normal.

        Args:
            points_world: Metres.
            truncation_m: Points farther than this from the seen surface point's tangent plane, or farther than three
                times this from that point, are unobserved.
        """
        camera, device = self.camera, points_world.device
        pose = torch.as_tensor(camera.world_from_camera, dtype=points_world.dtype, device=device)
        points = (points_world - pose[:3, 3]) @ pose[:3, :3]
        x, y, z = points.detach().unbind(-1)
        safe = z.clamp_min(1e-6)
        u = torch.round(camera.fx * x / safe + camera.cx).long() - self.corner[0]
        v = torch.round(camera.fy * y / safe + camera.cy).long() - self.corner[1]
        height, width = self.depth_m.shape
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height) & (z > 0)
        u, v = u.clamp(0, width - 1), v.clamp(0, height - 1)
        depth = self.depth_m[v, u]
        normal = self.normals_camera[v, u].to(points.dtype)
        column, row = (u + self.corner[0]).to(points.dtype), (v + self.corner[1]).to(points.dtype)
        seen = torch.stack([(column - camera.cx) / camera.fx * depth, (row - camera.cy) / camera.fy * depth, depth], -1)
        offset = points - seen
        distance = (offset * normal).sum(-1)
        known = inside & (depth > 0) & (normal != 0).any(-1)
        known &= (distance.detach().abs() < truncation_m) & (offset.detach().norm(dim=-1) < 3 * truncation_m)
        return distance, known, self.parts[v, u]


def observe_distance(
    depth_m: Float[np.ndarray, "H W"],
    mask: Bool[np.ndarray, "H W"],
    camera: Camera,
    parts: Int[np.ndarray, "H W"],
    device: torch.device,
) -> ObservedDistance:
    """Cut a frame to its subject and keep depth, normals and parts (-1 = unlabelled).

    Raises:
        InputError: The mask shows no subject with a reading.
    """
    valid = mask & (depth_m > 0)
    if not valid.any():
        raise InputError("a frame shows no subject: no pixel has both a reading and the mask. Leave the frame out.")
    normals = pixel_normals(back_project(depth_m, camera), valid)
    rows, columns = np.nonzero(valid)
    cut = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    return ObservedDistance(
        camera,
        (int(columns.min()), int(rows.min())),
        torch.from_numpy(np.where(valid, depth_m, 0)[cut].astype(np.float32)).to(device),
        torch.from_numpy(normals[cut].astype(np.float16)).to(device),
        torch.from_numpy(np.where(valid, parts, -1)[cut].astype(np.int8)).to(device),
    )

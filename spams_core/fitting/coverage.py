"""The subject's points that the surface does not cover in the image, and where it would have to reach to cover them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spams_core.fitting.observation import Samples
from spams_core.fitting.surface import CanonicalSurface
from spams_core.geometry.camera import Camera
from spams_core.geometry.mesh import Mesh
from spams_core.geometry.tsdf import SILHOUETTE_TOLERANCE_PX
from spams_core.metrics.silhouette import mesh_silhouette

__all__ = ["Coverage", "Uncovered"]


@dataclass(frozen=True)
class Uncovered:
    """Vertices that should move in the image plane, one for each observed point.

    Attributes:
        vertex: [Q, T, n] the vertex of the point's part that is nearest in the image.
        target: [Q, T, n, 3] where the way from it to the point ends, as deep as the vertex, metres.
        direction: [Q, T, n, 3] of that way, unit.
        weights: [Q, T, n] share of the point among the frame's; 0 where the surface covers it.
    """

    vertex: Int[Tensor, "Q T n"]
    target: Float[Tensor, "Q T n 3"]
    direction: Float[Tensor, "Q T n 3"]
    weights: Float[Tensor, "Q T n"]


@dataclass(frozen=True)
class Coverage:
    """The image of the model's surface in some frames, in the poses at its making.

    Attributes:
        camera: Whose image it is.
        world_from_camera: Its place, as a tensor.
        world: [T, V, 3] vertices, metres.
        places_px: [T, V, 2] their places (u, v) in the image.
        covered: [T, H, W] pixels that the surface covers.
    """

    camera: Camera
    world_from_camera: Float[Tensor, "4 4"]
    world: Float[Tensor, "T V 3"]
    places_px: Float[Tensor, "T V 2"]
    covered: Bool[Tensor, "T H W"]

    @classmethod
    def of(cls, surface: CanonicalSurface, world: Float[Tensor, "T V 3"], camera: Camera) -> Coverage:
        """Draw a surface with the given vertices in each frame."""
        pose = torch.as_tensor(camera.world_from_camera).to(world)
        places_px = _project(world, camera, pose)
        # Of a closed surface the triangles that are seen from one side cover what all of them cover.
        a, b, c = places_px[:, surface.faces].unbind(2)
        ab, ac = b - a, c - a
        one_side = (ab[..., 0] * ac[..., 1] > ab[..., 1] * ac[..., 0]).cpu().numpy()
        faces, vertices = surface.faces.cpu().numpy().astype(np.int32), world.cpu().numpy()
        drawn = [
            mesh_silhouette(Mesh(points, faces[side]), camera) for points, side in zip(vertices, one_side, strict=True)
        ]
        return cls(camera, pose, world, places_px, torch.from_numpy(np.stack(drawn)).to(world.device))

    def of_frames(self, frames: Int[Tensor, "F"]) -> Coverage:
        """The same for some of its frames."""
        return Coverage(
            self.camera, self.world_from_camera, self.world[frames], self.places_px[frames], self.covered[frames]
        )  # fmt: skip

    def uncovered(self, seen: Samples, of_part: tuple[Int[Tensor, "R"], ...]) -> Uncovered:
        """The observed points that the surface does not cover, each with the nearest vertex of its part in the image.

        The way to a point is shorter by `SILHOUETTE_TOLERANCE_PX`: its pixel counts as reached then.

        Args:
            seen: Observed points.
            of_part: The vertices of each part.
        """
        camera, pose = self.camera, self.world_from_camera
        places_px = _project(seen.points_world, camera, pose)
        column = places_px[..., 0].round().long().clamp(0, camera.width - 1)
        row = places_px[..., 1].round().long().clamp(0, camera.height - 1)
        frame = torch.arange(seen.weights.shape[1], device=row.device)[:, None]
        bare = ~self.covered[frame[None], row, column]
        nearest = [
            torch.cdist(places, self.places_px[:, rows]).min(-1)
            for places, rows in zip(places_px, of_part, strict=True)
        ]
        away_px = torch.stack([found.values for found in nearest])
        vertex = torch.stack([rows[found.indices] for found, rows in zip(nearest, of_part, strict=True)])
        start = self.world[frame, vertex]
        aside_px = places_px - self.places_px[frame, vertex]
        reach = (away_px - SILHOUETTE_TOLERANCE_PX).clamp_min(0)
        depth_m = (start - pose[:3, 3]) @ pose[:3, 2]
        focal = torch.tensor([camera.fx, camera.fy]).to(aside_px)
        aside_m = aside_px / focal * (reach / away_px.clamp_min(1e-6) * depth_m)[..., None]
        way = aside_m @ pose[:3, :2].T
        weights = seen.weights * (bare & (reach > 0))
        return Uncovered(
            vertex,
            start + way,
            torch.nn.functional.normalize(way, dim=-1),
            weights / seen.weights.sum((0, 2), keepdim=True).clamp_min(1e-9),
        )


def _project(
    points_world: Float[Tensor, "*batch 3"], camera: Camera, world_from_camera: Float[Tensor, "4 4"]
) -> Float[Tensor, "*batch 2"]:
    points = (points_world - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    depth_m = points[..., 2].clamp_min(1e-3)
    return torch.stack(
        [camera.fx * points[..., 0] / depth_m + camera.cx, camera.fy * points[..., 1] / depth_m + camera.cy], -1
    )  # fmt: skip

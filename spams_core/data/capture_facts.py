"""What a look at a recording tells before it is fitted: sizes, missing readings, floor, and what looks wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spams_core.data.isolation import Room
from spams_core.data.sequence import DepthSequence
from spams_core.frames import transform_points
from spams_core.geometry.camera import back_project

__all__ = ["CaptureFacts", "capture_facts"]

_FRAMES = 5
_PERSON_M = (0.5, 2.7)
"""Standing, sitting or with raised arms: whoever is smaller or larger is measured with a wrong scale."""

_SLOW_FPS = 8.0
_GAPPY_SHARE = 0.25


@dataclass(frozen=True)
class CaptureFacts:
    """Measured over a few frames.

    Attributes:
        width, height: Pixels.
        fps: Frames per second.
        frame_count: All frames of the recording.
        missing_share: Share of the image's pixels without a reading.
        gap_share: Share of the pixels inside the subject's outline without a reading; None where no subject is seen.
        depth_range_m: 1st and 99th percentile of the subject's depth; None where no subject is seen.
        size_m: Width, height above the floor's level and depth of the subject in the world; None likewise.
        clipped_frames: Frames looked at in which the subject touches the image's border.
        floor_found: Whether a floor is seen.
        tilt_deg: How far the camera looks down from the horizontal, by the floor or else by camera.json.
        camera_height_m: Above the floor; None where none is seen.
    """

    width: int
    height: int
    fps: float
    frame_count: int
    missing_share: float
    gap_share: float | None
    depth_range_m: tuple[float, float] | None
    size_m: tuple[float, float, float] | None
    clipped_frames: tuple[int, ...]
    floor_found: bool
    tilt_deg: float
    camera_height_m: float | None

    def warnings(self) -> list[str]:
        """What looks wrong, each with what to do."""
        found = []
        if self.size_m is None:
            found.append("No subject is seen in the frames looked at. Pick the person, or widen range and box.")
        else:
            height, low, high = self.size_m[1], *_PERSON_M
            if not low <= max(self.size_m) <= high:
                found.append(
                    f"The subject is {height:.2g} m tall. If only the person is kept, depth_scale in camera.json is "
                    "wrong; else pick the person."
                )
        if self.clipped_frames:
            where = ", ".join(map(str, self.clipped_frames))
            found.append(f"The subject touches the image's border in frame {where}. What is outside will be guessed.")
        if self.gap_share is not None and self.gap_share > _GAPPY_SHARE:
            found.append(
                f"{100 * self.gap_share:.0f} % of the subject has no reading. Dark or shiny cloth, or too near or far?"
            )
        if self.fps < _SLOW_FPS:
            found.append(f"{self.fps:g} frames per second are few: fast limbs move far between frames.")
        return found


def capture_facts(sequence: DepthSequence) -> CaptureFacts:
    """Look at a few frames over the recording; of a picked subject, at those from the pick on.

    Raises:
        InputError: A frame cannot be read.
    """
    from scipy import ndimage

    camera, subject = sequence.camera, sequence.subject
    frames = sorted({*np.linspace(0, sequence.frame_count - 1, _FRAMES).astype(int).tolist()})
    if subject is not None and subject.keep == "picked" and subject.pick is not None:
        # Following somebody through the whole recording takes long.
        frames = list(range(subject.pick[0], min(subject.pick[0] + _FRAMES, sequence.frame_count)))
    room = sequence.room or Room(sequence)
    floor = room.floor()
    missing, gaps, clipped, sizes, depths = [], [], [], [], []
    for t in frames:
        depth_m = sequence.read_depth_m(t)
        kept = sequence.read_mask(t) & (depth_m > 0)
        missing.append(float((depth_m == 0).mean()))
        if not kept.any():
            continue
        outline = ndimage.binary_closing(np.pad(kept, 4), iterations=3)[4:-4, 4:-4] | kept
        gaps.append(float((depth_m[outline] == 0).mean()))
        if kept[[0, -1]].any() or kept[:, [0, -1]].any():
            clipped.append(t)
        points = transform_points(camera.world_from_camera, back_project(depth_m, camera)[kept])
        low, high = np.percentile(points, [0.2, 99.8], axis=0)  # single stray readings are no part of anybody
        sizes.append(high - low)
        depths.append(np.percentile(depth_m[kept], [1, 99]))
    up = floor.normal if floor is not None else np.array([0.0, 1.0, 0.0])
    forward, place = camera.world_from_camera[:3, 2], camera.world_from_camera[:3, 3]
    spans = np.median(sizes, axis=0).tolist() if sizes else None
    return CaptureFacts(
        camera.width,
        camera.height,
        sequence.fps,
        sequence.frame_count,
        float(np.mean(missing)),
        float(np.mean(gaps)) if gaps else None,
        (float(np.min(depths)), float(np.max(depths))) if depths else None,
        (spans[0], spans[1], spans[2]) if spans else None,
        tuple(clipped),
        floor is not None,
        float(np.degrees(np.arcsin(np.clip(-forward @ up, -1.0, 1.0)))),
        float(floor.heights_m(place)) if floor is not None else None,
    )

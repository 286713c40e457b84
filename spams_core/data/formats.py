"""Which formats of recordings there are, and which one a path holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spams_core.data.surface_recording import holds_clouds, holds_meshes, open_clouds, open_meshes
from spams_core.errors import InputError
from spams_core.io.azure_kinect import holds_azure_kinect, open_azure_kinect
from spams_core.io.depth_images import holds_depth_images, open_depth_images
from spams_core.io.native_sequence import holds_native, open_native
from spams_core.io.record3d import holds_record3d, open_record3d
from spams_core.io.ros_bag import holds_ros_bag, open_ros_bag
from spams_core.io.scannet import holds_scannet, open_scannet
from spams_core.io.source import ReadingSettings, Source
from spams_core.io.tum_rgbd import holds_tum_rgbd, open_tum_rgbd

__all__ = ["FORMATS", "Format", "format_of", "open_format"]


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        holds: Path → whether its content is of this format; looks at little and never raises.
        open: Path and settings → the opened recording; raises InputError.
    """

    holds: Callable[[Path], bool]
    open: Callable[[Path, ReadingSettings], Source]


FORMATS: dict[str, Format] = {
    "native": Format(holds_native, open_native),
    "tum_rgbd": Format(holds_tum_rgbd, open_tum_rgbd),
    "record3d": Format(holds_record3d, open_record3d),
    "scannet": Format(holds_scannet, open_scannet),
    "ros_bag": Format(holds_ros_bag, open_ros_bag),
    "azure_kinect": Format(holds_azure_kinect, open_azure_kinect),
    "depth_images": Format(holds_depth_images, open_depth_images),
    "meshes": Format(holds_meshes, open_meshes),
    "clouds": Format(holds_clouds, open_clouds),
}
"""Every format by name; the first one that a path's content fits is taken."""


def format_of(path: Path) -> str | None:
    """The format of what lies at `path`, or None where none fits."""
    try:
        return next((name for name, kind in FORMATS.items() if kind.holds(path)), None)
    except (OSError, ValueError):
        return None


def open_format(path: Path, reading: ReadingSettings) -> Source:
    """Open a recording of any format, as it is.

    Raises:
        InputError: Nothing is there, it is of no known format, or it is faulty.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist. Give a recording.")
    name = format_of(path)
    if name is None:
        raise InputError(
            f"{path} is no recording of a known format. Give a folder with camera.json and depth, or one that "
            "docs/guide/record.md lists."
        )
    return FORMATS[name].open(path, reading)

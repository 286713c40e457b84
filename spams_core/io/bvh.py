"""Biovision Hierarchy (.bvh) motion clips, after Meredith & Maddock, "Motion Capture File Formats Explained" (2001)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from spams_core.errors import InputError

__all__ = ["BvhClip", "read_bvh", "write_bvh"]

_CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
_MAX_DEPTH = 200  # of nested joints; human skeletons have about 20


@dataclass(frozen=True)
class BvhClip:
    """A skeleton and T frames of its motion, in the file's own axes and length unit.

    Attributes:
        path: The file, for messages.
        names: J joint names; parents come before children, end sites are called "PARENT end".
        parents: [J] row of each joint's parent, -1 for the root.
        offsets: [J, 3] rest position relative to the parent.
        rotations: [T, J, 3, 3] local rotation matrices.
        translations: [T, J, 3] local translations: the offset, or what position channels give in its stead.
        fps: Frames per second.
    """

    path: Path
    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "J 3"]
    rotations: Float[np.ndarray, "T J 3 3"]
    translations: Float[np.ndarray, "T J 3"]
    fps: float

    def __len__(self) -> int:
        return len(self.rotations)

    def global_transforms(self) -> tuple[Float[np.ndarray, "T J 3 3"], Float[np.ndarray, "T J 3"]]:
        """World rotations and positions of all joints."""
        turned = np.empty_like(self.rotations)
        place = np.empty_like(self.translations)
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                turned[:, joint], place[:, joint] = self.rotations[:, joint], self.translations[:, joint]
            else:
                turned[:, joint] = turned[:, parent] @ self.rotations[:, joint]
                offset = np.einsum("tij,tj->ti", turned[:, parent], self.translations[:, joint])
                place[:, joint] = place[:, parent] + offset
        return turned, place


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, ...] = ()
    channels: tuple[str, ...] = ()


class _Words:
    """The file's words with the line each stands in, for messages."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.line = 0
        self._words: Iterator[tuple[int, str]] = (
            (number, word) for number, line in enumerate(text.splitlines(), start=1) for word in line.split()
        )

    def fail(self, what: str) -> InputError:
        return InputError(f"{self.path}, line {self.line}: {what}. The file is damaged or no BVH; export it again.")

    def next(self) -> str:
        for number, word in self._words:
            self.line = number
            return word
        raise self.fail("the file ends too early")

    def expect(self, *wanted: str) -> str:
        word = self.next()
        if word.upper() not in wanted:
            raise self.fail(f"{word[:40]!r} stands where {' or '.join(wanted)} should")
        return word.upper()

    def number(self) -> float:
        word = self.next()
        try:
            value = float(word)
        except ValueError:
            raise self.fail(f"{word[:40]!r} is no number") from None
        if not np.isfinite(value):
            raise self.fail(f"{word} is no finite number")
        return value

    def count(self) -> int:
        value = self.number()
        if value < 0 or value != int(value):
            raise self.fail(f"{value:g} is no count")
        return int(value)

    def rest(self) -> list[tuple[int, str]]:
        return list(self._words)


def _read_joint(words: _Words, joints: list[_Joint], parent: int, name: str, depth: int) -> None:
    """Read one joint's block and, recursively, its children's; the name is read already."""
    if depth > _MAX_DEPTH:
        raise words.fail(f"joints are nested more than {_MAX_DEPTH} deep")
    own = len(joints)
    joint = _Joint(name, parent)
    joints.append(joint)
    words.expect("{")
    words.expect("OFFSET")
    joint.offset = (words.number(), words.number(), words.number())
    if name.endswith(" end"):
        words.expect("}")
        return
    words.expect("CHANNELS")
    channels = [words.next() for _ in range(_channel_count(words))]
    known = {channel.lower(): channel for channel in _CHANNELS}
    for channel in channels:
        if channel.lower() not in known:
            raise words.fail(f"{channel[:40]!r} is no channel; a channel count may be wrong")
    joint.channels = tuple(known[channel.lower()] for channel in channels)
    if len(set(joint.channels)) < len(joint.channels):
        raise words.fail(f"joint {name!r} names a channel twice")
    while True:
        word = words.expect("JOINT", "END", "}")
        if word == "}":
            return
        child = words.next()
        _read_joint(words, joints, own, f"{name} end" if word == "END" else child, depth + 1)


def _channel_count(words: _Words) -> int:
    count = words.count()
    if count > len(_CHANNELS):
        raise words.fail(f"a joint has {count} channels; at most {len(_CHANNELS)} make sense")
    return count


def read_bvh(path: Path) -> BvhClip:
    """Read a motion clip.

    Raises:
        InputError: The file is missing, unreadable, truncated, no BVH, contradicts its own counts, or holds numbers
            that are not finite.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{path} cannot be read as BVH ({reason}). Give a .bvh motion clip.") from error
    words = _Words(path, text)
    words.expect("HIERARCHY")
    words.expect("ROOT")
    joints: list[_Joint] = []
    _read_joint(words, joints, -1, words.next(), 0)
    words.expect("MOTION")
    words.expect("FRAMES:")
    frames = words.count()
    words.expect("FRAME")
    words.expect("TIME:")
    frame_time = words.number()
    if frames < 1 or frame_time <= 0:
        raise words.fail(f"{frames} frames of {frame_time:g} s make no motion")
    values = _motion_values(words, frames, sum(len(joint.channels) for joint in joints))
    return _clip(path, joints, values, 1.0 / frame_time)


def _motion_values(words: _Words, frames: int, channels: int) -> Float[np.ndarray, "T C"]:
    rest = words.rest()
    if len(rest) != frames * channels:
        raise InputError(
            f"{words.path}: {frames} frames of {channels} channels need {frames * channels} numbers but {len(rest)} "
            "follow; the file is truncated or its counts are wrong. Export it again."
        )
    try:
        values = np.array([word for _, word in rest], dtype=np.float64)
    except ValueError:
        for words.line, word in rest:
            try:
                float(word)
            except ValueError:
                raise words.fail(f"{word[:40]!r} is no number") from None
        raise
    if not np.isfinite(values).all():
        words.line, word = rest[int(np.argmin(np.isfinite(values)))]
        raise words.fail(f"{word} is no finite number")
    return values.reshape(frames, channels)


def _clip(path: Path, joints: list[_Joint], values: np.ndarray[Any, Any], fps: float) -> BvhClip:
    frames = len(values)
    offsets = np.array([joint.offset for joint in joints])
    rotations = np.broadcast_to(np.eye(3), (frames, len(joints), 3, 3)).copy()
    translations = np.broadcast_to(offsets, (frames, len(joints), 3)).copy()
    column = 0
    for row, joint in enumerate(joints):
        for channel in joint.channels:
            axis = "XYZ".index(channel[0])
            if channel.endswith("position"):
                translations[:, row, axis] = values[:, column]
            else:
                # Channels multiply in the order they are named: R = R_first · R_second · R_third.
                turn = Rotation.from_rotvec(values[:, column, None] * np.eye(3)[axis], degrees=True).as_matrix()
                rotations[:, row] = rotations[:, row] @ turn
            column += 1
    return BvhClip(
        path,
        tuple(joint.name for joint in joints),
        tuple(joint.parent for joint in joints),
        offsets,
        rotations,
        translations,
        fps,
    )


def write_bvh(path: Path, clip: BvhClip) -> None:
    """Write a clip whose root moves and whose other joints only turn.

    Args:
        path: File to write; the clip's own path plays no part.
        clip: Its end sites have names that end in " end"; spaces in other names become underscores.
    """
    children: dict[int, list[int]] = {row: [] for row in range(-1, len(clip.names))}
    for row, parent in enumerate(clip.parents):
        children[parent].append(row)
    (root,) = children[-1]
    lines, order = ["HIERARCHY"], list[int]()

    def describe(row: int, indent: str) -> None:
        end = clip.names[row].endswith(" end")
        title = "End Site" if end else f"{'ROOT' if row == root else 'JOINT'} {'_'.join(clip.names[row].split())}"
        lines.extend([f"{indent}{title}", f"{indent}{{", f"{indent}  OFFSET {_numbers(clip.offsets[row])}"])
        if not end:
            order.append(row)
            channels = (*(_CHANNELS[:3] if row == root else ()), "Zrotation", "Xrotation", "Yrotation")
            lines.append(f"{indent}  CHANNELS {len(channels)} {' '.join(channels)}")
            for child in children[row]:
                describe(child, f"{indent}  ")
        lines.append(f"{indent}}}")

    describe(root, "")
    frames = len(clip)
    turns = Rotation.from_matrix(clip.rotations[:, order].reshape(-1, 3, 3)).as_euler("ZXY", degrees=True)
    values = np.concatenate([clip.translations[:, root], turns.reshape(frames, -1)], axis=1)
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {1 / clip.fps:.9g}", *map(_numbers, values)]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _numbers(values: Float[np.ndarray, "N"]) -> str:
    # Fixed point, as old readers want it; a billionth of a degree or metre is below what float32 tells apart.
    return " ".join(f"{value:.9f}" for value in values)

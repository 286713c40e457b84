"""An edit as data for a project file, and back: the same state to the last bit. Knows no Qt."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from app.edit.state import Codes, EditState, Key, Pin, PoseEdit, Shift, same_state
from spams_core.errors import InputError

__all__ = ["StateSizes", "state_from_data", "state_to_data"]


@dataclass(frozen=True)
class StateSizes:
    """What a model says about the size of an edit.

    Attributes:
        shape, pose: [Q, K] of the deviations.
        shape_codes, pose_codes: [Q, D] of the codes.
    """

    shape: tuple[int, ...]
    pose: tuple[int, ...]
    shape_codes: tuple[int, ...]
    pose_codes: tuple[int, ...]


def state_to_data(state: EditState, fitted: Codes | None) -> dict[str, Any] | None:
    """Everything that undo would bring back, ready for JSON; None where nothing is changed or chosen.

    Args:
        fitted: The open fit's body in all its poses. Where it is body A or B it is named and not copied.
    """
    if same_state(state, EditState.neutral(state.shape_sigma.shape, state.pose.sigma.shape)):
        return None
    return {
        "shape": {"sigma": state.shape_sigma.tolist(), "shift": list(state.shape_shift)},
        "pose": _edit_data(state.pose),
        "keyframes": [{"frame": key.frame, **_edit_data(key.edit)} for key in state.keys],
        "blend": {
            "on": state.blending, "a": _body_data(state.a, fitted), "b": _body_data(state.b, fitted),
            "shape_amount": state.shape_amount, "pose_amount": state.pose_amount,
            "shape_parts": list(state.shape_parts), "pose_parts": list(state.pose_parts),
            "spherical": state.spherical,
        },
        "pins": [
            {"frame": pin.frame, "part": pin.part, "point": list(pin.point), "target_m": list(pin.target_m)}
            for pin in state.pins
        ],
        "held_parts": list(state.held),
    }  # fmt: skip


def state_from_data(data: Mapping[str, Any], sizes: StateSizes, fitted: Codes | None) -> EditState:
    """The state that such data describe.

    Raises:
        InputError: They are damaged, or belong to another model or fit.
    """
    try:
        return _state(data, sizes, fitted)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"The edits in this project cannot be used ({error}); they belong to another model, or are damaged. "
            "They are left out. To have them back, open the project with the fit that it was saved with."
        ) from error


def _state(data: Mapping[str, Any], sizes: StateSizes, fitted: Codes | None) -> EditState:
    blend, count = data["blend"], sizes.shape[0]
    keys = tuple(Key(_index(key["frame"]), _edit(key, sizes.pose)) for key in data["keyframes"])
    if [key.frame for key in keys] != sorted({key.frame for key in keys}):
        raise ValueError("keyframes out of order")
    pins = tuple(
        Pin(_index(pin["frame"]), _index(pin["part"], count), _triple(pin["point"]), _triple(pin["target_m"]))
        for pin in data["pins"]
    )
    return EditState(
        _numbers(data["shape"]["sigma"], sizes.shape),
        _edit(data["pose"], sizes.pose),
        _shift(data["shape"]["shift"]),
        keys,
        _body(blend["a"], sizes, fitted),
        _body(blend["b"], sizes, fitted),
        _share(blend["shape_amount"]),
        _share(blend["pose_amount"]),
        _switches(blend["shape_parts"], count),
        _switches(blend["pose_parts"], count),
        bool(blend["spherical"]),
        bool(blend["on"]),
        pins,
        tuple(_index(part, count) for part in data["held_parts"]),
    )


def _edit_data(edit: PoseEdit) -> dict[str, Any]:
    return {"sigma": edit.sigma.tolist(), "shift": list(edit.shift)}


def _edit(data: Mapping[str, Any], size: tuple[int, ...]) -> PoseEdit:
    return PoseEdit(_numbers(data["sigma"], size), _shift(data["shift"]))


def _body_data(body: Codes | None, fitted: Codes | None) -> dict[str, Any] | None:
    if body is None:
        return None
    if fitted is not None and body.shape is fitted.shape and body.motion is fitted.motion:
        return {"title": body.title, "of": "fit"}
    return {
        "title": body.title,
        "shape": _array_data(body.shape),
        "pose": _array_data(body.pose),
        "motion": _array_data(body.motion) if body.motion is not None else None,
        "frames": body.frames.tolist() if body.frames is not None else None,
    }


def _body(data: Mapping[str, Any] | None, sizes: StateSizes, fitted: Codes | None) -> Codes | None:
    if data is None:
        return None
    if data.get("of") == "fit":
        if fitted is None:
            raise ValueError("its body is that of a fit which is not open")
        return fitted
    frames, motion = data["frames"], None
    if data["motion"] is not None:
        frames = np.array([_index(frame) for frame in frames])
        motion = _array(data["motion"], (len(frames), *sizes.pose_codes))
    shape, pose = _array(data["shape"], sizes.shape_codes), _array(data["pose"], sizes.pose_codes)
    return Codes(str(data["title"]), shape, pose, motion, frames)


def _array_data(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Codes are many numbers of which nobody reads one: as text of their bytes."""
    return {"size": list(array.shape), "float32": base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")}


def _array(data: Mapping[str, Any], size: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    array = np.frombuffer(base64.b64decode(data["float32"], validate=True), "<f4").astype(np.float32)
    return _checked(array.reshape(data["size"]), size)


def _numbers(data: Sequence[Any], size: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    return _checked(np.array(data, dtype=float), size)


def _checked(array: np.ndarray[Any, Any], size: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if array.shape != size:
        raise ValueError(f"{list(array.shape)} numbers instead of {list(size)}")
    if not np.isfinite(array).all():
        raise ValueError("a number is not finite")
    return array


def _shift(data: Sequence[Any]) -> Shift:
    x, y = _checked(np.array(data, dtype=float), (2,)).tolist()
    return x, y


def _triple(data: Sequence[Any]) -> tuple[float, float, float]:
    x, y, z = _checked(np.array(data, dtype=float), (3,)).tolist()
    return x, y, z


def _share(value: Any) -> float:
    if not 0 <= float(value) <= 1:
        raise ValueError(f"{value} is no share")
    return float(value)


def _index(value: Any, end: int | None = None) -> int:
    if not isinstance(value, int) or value < 0 or (end is not None and value >= end):
        raise ValueError(f"{value!r} is no index")
    return value


def _switches(values: Sequence[Any], count: int) -> tuple[bool, ...]:
    if len(values) not in (0, count):
        raise ValueError(f"{len(values)} parts instead of {count}")
    return tuple(bool(value) for value in values)

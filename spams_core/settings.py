"""Settings are frozen dataclasses beside what they configure; this module turns them into plain data and back."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import docstring_parser
import numpy as np

from spams_core.errors import InputError

__all__ = ["field_help", "json_ready", "parse_frames", "settings_from_dict", "settings_to_dict"]

S = TypeVar("S")


def settings_to_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as data that JSON can hold; paths become strings, tuples lists."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value

    result: dict[str, Any] = plain(settings)
    return result


def settings_from_dict(kind: type[S], data: Mapping[str, Any]) -> S:
    """Rebuild a settings dataclass from `settings_to_dict`'s data.

    Raises:
        InputError: A key is unknown or missing, or a value is of another type or outside the range that is checked.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{kind.__name__} needs settings by name, not {data!r}. Make them again.")
    hints = typing.get_type_hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - names)
    if unknown:
        raise InputError(f"{kind.__name__} has no setting {unknown[0]!r}. It knows: {', '.join(sorted(names))}.")

    def typed(hint: Any, value: Any) -> Any:
        if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
            return settings_from_dict(typing.cast(type, hint), value)
        for choice in typing.get_args(hint):  # settings that may be left out
            if dataclasses.is_dataclass(choice) and isinstance(value, Mapping):
                return settings_from_dict(typing.cast(type, choice), value)
        if hint is Path or (Path in typing.get_args(hint) and isinstance(value, str)):
            return Path(value)
        origins: list[Any] = [typing.get_origin(kind) for kind in (hint, *typing.get_args(hint))]
        if isinstance(value, list) and tuple in origins:
            return tuple(value)
        return value

    values = {name: typed(hints[name], value) for name, value in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise InputError(f"{kind.__name__}: a setting is missing or of another type ({error}). Correct it.") from error


def json_ready(value: Any) -> Any:
    """The value as JSON can hold it: numpy numbers and arrays plain, paths text, NaN and infinity null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: json_ready(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return json_ready(value.tolist())
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def field_help(kind: type[Any]) -> dict[str, str]:
    """The docstring below each field: the one help text, for `--help` and for tooltips alike."""
    parsed = docstring_parser.parse_from_object(kind)
    return {param.arg_name: (param.description or "").strip() for param in parsed.params}


def parse_frames(text: str, count: int) -> range:
    """Frames chosen by `a:b:step` out of `count`, as Python slices choose: a included, b not, negative from the end.

    A single number chooses that frame, an empty text all of them.

    Raises:
        InputError: It is no such text, steps backwards, or chooses nothing.
    """
    fields = text.split(":")
    try:
        numbers = [int(field) if field.strip() else None for field in fields]
        if len(numbers) == 1 and numbers[0] is not None:
            chosen = range(count)[numbers[0] :][:1] if -count <= numbers[0] else range(0)
        else:
            chosen = range(count)[slice(*numbers)]
    except (ValueError, TypeError) as error:
        raise InputError(f"--frames {text}: write a:b:step, such as 0:100:2, or one number.") from error
    if chosen.step < 0:
        raise InputError(f"--frames {text}: the step must be positive. Write a:b:step, such as 0:100:2.")
    if not chosen:
        raise InputError(f"--frames {text} chooses none of the {count} frames, 0 to {count - 1}. Choose others.")
    return chosen

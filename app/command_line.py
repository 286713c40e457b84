"""A task's settings as the command that would run it: `spams fit walk --out walk_fit --preset accurate`."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
import typing
from collections.abc import Iterator
from typing import Annotated, Any

__all__ = ["argument_words", "command_line"]


def command_line(command: str, settings: Any) -> str:
    """The command as one line, quoted for this system's shell; settings at their default are left out.

    Args:
        command: How it begins, such as "spams fit".
    """
    words = [*command.split(), *argument_words(settings)]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def argument_words(settings: Any) -> list[str]:
    """What follows the command, word by word."""
    hints = typing.get_type_hints(type(settings), include_extras=True)
    positional: list[str] = []
    options: list[str] = []
    nested: list[str] = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if _is_positional(hints[field.name]):
            positional.append(str(value))
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            within = list(_options(value, f"{_kebab(field.name)}."))
            if dataclasses.is_dataclass(hints[field.name]):
                options += within
            else:  # optional settings are a command of their own, at the end
                nested += [f"{_kebab(field.name)}:{_kebab(type(value).__name__)}", *within]
        else:
            options += _option(field, value, "")
    return [*positional, *options, *nested]


def _options(settings: Any, prefix: str) -> Iterator[str]:
    for field in dataclasses.fields(settings):
        yield from _option(field, getattr(settings, field.name), prefix)


def _option(field: dataclasses.Field[Any], value: Any, prefix: str) -> Iterator[str]:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if value == default:
        return
    name = f"{prefix}{_kebab(field.name)}"
    if isinstance(value, bool):
        yield f"--{name}" if value else f"--{prefix}no-{_kebab(field.name)}"
    elif isinstance(value, (tuple, list)):
        yield from (f"--{name}", *map(str, value))
    else:
        text = str(value)
        # A value that begins with a dash would be taken for an option.
        yield from (f"--{name}={text}",) if text.startswith("-") else (f"--{name}", text)


def _is_positional(hint: Any) -> bool:
    return typing.get_origin(hint) is Annotated and any("positional" in repr(m).lower() for m in hint.__metadata__)


def _kebab(name: str) -> str:
    """`SolveSettings` and `joint_rounds` as the command line writes them."""
    spaced = "".join(f"-{c.lower()}" if c.isupper() else c for c in name)
    return spaced.replace("_", "-").strip("-")

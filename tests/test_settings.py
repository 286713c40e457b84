from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from spams_core.errors import InputError
from spams_core.settings import field_help, json_ready, parse_frames, settings_from_dict, settings_to_dict


@dataclass(frozen=True)
class Inner:
    """Inner settings."""

    width: int = 3
    """How wide."""


@dataclass(frozen=True)
class Outer:
    """Outer settings."""

    path: Path
    """Where."""
    sizes: tuple[int, ...] = (1, 2)
    inner: Inner = Inner()
    other: Path | None = None

    def __post_init__(self) -> None:
        if self.sizes == ():
            raise InputError("sizes is empty. Give some.")


def test_settings_survive_json():
    settings = Outer(Path("a/b"), (3,), Inner(5), Path("c"))
    data = json.loads(json.dumps(settings_to_dict(settings)))
    assert settings_from_dict(Outer, data) == settings


def test_unknown_and_wrong_settings_are_refused():
    with pytest.raises(InputError, match=r"Outer has no setting 'size'\. It knows: inner, other, path, sizes"):
        settings_from_dict(Outer, {"path": "a", "size": 3})
    with pytest.raises(InputError, match="Inner has no setting 'depth'"):
        settings_from_dict(Outer, {"path": "a", "inner": {"depth": 3}})
    with pytest.raises(InputError, match="sizes is empty"):
        settings_from_dict(Outer, {"path": "a", "sizes": []})
    with pytest.raises(InputError, match=r"Outer: a setting is missing or of another type .*path"):
        settings_from_dict(Outer, {})
    with pytest.raises(InputError, match="Outer needs settings by name, not 3"):
        settings_from_dict(Outer, 3)  # type: ignore[arg-type]


def test_help_is_the_docstring_below_the_field():
    assert field_help(Outer)["path"] == "Where."


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", range(10)),
        (":", range(10)),
        ("5", [5]),
        ("-1", [9]),
        ("2:8:3", [2, 5]),
        ("7:", [7, 8, 9]),
        (":-7", [0, 1, 2]),
        (" 3 : 5 ", [3, 4]),
        ("8:100", [8, 9]),
    ],
)
def test_frames_are_chosen_as_python_slices(text, wanted):
    assert list(parse_frames(text, 10)) == list(wanted)


@pytest.mark.parametrize("text", ["a", "1e3", "1.5", "1:2:3:4", "::0", "::-1", "10", "-11", "5:5", "20:", "1,2"])
def test_nonsense_frames_are_one_clear_line(text):
    with pytest.raises(InputError, match=rf"^--frames {text}.*\.$") as caught:
        parse_frames(text, 10)
    assert "\n" not in str(caught.value)


def test_json_ready_holds_numpy_paths_and_no_nan():
    value = {
        "a": np.float32(1.5),
        "b": np.array([[1.0, np.nan]]),
        "c": (Path("x"), float("inf")),
        3: Inner(),
        "d": True,
    }
    assert json_ready(value) == {"a": 1.5, "b": [[1.0, None]], "c": ["x", None], "3": {"width": 3}, "d": True}
    json.dumps(json_ready(value), allow_nan=False)

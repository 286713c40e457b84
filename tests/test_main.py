"""`python main.py`: a command, or the window."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import main as program
from spams_core import __version__


@pytest.fixture
def opened(monkeypatch) -> list[list[str]]:
    """What the window would have been opened with."""
    calls: list[list[str]] = []
    launch = ModuleType("app.launch")
    launch.run = lambda paths: calls.append(paths) or 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "app.launch", launch)
    return calls


@pytest.mark.parametrize("arguments", [[], ["recordings/walk"], ["a", "b"]])
def test_paths_and_nothing_open_the_window(opened, arguments):
    assert program.main(arguments) == 7
    assert opened == [arguments]


def test_commands_and_options_run_the_command_line(opened, capsys):
    assert program.main(["--version"]) == 0
    assert capsys.readouterr().out == f"spams {__version__}\n"
    assert program.main(["export"]) == 2
    assert opened == []


def test_without_a_toolkit_the_window_says_what_to_install(monkeypatch, capsys):
    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("PySide6", "pyvista"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.split(".")[0] in ("app", "PySide6", "pyvista")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    assert program.main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("spams: the window needs PySide6")
    assert error.count("\n") == 1

"""The package's shape: import contracts, what may be missing at run time, what the wheel carries."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

IMPORT_ALL_OF_THE_CORE = """
import sys

class Absent:
    # As on a machine where neither the window's toolkits nor the extra `synthetic` are installed.
    names = {"PySide6", "shiboken6", "qtpy", "vtk", "vtkmodules", "pyvista", "pyvistaqt", "pyqtgraph", "qtawesome",
             "anny", "warp", "embreex", "fast_simplification", "lzfse", "rosbags", "lz4", "av"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())

import importlib, pkgutil
import spams_core

modules = [module.name for module in pkgutil.walk_packages(spams_core.__path__, "spams_core.")]
for name in modules:
    importlib.import_module(name)
print(len(modules), spams_core.__file__)
"""


def _run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_imports_point_down_only() -> None:
    # In a process of its own: the linter's logging set-up would silence all loggers that exist.
    _run("-c", "from importlinter.cli import lint_imports as l; raise SystemExit(l(no_cache=True))", cwd=ROOT)


def test_core_imports_without_window_toolkits_and_extras(tmp_path: Path) -> None:
    count = int(_run("-c", IMPORT_ALL_OF_THE_CORE, cwd=ROOT).split()[0])
    assert count == len([*(ROOT / "spams_core").rglob("*.py")]) - 1  # all but the package itself


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, unpacked as pip does."""
    folder = tmp_path_factory.mktemp("wheel")
    _run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "site")
    return folder / "site"


def test_wheel_carries_all_of_the_program_and_its_resources(installed: Path) -> None:
    def tracked(folder: Path, prefix: str) -> set[str]:
        return {
            prefix + str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    wanted = tracked(ROOT / "spams_core", "spams_core/") | tracked(ROOT / "app", "app/")
    wanted |= tracked(ROOT / "resources", "spams_core/resources/")
    (information,) = installed.glob("*.dist-info")
    assert tracked(installed, "") == wanted | tracked(information, information.name + "/")


def test_installed_commands_exist(installed: Path) -> None:
    (information,) = installed.glob("*.dist-info")
    points = PathDistribution(information).entry_points
    assert {point.name: point.group for point in points} == {"spams": "console_scripts", "spam-studio": "gui_scripts"}
    for point in points:
        assert callable(point.load())


def test_installed_command_finds_the_bundled_model(installed: Path, tmp_path: Path) -> None:
    start = "import spams_core, spams_core.cli as cli; print(spams_core.__file__); cli.main(['info', '--json'])"
    output = _run("-c", start, cwd=tmp_path, PYTHONPATH=str(installed))
    assert output.startswith(str(installed))
    assert str(installed / "spams_core" / "resources") in output

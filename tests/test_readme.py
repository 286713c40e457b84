"""The documentation says nothing that the program doesn't do."""

from __future__ import annotations

import ast
import functools
import re
import shlex
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import tyro

from app.export.pictures import RenderSettings
from spams_core import cli
from spams_core.fitting.settings import SolveSettings
from spams_core.models.spam import COMPACT, PAPER
from spams_core.tasks import TASKS
from spams_core.tasks.fit import PRESETS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "resources/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

# Lines of shell blocks that belong to other programs.
FOREIGN = ("git clone ", "cd ", "pip install ", ". .venv/bin/activate", "xvfb-run ", "blender ", "pybabel ", "env ")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; the word `run` after its language marks it as cheap enough to be executed."""

    page: Path
    line: int
    language: str
    run: bool
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[str]:
        """The lines of a shell block, continuations joined, without comments."""
        joined = self.text.replace("\\\n", " ")
        return [line for line in (" ".join(shlex.split(raw, comments=True)) for raw in joined.splitlines()) if line]


def _blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(
            r"^```(\w+)?( run)?(?: example| output)?\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL
        ):
            line = text[: match.start()].count("\n") + 1
            found.append(Block(page, line, match[1] or "", bool(match[2]), match[3]))
    return found


BLOCKS = _blocks()
COMMANDS = [(block, command) for block in BLOCKS if block.language == "sh" for command in block.commands()]


def _ids(rows: list[tuple[Block, str]]) -> list[str]:
    return [f"{block} {command}" for block, command in rows]


@pytest.mark.parametrize(("block", "command"), COMMANDS, ids=_ids(COMMANDS))
def test_shell_line_is_a_command_that_exists(block: Block, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "spams":
        if words[1] in ("--help", "--version"):
            return
        parsed = cli._parse(TASKS[words[1]], words[2:])
        assert not isinstance(parsed, int), f"exit status {parsed}"
    elif words[0] == "make":
        done = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    elif words[:2] == ["python", "main.py"]:
        assert (ROOT / "main.py").is_file()
        assert len(words) <= 3
    elif words[:3] == ["python", "-m", "app.export.render"]:
        if words[3:] != ["--help"]:
            tyro.cli(RenderSettings, args=words[3:], config=(tyro.conf.FlagCreatePairsOff,))
    else:
        assert command.startswith(FOREIGN)


CHEAP = [(block, command) for block, command in COMMANDS if block.run and command.startswith("spams ")]


@pytest.mark.parametrize(("block", "command"), CHEAP, ids=_ids(CHEAP))
def test_cheap_command_runs(
    block: Block, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out.strip()


PYTHON = [block for block in BLOCKS if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_block_runs(block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Costly blocks are parsed whole, but only their imports are executed."""
    tree = ast.parse(block.text)
    if not block.run:
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    monkeypatch.chdir(ROOT)
    exec(compile(tree, str(block), "exec"), {})


@functools.cache
def _fixed_texts() -> tuple[str, ...]:
    """The fixed pieces of every string in the program; implicit concatenation is one piece."""
    sources = [path.read_text() for path in (ROOT / "spams_core").rglob("*.py")]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    return tuple(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _documented_messages() -> list[str]:
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    first_cells = re.findall(r"^\| (`.*?`) \|", text, flags=re.MULTILINE)
    return [message for cell in first_cells for message in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("message", _documented_messages())
def test_documented_message_is_one_of_the_program(message: str) -> None:
    assert any(message in text for text in _fixed_texts())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not missing


def _table_row(page: str, name: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    (row,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", text, flags=re.MULTILINE)
    return [cell.strip() for cell in row.split("|")]


def test_fitting_presets_are_as_documented() -> None:
    settings = [PRESETS[name] for name in ("fast", "accurate", "paper")]
    told = {
        "alignment steps": [f"{s.align_iterations}" for s in settings],
        "rounds × steps": [f"{s.rounds} × {s.iterations}" for s in settings],
        "rounds × steps over all frames": [f"{s.joint_rounds} × {s.iterations}" for s in settings],
        "observed points per part and frame": [f"{s.part_points}" for s in settings],
        "surface points per part": [f"{s.surface_points}" for s in settings],
        "cells per axis, pairing and final mesh": [f"{s.match_resolution}, {s.mesh_resolution}" for s in settings],
    }
    assert {name: _table_row("model.md", name) for name in told} == told


def test_energy_weights_are_as_documented() -> None:
    s = SolveSettings()
    weights = {field.name.removesuffix("_weight") for field in fields(s) if field.name.endswith("_weight")}
    named = {"reconstruction", "free_space", "icp", "coverage", "correspondence", "temporal", "isometry"}
    assert weights == named | {"pose_prior", "shape_prior"}, "a new term belongs into the documented energy"
    terms = [
        rf"{s.reconstruction_weight:g}\,L_r",
        rf"{s.free_space_weight:g}\,L_f",
        rf"{s.icp_weight:g}\,L_{{icp}}",
        rf"{s.coverage_weight:g}\,L_{{cov}}",
        rf"{0.1 * s.correspondence_weight:g}\,L_{{seg}}",
        rf"{s.temporal_weight:g}\,L_t",
        rf"{s.isometry_weight:g}\,L_{{iso}}",
        rf"{s.pose_prior_weight:g}\,L_c^{{pose}}",
        rf"{s.shape_prior_weight:g}\,L_c^{{shape}}",
    ]
    energy = "E = " + " + ".join(terms)
    page = (ROOT / "docs" / "model.md").read_text()
    assert energy in page
    assert f"differ by more than {s.normal_gate_deg:g}°" in page


def test_training_presets_are_as_documented() -> None:
    models = [COMPACT, PAPER]
    told = {
        "codes D_s, D_p": [f"{m.shape_code}, {m.pose_code}" for m in models],
        "part decoder": [f"{m.parts.layers} × {m.parts.width}, ω {m.parts.omega:g}" for m in models],
        "shape decoders": [f"{m.shape.layers} × {m.shape.width}, ω {m.shape.omega:g}" for m in models],
        "pose decoders": [f"{m.pose.layers} × {m.pose.width}, ω {m.pose.omega:g}" for m in models],
        "rigid motion in the pose decoders": ["yes" if m.pose.rigid else "no" for m in models],
    }
    text = (ROOT / "docs" / "model.md").read_text()
    training = text[text.index("## Training presets") :]
    for name, cells in told.items():
        assert f"| {name} | {' | '.join(cells)} |" in training

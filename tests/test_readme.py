"""The documentation says nothing that the program doesn't do."""

from __future__ import annotations

import ast
import functools
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from spams_core import cli
from spams_core.tasks import TASKS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

# Lines of shell blocks that belong to other programs.
FOREIGN = ("git clone ", "cd ", "pip install ", ". .venv/bin/activate", "xvfb-run ")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; the word `run` after its language marks it as cheap enough to be executed."""

    page: Path
    line: int
    language: str
    run: bool
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def commands(self) -> list[str]:
        """The lines of a shell block, continuations joined, without comments."""
        joined = self.text.replace("\\\n", " ")
        return [line for line in (" ".join(shlex.split(raw, comments=True)) for raw in joined.splitlines()) if line]


def _blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(r"^```(\w+)?( run)?\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
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
def test_python_block_runs(block: Block) -> None:
    imports = [
        ast.unparse(node) for node in ast.parse(block.text).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text if block.run else "\n".join(imports)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not missing

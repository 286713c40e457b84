"""The command line: one command per task.

Exit status: 0 done, 2 the input is wrong (one line on standard error says what, where and what to do), 130 interrupted,
1 anything else.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import json
import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, make_dataclass
from typing import Annotated, Any, Literal

from spams_core import __version__
from spams_core.errors import InputError
from spams_core.progress import Task
from spams_core.tasks import TASKS, TaskRow

__all__ = ["main"]

logger = logging.getLogger(__name__)

_DONE, _DEFECT, _WRONG_INPUT, _INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; defects keep their traceback.

    Args:
        arguments: What follows the program's name; by default the process's own.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return _DONE
    if arguments[0] == "--version":
        print(f"spams {__version__}")
        return _DONE
    if arguments[0] not in TASKS:
        return _complain(f"{arguments[0]!r} is no command. Choose one of: {', '.join(TASKS)}.")
    try:
        return _run(TASKS[arguments[0]], arguments[1:])
    except InputError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        print("spams: interrupted; nothing half-written is left.", file=sys.stderr)
        return _INTERRUPTED


def _run(row: TaskRow, arguments: Sequence[str]) -> int:
    """Parse a command's options, run its task and print the result."""
    parsed = _parse(row, arguments)
    if isinstance(parsed, int):
        return parsed
    settings, as_json, verbose = parsed
    if getattr(settings, "seed", 0) < 0:
        raise InputError(f"--seed {settings.seed}: it must be 0 or more.")
    chatty = verbose or sys.stderr.isatty()
    logging.basicConfig(
        level=logging.INFO if chatty else logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    started = time.perf_counter()
    try:
        result = _iterate(row.function(settings), row.name, chatty)
    except KeyboardInterrupt:
        kept = row.kept(settings) if row.kept is not None else None
        if kept is None:
            raise
        again = ["spams", row.name, *(["--resume"] if not settings.resume else []), *arguments]
        line = subprocess.list2cmdline(again) if sys.platform == "win32" else shlex.join(again)
        print(f"spams: interrupted; {kept} Go on with:\n{line}", file=sys.stderr)
        return _INTERRUPTED
    logger.info("%s took %.1f s", row.name, time.perf_counter() - started)
    summary = row.summary(result)
    if as_json:
        print(json.dumps(summary, allow_nan=False))
    else:
        for line in (row.text(result) if row.text is not None else []) or _lines(summary):
            print(line)
    return _DONE


def _parse(row: TaskRow, arguments: Sequence[str]) -> tuple[Any, bool, bool] | int:
    """A task's settings and the options that all commands share, or the exit status of `--help` and of wrong options.

    Raises:
        InputError: The settings refuse a value.
    """
    import tyro

    uniform = [
        ("device", Literal["auto", "cpu", "cuda"], "Every command takes it; this one computes on the CPU.", "auto"),
        ("seed", int, "Every command takes it; this one draws nothing at random.", 0),
    ]
    # Only a class that is made here gets every command the same options beside its own.
    own = {field.name for field in fields(row.settings)}
    command = make_dataclass(
        "Command",
        [
            ("settings", Annotated[row.settings, tyro.conf.arg(name="")]),
            ("json", Annotated[bool, tyro.conf.arg(help="Print one JSON object as the last line of output.")], False),
            (
                "verbose",
                Annotated[bool, tyro.conf.arg(help="Report progress, even where no terminal shows it.")],
                False,
            ),
            *(
                (name, Annotated[kind, tyro.conf.arg(help=text)], default)
                for name, kind, text, default in uniform
                if name not in own
            ),
        ],
    )
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            parsed: Any = tyro.cli(
                command,
                prog=f"spams {row.name}",
                description=inspect.cleandoc(row.settings.__doc__ or row.help),
                args=list(arguments),
                config=(
                    tyro.conf.PositionalMetavarFromFieldName,
                    tyro.conf.FlagCreatePairsOff,
                    tyro.conf.DisallowNone,
                ),
            )
    except SystemExit as stop:
        if not stop.code:
            return _DONE
        return _complain(f"{_flatten(complaint.getvalue())} See spams {row.name} --help.")
    return parsed.settings, parsed.json, parsed.verbose


def _flatten(box: str) -> str:
    """The message of a boxed, wrapped complaint as one line, without its title and the hint below the rule."""
    # Where the output cannot show line-drawing characters, the rules are dashes and a second one is below the title.
    title, *lines = [line.strip("│╭╮╰╯─ ") for line in box.splitlines()]
    body = itertools.dropwhile(lambda line: not line.strip("-"), lines)
    message = " ".join(itertools.takewhile(lambda line: line.strip("-"), body)) or title
    return " ".join(message.split()).replace("'settings.", "'").rstrip(".") + "."


def _iterate(task: Task[Any], name: str, chatty: bool) -> Any:
    """Run a task to its end with a progress bar on standard error; whatever ends this early closes the task."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    with (
        contextlib.closing(task),
        logging_redirect_tqdm(),
        tqdm(desc=name, disable=not chatty, file=sys.stderr, mininterval=0.2, leave=False, dynamic_ncols=True) as bar,
    ):
        while True:
            try:
                report = next(task)
            except StopIteration as stop:
                return stop.value
            if report.total != bar.total or report.step < bar.n:  # a new stage has its own rate and time left
                bar.reset(report.total)
            bar.set_description_str(f"{name}: {report.message}", refresh=False)
            bar.set_postfix({key: f"{value:.4g}" for key, value in report.metrics.items()}, refresh=False)
            bar.update(report.step - bar.n)


def _lines(summary: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A summary for people: `name: value` per line, nested names joined by dots, tables by their length."""
    for key, value in summary.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _lines(value, f"{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield f"{name}: {len(value)} rows (--json prints them)"
        elif isinstance(value, (list, Mapping)):
            yield f"{name}: {' '.join(_shown(item) for item in value) or '-'}"
        else:
            yield f"{name}: {_shown(value)}"


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def _overview() -> str:
    """What `spams --help` prints."""
    width = max(map(len, TASKS))
    commands = [f"  {row.name:<{width}}  {row.help}" for row in TASKS.values()]
    return "\n".join(
        [
            "usage: spams COMMAND [OPTIONS]",
            "",
            "Fit part-based body models to depth recordings.",
            "",
            "commands:",
            *commands,
            "",
            "spams COMMAND --help tells a command's options, spams --version the version.",
            "python main.py opens the window.",
        ]
    )


def _complain(message: str) -> int:
    """Say on one line what is wrong with the input."""
    print(f"spams: {' '.join(message.split())}", file=sys.stderr)
    return _WRONG_INPUT


if __name__ == "__main__":
    sys.exit(main())

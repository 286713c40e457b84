"""Open the window, or run a command.

python main.py                   the window
python main.py SEQUENCE|FIT      the window with a recording or a fit
python main.py fit SEQUENCE …    any command of `spams`
"""

from __future__ import annotations

import sys

from spams_core.cli import main as run_command
from spams_core.tasks import TASKS


def main(arguments: list[str]) -> int:
    """Dispatch on the first argument and return the exit status."""
    if arguments and (arguments[0] in TASKS or arguments[0].startswith("-")):
        return run_command(arguments)
    try:
        from app.launch import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in (
            "PySide6",
            "pyvista",
            "pyvistaqt",
            "pyqtgraph",
            "qtawesome",
        ):
            raise
        print(f"spams: the window needs {error.name}. Install it with: pip install .", file=sys.stderr)
        return 2
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Opens the window where there is no main.py: `spam-studio [SEQUENCE|FIT]`, or `python -m app`."""

from __future__ import annotations

import sys

from app.launch import run

__all__ = ["main"]


def main() -> int:
    """Open the window on what the command line names; returns the exit status."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

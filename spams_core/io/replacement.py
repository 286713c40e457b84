"""Files that may be written again: whole in the old version or whole in the new one, never half of either."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spams_core.errors import InputError

__all__ = ["replaced_file"]


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Fill a temporary file beside `path`, then rename it over whatever `path` was.

    Raises:
        InputError: `path` cannot be written.
    """
    path = Path(path)
    work = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        work = Path(name)
        work.chmod(0o644)  # mkstemp makes it private
        yield work
        os.replace(work, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}). Choose another folder.") from error
    finally:
        if work is not None:
            work.unlink(missing_ok=True)

"""Two thousand inputs from a fuzzer for every reader of binary files; `make fuzz` goes on for longer."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("atheris") is None:
    pytest.skip("fuzzing needs the extra `fuzz`", allow_module_level=True)

HARNESS = Path(__file__).with_name("fuzz_readers.py")
TARGETS = re.findall(r'^    "(\w+)": \(', HARNESS.read_text(), flags=re.MULTILINE)
"""Read, not imported: importing the harness would instrument the readers of all other tests."""


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_a_file_holds_is_read_or_refused(target: str, tmp_path: Path) -> None:
    command = [sys.executable, str(HARNESS), target, "-runs=2000"]
    paths = os.pathsep.join([str(HARNESS.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=280, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "DONE" in done.stderr
    assert not list(tmp_path.iterdir()), "libFuzzer leaves a file for each input that fails"


def test_all_binary_recordings_are_fuzzed() -> None:
    assert TARGETS == ["record3d", "scannet", "ros_bag", "azure_kinect", "pc2", "npz", "ply", "pcd"]

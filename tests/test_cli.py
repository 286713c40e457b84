"""The command line: exit status, one clear line, JSON, help, and nothing half-written."""

from __future__ import annotations

import dataclasses
import inspect
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fits import ball_fit, write_ball_fit
from recordings import FAULTS, write_ball

from spams_core import __version__, cli
from spams_core.data.recording import ReadingSettings
from spams_core.data.subject import SubjectSettings
from spams_core.progress import Progress, Task
from spams_core.settings import field_help, settings_to_dict
from spams_core.tasks import TASKS, TaskRow, summarize

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _logging_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "main.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def one_clear_line(stderr: str) -> None:
    assert stderr.startswith("spams: ")
    assert stderr.endswith(".\n")
    assert stderr.count("\n") == 1
    assert "Traceback" not in stderr


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("other topology", "truncated ground truth")])
def test_a_broken_recording_exits_2_with_one_line(fault, tmp_path, capsys):
    path = write_ball(tmp_path / "ball")
    FAULTS[fault][0](path)
    assert cli.main(["info", str(path), "--json"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    one_clear_line(output.err)
    assert str(path) in output.err or "ball, frame 000001" in output.err


@pytest.mark.parametrize("fault", ["no camera.json", "8-bit depth", "no frames", "gap", "NaN intrinsics", "other size"])
def test_fitting_a_broken_recording_exits_2_and_writes_nothing(fault, tmp_path, capsys):
    path = write_ball(tmp_path / "ball")
    FAULTS[fault][0](path)
    assert cli.main(["fit", str(path), "--out", str(tmp_path / "fit"), "--device", "cpu"]) == 2
    one_clear_line(capsys.readouterr().err)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["ball"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "{ball}", "--out", "{file}/fit"),
        ("export", "{fit}", "--out", "{file}/meshes"),
        ("export", "{fit}", "--out", "{file}/a.glb", "--format", "glb"),
        ("export", "{fit}", "--out", "{file}"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_an_unwritable_output_exits_2_and_writes_nothing(arguments, tmp_path, capsys):
    # Below a regular file nobody can write, not even root.
    places = {"ball": write_ball(tmp_path / "ball"), "fit": write_ball_fit(tmp_path / "fit"), "file": tmp_path / "file"}
    places["file"].write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert cli.main([argument.format(**places) for argument in arguments]) == 2
    error = capsys.readouterr().err
    one_clear_line(error)
    assert "cannot be written" in error or "exists already" in error
    assert sorted(tmp_path.rglob("*")) == before
    assert places["file"].read_text() == "mine"


@pytest.mark.parametrize("manifest", ["", "[]", '{"kind": "fit"}'])
def test_a_corrupted_archive_exits_2(manifest, tmp_path, capsys):
    path = write_ball_fit(tmp_path / "fit")
    (path / "manifest.json").write_text(manifest)
    assert cli.main(["export", str(path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    one_clear_line(error)
    assert f"{path / 'manifest.json'} is corrupted" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fly"], "'fly' is no command. Choose one of: generate, render, train"),
        (["info", "--size", "3"], "Unrecognized options: --size, 3. See spams info --help."),
        (["export", "x"], "Missing from spams export: --out PATH"),
        (["export", "x", "--out", "y", "--format", "doc"], "invalid choice 'doc'"),
        (["export", "x", "--out", "y", "--format", "glb"], "--out y: name the file y.glb, or choose another --format."),
        (["train", "everything", "--data", "x", "--out", "y"], "invalid choice 'everything' for argument 'network'"),
        (["info", "nowhere"], "nowhere is no folder. Give the folder of a recording"),
    ],
)
def test_wrong_usage_exits_2_with_one_line(arguments, complaint, capsys):
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    one_clear_line(error)
    assert complaint in error


@pytest.mark.parametrize("command", ["segment", "evaluate", "fit"])
def test_a_negative_seed_is_refused(command, tmp_path, capsys):
    out = [] if command == "evaluate" else ["--out", str(tmp_path / "out")]
    assert cli.main([command, "anything", *out, "--seed", "-1"]) == 2
    assert capsys.readouterr().err == "spams: --seed -1: it must be 0 or more.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", TASKS)
def test_every_command_takes_device_seed_and_json(command, capsys):
    assert cli.main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--device", "--seed", "--json"))


def test_overview_lists_every_command_and_loads_no_networks():
    script = (
        "import sys; from spams_core.cli import main; status = main(['--help']);"
        "print(sorted({'torch', 'scipy', 'skimage', 'igl', 'trimesh'} & set(sys.modules))); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    for row in TASKS.values():
        assert f"  {row.name} " in done.stdout
        assert row.help in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", TASKS)
def test_help_of_every_command(command, capsys):
    assert cli.main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: spams {command}")
    assert "--json" in text
    summary = inspect.cleandoc(TASKS[command].settings.__doc__ or "").splitlines()[0]
    assert summary in " ".join(text.split())


@pytest.mark.parametrize("command", TASKS)
def test_every_field_of_every_command_has_help(command):
    kind = TASKS[command].settings
    help_texts = field_help(kind)
    assert [field.name for field in dataclasses.fields(kind) if not help_texts.get(field.name)] == []


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"spams {__version__}\n"


def test_json_is_the_last_line_and_true(tmp_path, capsys):
    path = write_ball(tmp_path / "ball")
    assert cli.main(["info", str(path), "--json", "--verbose"]) == 0
    output = capsys.readouterr()
    told = json.loads(output.out.splitlines()[-1])
    assert (told["kind"], told["frames"], told["width"], told["height"]) == ("recording", 4, 32, 24)
    assert told["ground_truth"] is True
    # The ball spans 0.5 m around its centre, which moves 15 cm to the right; a pixel and its gradient take 10 cm.
    assert -0.5 < told["world_min_m"][0] < -0.3
    assert 0.45 < told["world_max_m"][0] < 0.65
    assert told["world_max_m"][2] == pytest.approx(-1.5, abs=0.002)
    assert "0/4" in output.err
    assert "info took" in output.err


def test_people_read_names_and_values(tmp_path, capsys):
    path = write_ball_fit(tmp_path / "fit")
    assert cli.main(["info", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("Surface") and line.endswith("162 vertices, 320 triangles") for line in lines)
    assert cli.main(["info", str(write_ball(tmp_path / "ball"))]) == 0
    assert "kind: recording" in capsys.readouterr().out.splitlines()
    assert cli.main(["export", str(path), "--out", str(tmp_path / "a.glb"), "--format", "glb"]) == 0
    assert capsys.readouterr().out == f"path: {tmp_path / 'a.glb'}\n"


def test_info_knows_model_export_and_program(tmp_path, capsys):
    write_ball_fit(tmp_path / "model" / "shape")
    assert cli.main(["info", str(tmp_path / "model"), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["networks"]) == ["shape"]
    assert (
        cli.main(["export", str(tmp_path / "model" / "shape"), "--out", str(tmp_path / "out"), "--frames", "1:3"]) == 0
    )
    capsys.readouterr()
    assert cli.main(["info", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["frames"], told["export"]["format"]) == ("export", 2, "ply")
    assert cli.main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == __version__


class Row(TaskRow):
    """A task that does as the test says, with the settings of `info`."""

    body = None

    @property
    def settings(self):
        return TASKS["info"].settings

    @property
    def function(self):
        return self.body


def use(monkeypatch, body) -> None:
    monkeypatch.setattr(Row, "body", staticmethod(body))
    monkeypatch.setitem(TASKS, "stub", Row("stub", "Do as the test says."))


def test_a_defect_keeps_its_traceback(monkeypatch):
    def broken(settings) -> Task[None]:
        yield Progress(0, 1, "work")
        raise ZeroDivisionError("ours")

    use(monkeypatch, broken)
    with pytest.raises(ZeroDivisionError, match="ours"):
        cli.main(["stub"])


def test_interrupting_closes_the_task(monkeypatch, capsys):
    closed = []

    def slow(settings) -> Task[None]:
        try:
            yield Progress(0, 3, "work")
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    use(monkeypatch, slow)
    assert cli.main(["stub"]) == 130
    assert closed == [True]
    assert capsys.readouterr().err == "spams: interrupted; nothing half-written is left.\n"


def test_stages_of_a_task_each_have_their_progress(monkeypatch, capsys):
    def stages(settings) -> Task[dict[str, float]]:
        yield Progress(1, 2, "first")
        yield Progress(5, 7, "second", {"loss": 0.123456})
        yield Progress(1, 7, "third")
        return {"value": float("nan")}

    use(monkeypatch, stages)
    assert cli.main(["stub", "--json", "--verbose"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == {"value": None}


def test_results_are_summarized_by_one_rule():
    class Told:
        def summary(self):
            return {"mean": np.float32(0.5)}

    assert summarize(Told()) == {"mean": 0.5}
    assert summarize(Path("a/b")) == {"path": "a/b"}
    assert summarize({"x": np.arange(2)}) == {"x": [0, 1]}


def test_fits_and_edits_are_summarized_by_what_a_person_asks():
    fit = ball_fit(edit={"out": "edited"})
    told = {"frames": 5, "vertices": 162, "parts": ["head", "torso"]}
    figures = {"method": "spam", "preset": "fast", "depth_residual_mm": 5.0, "seconds_per_frame": 1.5}
    assert TASKS["fit"].summary(fit) == {"path": "ball", **told, **figures}
    assert TASKS["edit"].summary(fit) == {"path": "edited", **told}


def test_the_process_itself_exits_2_1_or_0(tmp_path):
    done = run("info", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    one_clear_line(done.stderr)
    done = run("info", str(write_ball(tmp_path / "ball")), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["frames"] == 4


SLOW_COMMAND = """
import signal, sys, time
from pathlib import Path
from spams_core import cli
from spams_core.io.archive import new_folder
from spams_core.progress import Progress
from spams_core.tasks import TASKS, TaskRow

class Row(TaskRow):
    settings = TASKS["info"].settings

    def function(self, settings):
        with new_folder(settings.path) as folder:
            (folder / "half").write_text("written")
            print("ready", flush=True)
            for step in range(600):
                yield Progress(step, 600, "work")
                time.sleep(0.1)

# Shells start background jobs with the interrupt ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
TASKS["slow"] = Row("slow", "Take a minute.")
sys.exit(cli.main(["slow", sys.argv[1]]))
"""


def test_ctrl_c_ends_the_process_with_130_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", SLOW_COMMAND, str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error == "spams: interrupted; nothing half-written is left.\n"
    assert list(tmp_path.iterdir()) == []


def test_info_of_a_fit_is_short_and_names_what_is_not_usual(tmp_path, capsys):
    path = write_ball_fit(tmp_path / "fit")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest |= {
        "subject": settings_to_dict(SubjectSettings(far_m=3.5)),
        "reading": settings_to_dict(ReadingSettings(mirrored=True)),
        "depth_residual_mm": 5.338,
    }
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert cli.main(["info", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = dict(line.split(maxsplit=1) for line in lines[:-2])
    assert len(lines) < 18
    assert told["Fit"] == str(path)
    assert (told["Subject"], told["Read"]) == ("far m 3.5", "mirrored True")
    assert told["Residual"].startswith("5.3 mm")
    assert lines[-1].startswith("--json prints everything")
    assert cli.main(["info", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["subject"]["far_m"] == 3.5

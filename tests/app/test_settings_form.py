"""Forms made from settings dataclasses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit

from app.settings_form import PathEdit, SettingsForm
from spams_core.errors import InputError
from spams_core.settings import field_help


@dataclass(frozen=True)
class Inner:
    """Settings within settings."""

    depth: int = 3
    """How deep."""


@dataclass(frozen=True)
class Sample:
    """One field of each kind."""

    place: Path
    """Where it goes."""
    model: Path | None = None
    """Another place, or none."""
    mode: Literal["auto", "cpu"] = "auto"
    """Where to compute."""
    count: int = 5
    """How many, at least one."""
    rate: float = 1e-4
    """How fast."""
    name: str = "x"
    """What it is called: <any> text."""
    loop: bool = True
    """Again and again."""
    inner: Inner | None = None
    """Details."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"count {self.count}: there must be at least one.")


@pytest.fixture
def form(qtbot: Any, tmp_path: Path) -> SettingsForm:
    made = SettingsForm(Sample, initial={"place": tmp_path})
    qtbot.addWidget(made)
    made.show()
    return made


def test_defaults_come_out_as_they_went_in(form: SettingsForm, tmp_path: Path) -> None:
    assert form.value() == Sample(tmp_path)
    assert form.problem == ""


def test_every_kind_of_field_can_be_edited(form: SettingsForm, tmp_path: Path) -> None:
    changed = Sample(tmp_path / "b", tmp_path / "m", "cpu", 7, 2.5e-7, "y", False)
    for field in dataclasses.fields(Sample):
        if field.name != "inner":
            form.set_value(field.name, getattr(changed, field.name))
    assert form.value() == changed
    kinds = {"place": PathEdit, "mode": QComboBox, "count": QLineEdit, "rate": QLineEdit, "loop": QCheckBox}
    for name, kind in kinds.items():
        assert isinstance(form.editor(name), kind)


def test_tooltips_are_the_docstrings(form: SettingsForm) -> None:
    for name, text in field_help(Sample).items():
        if name != "inner":
            assert text.replace("<", "&lt;") in form.editor(name).toolTip()


def test_refused_values_are_explained(form: SettingsForm, qtbot: Any) -> None:
    for name, value, text in (
        ("count", 0, "count 0: there must be at least one."),
        ("count", "many", "Count: 'many' is no number."),
        ("rate", "", "Rate: '' is no number."),
        ("place", "", "Place is empty."),
    ):
        before = form.editor(name)
        with qtbot.waitSignal(form.changed, check_params_cb=lambda valid: not valid):
            form.set_value(name, value)
        assert text in form.problem
        with pytest.raises(InputError):
            form.value()
        good = {"count": 5, "rate": 1e-4, "place": "somewhere"}[name]
        form.set_value(name, good)
        assert form.problem == ""
        assert before is form.editor(name)


def test_fixed_fields_are_not_shown(qtbot: Any, tmp_path: Path) -> None:
    form = SettingsForm(Sample, {"place": tmp_path}, order=("name", "count"))
    qtbot.addWidget(form)
    with pytest.raises(KeyError):
        form.editor("place")
    form.set_fixed(place=tmp_path / "other")
    assert form.value().place == tmp_path / "other"


def test_forms_of_the_real_settings(qtbot: Any, tmp_path: Path) -> None:
    from spams_core.tasks.export import ExportSettings
    from spams_core.tasks.fit import FitSettings

    fit = SettingsForm(FitSettings, {"sequence": tmp_path}, {"out": tmp_path / "fit"})
    qtbot.addWidget(fit)
    assert fit.value() == FitSettings(tmp_path, tmp_path / "fit")
    export = SettingsForm(ExportSettings, {"fit": tmp_path}, {"out": tmp_path / "meshes"})
    qtbot.addWidget(export)
    export.set_value("format", "glb")
    assert "meshes.glb" in export.problem


def test_all_frames_is_an_empty_line_that_says_so(qtbot: Any) -> None:
    @dataclass(frozen=True)
    class Frames:
        frames: str = ":"

    form = SettingsForm(Frames)
    qtbot.addWidget(form)
    editor = form.editor("frames")
    assert isinstance(editor, QLineEdit)
    assert editor.text() == ""
    assert "start:stop:step" in editor.placeholderText()
    assert form.value().frames == ":"
    form.set_value("frames", "0:3")
    assert form.value().frames == "0:3"
    form.set_value("frames", ":")
    assert form.value().frames == ":"


def test_a_list_of_words_is_a_line_with_spaces(qtbot: Any) -> None:
    @dataclass(frozen=True)
    class Parts:
        parts: tuple[str, ...] = ()

    form = SettingsForm(Parts)
    qtbot.addWidget(form)
    editor = form.editor("parts")
    assert isinstance(editor, QLineEdit)
    assert (editor.text(), form.value().parts) == ("", ())
    QTest.keyClicks(editor, "head  left_arm")
    assert form.value().parts == ("head", "left_arm")
    form.set_value("parts", ("torso", "head"))
    assert editor.text() == "torso head"

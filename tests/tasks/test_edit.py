"""Edits are refused where a fit's codes would meet a model that they mean nothing to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fits import write_ball_fit

from spams_core.errors import InputError
from spams_core.progress import run_to_end
from spams_core.tasks.edit import EditSettings, edit


def test_a_fit_without_its_model_asks_for_one(tmp_path: Path):
    fit = write_ball_fit(tmp_path / "fit")
    with pytest.raises(InputError, match="does not say which model it was made with"):
        run_to_end(edit(EditSettings(fit, tmp_path / "out", shape_from=fit)))


@pytest.mark.parametrize("network", ["shape", "pose"])
def test_another_model_than_the_fitted_one_is_refused(network: str, tmp_path: Path):
    model = tmp_path / "model"
    (model / network).mkdir(parents=True)
    (model / network / "arrays.safetensors").write_bytes(b"trained again")
    fit = write_ball_fit(tmp_path / "fit", model=str(model), inputs={f"model/{network}": "c0ffee"})
    with pytest.raises(InputError, match=r"model is not the model that .*fit was fitted with"):
        run_to_end(edit(EditSettings(fit, tmp_path / "out", shape_from=fit)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("names", "complaint"), [(["head"], "do not belong together"), (7, "no list 'part_names'"), ([1, 2], "no list")]
)
def test_wrong_part_names_are_corruption(names: object, complaint: str, tmp_path: Path):
    fit = write_ball_fit(tmp_path / "fit")
    manifest = json.loads((fit / "manifest.json").read_text())
    (fit / "manifest.json").write_text(json.dumps({**manifest, "part_names": names}))
    with pytest.raises(InputError, match=complaint):
        run_to_end(edit(EditSettings(fit, tmp_path / "out", shape_from=fit)))

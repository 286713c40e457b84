"""Names that nothing has yet."""

from __future__ import annotations

from pathlib import Path

from app.free_names import free_path


def test_the_first_free_of_numbered_names(tmp_path: Path) -> None:
    assert free_path(tmp_path, "walk") == tmp_path / "walk"
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk_2").touch()
    assert free_path(tmp_path, "walk") == tmp_path / "walk_3"
    assert free_path(tmp_path, "walk", taken={tmp_path / "walk_3"}) == tmp_path / "walk_4"
    assert free_path(tmp_path, "walk", lambda stem: f"{stem}.glb") == tmp_path / "walk.glb"

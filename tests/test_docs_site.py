"""The documentation builds as a site, whole and without the network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason="building the site needs the extra `docs`")
    out = tmp_path_factory.mktemp("site")
    flags = ["--quiet", "--fresh-env", "--fail-on-warning", "--keep-going"]
    command = [sys.executable, "-m", "sphinx", *flags, "-d", str(out / "doctrees"), str(DOCS), str(out / "html")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280)
    assert done.returncode == 0, done.stderr
    return out / "html"


def _pages() -> list[str]:
    return sorted(
        str(path.relative_to(DOCS).with_suffix("")) for kind in ("md", "rst") for path in DOCS.rglob(f"*.{kind}")
    )


def test_every_page_is_reached_from_the_side_bar(site: Path) -> None:
    index = (site / "index.html").read_text()
    side_bar = index[index.index('class="sidebar-tree"') : index.index("</aside>")]
    listed = {target.removesuffix(".html") for target in re.findall(r'href="([^"#]+)"', side_bar)}
    assert listed >= set(_pages()) - {"index"}


def test_pages_load_nothing_from_the_network(site: Path) -> None:
    foreign = (
        r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(?:https?:)?//[^"]*"|<link\b[^>]*\bhref="(?:https?:)?//[^"]*"'
    )
    loaded = {match for page in site.rglob("*.html") for match in re.findall(foreign, page.read_text())}
    styles = {
        match
        for sheet in site.rglob("*.css")
        for match in re.findall(r"url\(\s*[\"']?//|url\(\s*[\"']?http", sheet.read_text())
    }
    assert not loaded | styles


def test_formulas_are_drawn_by_the_browser(site: Path) -> None:
    formulas = re.findall(r"\$\$.*?\$\$", (DOCS / "model.md").read_text(), flags=re.DOTALL)
    page = (site / "model.html").read_text()
    assert page.count("<math") == len(formulas) > 0
    assert "$$" not in page


def test_the_reference_has_every_module_and_what_it_exports(site: Path) -> None:
    """A new module appears by itself, a new package needs a page in docs/reference."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "spams_core").rglob("*.py")
    } - {"spams_core"}
    html = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    assert set(re.findall(r'id="module-([\w.]+)"', html)) == modules
    for name in ("tasks.fit.FitSettings.preset", "data.fit.Fit.mesh_world", "geometry.camera.back_project"):
        assert f'id="spams_core.{name}"' in html

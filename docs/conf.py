"""How `make docs` turns these pages into a site; the build reads nothing from the network, nor does the site."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from spams_core import __version__  # noqa: E402

project = "SPAM Studio"
author = "the contributors of SPAM Studio"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# A block without a language is a listing of files or a formula in plain text.
highlight_language = "text"
templates_path: list[str] = []
exclude_patterns: list[str] = []

html_theme = "furo"
html_title = f"SPAM Studio {__version__}"
html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c8a", "color-brand-content": "#0b5c8a"},
    "dark_css_variables": {"color-brand-primary": "#6cb8e6", "color-brand-content": "#6cb8e6"},
}
html_static_path = ["site.css"]
html_css_files = ["site.css"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# Values would be whole tables; defaults stand in the signatures.
autodoc_default_options = {"members": True, "no-value": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
napoleon_use_ivar = True
# Every page copies the whole tree; with each function in it the build takes twice as long.
toc_object_entries = False
maximum_signature_line_length = 100
# Many settings share a name, and a few names are exported twice; which of them a link leads to is no fault.
suppress_warnings = ["ref.python"]
# Single backticks are code in docstrings, as they are in Markdown.
default_role = "code"

_CHAPTERS = {
    "Using it": ["guide/index", "blender", "own-data", "troubleshooting"],
    "Formats": ["formats/index", "conventions"],
    "Python": ["python", "reference/index"],
    "Background": ["model", "accuracy", "experiments"],
}
"""Caption → pages, in the order in which the side bar lists them; a page that no chapter names joins the first one."""


def _tree(pages: list[str], caption: str = "") -> str:
    head = f":caption: {caption}\n" if caption else ""
    return f"\n```{{toctree}}\n:hidden:\n:maxdepth: 2\n{head}\n" + "\n".join(pages) + "\n```\n"


def _unlink_outside(app: Sphinx, name: str, source: list[str]) -> None:
    """What links out of the folder, such as to CONTRIBUTING.md, is a file's name on the site."""

    def linked(match: re.Match[str]) -> str:
        inside = "://" in match[2] or ((HERE / name).parent / match[2]).resolve().is_relative_to(HERE)
        return match[0] if inside else f"`{match[1].strip('`')}`"

    source[0] = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#]+)\)", linked, source[0])


def _add_trees(app: Sphinx, name: str, source: list[str]) -> None:
    """Give the indices their tables of contents, which would be noise where Markdown is read as it is."""
    folder, _, page = name.rpartition("/")
    if folder in ("formats", "guide") and page == "index":
        there = {path.stem for path in (HERE / folder).glob("*.md")} - {"index"}
        named = [page for page in re.findall(r"\]\(([\w-]+)\.md\)", source[0]) if page in there]
        source[0] += _tree([*dict.fromkeys(named), *sorted(there - set(named))])
    elif name == "index":
        there = {path.stem for path in HERE.glob("*.md")} - {"index"}
        chapters = {
            title: [page for page in pages if "/" in page or page in there] for title, pages in _CHAPTERS.items()
        }
        known = {page for pages in chapters.values() for page in pages}
        chapters["Using it"] += sorted(there - known)
        source[0] += "".join(_tree(pages, title) for title, pages in chapters.items())


def _add_modules(app: Sphinx, name: str, source: list[str]) -> None:
    """Give each page of the reference the modules of its package; `base` has those beside the packages."""
    chapter, _, package = name.partition("/")
    if chapter != "reference" or package == "index":
        return
    folder = HERE.parent / "spams_core" / ("" if package == "base" else package)
    if package != "base":
        source[0] += f"\n.. automodule:: spams_core.{package}\n"
    for module in sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__"):
        title = f"``{module}``" if package == "base" else f"``{package}.{module}``"
        path = module if package == "base" else f"{package}.{module}"
        source[0] += f"\n{title}\n{'-' * len(title)}\n\n.. automodule:: spams_core.{path}\n"


def _escape(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Bars, stars and trailing underscores mean something in reStructuredText; in docstrings they are themselves."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")  # or Napoleon takes what precedes a colon in the first line for a type
    for place, line in enumerate(lines):
        pieces = re.split(r"(`[^`]*`)", line)
        pieces[::2] = [re.sub(r"(?<!\\)([|*])|(?<=\w)(_)(?=\W|$)", r"\\\1\2", piece) for piece in pieces[::2]]
        lines[place] = "".join(pieces)


def _inline_formula(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block_formula(writer: HTML5Translator, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    # Browsers draw MathML themselves; every other way needs a script from the network, or LaTeX.
    app.add_html_math_renderer("mathml", (_inline_formula, None), (_block_formula, None))
    app.connect("source-read", _unlink_outside)
    app.connect("source-read", _add_trees)
    app.connect("source-read", _add_modules)
    # Before Napoleon, which writes markup of its own.
    app.connect("autodoc-process-docstring", _escape, priority=400)

"""Write `app/locale/studio.pot`, what a translator of the window needs: `python -m app.catalogue`, with extra `dev`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from app.export.pictures import RenderSettings
from app.fit.loss_plot import term_title
from app.settings_form import form_texts
from spams_core import __version__
from spams_core.data.fit_history import HISTORY_STAGES
from spams_core.data.surface_values import MEASURES
from spams_core.resources import resource_path
from spams_core.settings import field_help
from spams_core.tasks.export import ExportSettings, format_titles, program_titles
from spams_core.tasks.fit import PRESETS, FitSettings

__all__ = ["main", "window_catalogue"]

_APP = Path(__file__).parent


def window_catalogue() -> Catalog:
    """Every text that `tr` and `ntr` are called with, and those that the window takes from the library."""
    catalog = Catalog(project="SPAM Studio", version=__version__, fuzzy=False)
    found = extract_from_dir(str(_APP), [("**.py", "python")], keywords={"tr": None, "ntr": (1, 2)})
    for name, line, text, _, _ in sorted(found, key=lambda message: message[:2]):
        formatted = re.search(r"{\w*[:!}]", text if isinstance(text, str) else text[-1])
        catalog.add(text, locations=[(f"app/{name}", line)], flags=["python-brace-format"] if formatted else [])
    for text in _library_texts():
        if text:
            catalog.add(text, auto_comments=["from the library"])
    return catalog


def _library_texts() -> Iterator[str]:
    for kind in (FitSettings, ExportSettings, RenderSettings):
        yield from form_texts(kind)
    yield from (*format_titles().values(), *program_titles().values(), *HISTORY_STAGES)
    for parts in json.loads(resource_path("parts.json").read_text(encoding="utf-8")).values():
        yield from (part["title"] for part in parts)
    for measure in MEASURES.values():
        yield from (measure.title, measure.hint)
    for name, text in field_help(type(PRESETS["fast"])).items():
        if name.endswith("_weight"):
            yield from (term_title(name), text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the catalogue, and say where."""
    out = _APP / "locale" / "studio.pot"
    out.parent.mkdir(exist_ok=True)
    catalog = window_catalogue()
    with out.open("wb") as file:
        write_po(file, catalog)
    print(f"{len(catalog)} texts in {out}")


if __name__ == "__main__":
    main()

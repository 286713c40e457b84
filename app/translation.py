"""Texts in the user's language: `tr` looks them up in the catalogue `app/locale/LANGUAGE/LC_MESSAGES/studio.mo`."""

from __future__ import annotations

import gettext
from collections.abc import Sequence
from pathlib import Path

from spams_core import resources

__all__ = ["language", "ntr", "part_titles", "tr"]

_CATALOGUE: gettext.NullTranslations = gettext.translation("studio", Path(__file__).with_name("locale"), fallback=True)


def language() -> str:
    """The language that the window speaks, as its catalogue names it; nothing where it is English, as written."""
    return _CATALOGUE.info().get("language", "")


def tr(text: str, /, **values: object) -> str:
    """A text of the window in the language that LANGUAGE, LC_ALL, LC_MESSAGES or LANG names, else as it stands.

    The language is the one at the program's start. Values go into their places after the translation, which may order
    them anew: `tr("Frame {number} of {count}", number=3, count=20)`. Without values braces stand for themselves.
    """
    translated = _CATALOGUE.gettext(text) if text else text
    return translated.format(**values) if values else translated


def ntr(one: str, many: str, count: int, /, **values: object) -> str:
    """`tr` of a text with a number in it, "{count} file" or "{count} files", in as many forms as the language has."""
    return _CATALOGUE.ngettext(one, many, count).format(count=count, **values)


def part_titles(part_names: Sequence[str]) -> list[str]:
    """How parts are called in the window: those of the bundled models by their names in the language."""
    return [tr(title) for title in resources.part_titles(part_names)]

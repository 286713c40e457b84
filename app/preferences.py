"""What the window remembers between two runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from app.theme import ThemeName

__all__ = ["Preferences"]

_MOST_RECENT = 8


class Preferences:
    """Theme, window geometry, shortcuts and recently opened folders, in the user's own settings."""

    def __init__(self) -> None:
        self._settings = QSettings("SPAM Studio", "SPAM Studio")

    @property
    def theme(self) -> ThemeName:
        """Dark unless the user chose light."""
        return "light" if self._settings.value("theme") == "light" else "dark"

    @theme.setter
    def theme(self, name: ThemeName) -> None:
        self._settings.setValue("theme", name)

    @property
    def geometry(self) -> QByteArray | None:
        """Where the window was."""
        value = self._settings.value("geometry")
        return value if isinstance(value, QByteArray) else None

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._settings.setValue("geometry", value)

    @property
    def recent(self) -> list[Path]:
        """Folders and projects that were opened and still exist, the newest first."""
        stored = self._settings.value("recent")
        texts = [stored] if isinstance(stored, str) else stored if isinstance(stored, list) else []
        return [Path(text) for text in texts if Path(text).exists()]

    def add_recent(self, path: Path) -> None:
        """Put a folder or a project at the top."""
        others = [known for known in self.recent if known != path]
        self._settings.setValue("recent", [str(p) for p in [path, *others][:_MOST_RECENT]])

    @property
    def run_names(self) -> dict[Path, str]:
        """What the user calls some fits, by their folder."""
        try:
            stored = json.loads(str(self._settings.value("run_names") or "{}"))
        except ValueError:
            return {}
        return {Path(path): str(name) for path, name in stored.items()} if isinstance(stored, dict) else {}

    def name_run(self, path: Path, name: str) -> None:
        """Call a fit something; empty, or its folder's own name, forgets that."""
        names = {known: text for known, text in self.run_names.items() if known != path}
        if name and name != path.name:
            names[path] = name
        self._settings.setValue("run_names", json.dumps({str(known): text for known, text in names.items()}))

    @property
    def shortcuts(self) -> dict[str, str]:
        """Shortcuts that the user changed, by command; empty text for none."""
        try:
            stored = json.loads(str(self._settings.value("shortcuts") or "{}"))
        except json.JSONDecodeError:
            return {}
        return {str(name): str(keys) for name, keys in stored.items()} if isinstance(stored, dict) else {}

    @shortcuts.setter
    def shortcuts(self, changed: Mapping[str, str]) -> None:
        self._settings.setValue("shortcuts", json.dumps(dict(changed)))

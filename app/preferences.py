"""What the window remembers between two runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings, Qt
from PySide6.QtGui import QGuiApplication

from app.theme import ThemeName

__all__ = ["Preferences"]

_MOST_RECENT = 8


class Preferences:
    """Theme, window geometry, shortcuts and recently opened folders, in the user's own settings."""

    def __init__(self) -> None:
        self._settings = QSettings("SPAM Studio", "SPAM Studio")

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        """A stored word; the first choice where none of them is stored."""
        value = self._settings.value(name)
        return value if value in choices else choices[0]

    @property
    def theme_choice(self) -> str:
        """Dark unless the user chose light or system."""
        return self._choice("theme", ("dark", "light", "system"))

    @theme_choice.setter
    def theme_choice(self, name: str) -> None:
        self._settings.setValue("theme", name)

    @property
    def theme(self) -> ThemeName:
        """The chosen theme, or the desktop's where the user chose that."""
        chosen = self.theme_choice
        if chosen == "system":
            light = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Light
            return "light" if light else "dark"
        return "light" if chosen == "light" else "dark"

    @theme.setter
    def theme(self, name: ThemeName) -> None:
        self.theme_choice = name

    @property
    def unit(self) -> str:
        """Unit of lengths on screen: mm, cm or m."""
        return self._choice("unit", ("mm", "cm", "m"))

    @unit.setter
    def unit(self, name: str) -> None:
        self._settings.setValue("unit", name)

    @property
    def pace(self) -> str:
        """How a recording is played at first."""
        return self._choice("pace", ("real time", "every frame"))

    @pace.setter
    def pace(self, name: str) -> None:
        self._settings.setValue("pace", name)

    @property
    def device(self) -> str:
        """Where fits compute unless their settings say otherwise."""
        return self._choice("device", ("auto", "cpu", "cuda"))

    @device.setter
    def device(self, name: str) -> None:
        self._settings.setValue("device", name)

    @property
    def memory_mb(self) -> int:
        """Megabytes for the points of frames."""
        try:
            value = int(str(self._settings.value("memory_mb")))
        except ValueError:
            return 256
        return value if value >= 16 else 256

    @memory_mb.setter
    def memory_mb(self, megabytes: int) -> None:
        self._settings.setValue("memory_mb", megabytes)

    @property
    def toured(self) -> bool:
        """Whether the tour was offered before."""
        return str(self._settings.value("toured")).lower() == "true"

    @toured.setter
    def toured(self, toured: bool) -> None:
        self._settings.setValue("toured", toured)

    @property
    def workspace(self) -> str:
        """The workspace that was in front."""
        return self._choice("workspace", ("fit", "capture", "inspect", "edit", "export"))

    @workspace.setter
    def workspace(self, name: str) -> None:
        self._settings.setValue("workspace", name)

    @property
    def panels(self) -> tuple[QByteArray, bool] | None:
        """Widths of the panels, and whether the side panel is shown."""
        value = self._settings.value("panels")
        shown = self._settings.value("panel_shown")
        return (value, str(shown).lower() != "false") if isinstance(value, QByteArray) else None

    @panels.setter
    def panels(self, value: tuple[QByteArray, bool]) -> None:
        self._settings.setValue("panels", value[0])
        self._settings.setValue("panel_shown", value[1])

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
    def hidden_figures(self) -> frozenset[str]:
        """Columns of the table of frames that the user hid."""
        try:
            stored = json.loads(str(self._settings.value("hidden_figures") or "[]"))
        except ValueError:
            return frozenset()
        return frozenset(str(name) for name in stored) if isinstance(stored, list) else frozenset()

    @hidden_figures.setter
    def hidden_figures(self, names: frozenset[str]) -> None:
        self._settings.setValue("hidden_figures", json.dumps(sorted(names)))

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

"""Colours, style sheet and icons of the dark and the light theme."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import qtawesome
from PySide6.QtCore import QSize, QStandardPaths
from PySide6.QtGui import QColor, QIcon, QPalette
from PySide6.QtWidgets import QApplication

__all__ = ["THEMES", "Theme", "ThemeName", "apply_theme", "icon"]

ThemeName = Literal["dark", "light"]


@dataclass(frozen=True)
class Theme:
    """One set of colours, as #rrggbb.

    Attributes:
        window, panel, raised: Surfaces, from the lowest to the highest.
        field: Ground of what can be typed into or ticked.
        border, border_strong: Lines between surfaces and around controls.
        text, muted, faint: Text by importance; `faint` is for what is disabled.
        accent, accent_hover, on_accent: The one colour for what to do next, and text upon it.
        danger, warning, good: States.
        view_top, view_bottom, grid: The viewports' gradient and floor.
        curves: Loss curves in order: total first.
    """

    name: ThemeName
    window: str
    panel: str
    raised: str
    field: str
    border: str
    border_strong: str
    text: str
    muted: str
    faint: str
    accent: str
    accent_hover: str
    on_accent: str
    danger: str
    warning: str
    good: str
    view_top: str
    view_bottom: str
    grid: str
    curves: tuple[str, ...]


THEMES: dict[ThemeName, Theme] = {
    "dark": Theme(
        name="dark",
        window="#14161b",
        panel="#1b1e25",
        raised="#262a34",
        field="#14161b",
        border="#2b303b",
        border_strong="#3c4352",
        text="#e8eaf0",
        muted="#98a1b3",
        faint="#5b6374",
        accent="#4f8ff7",
        accent_hover="#6ba3ff",
        on_accent="#ffffff",
        danger="#f0646e",
        warning="#e9b24c",
        good="#52c48f",
        view_top="#2a303c",
        view_bottom="#15181e",
        grid="#4a5363",
        curves=("#e8eaf0", "#4f8ff7", "#e9b24c", "#52c48f", "#c586f0", "#f0646e", "#4fc4cf", "#b0b95a"),
    ),
    "light": Theme(
        name="light",
        window="#eceef2",
        panel="#f8f9fb",
        raised="#ffffff",
        field="#ffffff",
        border="#d8dce4",
        border_strong="#b9c0cc",
        text="#1c2129",
        muted="#5b6575",
        faint="#a3abb9",
        accent="#2667d8",
        accent_hover="#3a79e8",
        on_accent="#ffffff",
        danger="#c93644",
        warning="#a87010",
        good="#1f8f5c",
        view_top="#ffffff",
        view_bottom="#d9dee7",
        grid="#a9b2c1",
        curves=("#1c2129", "#2667d8", "#b57a12", "#1f8f5c", "#8a46c2", "#c93644", "#16808c", "#6c7517"),
    ),
}

_WORN = "spams_theme"
"""The application's property that names its theme."""


def icon(name: str, theme: Theme, color: str | None = None) -> QIcon:
    """A symbol of the Phosphor set in the theme's colours, grey while disabled."""
    shown: QIcon = qtawesome.icon(f"ph.{name}", color=color or theme.text, color_disabled=theme.faint)
    return shown


def apply_theme(app: QApplication, theme: Theme) -> None:
    """Give the whole application a theme, unless it wears it already: a style sheet dresses every widget anew."""
    worn = app.property(_WORN)
    if worn == theme.name:
        return
    if worn is None:
        app.setStyle("Fusion")  # by name: a QStyle wrapped for Python may be taken for another, freed object
    app.setProperty(_WORN, theme.name)
    app.setPalette(_palette(theme))
    app.setStyleSheet(_style_sheet(theme, _pictures(theme)))


def _pictures(theme: Theme) -> dict[str, str]:
    """A style sheet takes pictures from files only: arrows and check marks, drawn into the user's cache.

    Returns:
        A `url(…)` each of up, down, up_off, down_off, check and check_off; "none" where the cache cannot be written.
    """
    cache = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.CacheLocation))
    made = {}
    for name, symbol, color in (
        ("up", "ph.caret-up", theme.muted),
        ("down", "ph.caret-down", theme.muted),
        ("up_off", "ph.caret-up", theme.faint),
        ("down_off", "ph.caret-down", theme.faint),
        ("check", "ph.check-bold", theme.on_accent),
        ("check_off", "ph.check-bold", theme.faint),
    ):
        path = cache / f"{name}-{theme.name}.png"
        try:
            cache.mkdir(parents=True, exist_ok=True)
            written = qtawesome.icon(symbol, color=color).pixmap(QSize(24, 24)).save(str(path))
        except OSError:
            written = False
        made[name] = f'url("{path.as_posix()}")' if written else "none"
    return made


def _palette(theme: Theme) -> QPalette:
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    palette = QPalette()
    for which, color in (
        (role.Window, theme.window),
        (role.WindowText, theme.text),
        (role.Base, theme.panel),
        (role.AlternateBase, theme.raised),
        (role.Text, theme.text),
        (role.Button, theme.raised),
        (role.ButtonText, theme.text),
        (role.BrightText, theme.on_accent),
        (role.Highlight, theme.accent),
        (role.HighlightedText, theme.on_accent),
        (role.ToolTipBase, theme.raised),
        (role.ToolTipText, theme.text),
        (role.PlaceholderText, theme.faint),
        (role.Link, theme.accent),
        (role.Mid, theme.border),
        (role.Dark, theme.border),
        (role.Light, theme.raised),
    ):
        palette.setColor(which, QColor(color))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(group.Disabled, which, QColor(theme.faint))
    return palette


def _style_sheet(theme: Theme, pictures: dict[str, str]) -> str:
    t, p = theme, pictures
    return f"""
* {{ font-size: 12px; }}
QToolTip {{ color: {t.text}; background: {t.raised}; border: 1px solid {t.border_strong}; padding: 5px 7px; }}
QMainWindow {{ background: {t.window}; }}
QDialog {{ background: {t.panel}; dialogbuttonbox-buttons-have-icons: 0; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QSplitter::handle {{ background: {t.border}; image: none; }}
QMainWindow::separator {{ background: {t.window}; width: 4px; height: 4px; }}
QMenuBar {{ background: {t.window}; padding: 2px 6px; }}
QMenuBar::item {{ padding: 4px 9px; border-radius: 4px; background: transparent; }}
QMenuBar::item:selected {{ background: {t.raised}; }}
QMenu {{ background: {t.panel}; border: 1px solid {t.border_strong}; padding: 5px; }}
QMenu::item {{ padding: 5px 26px 5px 8px; border-radius: 4px; }}
QMenu::item:selected {{ background: {t.accent}; color: {t.on_accent}; }}
QMenu::item:disabled {{ color: {t.faint}; background: transparent; }}
QMenu::separator {{ height: 1px; background: {t.border}; margin: 5px 6px; }}
QMenu::icon {{ padding-left: 6px; }}
QMenu::icon:checked {{ background: {t.border_strong}; border-radius: 3px; margin-left: 3px; padding: 2px; }}
QToolBar {{ background: {t.panel}; border: none; border-bottom: 1px solid {t.border}; spacing: 3px; padding: 5px 8px; }}
QToolBar::separator {{ background: {t.border}; width: 1px; margin: 5px 6px; }}
QToolButton {{ background: transparent; border: 1px solid transparent; border-radius: 5px; padding: 4px 7px; }}
QToolButton:hover {{ background: {t.raised}; }}
QToolButton:pressed {{ background: {t.border_strong}; }}
QToolButton:checked {{ background: {t.raised}; border-color: {t.border_strong}; }}
QToolButton:disabled {{ color: {t.faint}; }}
QToolButton::menu-indicator {{ image: none; }}
QToolButton#primary {{ background: {t.accent}; color: {t.on_accent}; font-weight: 600; padding: 4px 12px; }}
QToolButton#primary:hover {{ background: {t.accent_hover}; }}
QToolButton#primary:disabled {{ background: {t.raised}; color: {t.faint}; }}
QStatusBar {{ background: {t.panel}; border-top: 1px solid {t.border}; color: {t.muted}; }}
QStatusBar::item {{ border: none; }}
QStatusBar QLabel {{ color: {t.muted}; padding: 1px 8px; }}
QDockWidget {{ titlebar-close-icon: none; titlebar-normal-icon: none; }}
QTabWidget::pane {{ border: none; background: {t.panel}; }}
QTabBar {{ background: {t.panel}; qproperty-drawBase: 0; }}
QTabBar::tab {{
    background: transparent; color: {t.muted}; padding: 9px 13px 7px; border-bottom: 2px solid transparent;
}}
QTabBar::tab:hover {{ color: {t.text}; }}
QTabBar::tab:selected {{ color: {t.text}; border-bottom-color: {t.accent}; font-weight: 600; }}
QWidget#panel, QScrollArea#panel, QWidget#timeline, QWidget#viewBar {{ background: {t.panel}; }}
QWidget#timeline {{ border-top: 1px solid {t.border}; }}
QWidget#viewBar {{ border-bottom: 1px solid {t.border}; }}
QFrame#columnRule {{ background: {t.border}; border: none; max-width: 1px; min-width: 1px; }}
QScrollArea {{ border: none; }}
QDialog#palette {{ background: {t.panel}; border: 1px solid {t.border_strong}; }}
QTreeView, QTextBrowser, QListView {{
    background: {t.window}; border: 1px solid {t.border}; border-radius: 5px; alternate-background-color: {t.panel};
    outline: none;
}}
QTreeView::item, QListView::item {{ padding: 4px 6px; }}
QTreeView::item:hover:!selected, QListView::item:hover:!selected {{ background: {t.raised}; }}
QTreeView::item:selected, QListView::item:selected {{ background: {t.accent}; color: {t.on_accent}; }}
QHeaderView::section {{
    background: {t.panel}; color: {t.muted}; border: none; border-bottom: 1px solid {t.border}; padding: 5px 8px;
}}
QFrame#tour {{ background: {t.panel}; border: 1px solid {t.accent}; border-radius: 8px; }}
QWidget#tourFrame {{ background: transparent; border: 2px solid {t.accent}; border-radius: 7px; }}
QFrame#card {{ background: {t.raised}; border: 1px solid {t.border}; border-radius: 7px; }}
QFrame#rule {{ background: {t.border}; border: none; max-height: 1px; min-height: 1px; }}
QLabel#heading {{ font-size: 13px; font-weight: 600; }}
QLabel#hero {{ font-size: 21px; font-weight: 600; }}
QLabel#muted {{ color: {t.muted}; }}
QLabel#loading {{ color: {t.muted}; background: {t.panel}; }}
QLabel#problem {{ color: {t.danger}; }}
QLabel#good {{ color: {t.good}; }}
QLabel#badge {{ background: {t.accent}; color: {t.on_accent}; border-radius: 7px; padding: 1px 7px; font-size: 11px; }}
QPushButton {{ background: {t.raised}; border: 1px solid {t.border_strong}; border-radius: 5px; padding: 5px 12px; }}
QPushButton:hover {{ border-color: {t.muted}; }}
QPushButton:pressed {{ background: {t.border}; }}
QPushButton:disabled {{ color: {t.faint}; border-color: {t.border}; }}
QPushButton#primary {{ background: {t.accent}; border-color: {t.accent}; color: {t.on_accent}; font-weight: 600; }}
QPushButton#primary:hover {{ background: {t.accent_hover}; border-color: {t.accent_hover}; }}
QPushButton#primary:disabled {{ background: {t.raised}; color: {t.faint}; border-color: {t.border}; }}
QPushButton#chip {{ border-radius: 11px; padding: 3px 9px; text-align: left; background: transparent; }}
QPushButton#chip:hover {{ background: {t.raised}; }}
QPushButton#chip:checked {{ background: {t.raised}; border-color: {t.accent}; }}
QToolButton#outlined {{ background: {t.raised}; border-color: {t.border_strong}; padding: 4px 9px; }}
QToolButton#outlined:hover {{ border-color: {t.muted}; }}
QToolButton#outlined:checked {{ border-color: {t.accent}; color: {t.accent}; }}
QToolButton#outlined:disabled {{ color: {t.faint}; border-color: {t.border}; }}
QLineEdit, QComboBox, QSpinBox, QDoubleSpinBox {{
    background: {t.field}; border: 1px solid {t.border_strong}; border-radius: 5px; padding: 4px 7px; min-height: 17px;
    selection-background-color: {t.accent}; selection-color: {t.on_accent};
}}
QSpinBox, QDoubleSpinBox {{ padding: 3px 7px; min-height: 15px; }}
QLineEdit:focus, QComboBox:focus, QSpinBox:focus, QDoubleSpinBox:focus {{ border-color: {t.accent}; }}
QLineEdit:disabled, QComboBox:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled {{
    background: {t.panel}; color: {t.faint}; border-color: {t.border};
}}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{
    subcontrol-origin: border; width: 18px; border: none; background: transparent;
}}
QAbstractSpinBox::up-button {{ subcontrol-position: top right; margin: 2px 2px 0 0; }}
QAbstractSpinBox::down-button {{ subcontrol-position: bottom right; margin: 0 2px 2px 0; }}
QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover {{ background: {t.border}; border-radius: 3px; }}
QAbstractSpinBox::up-arrow {{ image: {p["up"]}; width: 9px; height: 9px; }}
QAbstractSpinBox::down-arrow {{ image: {p["down"]}; width: 9px; height: 9px; }}
QAbstractSpinBox::up-arrow:disabled, QAbstractSpinBox::up-arrow:off {{ image: {p["up_off"]}; }}
QAbstractSpinBox::down-arrow:disabled, QAbstractSpinBox::down-arrow:off {{ image: {p["down_off"]}; }}
QCheckBox {{ spacing: 7px; }}
QCheckBox:disabled {{ color: {t.faint}; }}
QCheckBox::indicator {{
    width: 14px; height: 14px; background: {t.field}; border: 1px solid {t.muted}; border-radius: 4px;
}}
QCheckBox::indicator:hover {{ border-color: {t.accent}; }}
QCheckBox::indicator:checked {{ background: {t.accent}; border-color: {t.accent}; image: {p["check"]}; }}
QCheckBox::indicator:disabled {{ background: {t.panel}; border-color: {t.border_strong}; }}
QCheckBox::indicator:checked:disabled {{ image: {p["check_off"]}; }}
QComboBox::drop-down {{ border: none; width: 20px; }}
QComboBox::down-arrow {{ image: {p["down"]}; width: 10px; height: 10px; }}
QComboBox QAbstractItemView {{
    background: {t.panel}; border: 1px solid {t.border_strong}; selection-background-color: {t.accent};
    selection-color: {t.on_accent}; outline: none; padding: 3px;
}}
QProgressBar {{
    background: {t.window}; border: 1px solid {t.border}; border-radius: 4px; text-align: center; min-height: 8px;
    max-height: 8px;
}}
QProgressBar::chunk {{ background: {t.accent}; border-radius: 3px; }}
QScrollBar:vertical {{ background: transparent; width: 9px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {t.border_strong}; border-radius: 4px; min-height: 26px; }}
QScrollBar:horizontal {{ background: transparent; height: 9px; margin: 0; }}
QScrollBar::handle:horizontal {{ background: {t.border_strong}; border-radius: 4px; min-width: 26px; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
    background: none; border: none; width: 0; height: 0;
}}
"""

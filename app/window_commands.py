"""The window's commands and where they appear."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from app.commands import Command

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["MENUS", "TRANSPORT", "VIEW_SWITCHES", "window_commands"]

MENUS = (
    (
        "&File",
        (
            "project.new", "project.open", "project.save", "project.save_as", "-",
            "open.recording", "open.recording_file", "open.fit", "open.demo", "-", "export.fit", "export.body",
            "screenshot", "-",
            "copy.fit", "copy.evaluate", "copy.export", "-",
            "preferences", "quit",
        ),
    ),
    (
        "&Play",
        ("play.toggle", "play.back", "play.forward", "play.first", "play.last", "-", "play.loop", "play.worst",
         "play.worst_back"),
    ),
    (
        "&View",
        (
            "show.part_colors", "show.cloud", "show.mesh", "show.matches", "-",
            "view.linked", "view.follow", "view.reset", "view.back", "view.left", "view.right", "view.top",
            "view.parallel", "-",
            "turn.capture", "turn.fit", "turn.inspect", "turn.edit", "turn.export", "-", "show.panel", "theme.light",
        ),
    ),
    ("&Help", ("help.page", "help.tour", "palette", "shortcuts", "-", "help.log", "help.about")),
)  # fmt: skip
"""Menu titles and their commands; "-" is a separator. The workspaces' own menus follow the first."""

TRANSPORT = ("play.first", "play.back", "play.toggle", "play.forward", "play.last", "play.loop")
"""Buttons of the timeline."""

VIEW_SWITCHES = (("show.part_colors",), ("show.cloud", "show.mesh", "show.matches"), ("view.linked",))
"""Switches above each viewport."""


def window_commands(window: MainWindow) -> list[Command]:
    """All commands, bound to a window."""
    session, player, asking = window.session, window.player, window.asking
    editing = window.editing

    def has_frames() -> bool:
        return session.frame_count > 0

    def many_frames() -> bool:
        return session.frame_count > 1

    def viewing() -> bool:
        return window.viewing

    def switch(field: str) -> tuple[Callable[[bool], None], Callable[[], bool]]:
        return partial(setattr, session, field), lambda: bool(getattr(session, field))

    def layer(name: str, title: str, hint: str, key: str, symbol: str, field: str) -> Command:
        store, load = switch(field)
        return Command(name, title, store, hint, key, symbol, viewing, load)

    return [
        *window.projects.commands(),
        *window.copying.commands(),
        *window.bookmarks.commands(),
        Command(
            "open.recording", "Open Recording…", asking.ask_recording,
            "Open a folder with camera.json and depth images, or of another format", "Ctrl+O", "folder-open",
        ),
        Command(
            "open.recording_file", "Open Recording File…", asking.ask_recording_file,
            "Open a recording that is one file: RealSense .bag, Azure Kinect .mkv, Record3D .r3d, ScanNet .sens",
            "Ctrl+Shift+F", "file-search",
        ),
        Command(
            "open.fit", "Open Fit…", asking.ask_fit, "Open a fit that was made before", "Ctrl+Shift+O", "person-simple",
        ),
        Command(
            "open.demo", "Open the Demo Recording", window.documents.open_demo,
            "A short recording that comes with the program", "", "film-strip",
        ),
        Command(
            "export.fit", "Export…", partial(window.turn_to, "export"), "Turn to the exports of the fit", "Ctrl+E",
            "export", lambda: session.fit_path is not None,
        ),
        Command(
            "export.body", "Export Body on Screen…", asking.ask_export_body,
            "Write the mesh of this frame, edits included, as PLY, OBJ, GLB or STL", "", "cube",
            lambda: session.has_body,
        ),
        Command(
            "screenshot", "Save Screenshot…", asking.ask_screenshot, "Save a picture of the window", "F12", "camera",
        ),
        Command("quit", "Quit", window.quit, "", "Ctrl+Q", "sign-out"),
        Command(
            "play.toggle", "Play", player.toggle, "Play or pause", "Space", "play", many_frames,
            lambda: player.clock.playing,
        ),
        Command("play.back", "Step Back", partial(player.step, -1), "", "Left", "caret-left", has_frames),
        Command("play.forward", "Step Forward", partial(player.step, 1), "", "Right", "caret-right", has_frames),
        Command("play.first", "First Frame", player.go_to_first, "", "Home", "skip-back", has_frames),
        Command("play.last", "Last Frame", player.go_to_last, "", "End", "skip-forward", has_frames),
        Command(
            "play.loop", "Loop", player.set_loop, "Begin again at the end", "L", "repeat", has_frames,
            lambda: player.clock.loop,
        ),
        Command(
            "play.worst", "Next Worst Frame", player.next_worst, "Jump to the worst frames in turn", "N", "target",
            lambda: session.fit is not None,
        ),
        Command(
            "play.worst_back", "Previous Worst Frame", partial(player.next_worst, -1),
            "Go back through the worst frames", "Shift+N", "", lambda: session.fit is not None,
        ),
        Command(
            "show.part_colors", "Colour Points by Part", window.color_by_part,
            "Points in the colours of their body parts, or of their distance", "C", "palette", viewing,
            lambda: session.cloud_colors == "part",
        ),
        layer("show.cloud", "Points over the Fit", "Show the observed points in the fit's view", "P", "dots-nine",
              "show_cloud"),
        layer("show.mesh", "Fitted Mesh", "Show the fitted mesh", "B", "person-simple", "show_mesh"),
        layer("show.matches", "Correspondences", "Lines from observed points to the matched model points", "M",
              "line-segments", "show_matches"),
        layer("view.linked", "Turn the Canonical View Along", "All three views turn and zoom together", "K", "link",
              "linked"),
        layer("view.follow", "Follow the Subject", "The camera walks along with the subject", "F", "crosshair",
              "follow"),
        Command("view.reset", "View from the Sensor", window.reset_view, "Whole recording, seen from the sensor's side",
                "R", "frame-corners", viewing),
        Command("view.back", "View from Behind", partial(window.view_from, "back"), "", "Ctrl+1", "", viewing),
        Command("view.left", "View from the Left", partial(window.view_from, "left"), "", "Ctrl+2", "caret-circle-left",
                viewing),
        Command("view.right", "View from the Right", partial(window.view_from, "right"), "", "Ctrl+3",
                "caret-circle-right", viewing),
        Command("view.top", "View from Above", partial(window.view_from, "top"), "", "Ctrl+4", "", viewing),
        Command("view.parallel", "Parallel Projection", window.use_parallel, "Nothing gets smaller with the distance",
                "O", "cube", viewing, lambda: window.viewport is not None and window.viewport.parallel),
        Command("show.panel", "Side Panel", window.show_panel, "Show or hide the panel on the right", "F9",
                "layout", None, window.panel_shown),
        Command("theme.light", "Light Theme", window.use_light_theme, "Switch between the dark and the light theme", "",
                "sun", None, lambda: window.theme.name == "light"),
        *(
            Command(
                f"turn.{workspace.id}", f"{workspace.title} Workspace", partial(window.turn_to, workspace.id),
                workspace.hint, f"Alt+{number}", "", lambda: window.viewport is not None,
            )
            for number, workspace in enumerate(window.workspaces, 1)
        ),
        Command("undo", "Undo", editing.undo_stack.undo, "Take back the last edit", "Ctrl+Z", "arrow-u-up-left",
                editing.undo_stack.canUndo),
        Command("redo", "Redo", editing.undo_stack.redo, "Do again what was taken back", "Ctrl+Shift+Z",
                "arrow-u-up-right", editing.undo_stack.canRedo),
        Command("palette", "Find a Command…", asking.show_palette, "Every command by a few letters of its name",
                "Ctrl+Shift+P", "magnifying-glass"),
        Command("shortcuts", "Keyboard Shortcuts…", asking.edit_shortcuts, "See and change which key does what", "",
                "keyboard"),
        Command("help.tour", "Take the Tour", asking.start_tour,
                "Two minutes, with what is open or the bundled recording", "", "path",
                lambda: window.is_ready and window.jobs.fitting is None),
        Command("help.log", "Log", asking.show_log, "What the program reports while it works", "Ctrl+Shift+L", "list"),
        Command("preferences", "Preferences…", asking.edit_preferences, "Theme, units, memory, device, pace", "Ctrl+,",
                "gear"),
        Command("help.page", "Help", asking.show_help, "Workspaces, commands and keys", "F1", "question"),
        Command("help.about", "About SPAM Studio", asking.show_about, "", "", "info"),
    ]  # fmt: skip

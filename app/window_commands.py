"""The window's commands and where they appear."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from app.commands import Command
from app.translation import tr

if TYPE_CHECKING:
    from app.main_window import MainWindow

__all__ = ["MENUS", "TRANSPORT", "VIEW_SWITCHES", "window_commands"]

MENUS = (
    (
        "file", tr("&File"),
        (
            "project.new", "project.open", "project.save", "project.save_as", "-",
            "open.recording", "open.recording_file", "open.fit", "open.demo", "-", "export.fit", "export.body",
            "screenshot", "-",
            "copy.fit", "copy.evaluate", "copy.export", "-",
            "preferences", "quit",
        ),
    ),
    (
        "play", tr("&Play"),
        ("play.toggle", "play.back", "play.forward", "play.first", "play.last", "-", "play.loop", "play.worst",
         "play.worst_back"),
    ),
    (
        "view", tr("&View"),
        (
            "show.part_colors", "show.cloud", "show.mesh", "show.matches", "-",
            "view.linked", "view.follow", "view.reset", "view.back", "view.left", "view.right", "view.top",
            "view.parallel", "-",
            "turn.capture", "turn.fit", "turn.inspect", "turn.edit", "turn.export", "-", "show.panel", "theme.light",
        ),
    ),
    ("help", tr("&Help"), ("help.page", "help.tour", "palette", "shortcuts", "-", "help.log", "help.about")),
)  # fmt: skip
"""Menus by id, with their titles and commands; "-" is a separator. The workspaces' own menus follow the first."""

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
            "open.recording", tr("Open Recording…"), asking.ask_recording,
            tr("Open a folder with camera.json and depth images, or of another format"), "Ctrl+O", "folder-open",
        ),
        Command(
            "open.recording_file", tr("Open Recording File…"), asking.ask_recording_file,
            tr("Open a recording that is one file: RealSense .bag, Azure Kinect .mkv, Record3D .r3d, ScanNet .sens"),
            "Ctrl+Shift+F", "file-search",
        ),
        Command(
            "open.fit", tr("Open Fit…"), asking.ask_fit, tr("Open a fit that was made before"), "Ctrl+Shift+O",
            "person-simple",
        ),
        Command(
            "open.demo", tr("Open the Demo Recording"), window.documents.open_demo,
            tr("A short recording that comes with the program"), "", "film-strip",
        ),
        Command(
            "export.fit", tr("Export…"), partial(window.turn_to, "export"), tr("Turn to the exports of the fit"),
            "Ctrl+E",
            "export", lambda: session.fit_path is not None,
        ),
        Command(
            "export.body", tr("Export Body on Screen…"), asking.ask_export_body,
            tr("Write the mesh of this frame, edits included, as PLY, OBJ, GLB or STL"), "", "cube",
            lambda: session.has_body,
        ),
        Command(
            "screenshot", tr("Save Screenshot…"), asking.ask_screenshot, tr("Save a picture of the window"), "F12",
            "camera",
        ),
        Command("quit", tr("Quit"), window.quit, "", "Ctrl+Q", "sign-out"),
        Command(
            "play.toggle", tr("Play"), player.toggle, tr("Play or pause"), "Space", "play", many_frames,
            lambda: player.clock.playing,
        ),
        Command("play.back", tr("Step Back"), partial(player.step, -1), "", "Left", "caret-left", has_frames),
        Command("play.forward", tr("Step Forward"), partial(player.step, 1), "", "Right", "caret-right", has_frames),
        Command("play.first", tr("First Frame"), player.go_to_first, "", "Home", "skip-back", has_frames),
        Command("play.last", tr("Last Frame"), player.go_to_last, "", "End", "skip-forward", has_frames),
        Command(
            "play.loop", tr("Loop"), player.set_loop, tr("Begin again at the end"), "L", "repeat", has_frames,
            lambda: player.clock.loop,
        ),
        Command(
            "play.worst", tr("Next Worst Frame"), player.next_worst, tr("Jump to the worst frames in turn"), "N",
            "target",
            lambda: session.fit is not None,
        ),
        Command(
            "play.worst_back", tr("Previous Worst Frame"), partial(player.next_worst, -1),
            tr("Go back through the worst frames"), "Shift+N", "", lambda: session.fit is not None,
        ),
        Command(
            "show.part_colors", tr("Colour Points by Part"), window.color_by_part,
            tr("Points in the colours of their body parts, or of their distance"), "C", "palette", viewing,
            lambda: session.cloud_colors == "part",
        ),
        layer("show.cloud", tr("Points over the Fit"), tr("Show the observed points in the fit's view"), "P",
              "dots-nine",
              "show_cloud"),
        layer("show.mesh", tr("Fitted Mesh"), tr("Show the fitted mesh"), "B", "person-simple", "show_mesh"),
        layer("show.matches", tr("Correspondences"), tr("Lines from observed points to the matched model points"), "M",
              "line-segments", "show_matches"),
        layer("view.linked", tr("Turn the Canonical View Along"), tr("All three views turn and zoom together"), "K",
              "link",
              "linked"),
        layer("view.follow", tr("Follow the Subject"), tr("The camera walks along with the subject"), "F", "crosshair",
              "follow"),
        Command("view.reset", tr("View from the Sensor"), window.reset_view,
                tr("Whole recording, seen from the sensor's side"),
                "R", "frame-corners", viewing),
        Command("view.back", tr("View from Behind"), partial(window.view_from, "back"), "", "Ctrl+1", "", viewing),
        Command("view.left", tr("View from the Left"), partial(window.view_from, "left"), "", "Ctrl+2",
                "caret-circle-left",
                viewing),
        Command("view.right", tr("View from the Right"), partial(window.view_from, "right"), "", "Ctrl+3",
                "caret-circle-right", viewing),
        Command("view.top", tr("View from Above"), partial(window.view_from, "top"), "", "Ctrl+4", "", viewing),
        Command("view.parallel", tr("Parallel Projection"), window.use_parallel,
                tr("Nothing gets smaller with the distance"),
                "O", "cube", viewing, lambda: window.viewport is not None and window.viewport.parallel),
        Command("show.panel", tr("Side Panel"), window.show_panel, tr("Show or hide the panel on the right"), "F9",
                "layout", None, window.panel_shown),
        Command("theme.light", tr("Light Theme"), window.use_light_theme,
                tr("Switch between the dark and the light theme"), "",
                "sun", None, lambda: window.theme.name == "light"),
        *(
            Command(
                f"turn.{workspace.id}", tr("{name} Workspace", name=workspace.title),
                partial(window.turn_to, workspace.id),
                workspace.hint, f"Alt+{number}", "", lambda: window.viewport is not None,
            )
            for number, workspace in enumerate(window.workspaces, 1)
        ),
        Command("undo", tr("Undo"), editing.undo_stack.undo, tr("Take back the last edit"), "Ctrl+Z", "arrow-u-up-left",
                editing.undo_stack.canUndo),
        Command("redo", tr("Redo"), editing.undo_stack.redo, tr("Do again what was taken back"), "Ctrl+Shift+Z",
                "arrow-u-up-right", editing.undo_stack.canRedo),
        Command("palette", tr("Find a Command…"), asking.show_palette, tr("Every command by a few letters of its name"),
                "Ctrl+Shift+P", "magnifying-glass"),
        Command("shortcuts", tr("Keyboard Shortcuts…"), asking.edit_shortcuts,
                tr("See and change which key does what"), "",
                "keyboard"),
        Command("help.tour", tr("Take the Tour"), asking.start_tour,
                tr("Two minutes, with what is open or the bundled recording"), "", "path",
                lambda: window.is_ready and window.jobs.fitting is None),
        Command("help.log", tr("Log"), asking.show_log, tr("What the program reports while it works"), "Ctrl+Shift+L",
                "list"),
        Command("preferences", tr("Preferences…"), asking.edit_preferences, tr("Theme, units, memory, device, pace"),
                "Ctrl+,",
                "gear"),
        Command("help.page", tr("Help"), asking.show_help, tr("Workspaces, commands and keys"), "F1", "question"),
        Command("help.about", tr("About SPAM Studio"), asking.show_about, "", "", "info"),
    ]  # fmt: skip

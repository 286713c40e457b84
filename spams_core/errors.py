"""The one exception for input that the user can put right."""

__all__ = ["InputError"]


class InputError(Exception):
    """What is wrong, where, and what to do, in one line.

    The command line prints it and exits with 2; the window shows it in a dialog. Anything else that is raised is a
    defect of this program and keeps its traceback.
    """

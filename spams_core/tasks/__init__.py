"""The one service layer: generator functions that the command line and the window iterate."""

"""The window's panels, one per file."""

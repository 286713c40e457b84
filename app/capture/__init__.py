"""Capture: Look at the recording before it is fitted."""

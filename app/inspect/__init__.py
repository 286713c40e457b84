"""Inspect: See how good the fit is, and where."""

"""Fit: settings, runs, and how they go."""

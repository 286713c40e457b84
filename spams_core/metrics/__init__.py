"""Measures of surfaces, tracking and labels."""

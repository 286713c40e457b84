"""Structured-implicit parametric models: learn them from meshes, fit them to depth recordings."""

__version__ = "0.1.0"
__all__ = ["__version__"]

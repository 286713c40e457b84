"""Cameras, rigid motions, meshes, nearest points, observed distances, isosurfaces."""

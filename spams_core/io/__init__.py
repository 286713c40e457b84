"""One file format per module: depth recordings in, meshes out, archives both ways."""

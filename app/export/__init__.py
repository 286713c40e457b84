"""Export: meshes and pictures to take along."""

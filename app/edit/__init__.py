"""Edit: shape and pose by hand."""

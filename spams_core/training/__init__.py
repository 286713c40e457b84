"""One loop; per network its settings and its loss."""

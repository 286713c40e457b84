"""Projects: what is open and how it is looked at, in one file."""

"""Tasks: one file per kind of answer."""

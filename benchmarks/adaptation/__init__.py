"""Answers on a domain without labels: ours beside skada's, on the same stored features."""

"""Kinds of target: one file each, found by name."""

"""Choosing: which backbone, and which strategy, from evidence."""

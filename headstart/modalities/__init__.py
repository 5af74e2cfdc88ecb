"""Kinds of raw input."""

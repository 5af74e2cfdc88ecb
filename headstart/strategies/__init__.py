"""Strategies: one file per mechanism that moves weights."""

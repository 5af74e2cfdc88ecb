"""Anything a user holds, as inputs to answer about: one reading for all that answer."""

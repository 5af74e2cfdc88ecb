"""Anything a user holds, as inputs to answer about: one reading for all that answer."""

from __future__ import annotations

from headstart.data.inputs.interface import Input
from headstart.data.inputs.reading import inputs_of

__all__ = ["Input", "inputs_of"]

"""The whole path, offline, on real data that other packages bring along."""

from headstart.demo.docstrings import text
from headstart.demo.handwriting import LABELS_PER_CLASS, digits

__all__ = ["LABELS_PER_CLASS", "digits", "text"]

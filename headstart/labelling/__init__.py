"""Labels worth buying: which items to label next, a page to label them on, and what it changed."""

from __future__ import annotations

from headstart.labelling.suggestions import Suggestion, Suggestions

__all__ = ["Suggestion", "Suggestions"]

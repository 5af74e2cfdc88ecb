"""Answering on an unlabelled target: what each method gives, which one is safe, what is known."""

from __future__ import annotations

from headstart.adaptation.candidates import SOURCE, Candidate, candidates_on
from headstart.adaptation.choice import Choice, chosen
from headstart.adaptation.labels import Labelled, disputed, gains
from headstart.adaptation.presence import Presence, presence
from headstart.adaptation.record import Adapted

__all__ = [
    "SOURCE",
    "Adapted",
    "Candidate",
    "Choice",
    "Labelled",
    "Presence",
    "candidates_on",
    "chosen",
    "disputed",
    "gains",
    "presence",
]

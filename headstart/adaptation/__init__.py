"""Answering on an unlabelled target: what each method gives, which one is safe, what is known."""

from __future__ import annotations

from headstart.adaptation.candidates import SOURCE as SOURCE
from headstart.adaptation.candidates import Candidate as Candidate
from headstart.adaptation.candidates import candidates_on as candidates_on
from headstart.adaptation.choice import Choice as Choice
from headstart.adaptation.choice import chosen as chosen
from headstart.adaptation.labels import Labelled as Labelled
from headstart.adaptation.labels import disputed as disputed
from headstart.adaptation.labels import gains as gains
from headstart.adaptation.presence import Presence as Presence
from headstart.adaptation.presence import presence as presence
from headstart.adaptation.record import Adapted as Adapted

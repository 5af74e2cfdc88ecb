"""Which way of answering is handed over: as named, by a few labels, or by validators with care."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.adaptation.candidates import SOURCE, Candidate
from headstart.adaptation.labels import Gain
from headstart.adaptation.presence import Presence
from headstart.adaptation.validators import DECISIVE, VALIDATORS


@dataclass(frozen=True)
class Choice:
    """The name of what is handed over, what chose it, and why in a sentence.

    `by` is `user`, `labels`, `validators` or `doubt`.
    """

    name: str
    by: str
    why: str


def chosen(
    candidates: Sequence[Candidate],
    presence: Presence,
    gains: Mapping[str, Gain] | None = None,
    named: str | None = None,
) -> Choice:
    """Choose among source only, which comes first, and the methods.

    Labels of the target count before validators where there are any: the method with the largest
    gain on them, those that are level in the validators' order. Without them the validators' mean
    rank decides, unless classes seem to be missing: then no validator can be trusted, and source
    only is taken.
    """
    if named is not None:
        return Choice(named, "user", f"{named} was named.")
    order = ranked(candidates)
    if gains:
        best = max(order, key=lambda name: gains[name].value)
        count = gains[best].labels
        if gains[best].value <= 0:
            best = SOURCE
        return Choice(best, "labels", f"{best} is best on the {count} target labels given.")
    if presence.doubtful:
        return Choice(SOURCE, "doubt", _doubt(presence))
    support = preferred(candidates, order[0])
    if order[0] != SOURCE and len(support) <= len(DECISIVE) / 2:
        return Choice(SOURCE, "doubt", f"Most validators prefer source only to {order[0]}.")
    return Choice(
        order[0],
        "validators",
        f"{order[0]} has the best mean rank by {', '.join(DECISIVE[:-1])} and {DECISIVE[-1]}, and "
        "all classes seem to be in the target.",
    )


def ranked(candidates: Sequence[Candidate]) -> list[str]:
    """Names from the best to the worst by the mean rank of the validators that decide."""
    ranks = np.zeros(len(candidates))
    for validator in DECISIVE:
        scores = np.array([round(each.scores[validator], 9) for each in candidates])
        ranks += [(scores > own).sum() + ((scores == own).sum() - 1) / 2 for own in scores]
    return [candidates[place].name for place in np.argsort(ranks, kind="stable")]


def preferred(candidates: Sequence[Candidate], name: str) -> list[str]:
    """The deciding validators that put a method above source only."""
    source = candidates[0]
    own = next(each for each in candidates if each.name == name)
    return [each for each in DECISIVE if own.scores[each] > source.scores[each]]


def favourites(candidates: Sequence[Candidate]) -> dict[str, str]:
    """What each validator alone would choose."""
    return {
        validator: max(candidates, key=lambda each: each.scores[validator]).name
        for validator in VALIDATORS
    }


def _doubt(presence: Presence) -> str:
    classes = len(presence.source)
    return (
        f"The target seems to hold about {presence.effective:.1f} of {classes} classes: where "
        "classes are missing most methods do harm and no validator sees it, so source only is "
        "taken."
    )

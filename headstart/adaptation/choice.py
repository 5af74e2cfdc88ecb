"""Which way of answering is handed over: as named, by a few labels, or by validators with care."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.adaptation.candidates import SOURCE, Candidate
from headstart.adaptation.labels import Gain
from headstart.adaptation.presence import Presence
from headstart.adaptation.validators import DECISIVE, VALIDATORS

USUAL = "mcc"  # the best where all classes are there, over most pairs that were ever compared
PARTIAL = "mixture"  # does no harm where some are missing or rare, if classes are clusters
PLAIN = "standardisation"  # the least that is done, which goes by no clusters
CLUSTERED = 0.7  # how well classes must be told apart in the source for methods to go by clusters


@dataclass(frozen=True)
class Choice:
    """The name of what is handed over, what chose it, and why in a sentence.

    `by` is `user`, `labels`, `validators`, `presence` of classes, or `doubt`.
    """

    name: str
    by: str
    why: str


def chosen(
    candidates: Sequence[Candidate],
    presence: Presence,
    gains: Mapping[str, Gain] | None = None,
    requested: str | None = None,
) -> Choice:
    """Choose among source only, which comes first, and the methods.

    Labels of the target count before validators where there are any: the method with the largest
    gain on them, those that are level in the validators' order. Without them it is the usual
    method where all classes seem to be there, and source only where most validators put it above
    that; as each validator favours methods that seek what it measures, they rank no others. Where
    classes seem to be missing or rare no validator can be trusted: then it is a method that leaves
    shares free, if classes are clusters, and else source only; of two classes none can be missing.
    """
    if requested is not None:
        return Choice(requested, "user", f"{requested} was named.")
    order = ranked(candidates)
    if gains:
        best = max(order, key=lambda name: gains[name].value)
        count = gains[best].labels
        if gains[best].value <= 0:
            best = SOURCE
        return Choice(best, "labels", f"{best} is best on the {count} target labels given.")
    if presence.doubtful:
        return _careful(candidates, presence)
    best = USUAL if USUAL in order else order[0]
    support = preferred(candidates, best)
    if len(support) <= len(DECISIVE) / 2:
        return Choice(SOURCE, "doubt", f"Most validators prefer source only to {best}.")
    return Choice(
        best,
        "validators",
        f"{best} is taken: {len(support)} of {len(DECISIVE)} validators that decide put it above "
        "source only, and all classes seem to be in the target.",
    )


def _careful(candidates: Sequence[Candidate], presence: Presence) -> Choice:
    """What is taken where classes seem to be missing, or can't be told apart."""
    names = [each.name for each in candidates]
    clustered = _skill(candidates[0], presence) >= CLUSTERED
    if clustered and PARTIAL in names:
        return Choice(PARTIAL, "presence", f"{_missing(presence)} so {PARTIAL} is taken.")
    if not clustered and len(presence.source) == 2 and PLAIN in names:
        return Choice(PLAIN, "presence", f"{_blurred(candidates[0])} so {PLAIN} is taken.")
    why = _missing(presence) if clustered else _blurred(candidates[0])
    return Choice(SOURCE, "doubt", f"{why} so source only is taken.")


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


def _skill(source: Candidate, presence: Presence) -> float:
    """How far held-out source items are answered better than by the largest class, 1 at most."""
    chance = float(presence.source.max())
    return (source.scores["source accuracy"] - chance) / max(1 - chance, 1e-9)


def _blurred(source: Candidate) -> str:
    return (
        f"Even of the source only {source.scores['source accuracy']:.3f} of the held-out items are "
        "answered rightly: classes that lie so close are no clusters to adapt by, and which of "
        "them the target holds can't be seen,"
    )


def _missing(presence: Presence) -> str:
    return (
        f"Some of the {len(presence.source)} classes may be missing or rare in the target: answers "
        f"use about {presence.effective:.1f} of them. Then methods that spread answers over all do "
        "harm and no validator sees it,"
    )

"""Short fine-tuning of candidates that features can't tell apart, each round fewer of them."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from headstart import catalog, defaults, evidence
from headstart.contracts import Backbone
from headstart.errors import HeadstartError
from headstart.evidence import Arm
from headstart.pipeline.selection.candidates import Candidate
from headstart.pipeline.selection.looks import looks
from headstart.pipeline.selection.ranking import BackboneRanking
from headstart.runtime.budget import Budget

STRATEGY = "lp-ft"  # begins where the probe ends, so that a few epochs already tell something
FINALISTS = 4  # candidates that are fine-tuned at most
SHORTEST = (
    4  # the first round has this part of the policy's epochs; each next one has twice as many
)


def successive_halving(ranking: BackboneRanking, until: Budget) -> None:
    """Fine-tune the best candidates for longer and longer until one is left or time is over.

    Only those that scores on features leave level with the best take part. Of each round the better
    half by validation stays, and whoever is clearly behind the best goes (successive halving,
    Jamieson and Talwalkar 2016). The order of the ranking becomes that of the outcome.
    """
    finalists = ranking.level()[:FINALISTS]
    whole = defaults.epochs(len(ranking.dataset.split("train")))
    epochs = max(1, whole // SHORTEST)
    while len(finalists) > 1 and not until.over() and epochs <= whole:
        for each, other in looks(ranking, finalists, partial(_tuned, epochs), until):
            each.take(other)
            if each.untuned:
                sentence = f"{each.reference} could not be fine-tuned: {each.untuned}"
                ranking.context.progress.warn(sentence)
        finalists.sort(key=_selection_key, reverse=True)
        ranking.promote(finalists)
        half = finalists[: (len(finalists) + 1) // 2]
        level = [each for each in half if not _beaten(ranking, half[0], each)]
        finalists = [each for each in level if each.tuned is not None]
        epochs *= 2


def _selection_key(each: Candidate) -> tuple[float, float]:
    return each.tuned.selection_key if each.tuned is not None else (float("-inf"), 0.0)


def _beaten(ranking: BackboneRanking, best: Candidate, other: Candidate) -> bool:
    if best.tuned is None or other.tuned is None:
        return best is not other
    judge = evidence.Assessor.of(ranking.experiment(best.loaded), "validation")
    ours, theirs = (each.outputs["validation"] for each in (best.tuned, other.tuned))
    return judge.gain(ours, theirs).low > 0


def _tuned(epochs: int, ranking: BackboneRanking, each: Candidate, until: Budget) -> Candidate:
    """A candidate after some epochs of fine-tuning; where that can't be, it keeps what it had."""
    started, each.untuned = time.monotonic(), ""
    try:
        each.tuned = _arm(ranking, each.loaded, epochs, until)
    except (HeadstartError, MemoryError, RuntimeError) as error:
        each.untuned = str(error)
    each.seconds += time.monotonic() - started
    return each


def _arm(ranking: BackboneRanking, backbone: Backbone, epochs: int, until: Budget) -> Arm:
    """What fine-tuning reaches, of which only validation's scores are looked at.

    A network that can't be trained is compared as it is, under a probe.
    """
    experiment = ranking.experiment(backbone)
    settings = replace(experiment.settings, epochs=epochs)
    experiment = replace(experiment, settings=settings, workspace=None, budget=until)
    features = evidence.features_arm(experiment, backbone)
    if not backbone.differentiable:
        return features.arm
    strategy = catalog.strategy(STRATEGY)
    return evidence.strategy_arm(
        experiment, backbone, strategy, STRATEGY, features, until.until(1.0)
    ).arm

"""How alike source and target are, measured on features before any weight moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from headstart import evidence
from headstart.artifact import Record
from headstart.contracts import Backbone
from headstart.contracts.references import parse
from headstart.drift import UNFAMILIAR, Familiarity, Reference, chosen, two_sample
from headstart.errors import HeadstartError
from headstart.evidence import Experiment, Interval
from headstart.loading import record as records

_ROUNDS: Final = 100  # permutations
_FEWEST: Final = 20  # items of either, below which hardly any difference would be seen


def likeness(experiment: Experiment, backbone: Backbone, gain: Interval) -> dict[str, Any]:
    """What frozen features are worth on the target, and how far its items are from the source's.

    `worth` is their `gain` over the naive model on validation. Where the source is
    a model that Headstart saved, its held-out items are compared with the target's: `apart` is the
    AUC of a classifier that tells them apart, with the `p` of a permutation test, `overlap` the
    share of the target's items as familiar as 95 % of the source's. `said` are sentences, `far`
    whether they amount to a warning.
    """
    task, seed = experiment.task, experiment.settings.seed
    record: dict[str, Any] = {"worth": gain.to_json(), "far": gain.low <= 0}
    value, low, high = evidence.gained(gain, task.metric, task.sign < 0)
    sentences = [f"Frozen features are worth {value} over the naive model ({low} to {high})."]
    source = source_of(backbone)
    if source is not None:
        record |= _apart(source, experiment.examples(backbone)["train"][0], seed)
        sentences.append(
            f"{record['overlap']:.0%} of the target's items look familiar to the source, and a "
            f"classifier tells both apart with an AUC of {record['apart']:.2f} (.5 is not at "
            f"all; p {record['p']:.3f})."
        )
    return record | {"said": sentences}


def warning(record: Mapping[str, Any], backbone: Backbone) -> str:
    """The sentence before work on a target that is too unlike the source; empty where it isn't.

    A table's own columns are no source.
    """
    if not record["far"] or not (backbone.parameters or backbone.related):
        return ""
    advice = "Leave out --from" if backbone.related else "Try another -b"
    return " ".join(
        [
            "Source and target may be too dissimilar for a transfer.",
            *record["said"],
            f"{advice}.",
        ]
    )


def source_of(backbone: Backbone) -> Reference | None:
    """The held-out items of the saved model that a backbone is from; None where there are none."""
    source = parse(backbone.origin.reference)
    folder = Path(source.weights).parent if source.weights else None
    if source.hub == "checkpoint":
        folder = Path(source.name)
    if folder is None or not (folder / records.FILE).is_file():
        return None
    try:
        digest = Record.of(records.read(folder)).reference.get("sha256", "")
        reference = Reference.read(folder, digest) if digest else None
    except (HeadstartError, ValueError, TypeError):
        return None
    if reference is None or reference.features.shape[1] != backbone.feature_dim:
        return None
    return reference if len(reference) >= _FEWEST else None


def _apart(source: Reference, features: np.ndarray, seed: int) -> dict[str, Any]:
    """The target's features (N, D) beside the source's, of at most 500 items."""
    own = features[chosen(len(features), seed)]
    rows = two_sample.standardised(source.features, own)
    second = np.arange(len(rows)) >= len(source)
    test, _ = two_sample.told_apart(rows, second, np.random.default_rng(seed % 2**32), _ROUNDS)
    plain = replace(source, targets=np.zeros((len(source), 1)))  # whose classes say nothing here
    familiar = Familiarity(plain)(own, np.zeros((len(own), 1))) > UNFAMILIAR
    numbers = {"apart": test.effect, "p": test.p, "overlap": float(familiar.mean())}
    return {name: round(float(number), 5) for name, number in numbers.items()}

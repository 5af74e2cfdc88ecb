"""Items worth a look: confident mistakes, close calls, likely label errors, and a map of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.contracts.targets import Encoding
from headstart.data import Item, nested
from headstart.data.targets import USUAL, kind_named
from headstart.evidence.calibration import shares, temperature
from headstart.runtime.machine import threads_for
from headstart.transferability import Sample, ridge

LISTED = 50  # items in a list at most
NEIGHBOURS = 3
MAPPED = 2000  # points on the map; t-SNE of so many takes 4 to 8 s on one slow core
SEARCHED = 5000  # items that are searched for label errors; the cost grows with the square
_FEWEST = 3  # items of a class, below which nothing says what is usual in it
_AXES = 50  # principal axes that t-SNE starts from
_PERPLEXITY = 30.0
_STEPS = 500
_CLOSE = 0.2  # between the two likeliest labels' probabilities, such as .6 and .4
_SHARPER = 5.0  # ridge's answers differ by less than 1, where outputs differ by several


@dataclass(frozen=True)
class Inspected:
    """The items of one split with their targets (N,) or (N, outputs) and features (N, D)."""

    items: Sequence[Item]
    targets: np.ndarray
    features: np.ndarray


def inspection(
    kind: str,
    labels: Sequence[str],
    splits: Mapping[str, Inspected],
    outputs: np.ndarray,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything worth a look; what has no meaning for a kind of target is None.

    `splits` are train, validation and test; `outputs` (N, labels) are those of the test items,
    which may be all items, each held out by a fold.
    """
    test, train = splits["test"], splits["train"]
    names = [item.id for item in test.items]
    learned = [splits[name] for name in ("train", "validation")]
    items = [item for split in learned for item in split.items]
    features = np.concatenate([split.features for split in learned])
    targets = np.concatenate([split.targets for split in learned])
    entries: dict[str, Any] = dict.fromkeys(("mistakes", "ambiguous", "suspects"))
    if kind_named(kind).encoding is Encoding.INDEX:
        entries = {
            "mistakes": mistakes(outputs, test.targets, names, labels),
            "ambiguous": ambiguous(outputs, test.targets, names, labels),
            "suspects": suspects(features, targets, [item.id for item in items], labels, seed),
        }
    item_ids = {row["id"] for rows in entries.values() for row in rows or ()}
    ids = {item.id for item in items}  # all of them, where each was held out by a fold
    new = [place for place, item in enumerate(test.items) if item.id not in ids]
    everything = [*items, *(test.items[place] for place in new)]
    features = np.concatenate([features, test.features[new]])
    places = [place for place, item in enumerate(everything) if item.id in item_ids]
    pool = [everything[place].id for place in places]
    near = nearest(features[places], pool, train.features, [item.id for item in train.items])
    targets = np.concatenate([targets, test.targets[new]])
    return entries | {
        "nearest": near,
        "map": feature_map(features, targets, everything, seed, kind),
    }


def mistakes(
    outputs: np.ndarray, targets: np.ndarray, names: Sequence[str], labels: Sequence[str]
) -> list[dict[str, Any]]:
    """The wrong answers, the most confident first, at most 50."""
    chances = shares(outputs)
    wrong = np.flatnonzero(outputs.argmax(axis=1) != targets)
    order = wrong[np.argsort(-chances[wrong].max(axis=1), kind="stable")]
    return _rows(order[:LISTED], (outputs, chances), targets, names, labels)


def ambiguous(
    outputs: np.ndarray, targets: np.ndarray, names: Sequence[str], labels: Sequence[str]
) -> list[dict[str, Any]]:
    """The items whose two likeliest labels have probabilities at most .2 apart, at most 50 of them.

    The closest first (Scheffer et al. 2001). Right answers are among them.
    """
    chances = shares(outputs)
    ranked = np.sort(chances, axis=1)
    margins = ranked[:, -1] - ranked[:, -2]
    order = np.argsort(margins, kind="stable")[: (margins <= _CLOSE).sum()]
    return _rows(order[:LISTED], (outputs, chances), targets, names, labels)


def suspects(
    features: np.ndarray,
    targets: np.ndarray,
    names: Sequence[str],
    labels: Sequence[str],
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The items whose label is likely wrong, with the likely one, the surest first, at most 50.

    Each item is judged by a ridge regression on the features (N, D) of all others (exactly, Allen
    1974), as probabilities at the temperature that suits these. By confident learning (Northcutt et
    al. 2021) an item is suspected where its own label's probability is below, and another label's
    not below, the mean that it has among the items labelled so. The score, 0 to 1, is the share of
    its own label's mean that is missing. Labels with fewer than three items have no such mean. Of
    more than 5,000 items a share of each class is searched.
    """
    places = np.sort(nested(targets, seed)[:SEARCHED])
    observed = targets[places]
    if len(np.unique(observed)) < 2:
        return []
    chances = held_out_shares(features[places], observed)
    rows = np.arange(len(observed))
    own = chances[rows, observed]
    counts = np.bincount(observed, minlength=chances.shape[1])
    usual = np.bincount(observed, own, chances.shape[1]) / np.maximum(counts, 1)
    reached = (chances >= usual) & (counts >= _FEWEST)
    doubted = (own < usual[observed]) & reached.any(axis=1)
    likely = np.where(reached, chances, -1.0).argmax(axis=1)
    missing = 1 - own / usual[observed]
    order = np.argsort(-np.where(doubted, missing, -1.0), kind="stable")
    return [
        {
            "id": names[places[row]],
            "label": labels[observed[row]],
            "likely": labels[likely[row]],
            "score": round(float(missing[row]), 5),
        }
        for row in order[: min(LISTED, doubted.sum())].tolist()
    ]


def held_out_shares(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Probabilities (N, labels) of each item's label, from all items but itself."""
    answers = ridge(Sample(features, targets, USUAL)) * _SHARPER
    return shares(answers / temperature(answers, targets))


def nearest(
    features: np.ndarray,
    names: Sequence[str],
    train: np.ndarray,
    train_names: Sequence[str],
    count: int = NEIGHBOURS,
) -> dict[str, list[str]]:
    """For each item the training items of highest cosine similarity, the nearest first.

    Features (N, D) are taken from the mean of the training items', as those behind a ReLU all point
    one way. An item is not its own neighbour.
    """
    middle = train.mean(axis=0, dtype=np.float64)
    near = _directions(features - middle) @ _directions(train - middle).T
    numbers = {name: place for place, name in enumerate(train_names)}
    for row, name in enumerate(names):
        if name in numbers:
            near[row, numbers[name]] = -np.inf
    order = np.argsort(-near, axis=1, kind="stable")[:, : count + 1]
    return {
        name: [train_names[place] for place in row if train_names[place] != name][:count]
        for name, row in zip(names, order.tolist(), strict=True)
    }


def feature_map(
    features: np.ndarray,
    targets: np.ndarray,
    items: Sequence[Item],
    seed: int = 0,
    kind: str = USUAL,
) -> dict[str, list[Any]]:
    """Items at places in the plane (x, y) where those of like features lie together.

    Principal axes, then t-SNE (van der Maaten and Hinton 2008); of fewer than ten items the first
    two axes. Of more than 2,000 items a share of each label is shown.
    """
    # by their names, so that the same items lie at the same places however they are divided
    places = sorted(nested(targets, seed)[:MAPPED].tolist(), key=lambda place: items[place].id)
    x, y = _plane(features[places], seed).T.round(5).tolist()
    shown, brief = [items[place] for place in places], kind_named(kind).brief
    return {
        "id": [item.id for item in shown],
        "x": x,
        "y": y,
        "label": [brief(item.label) for item in shown],
        "split": [item.split for item in shown],
    }


def _plane(features: np.ndarray, seed: int) -> np.ndarray:
    """Coordinates (N, 2) float64."""
    from sklearn.manifold import TSNE

    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    centred /= np.abs(centred).max(initial=0.0) or 1.0
    axes = _principal(centred, seed)
    points = axes[:, :2]
    if len(features) >= 10 and axes.any():
        perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
        start = 1e-4 * points / (points[:, 0].std() or 1.0)
        solver = TSNE(
            2, init=start.astype(np.float32), perplexity=perplexity, max_iter=_STEPS,
            learning_rate="auto", random_state=seed % 2**32,
        )  # fmt: skip
        with threads_for(axes.size):
            points = solver.fit_transform(axes.astype(np.float32))
    return np.asarray(points, dtype=np.float64)


def _principal(centred: np.ndarray, seed: int) -> np.ndarray:
    """Coordinates along the first principal axes, (N, 2 to 50), each axis' largest one positive."""
    from sklearn.utils.extmath import randomized_svd

    dimensions = min(_AXES, *centred.shape)
    vectors, lengths, _ = randomized_svd(centred, dimensions, random_state=seed % 2**32)
    components = vectors * lengths
    tips = np.take_along_axis(components, np.abs(components).argmax(axis=0)[None], axis=0)
    components = components * np.where(tips < 0, -1.0, 1.0)
    return np.pad(components, ((0, 0), (0, max(0, 2 - dimensions))))


def _rows(
    order: np.ndarray,
    answers: tuple[np.ndarray, np.ndarray],
    targets: np.ndarray,
    names: Sequence[str],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    outputs, chances = answers
    return [
        {
            "id": names[place],
            "label": labels[targets[place]],
            "predicted": labels[outputs[place].argmax()],
            "probability": round(float(chances[place].max()), 5),
        }
        for place in order.tolist()
    ]


def _directions(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))

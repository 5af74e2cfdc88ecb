"""What answers with texts and needs no network: copying the question, and a translation memory.

A translation memory answers with the answer of the training item whose text is nearest, by TF-IDF
weights of runs of 2 to 4 characters; of other items it is the one whose statistics are. Reference:
Arthern 1979 (Machine translation and computerized terminology systems), for the idea of looking
translations up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from headstart.contracts.sequences import encoded
from headstart.contracts.standardisation import Standardisation
from headstart.evidence.experiment import Experiment
from headstart.evidence.judging import JUDGED
from headstart.features.described import described

MEMORY: Final = "translation-memory"
NEAREST: Final = "nearest-item"  # the same where items are no texts
_RUNS: Final = (2, 4)  # characters
_SLOTS: Final = 2**20  # that runs are hashed to
_LONGEST: Final = 300  # characters of a text that are looked at
_COMMON: Final = 2_000  # items that hold a run: such of more cost much and tell little
_MOST: Final = 200_000  # items of a memory
_BLOCK: Final = 20_000  # of them at a time, and a hundredth of it of queries

Statistics = Mapping[str, np.ndarray]  # what a modality says of an item without a network


def copied(experiment: Experiment) -> dict[str, np.ndarray]:
    """The source as the answer to itself; the commonest answer to items that are no texts."""
    items = experiment.dataset.items
    texts = described(experiment.reader, items)
    if all(isinstance(text, str) for text in texts):
        rows = encoded(texts)
        return {name: rows[experiment.positions(name)] for name in JUDGED}
    train = [item.label for item in experiment.dataset.split("train")]
    ((label, _),) = Counter(train).most_common(1)
    return {name: encoded([label] * len(experiment.dataset.split(name))) for name in JUDGED}


def recalled(experiment: Experiment) -> tuple[str, dict[str, np.ndarray]] | None:
    """What the arm is called, and the answers of the nearest items; None where nothing is known.

    Validation is answered from the training items alone, test from both.
    """
    answers = recollections(experiment)
    if answers is not None:
        return MEMORY, {name: rows for name, (rows, _) in answers.items()}
    content = described(experiment.reader, experiment.dataset.items)
    if any(not isinstance(each, Mapping) for each in content):
        return None
    answers = _looked_up(experiment, content, lambda *both: (alike(*both), np.empty(0)))
    return NEAREST, {name: rows for name, (rows, _) in answers.items()}


def recollections(experiment: Experiment) -> dict[str, tuple[np.ndarray, np.ndarray]] | None:
    """The same of texts, with how like the nearest ones are (N,), 1 for equal ones; else None."""
    texts = described(experiment.reader, experiment.dataset.items)
    if not all(isinstance(text, str) for text in texts):
        return None

    def find(memory: Sequence[str], queries: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        places, likeness = neighbours(memory, queries)
        return places[:, 0], likeness[:, 0]

    return _looked_up(experiment, texts, find)


def _looked_up(
    experiment: Experiment,
    content: Sequence[Any],
    find: Callable[[Sequence[Any], Sequence[Any]], tuple[np.ndarray, np.ndarray]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The answers of the items that are found for each judged split, and what is found with them.

    `find` says where in its first argument those of its second are.
    """
    learned: list[int] = []
    outputs = {}
    answers = encoded(item.label for item in experiment.dataset.items)
    for earlier, split in (("train", "validation"), ("validation", "test")):
        learned += experiment.positions(earlier).tolist()
        queries = [content[at] for at in experiment.positions(split)]
        places, likeness = find([content[at] for at in learned], queries)
        outputs[split] = answers[np.array(learned)[places]], likeness
    return outputs


def alike(items: Sequence[Statistics], queries: Sequence[Statistics]) -> np.ndarray:
    """The places (Q,) of the items nearest to queries, by their standardised numbers."""
    rows, points = (
        np.array([np.concatenate([*each.values()]) for each in side]) for side in (items, queries)
    )
    if not len(points):
        return np.empty(0, dtype=np.intp)
    scale = Standardisation.of(rows)
    rows, points = scale(rows), scale(points)
    squares = np.square(rows).sum(1)[None] - 2 * points @ rows.T
    return np.asarray(squares.argmin(axis=1))


def nearest(texts: Sequence[str], queries: Sequence[str], count: int = 1) -> np.ndarray:
    """The places (Q,) of the texts nearest to queries, or (Q, count) of so many, nearest first."""
    places, _ = neighbours(texts, queries, count)
    return places[:, 0] if count == 1 else places


def neighbours(
    texts: Sequence[str], queries: Sequence[str], count: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The places (Q, count) of the texts nearest to queries, nearest first, and their likeness.

    Of more than 200,000 texts the last ones are looked at; memory is that of their runs, whose
    texts count for 300 characters.
    """
    first = max(0, len(texts) - _MOST)
    memory = [*_counted(texts[first:])]
    frequencies = sum(np.bincount(block.indices, minlength=_SLOTS) for block in memory)
    weights = np.log((1 + len(texts) - first) / (1 + frequencies)) + 1
    if len(texts) - first > _COMMON:
        weights[frequencies > _COMMON] = 0.0
    memory = [_weighed(block, weights) for block in memory]
    best: list[tuple[np.ndarray, np.ndarray]] = []
    for block in _counted(queries, _BLOCK // 100):
        rows = _weighed(block, weights)
        parts = [_best(rows @ part.T, count) for part in memory]
        sizes = np.cumsum([0, *(part.shape[0] for part in memory)])
        places = np.hstack([own + size for (own, _), size in zip(parts, sizes, strict=False)])
        likeness = np.hstack([own for _, own in parts])
        order = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
        one, other = (np.take_along_axis(side, order, axis=1) for side in (places, likeness))
        best.append((first + one, other))
    if not best:
        return np.empty((0, count), dtype=np.intp), np.empty((0, count))
    places, likeness = (np.concatenate(side) for side in zip(*best, strict=True))
    return places, likeness


def _counted(texts: Sequence[str], size: int = _BLOCK) -> Iterator[Any]:
    """How often each run stands in texts, as sparse rows, so many texts at a time."""
    from sklearn.feature_extraction.text import HashingVectorizer

    runs = HashingVectorizer(
        analyzer="char",
        ngram_range=_RUNS,
        n_features=_SLOTS,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    for start in range(0, len(texts), size):
        yield runs.transform(text[:_LONGEST] for text in texts[start : start + size])


def _weighed(rows: Any, weights: np.ndarray) -> Any:
    """Rows of length 1, each run by its weight."""
    from sklearn.preprocessing import normalize

    rows.data *= weights[rows.indices].astype(rows.data.dtype)
    return normalize(rows, copy=False)


def _best(likeness: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and likeness (Q, count) of the largest in each row, of equal ones the first."""
    dense = likeness.toarray()
    count = min(count, dense.shape[1])
    order = np.argsort(-dense, axis=1, kind="stable")[:, :count] if count > 1 else None
    places = dense.argmax(axis=1)[:, None] if order is None else order
    return places, np.take_along_axis(dense, places, axis=1)

"""Texts as TF-IDF weights of words, pairs of words and runs of letters, each text counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import numpy as np

Weights = Callable[[Sequence[str]], Any]  # from texts to (N, D), sparse

_PARTS: Final[dict[str, dict[str, Any]]] = {
    "words": {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
    "letters": {"analyzer": "char_wb", "ngram_range": (2, 5)},
}
_shared: ContextVar[list[Counts] | None] = ContextVar("shared", default=None)


@contextmanager
def shared() -> Iterator[None]:
    """While it lasts, texts that were counted for one arm are not counted again for the next."""
    token = _shared.set([])
    try:
        yield
    finally:
        _shared.reset(token)


class Counts:
    """How often words and runs of letters occur in `texts`, from which weights are learned.

    Others are counted when they are asked for, by what occurs in these.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(dict.fromkeys(texts))
        self._parts: dict[str, _Part] = {}

    @classmethod
    def of(cls, texts: Sequence[str], others: Sequence[str]) -> Counts:
        """Those of these texts; where such are `shared`, of the others too, which arms divide anew.

        What weighs is learned from the texts that `weights` is asked for, whatever else is counted.
        """
        earlier = _shared.get()
        if earlier is None:
            return cls(texts)
        if not earlier or not {*texts, *others} <= set(earlier[0].texts):
            known = earlier[0].texts if earlier else ()
            earlier[:] = [cls([*known, *texts, *others])]
        return earlier[0]

    def weights(self, texts: Sequence[str], parts: Sequence[str], most: int | None) -> Weights:
        """TF-IDF weights as some of the texts have them, each part of a row of one length.

        A part has the `most` frequent of what occurs in the texts. Raises ValueError where nothing
        does. The same as scikit-learn's `TfidfVectorizer` of these texts for each part.
        """
        if not self.texts:
            raise ValueError("no texts")
        counts_by_part = [self._part(name) for name in parts]
        learned = [part.learned(texts, most) for part in counts_by_part]

        def weights(others: Sequence[str]) -> Any:
            from scipy.sparse import hstack

            rows = [
                solver.transform(part.rows(others)[:, columns]) * len(parts) ** -0.5
                for part, (columns, solver) in zip(counts_by_part, learned, strict=True)
            ]
            return hstack(rows).tocsr()

        return weights

    def _part(self, name: str) -> _Part:
        if name not in self._parts:
            self._parts[name] = _Part(self.texts, _PARTS[name])
        return self._parts[name]


class _Part:
    """Counts of one kind, a row for each text that was asked for."""

    def __init__(self, texts: Sequence[str], options: dict[str, Any]) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        self._vectorizer = CountVectorizer(dtype=np.float64, **options)
        self._counts = self._vectorizer.fit_transform(texts)
        self._places = {text: place for place, text in enumerate(texts)}

    def rows(self, texts: Sequence[str]) -> Any:
        """Counts (N, terms), sparse."""
        from scipy.sparse import vstack

        new = [text for text in dict.fromkeys(texts) if text not in self._places]
        if new:
            self._counts = vstack([self._counts, self._vectorizer.transform(new)]).tocsr()
            self._places |= {text: len(self._places) + place for place, text in enumerate(new)}
        return self._counts[[self._places[text] for text in texts]]

    def learned(self, texts: Sequence[str], most: int | None) -> tuple[np.ndarray, Any]:
        """The terms that count, and how they weigh. Raises ValueError where there are none."""
        from sklearn.feature_extraction.text import TfidfTransformer

        counts = self.rows(texts)
        columns = np.flatnonzero(counts.getnnz(axis=0))
        if not len(columns):
            raise ValueError("no terms")
        if most is not None and len(columns) > most:
            often = np.asarray(counts[:, columns].sum(axis=0)).ravel()
            columns = np.sort(columns[(-often).argsort()[:most]])
        return columns, TfidfTransformer(sublinear_tf=True).fit(counts[:, columns])

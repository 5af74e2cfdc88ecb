"""Words and runs of letters, counted once, weigh as scikit-learn has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from headstart.evidence import words

OPTIONS = {
    "words": {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
    "letters": {"analyzer": "char_wb", "ngram_range": (2, 5)},
}
sentences = st.lists(
    st.lists(st.sampled_from("ants bees Bees wings at an a it's".split()), max_size=6).map(" ".join)
    | st.text(max_size=12),
    min_size=1,
    max_size=8,
)


def plain(texts: Sequence[str], others: Sequence[str], name: str, most: int | None) -> np.ndarray:
    """The weights of others as a vectorizer of the texts alone has them."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=most, **OPTIONS[name])
    vectorizer.fit(texts)
    return np.asarray(vectorizer.transform(others).toarray())


@given(sentences, sentences, sentences, st.sampled_from([None, 3]))
def test_weights_are_those_of_a_vectorizer_of_the_same_texts(
    texts: list[str], more: list[str], others: list[str], most: int | None
) -> None:
    counts = words.Counts([*more, *texts])
    for name in OPTIONS:
        try:
            expected = plain(texts, others, name, most)
        except ValueError:
            with pytest.raises(ValueError):
                counts.weights(texts, [name], most)
            continue
        weights = counts.weights(texts, [name], most)
        np.testing.assert_allclose(weights(others).toarray(), expected, atol=1e-12)


def test_parts_stand_side_by_side_in_rows_of_length_one() -> None:
    texts = ["bees have wings", "ants have six legs"]
    rows = words.Counts(texts).weights(texts, ["words", "letters"], None)(texts)
    assert (rows.multiply(rows)).sum(axis=1) == pytest.approx(1.0)
    widths = [plain(texts, texts, name, None).shape[1] for name in OPTIONS]
    assert rows.shape == (2, sum(widths))


def test_texts_are_counted_again_only_where_nothing_is_shared() -> None:
    texts = ["bees", "ants", "wasps"]
    assert words.Counts.of(texts, []) is not words.Counts.of(texts, [])
    assert words.Counts.of(texts[:2], texts[2:]).texts == ("bees", "ants")
    with words.shared():
        first = words.Counts.of(texts[:2], texts[2:])
        assert words.Counts.of(texts[1:], texts[:1]) is first
        other = words.Counts.of([*texts, "flies"], ["moths"])
        assert other is not first and words.Counts.of(["moths"], texts) is other
    assert words.Counts.of(texts, []) is not other


def test_weights_are_the_same_whatever_else_is_counted() -> None:
    learned, others = ["bees have wings", "ants have legs"], ["wasps have wings", "old bees"]
    alone = words.Counts.of(learned, others).weights(learned, ["words", "letters"], 9)(others)
    with words.shared():
        beside = words.Counts.of(learned, others).weights(learned, ["words", "letters"], 9)(others)
    assert alone.nnz and (alone != beside).nnz == 0

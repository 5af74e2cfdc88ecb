"""chrF, BLEU, WER and CER are what sacrebleu and jiwer say of whole corpora, and of resamples."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from test_lookup import Writing

from headstart import catalog
from headstart.contracts.sequences import decoded, encoded, widened
from headstart.errors import HeadstartError
from headstart.evidence.resampling import Draws, Resampling
from headstart.pipeline.metrics import others

WORDS = "the cat sat on a mat %1 кот сидит 고양이 . , 12 &amp;".split()
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
PAIRS = st.lists(st.tuples(st.one_of(TEXTS, st.just("")), TEXTS), min_size=1, max_size=12)
quick = settings(max_examples=60, deadline=None)


def value(name: str, pairs: Sequence[tuple[str, str]]) -> float:
    answers, expected = zip(*pairs, strict=True)
    return catalog.metric_named(name).of(encoded(answers), encoded(expected))


@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_texts_are_the_same_after_they_were_arrays(texts: list[str]) -> None:
    rows = encoded(texts)
    assert decoded(rows) == texts
    assert decoded(rows.astype(np.float32)) == texts
    assert decoded(widened(rows, rows.shape[1] + 3)) == texts


@quick
@given(pairs=PAIRS)
def test_chrf_and_bleu_are_those_of_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    answers, expected = map(list, zip(*pairs, strict=True))
    theirs = CHRF().corpus_score(answers, [expected]).score
    assert 100 * value("chrf", pairs) == pytest.approx(theirs, abs=1e-9)
    if not any("\uac00" <= letter for text in expected for letter in text):
        theirs = BLEU(force=True).corpus_score(answers, [expected]).score
        assert 100 * value("bleu", pairs) == pytest.approx(theirs, abs=1e-9)


@quick
@given(pairs=PAIRS)
def test_error_rates_are_those_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    answers, expected = map(list, zip(*pairs, strict=True))
    assert value("wer", pairs) == pytest.approx(jiwer.wer(expected, answers), abs=1e-12)
    assert value("cer", pairs) == pytest.approx(jiwer.cer(expected, answers), abs=1e-12)


@pytest.mark.parametrize("name", ["chrf", "bleu", "wer", "cer"])
def test_nothing_right_and_nothing_wanted_have_a_value(name: str) -> None:
    worst = 1.0 if name in ("wer", "cer") else 0.0
    assert value(name, [("", "four words in it")]) == worst
    assert value(name, [("", "")]) == 0.0


def test_words_of_korean_are_characters_where_no_morphology_is_there() -> None:
    metric = catalog.metric_named("bleu")
    korean, english = encoded(["기본 글꼴 포함"]), encoded(["basic fonts"])
    assert any(f"tok:{word}" in metric.signature(korean) for word in ("char", "ko-mecab"))
    assert "tok:13a" in metric.signature(english)
    assert catalog.metric_named("chrf").signature(korean).startswith("nrefs:1|case:mixed")


def test_the_gain_of_one_answerer_over_another_is_paired() -> None:
    rng = np.random.default_rng(0)
    expected = [" ".join(rng.choice(WORDS, rng.integers(3, 9))) for _ in range(80)]
    good = [text if n % 3 else text[: len(text) // 2] for n, text in enumerate(expected)]
    bad = [text if n % 4 == 1 else "cat" for n, text in enumerate(good)]
    groups = np.arange(80) // 4
    both = Resampling(
        catalog.metric_named("chrf"), encoded(expected), draws=Draws(seed=1, clusters=groups)
    )
    gain = both.gain(encoded(good), encoded(bad))
    alone = [both.interval(encoded(each)) for each in (good, bad)]
    assert gain.value == pytest.approx(alone[0].value - alone[1].value)
    assert 0 < gain.low < gain.value < gain.high


def test_metrics_without_their_package_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = encoded(["a cat", "a mat"])
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(HeadstartError, match=r"WER needs the package jiwer.*\[translation\]"):
        catalog.metric_named("wer").of(texts, texts)
    rows = others(Writing(), texts, texts)
    assert [row["metric"] for row in rows] == ["BLEU"]
    assert rows[0]["signature"].startswith("nrefs:1|")
    assert rows[0]["value"] <= 1.0
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(HeadstartError, match=r"need the package sacrebleu.*\[translation\]"):
        catalog.metric_named("chrf").of(texts, texts)

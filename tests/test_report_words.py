"""What a record says in plain words, of which a page makes its first sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import page
from records import near, record

from headstart import report
from headstart.report.figures import LONGEST, distinct
from headstart.report.verdict import Verdict
from headstart.report.words import plainly


def told(**changes: Any) -> dict[str, Any]:
    """A record in which the model has .97 and scratch .69 of 400 items right."""
    entry = record(items=10)
    entry["arms"]["chosen"] |= near(0.97, 0.02)
    entry["arms"]["scratch"] |= near(0.69, 0.04)
    entry["arms"]["naive"] |= near(0.5, 0.04)
    return entry | {"gain": near(0.28, 0.05)} | changes


def without(record: dict[str, Any], *arms: str) -> dict[str, Any]:
    """The record without some arms."""
    return record | {
        "arms": {name: arm for name, arm in record["arms"].items() if name not in arms}
    }


SAME = "The same network without pretraining is right on"
RIGHT = "The pretrained model is right on"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {},
            f"{RIGHT} 97 of 100 pictures it has not seen. {SAME} 69, so pretraining is worth 28 "
            "right answers in 100 (likely 23 to 33).",
        ),
        (
            {"gain": near(-0.1, 0.04), "verdict": "hurts"},
            f"{RIGHT} 97 of 100 pictures it has not seen. {SAME} 69, so pretraining costs 10 right "
            "answers in 100 (likely 6 to 14).",
        ),
        (
            {"gain": near(0.0), "verdict": "no evidence"},
            f"{RIGHT} 97 of 100 pictures it has not seen. {SAME} 69: too little apart to say "
            "whether pretraining helps here.",
        ),
        (
            {"gain": None, "verdict": "unknown"},
            f"{RIGHT} 97 of 100 pictures it has not seen. Always giving one answer is right on 50. "
            "What its pretraining was worth is not known.",
        ),
        (
            {"held_out": 30},  # of which 29.1 is no number that can be right
            f"{RIGHT} 97 of 100 pictures it has not seen. {SAME} 69, so pretraining is worth 28 "
            "right answers in 100 (likely 23 to 33).",
        ),
        (
            {"metric": "balanced accuracy"},
            f"{RIGHT} 97 of 100 pictures it has not seen, where every class counts the same. {SAME}"
            " 69, so pretraining is worth 28 right answers in 100 (likely 23 to 33).",
        ),
        (
            {"metric": "r2", "made": {"modality": "text"}},
            "The pretrained model explains 97 % of how the numbers of texts it has not seen differ "
            "from one another. The same network without pretraining scores 0.690, so pretraining "
            "is worth 0.280.",
        ),
        (
            {"strategy": "scratch", "gain": near(-0.1), "verdict": "hurts", "made": {}},
            "The model is right on 97 of 100 items it has not seen. The same network with "
            "pretraining is right on 59, so pretraining costs 10 right answers in 100 (likely 7 to "
            "13).",
        ),
        ({"verdict": "evaluated"}, "The model is right on 97 of 100 pictures it has not seen."),
    ],
)
def test_two_sentences_say_what_it_means(changes: dict[str, Any], words: str) -> None:
    assert " ".join(plainly(told(**changes))) == words


def test_few_items_are_counted_and_near_certainty_is_not_certainty() -> None:
    result = told(held_out=20)
    result["arms"]["chosen"] |= near(0.95)
    result["arms"]["scratch"] |= near(0.6)
    assert plainly(result)[0] == f"{RIGHT} 19 of the 20 pictures it has not seen."
    assert plainly(result)[1].startswith(f"{SAME} 12 of 20, so")
    result = told(held_out=4000)
    result["arms"]["chosen"] |= near(0.99975)
    assert plainly(result)[0] == f"{RIGHT} more than 99 of 100 pictures it has not seen."


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 5000))
def test_what_is_said_to_be_right_is_what_was_measured(
    chosen: float, scratch: float, held_out: int
) -> None:
    result = told(held_out=held_out)
    result["arms"]["chosen"] |= near(chosen)
    result["arms"]["scratch"] |= near(scratch)
    words = plainly(result)[0].removeprefix(f"{RIGHT} ").split()
    if not words[0].isdigit():
        assert 0.995 <= chosen < 1 or 0 < chosen <= 0.005
        return
    total = held_out if words[2] == "the" else 100
    assert abs(int(words[0]) / total - chosen) <= (0.01 / held_out if total != 100 else 0.0051)
    assert (int(words[0]) == total) == (chosen == 1) or abs(chosen - 1) < 0.01 / held_out


def test_what_a_record_may_say_besides_is_said_everywhere_or_nowhere(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "judge": {"by": "folds", "folds": 4, "repeats": 5, "items": 20},
        "over_baseline": {"name": "tf-idf"} | near(0.12, 0.05),
        "noninferior": "The transfer is at least within 2 points of scratch.",
        "gain": near(0.28, 0.05) | {"trainings": 3},
        "proof": "unfinished",
    }
    messages = [
        "Judged by 5 × 4 folds of all 20 items; the model handed over is made from all of them.",
        "Over the strongest simple method (tf-idf): +12.0 points of accuracy, 95 % interval +7.0 "
        "to +17.0.",
        "The transfer is at least within 2 points of scratch.",
        "The gain is that of 3 trainings each, from seeds of their own.",
        "The proof is unfinished: the network from scratch was not trained to its end. "
        "`headstart prove MODEL` goes on with it.",
    ]
    result = told(**more)
    head = " ".join(Verdict.of(result).sentences)
    for sentence in messages:
        assert sentence in head
        assert sentence in report.as_text(result)
    assert "goes on with it" in page(tmp_path, result)
    plain = told()
    for sentence in messages:
        assert sentence not in report.as_text(plain)
    assert len(Verdict.of(plain).sentences) == 3


def test_without_scratch_the_accuracy_comes_first(tmp_path: Path) -> None:
    result = without(told(gain=None, verdict="unknown", doubt=""), "scratch")
    head = Verdict.of(result)
    assert head.title == "Accuracy 0.970"
    assert head.rest.startswith("95 % interval 0.950 to 0.990, on 400 held-out items. The gain")
    text = page(tmp_path, result)
    heading = text[text.index("<h1>") : text.index("</h1>")]
    assert "Accuracy 0.970" in heading and "unknown" not in heading
    assert [bar.name for bar in head.bars] == ["This model", "Always one answer"]


@given(st.lists(st.text("ab_ é", max_size=60), max_size=30))
def test_labels_are_shortened_and_stay_distinct(labels: list[str]) -> None:
    shown = distinct(labels)
    assert all(len(each) <= LONGEST for each in shown)
    words = [" ".join(label.split()) for label in labels]
    assert len(set(shown)) == len(set(words))
    assert [a for a, b in zip(shown, words, strict=True) if len(b) <= LONGEST] == [
        word for word in words if len(word) <= LONGEST
    ]


def test_labels_that_begin_alike_differ_by_what_follows() -> None:
    names = ["card_payment_wrong_exchange_rate", "card_payment_wrong_exchange_fee_charged"]
    one, other = distinct(names)
    assert one.startswith("card_payment_") and one.endswith("xchange_rate")
    assert other.startswith("card_payment_") and other.endswith("fee_charged")

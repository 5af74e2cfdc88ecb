"""Evidence as people read it, in a terminal and in a notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Fitted

from headstart import report
from headstart.evidence import Arm, Evidence
from headstart.evidence.intervals import Interval
from headstart.results import Evaluation

HELD_OUT = 40


def arm(strategy: str, right: int, note: str = "", steps: int = 0) -> Arm:
    """An arm that gets the first `right` of the held-out items right."""
    scores = (np.arange(HELD_OUT) < right).astype(np.float64)
    return Arm(strategy, scores, (right / HELD_OUT, -0.5), 12.34, steps, note)


def evidence(**changes: Any) -> dict[str, Any]:
    """The JSON of a transfer that helped."""
    arms = {
        "naive": arm("naive", 10),
        "features": arm("feature-extraction", 30),
        "scratch": arm("scratch", 20, steps=800),
        "chosen": arm("lp-ft", 36, steps=400),
    }
    record = {"metric": "accuracy", "arms": arms, "backbone": "timm:x", "data": {"items": 200}}
    return Evidence(**record | changes).to_json()


@pytest.mark.parametrize(
    ("scratch", "words"),
    [
        (20, "Transfer helps: +30.0 points of accuracy over scratch, 95 % interval +"),
        (32, "No evidence that transfer helps or hurts: +0.0 points"),
        (40, "Transfer hurts: -20.0 points of accuracy over scratch, 95 % interval -"),
    ],
)
def test_the_verdict_comes_first(scratch: int, words: str) -> None:
    arms = {
        "naive": arm("naive", 10),
        "scratch": arm("scratch", scratch),
        "chosen": arm("lp-ft", 32),
    }
    text = report.as_text(evidence(arms=arms))
    assert text.splitlines()[0].startswith(words)
    assert text.splitlines()[0].endswith(".")


def test_without_a_scratch_arm_the_headline_is_the_accuracy() -> None:
    record = evidence(arms={"naive": arm("naive", 10), "chosen": arm("lp-ft", 36)})
    assert report.headline(record) == (
        "Accuracy 0.900: 95 % interval 0.769 to 0.960, on 40 held-out items. The gain over scratch "
        "is unknown, as no network was trained from scratch for comparison."
    )


def test_a_row_for_every_arm() -> None:
    record = evidence()
    text = report.as_text(record)
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    for name in ("naive", "features", "scratch", "chosen (lp-ft)"):
        key = name.split(" ")[0]
        shown = record["arms"][key]
        assert f"{shown['value']:.3f}" in lines[name]
        assert f"{shown['low']:.3f} – {shown['high']:.3f}" in lines[name]
        assert lines[name].rstrip().endswith(str(shown["steps"]))
    assert "Measured on 40 held-out items." in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_arm_that_lost_is_shown_with_the_reason() -> None:
    record = evidence(dropped=arm("full-fine-tuning", 20, "It scored less, so it was dropped."))
    text = report.as_text(record)
    assert "dropped (full-fine-tuning)" in text
    assert "It scored less, so it was dropped." in text.splitlines()
    assert [row[0] for row in report.rows(record)][-1] == "dropped (full-fine-tuning)"


def test_warnings_and_failed_checks_are_shown() -> None:
    warned = evidence(
        warnings=["Few items."], checks={"frozen": False, "equal": True}, protocol="As agreed."
    )
    assert report.notes(warned) == [
        "Measured on 40 held-out items. As agreed.",
        "Check failed: frozen.",
        "Warning: Few items.",
    ]


def test_long_names_do_not_break_the_table() -> None:
    long = "last-stages?count=3&decay=0.65&norm=frozen&warm-up=0.1"
    record = evidence(arms={"naive": arm("naive", 10), "chosen": arm(long, 36)})
    assert long in report.as_text(record)
    assert "[bold]" in report.as_text(evidence(warnings=["a [bold] name"]))


def test_a_notebook_gets_the_same_rows_safely() -> None:
    record = evidence(warnings=["<script>alert(1)</script>"])
    page = report.as_html(record)
    assert page.count("<tr>") == 1 + len(report.rows(record))
    assert "<script>" not in page and "&lt;script&gt;" in page
    for row in report.rows(record):
        assert all(f"<td>{cell}</td>" in page for cell in row)
    assert report.headline(record) in page


def test_a_result_prints_as_its_report(fitted: Fitted) -> None:
    text = str(fitted.result)
    assert text.startswith(report.as_text(fitted.result.evidence.to_json()))
    assert text.endswith(f"Saved in {fitted.folder}")
    assert fitted.result._repr_html_() == report.as_html(fitted.result.evidence.to_json())


def test_an_evaluation_prints_its_numbers() -> None:
    rows = {"ants": {"items": 30, "value": 0.5}, "bees": {"items": 10, "value": 1.0}}
    evaluation = Evaluation("accuracy", Interval(0.625, 0.5, 0.75), rows, {"items": 40}, 0)
    assert str(evaluation).splitlines() == [
        "accuracy 0.625, 95 % interval 0.500 – 0.750, on 40 items",
        "  ants: 0.500 of 30",
        "  bees: 1.000 of 10",
    ]
    assert evaluation.to_json()["score"] == {"value": 0.625, "low": 0.5, "high": 0.75}

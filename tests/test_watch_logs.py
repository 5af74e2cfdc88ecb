"""Logs of answers, watched without answering anything anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Fitted
from test_familiarity import blobs, shares
from test_watch import grey, run, stream

import headstart as hs
from headstart.drift import Familiarity, Reference
from headstart.drift.answers import answers_of, as_answers
from headstart.drift.watching import Watch
from headstart.errors import DataError

__all__ = ["grey"]


@pytest.fixture(scope="module")
def log(fitted: Fitted, grey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `predict --out` wrote of 80 usual pictures, then of the same without colours."""
    place = tmp_path_factory.mktemp("log") / "answers.jsonl"
    hs.load(fitted.folder).predict(stream(fitted.pictures, grey)).write(place)
    return place


def test_answers_that_predict_wrote_are_watched(fitted: Fitted, log: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    gone = [row | {"path": f"gone/{number}.png"} for number, row in enumerate(rows)]
    table = tmp_path / "log.jsonl"
    table.write_text("\n".join(map(json.dumps, gone)))
    watched = hs.watch(fitted.folder, table)
    assert watched.items == 160 and watched.unread == 0
    assert watched.alarms and watched.alarms[0].after > 80
    assert "gone/" in json.dumps(watched.to_json())
    lines = table.read_text() + '\n{"path": "torn.png"}\n'
    done = run("watch", fitted.folder, "-", "--json", stdin=lines)
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["items"] == 160 and record["unread"] == 1 and record["events"]
    assert "The log holds answers and their familiarity" in done.stderr
    rounds = [
        {"probabilities": {name: row[f"probability_{name}"] for name in ("ants", "bees")}}
        for row in rows
    ]
    assert hs.watch(fitted.folder, iter(rounds)).items == 160


def test_a_log_of_features_is_watched_as_inputs_are(fitted: Fitted, grey: Path) -> None:
    predictor = hs.load(fitted.folder)
    items = predictor.find(list(stream(fitted.pictures, grey)))[1]
    rows = ({"id": item.id, "features": own.tolist()} for item, own in _seen(predictor, items))
    logged = hs.watch(fitted.folder, rows)
    watched = hs.watch(fitted.folder, stream(fitted.pictures, grey))
    assert [event.after for event in logged.events] == [event.after for event in watched.events]


def _seen(predictor: Any, items: Any) -> Any:
    return zip(items, predictor.features(items), strict=True)


def test_times_and_late_labels_of_a_log_count(fitted: Fitted, log: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    for number, row in enumerate(rows):
        row |= {"time": number, "truth": Path(row["path"]).parent.name if number % 2 else ""}
    order = np.random.default_rng(0).permutation(len(rows))
    table = tmp_path / "log.jsonl"
    table.write_text("\n".join(json.dumps(rows[place]) for place in order))
    done = run("watch", fitted.folder, table, "--time", "time", "--label", "truth", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["events"][0]["after"] > 80


def test_a_log_of_another_model_is_refused(fitted: Fitted, tmp_path: Path) -> None:
    table = tmp_path / "log.jsonl"
    row = {"path": "a.png", "probability_ants": 0.4, "probability_wasps": 0.6}
    table.write_text("\n".join([json.dumps(row)] * 60))
    with pytest.raises(DataError, match=r"don't have the same labels: 'bees'"):
        hs.watch(fitted.folder, table)
    torn = {"probability_ants": 0.4, "probability_bees": "?"}
    table.write_text("\n".join([json.dumps(torn)] * 60))
    with pytest.raises(DataError, match="No answer that can be read"):
        hs.watch(fitted.folder, table)


def test_answers_alone_bring_few_false_alarms_and_show_other_inputs() -> None:
    alarms = result = 0
    for seed in range(6):
        reference = Reference.of(*blobs(300, seed))
        own_reference = as_answers(reference, shares(reference.outputs), familiarity=True)
        assert np.isfinite(own_reference.features).all() and own_reference.features.shape == (
            300,
            4,
        )
        for strange in (False, True):
            features, outputs, _ = blobs(300, seed + 50)
            features = features[:, ::-1] if strange else features
            usual = Familiarity(reference)(features, outputs)
            chances = np.maximum(shares(outputs), 1e-6)
            watch = Watch(own_reference, shares(own_reference.outputs), ("a", "b", "c"), seed=seed)
            names = [str(number) for number in range(300)]
            rows = answers_of(chances, usual), np.log(chances), chances
            alarmed = any(event.is_alarm for event in watch.add(names, rows))
            alarms, result = alarms + (alarmed and not strange), result + (alarmed and strange)
    assert alarms <= 1 and result == 6

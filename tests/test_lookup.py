"""A translation memory and copies as arms, and texts that are worth a look."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import page
from records import record as record_of_a_run
from test_sequences import TEXT, loaded, pairs, table
from torch import nn

from headstart import catalog
from headstart.contracts import Batch, Step, Task
from headstart.contracts.model import Model
from headstart.contracts.sequences import decoded, encoded
from headstart.defaults import Settings
from headstart.evidence import Arm, ArmResult, Experiment, baseline_arm, naive_arm
from headstart.evidence.lookup import MEMORY, nearest
from headstart.evidence.sentences import Pairs, worth_a_look
from headstart.features.reading import Reader
from headstart.report.sentences import said_of_texts, sentences
from headstart.runtime import machine
from headstart.runtime.budget import Budget


@final
class Writing(Task):
    """A task whose answers are texts, without a network."""

    own_metric: ClassVar[str] = "headstart.metrics.translation:ChrF"
    kind: ClassVar[str] = "sequences"
    has_probe: ClassVar[bool] = False

    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module:
        return nn.Linear(feature_dim, 1)

    def step(self, model: Model, batch: Batch) -> Step:
        raise NotImplementedError

    def naive(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        return np.asarray(targets[0])

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return -self.scores(outputs, targets)

    def decode(self, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
        return [{"text": text} for text in decoded(outputs)]


def experiment(path: Path) -> Experiment:
    chosen = Settings(device="cpu")
    return Experiment(
        loaded(path),
        Writing(),
        Reader(TEXT, {}),
        chosen,
        machine.Compute.of(chosen, 0),
        Budget(None),
        tiny.Recording(),
    )


def test_the_memory_answers_with_the_nearest_and_the_naive_arm_with_the_source(
    tmp_path: Path,
) -> None:
    rows = [
        (f"{one} {word}", f"{other} {word}") for one, other in pairs(30) for word in ("a", "bc")
    ]
    own = experiment(table(tmp_path / "p.csv", rows))
    features = ArmResult(Arm("", np.empty(0), (0.0, 0.0), 0.0), tiny.model())
    copy, memory = naive_arm(own, features).arm, baseline_arm(own)
    assert memory is not None and memory.strategy == MEMORY
    test = own.dataset.split("test")
    assert decoded(copy.outputs["test"]) == [item.read().decode() for item in test]
    labels = {i.label for name in ("train", "validation") for i in own.dataset.split(name)}
    assert set(decoded(memory.outputs["test"])) <= labels
    learned = {item.label for item in own.dataset.split("train")}
    assert set(decoded(memory.outputs["validation"])) <= learned
    assert memory.scores.shape == copy.scores.shape == (len(test),)
    assert memory.scores.mean() > copy.scores.mean() >= 0


LINES = st.lists(st.text("abcdef", min_size=2, max_size=12), min_size=1, max_size=20, unique=True)


def runs(text: str) -> list[str]:
    return sorted(text[n : n + size] for size in (2, 3, 4) for n in range(len(text) - size + 1))


@settings(max_examples=40, deadline=None)
@given(texts=LINES, count=st.integers(1, 5))
def test_a_text_that_is_there_is_its_own_nearest(texts: list[str], count: int) -> None:
    first = nearest(texts, texts)
    for place, result in enumerate(first.tolist()):
        assert runs(texts[result]) == runs(texts[place])
    several = nearest(texts, texts, count)
    if count > 1:
        assert several.shape == (len(texts), min(count, len(texts)))
        assert (several[:, 0] == first).all()


def test_a_memory_reaches_what_was_measured_of_it(shared_data: Path) -> None:
    folder = shared_data / "parallel" / "interface"
    contents = [[*read_csv(folder / f"{name}.csv")] for name in ("train", "test")]
    memory, queries = contents[0][:1000], contents[1][:400]
    places = nearest([row["en"] for row in memory], [row["en"] for row in queries])
    answers = encoded(memory[place]["uk"] for place in places)
    value = catalog.metric_named("chrf").of(answers, encoded(row["uk"] for row in queries))
    assert value == pytest.approx(0.255, abs=0.01)


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


TEST = Pairs(
    ("a", "b", "c", "d", "e"),
    ("Page %1 <b>of</b> %2", "Open the file", "Save the document", "Close", "Hello {name}"),
    (
        "Страница %1 <b>из</b> %2",
        "Открыть файл",
        "Сохранить документ",
        "Закрыть",
        "Привет {name}",
    ),
)
TRAIN = Pairs(("x", "y"), ("Open the folder", "Page %1"), ("Открыть папку", "Страница %1"))


def record() -> dict[str, Any]:
    answers = ["Страница %1 из", "Open the file", "", "Закрыть", "Привет {name} {day} " + "да" * 20]
    examples = worth_a_look(catalog.metric_named("chrf"), encoded(answers), TEST, TRAIN)
    assert examples is not None
    return examples


def test_what_is_wrong_with_answers_is_counted() -> None:
    entry = record()
    assert entry["lengths"] | {"ratio": 0} == {"empty": 1, "short": 1, "long": 1, "ratio": 0}
    assert entry["language"]["foreign"] == entry["language"]["copies"] == 1
    placeholders = entry["placeholders"]
    assert (placeholders["items"], placeholders["lost"], placeholders["added"]) == (2, 1, 1)
    assert placeholders["examples"][0]["lost"] == ["%2", "</b>", "<b>"]
    assert placeholders["examples"][1]["added"] == ["{day}"]
    assert entry["best"][0]["id"] == "d" and entry["best"][0]["score"] == 1.0
    assert {row["id"] for row in entry["worst"][:2]} == {"b", "c"}
    opened = next(row for row in entry["worst"] if row["id"] == "b")
    assert opened["nearest"][0]["source"] == "Open the folder"


def test_items_that_are_no_texts_have_answers_all_the_same() -> None:
    sounds = Pairs(TEST.ids, (None,) * 5, TEST.targets)
    metric = catalog.metric_named("wer")
    examples = worth_a_look(metric, encoded(TEST.targets), sounds, sounds)
    assert examples is not None
    assert examples["placeholders"]["lost"] == 0 and examples["language"]["copies"] is None
    assert "0 are in no script that the references have." in said_of_texts(examples)
    assert any("copy the source" in sentence for sentence in said_of_texts(record()))
    assert all("nearest" not in row for row in examples["worst"])
    assert worth_a_look(metric, encoded(()), Pairs((), (), ()), sounds) is None


def test_texts_of_strangers_never_render_on_the_page(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    own = Pairs(("a",), (evil,), (evil,))
    examples = worth_a_look(catalog.metric_named("chrf"), encoded([evil + "!"]), own, own)
    section = sentences({"sentences": examples})
    assert section is not None and sentences({}) is None
    assert evil in str(section.tables)
    assert "alert" not in "".join(said_of_texts(examples or {}))
    text = page(tmp_path, {**record_of_a_run(), "sentences": examples})
    assert "alert(1)" in text and evil not in text

"""Several tasks in one run: what they are, one extraction, one model, all answers from it."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.defaults import label_columns
from headstart.errors import DataError, HeadstartError, WeightsError
from headstart.loading import members
from headstart.pipeline.several.members import folders, own
from headstart.pipeline.several.starting import members_of
from headstart.results.several import Evaluations, Results
from headstart.runtime.progress import Advance, Progress

NAMES = ("stars", "category", "price", "tags")
OPTIONS: dict[str, Any] = {"text": "review", "delimiter": ";", "scratch": False}


class Heard(Progress):
    """Keeps what it is told, and how many items were extracted."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.extracted = 0

    def say(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(f"warning: {text}")

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        self.extracted += total * ("extracting features" in what)
        yield lambda count: None


def run(*arguments: str | Path) -> Any:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write_reviews(path: Path, count: int = 120, seed: int = 0) -> Path:
    """Reviews with stars, a category, a price and tags, of which some rows lack some."""
    chance = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", *NAMES])
        for number in range(count):
            good, film, price = (
                chance.random() < 0.5,
                chance.random() < 0.5,
                chance.randint(5, 60),
            )
            words = ("good fine" if good else "bad dull", "film" if film else "phone")
            text = " ".join([*words, "gold" if price >= 30 else "cheap", f"number {seed}{number}"])
            tags = ";".join(["fun"] * good + ["dear"] * (price >= 30))
            cells = [4 if good else 2, words[1], price + chance.random()]
            writer.writerow([text, *("" if chance.random() < 0.2 else c for c in cells), tags])
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a table in a file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results, Heard]:
    """A model of four tasks, made from one table; its folder's parent holds the table."""
    root = tmp_path_factory.mktemp("reviews")
    table, heard = write_reviews(root / "reviews.csv"), Heard()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root / "cache"))
        result = hs.fit(
            hs.Tasks(NAMES, of=table), "seeded:bag", root / "out", progress=heard, evidence="none",
            **OPTIONS,
        )  # fmt: skip
    return root, result, heard


def test_each_column_is_a_task_with_its_own_metric_and_interval(
    reviews: tuple[Path, Results, Heard],
) -> None:
    root, result, _ = reviews
    assert list(result.tasks) == list(NAMES)
    metrics = [result.tasks[name]["metric"] for name in NAMES]
    assert metrics == ["accuracy", "accuracy", "r2", "f1"]
    for name in NAMES:
        arm = result.tasks[name]["arms"]["chosen"]
        assert arm["low"] <= arm["value"] <= arm["high"]
        assert (root / "out" / result.folders[name] / "headstart.json").is_file()
    assert "by construction" in str(result)
    rows = rows_of(root / "reviews.csv")
    labelled = sum(bool(row["stars"]) for row in rows)
    assert 0 < labelled < len(rows)
    assert (
        result.tasks["stars"]["data"]["items"] == labelled
    )  # rows without one count for the others
    assert result.tasks["tags"]["data"]["items"] == len(rows)


def test_features_are_extracted_once(reviews: tuple[Path, Results, Heard]) -> None:
    assert reviews[2].extracted == 120


def test_together_is_what_each_is_alone(
    reviews: tuple[Path, Results, Heard], tmp_path: Path
) -> None:
    root, result, _ = reviews
    alone = hs.fit(
        *(root / "reviews.csv", "seeded:bag", tmp_path / "alone"), strategy="feature-extraction",
        label="stars", evidence="none", text="review", scratch=False,
    )  # fmt: skip
    record, own = alone.record(), dict(result.tasks["stars"])
    assert record["arms"]["chosen"]["value"] == own["arms"]["chosen"]["value"]
    assert record["gain"] == own["gain"]
    texts = [f"good dull film gold {n}" for n in range(5)]
    one, several = hs.load(tmp_path / "alone"), hs.load(root / "out")
    expected = [each.answer["probabilities"] for each in one.predict(texts)]
    answers = [each.tasks["stars"].answer["probabilities"] for each in several.predict(texts)]
    assert answers == [pytest.approx(each, abs=1e-6) for each in expected]


def test_one_model_answers_all(reviews: tuple[Path, Results, Heard], tmp_path: Path) -> None:
    model = hs.load(reviews[0] / "out")
    (answer,) = model.predict(["good fine film gold number 1"])
    assert list(answer.tasks) == list(NAMES)
    assert answer.tasks["stars"].label == "4"
    assert answer.tasks["category"].label == "film"
    assert answer.tasks["price"].answer["value"] > 25
    assert set(answer.tasks["tags"].answer["labels"]) == {"fun", "dear"}
    assert answer.tasks["stars"].familiarity is not None
    assert answer.to_json()["tasks"]["stars"]["set"] == ["4"]
    assert answer.label.startswith("stars 4, category film, price ")
    (row,) = rows_of(write_answers(model, tmp_path))
    assert (row["stars"], row["category"], row["tags"]) == ("4", "film", '["dear", "fun"]')
    assert float(row["stars_probability"]) > 0.5
    assert float(row["price"]) > 25


def write_answers(model: hs.Predictor, folder: Path) -> Path:
    """One answer as a table."""
    return model.predict(["good fine film gold number 1"]).write(folder / "answers.csv").path


def test_what_takes_one_task_says_which_there_are(reviews: tuple[Path, Results, Heard]) -> None:
    out = reviews[0] / "out"
    for command in (
        ("compare", out, out, reviews[0] / "reviews.csv"),
        ("prove", out),
        ("predict", out, "good film", "--explain"),
        ("rank", reviews[0] / "reviews.csv", "--label", "stars", "-b", f"checkpoint:{out}"),
    ):
        result = run(*command)
        assert result.exit_code == 2
        assert "several tasks" in result.output
    assert hs.load(out / "stars").predict(["good fine film"])[0].label == "4"


def test_unlike_inputs_are_refused_by_each_task(reviews: tuple[Path, Results, Heard]) -> None:
    model = hs.load(reviews[0] / "out")
    (answer,) = model.predict(["zebra " * 40], abstain=True)
    assert [each.abstained for each in answer.tasks.values()] == [True] * 4
    assert answer.tasks["stars"].answer["label"] is None


def test_evaluate_scores_the_tasks_that_data_have_labels_for(
    reviews: tuple[Path, Results, Heard], tmp_path: Path
) -> None:
    table = tmp_path / "new.csv"
    rows = rows_of(write_reviews(tmp_path / "all.csv", 60, seed=5))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["review", "stars", "price"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    scored: Any = hs.evaluate(reviews[0] / "out", table)
    assert isinstance(scored, Evaluations)
    assert set(scored.tasks) == {"stars", "price"}
    assert set(scored.without) == {"category", "tags"}
    assert "'category'" in scored.without["category"]
    assert scored.tasks["stars"].score.value > 0.8
    with pytest.raises(HeadstartError, match="answers several tasks"):
        hs.evaluate(reviews[0] / "out", table, label="stars")


def test_the_report_shows_each_task(reviews: tuple[Path, Results, Heard]) -> None:
    out = reviews[0] / "out"
    shown = run("report", out)
    assert shown.exit_code == 0
    page = (out / "report.html").read_text()
    for name in NAMES:
        assert name in shown.output
        assert f'href="{name}/report.html"' in page
        assert (out / name / "report.html").is_file()


def test_a_table_of_tasks_that_was_tampered_with_is_refused(
    reviews: tuple[Path, Results, Heard], tmp_path: Path
) -> None:
    for tasks in ({"a": "../out"}, {"a": ""}, {"a": "/etc"}, {}, {"a": 3}, ["a"]):
        content = {"format": 1, "tasks": tasks, "run": {}}
        (tmp_path / members.FILE).write_text(json.dumps(content))
        with pytest.raises(WeightsError, match="can't be read"):
            hs.load(tmp_path)
    (tmp_path / members.FILE).write_text("[" * 100_000)
    with pytest.raises(WeightsError, match="can't be read"):
        hs.load(tmp_path)
    (tmp_path / "elsewhere").symlink_to(reviews[0])
    (tmp_path / members.FILE).write_text('{"format": 1, "run": {}, "tasks": {"a": "elsewhere"}}')
    with pytest.raises(WeightsError, match="lies elsewhere"):
        hs.load(tmp_path)


def test_data_sets_that_share_a_backbone_make_one_model(tmp_path: Path) -> None:
    for name, words in (("mood", ("glad joy", "sad gloom")), ("thing", ("car wheel", "tree leaf"))):
        rows = [f"{words[n % 2]} {n},{words[n % 2].split()[0]}" for n in range(60)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]))
    out = tmp_path / "out"
    result = run(
        *("fit", "--task", f"mood={tmp_path}/mood.csv", "--task", f"thing={tmp_path}/thing.csv"),
        *("-b", "seeded:bag", "-o", out, "--no-scratch", "--evidence", "none", "--json"),
    )
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert list(record["tasks"]) == ["mood", "thing"]
    assert record["shared"] is True
    (answer,) = hs.load(out).predict(["glad joy car wheel"])
    assert {name: each.label for name, each in answer.tasks.items()} == {
        "mood": "glad",
        "thing": "car",
    }
    weights = [(out / name / "model.safetensors").read_bytes() for name in ("mood", "thing")]
    assert weights[0] == weights[1]
    again = run("fit", "--task", "a=x", "--task", "b=y", "-b", "seeded:bag", "-o", out)
    assert again.exit_code == 2
    assert "already holds a model" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "mood"], "NAME=DATA"),
        (["--task", "=x"], "NAME=DATA"),
        (["--task", "mood=a", "--task", "mood=b"], "twice"),
        (["--task", "mood=a"], "1 task was named"),
        (["data.csv", "--task", "mood=a", "--task", "thing=b"], "another was given too"),
        (["--task", "mood=nowhere", "--task", "thing=b"], "nowhere does not exist"),
    ],
)
def test_wrong_tasks_are_the_users_mistake(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("fit", *arguments, "-b", "seeded:bag", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def labelled(tmp_path: Path, columns: dict[str, list[Any]], **settings: Any) -> list[Any]:
    """The tasks that label columns of a table are."""
    count = len(next(iter(columns.values())))
    table = {"text": [f"text number {n}" for n in range(count)], **columns}
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([table.keys(), *zip(*table.values(), strict=True)])
    chosen = hs.Settings(label=label_columns([*columns]), **settings)
    return members_of(tmp_path / "t.csv", chosen, Heard())


def test_columns_of_one_kind_stay_one_task(tmp_path: Path) -> None:
    marks = {name: [(n >> place) % 2 for n in range(12)] for place, name in enumerate("ab")}
    assert labelled(tmp_path, marks) == []
    numbers = {name: [n + place / 7 for n in range(12)] for place, name in enumerate("ab")}
    assert labelled(tmp_path, numbers) == []
    mistaken: dict[str, list[Any]] = {**marks, "b": ["maybe", *marks["b"][1:]]}
    assert labelled(tmp_path, mistaken) == []  # and a fit of one task names the row
    apart = labelled(tmp_path, numbers, targets="several")
    assert [(each.name, each.kind) for each in apart] == [("a", "classes"), ("b", "numbers")]


def test_columns_of_several_kinds_are_several_tasks(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "stars": [1 + n % 5 for n in range(20)],
        "price": [n + 0.5 for n in range(20)],
        "tags": ["a;b" if n % 2 else "b" for n in range(20)],
        "topic": ["x" if n % 3 else "y" for n in range(20)],
    }
    kinds = ["classes", "numbers", "label sets", "classes"]
    each = labelled(tmp_path, columns, delimiter=";")
    assert [member.kind for member in each] == kinds
    assert [member.settings.delimiter for member in each] == [None, None, ";", None]
    assert {member.settings.text for member in each} == {("text",)}
    members = labelled(tmp_path, columns, delimiter="tags=;", targets="stars=numbers")
    assert [member.kind for member in members] == ["numbers", *kinds[1:]]


def test_columns_named_with_commas_are_one_of_several_tasks(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "a": [n % 2 for n in range(12)],
        "b": [n // 2 % 2 for n in range(12)],
        "topic": ["x" if n % 3 else "y" for n in range(12)],
    }
    labelled(tmp_path, columns)
    chosen = hs.Settings(label=label_columns(["a,b", "topic"]))
    each = members_of(tmp_path / "t.csv", chosen, Heard())
    assert [(m.name, m.kind) for m in each] == [("a,b", "label sets"), ("topic", "classes")]


def test_what_names_no_task_is_for_all() -> None:
    names = ["stars", "price"]
    settings = hs.Settings(metric="stars=macro-f1", targets="price=numbers,stars=classes")
    assert own(settings, "stars", names).metric == "macro-f1"
    assert own(settings, "price", names).metric is None
    assert [own(settings, name, names).targets for name in names] == ["classes", "numbers"]
    for_all = hs.Settings(targets="numbers", delimiter="=")
    assert {own(for_all, name, names).targets for name in names} == {"numbers"}
    assert {own(for_all, name, names).delimiter for name in names} == {"="}


def test_a_task_of_any_name_has_a_folder() -> None:
    names = ["price (€)/unit", "a b", "a-b", "..", "report.html", "Stars", "stars"]
    chosen = folders(names)
    assert len({name.lower() for name in chosen.values()}) == len(names)
    for name in chosen.values():
        assert Path(name).name == name
        assert name not in ("", ".", "..", "report.html")


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'nothing'"):
        write_reviews(tmp_path / "t.csv", 20)
        hs.fit(
            hs.Tasks(["stars", "nothing"], of=tmp_path / "t.csv"), "seeded:bag", tmp_path / "out",
            text="review",
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_source_from_several_sets_is_one_network_checked_against_naive_for_each(
    tmp_path: Path,
) -> None:
    table = write_reviews(tmp_path / "reviews.csv", 200)
    out = tmp_path / "source"
    result = hs.pretrain(
        hs.Tasks(["category", "price"], of=table), "seeded:bag", out, text="review", epochs=30,
        evidence="none", learning_rate=None,
    )  # fmt: skip
    assert result.shared
    assert {each["strategy"] for each in result.tasks.values()} == {"scratch"}
    for each in result.tasks.values():
        assert each["over_naive"]["low"] > 0
    weights = [(out / name / "model.safetensors") for name in ("category", "price")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    again = hs.fit(
        *(write_reviews(tmp_path / "other.csv", 80, seed=3), f"checkpoint:{out / 'category'}"),
        tmp_path / "target",
        strategy="feature-extraction", label="stars", text="review", scratch=False, evidence="none",
    )  # fmt: skip
    assert again.evidence.arms["chosen"].scores.mean() > 0.6
    fresh = (
        (tmp_path / "other.csv").read_text().replace("number", "item")
    )  # none it has learned from
    (tmp_path / "other.csv").write_text(fresh)
    ranking = hs.rank(
        *(tmp_path / "other.csv", [f"checkpoint:{out / 'price'}", "seeded:bag"]), label="stars",
        text="review",
    )  # fmt: skip
    looked_at = {each.backbone.partition("?")[0] for each in ranking.rows}  # maybe up to a layer
    assert looked_at == {f"checkpoint:{out / 'price'}", "seeded:bag"}
    assert all(each.expected is not None for each in ranking.rows)


def test_a_source_that_learned_nothing_of_one_set_is_refused(tmp_path: Path) -> None:
    chance = random.Random(1)
    rows = [f"word{n % 7} {n},{chance.random() < 0.5},{n % 7 < 3}" for n in range(150)]
    (tmp_path / "t.csv").write_text("\n".join(["text,noise,known", *rows]))
    tasks = hs.Tasks(["noise", "known"], of=tmp_path / "t.csv")
    with pytest.raises(HeadstartError, match="does not beat the naive model"):
        hs.pretrain(tasks, "seeded:bag", tmp_path / "out", epochs=4, evidence="none")
    assert not (tmp_path / "out").exists()


def test_an_item_of_two_sets_is_held_out_of_both(tmp_path: Path) -> None:
    from headstart.data import load
    from headstart.data.schema import Schema
    from headstart.modalities.text import Text
    from headstart.pipeline.several.merging import agreed, merged

    table = write_reviews(tmp_path / "reviews.csv", 150)
    parts = {
        name: load(table, Text(), Schema(label=name, content=("review",)))
        for name in ("stars", "price")
    }
    joint = merged(agreed(parts))
    identities = {split: {i.identity for i in joint.split(split)} for split in ("train", "test")}
    assert not identities["train"] & identities["test"]
    targets = joint.targets("train")
    assert targets.shape == (len(joint.split("train")), 2)
    by_id = {row["review"]: row for row in rows_of(table)}
    for item, (stars, price) in zip(joint.split("train"), targets, strict=True):
        row = by_id[item.read().decode()]
        label = parts["stars"].labels[int(stars)] if stars == stars else ""
        assert label == row["stars"]
        assert (
            (row["price"] == "") if price != price else price == pytest.approx(float(row["price"]))
        )


def test_a_target_that_is_unlike_its_source_is_warned_of_before_training(tmp_path: Path) -> None:
    for name, words in (("source", ("red warm", "blue cold")), ("near", ("warm red", "cold blue"))):
        rows = [f"{words[n % 2]} number {n},{'a' if n % 2 else 'b'}" for n in range(120)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]))
    chance = random.Random(2)
    rows = [f"zebra lion {n} {n * n},{'x' if chance.random() < 0.5 else 'y'}" for n in range(120)]
    (tmp_path / "far.csv").write_text("\n".join(["text,label", *rows]))
    hs.pretrain(
        *(tmp_path / "source.csv", "seeded:bag", tmp_path / "source"), epochs=30, evidence="none"
    )
    values = {}
    for name in ("near", "far"):
        heard = Heard()
        result = hs.fit(
            *(tmp_path / f"{name}.csv", f"checkpoint:{tmp_path}/source"), tmp_path / f"{name}-out",
            strategy="lp-ft", epochs=1, scratch=False, evidence="quick", progress=heard,
        )  # fmt: skip
        values[name] = result.record()["likeness"]
        warned = [line for line in heard.lines if "too dissimilar" in line]
        assert bool(warned) == (name == "far")
    assert values["near"]["worth"]["low"] > 0.1
    assert values["far"]["worth"]["low"] <= 0
    assert values["far"]["overlap"] < values["near"]["overlap"]
    assert values["far"]["apart"] > 0.9


@pytest.fixture(scope="module")
def jointly(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """Three tasks that train one network, compared with each alone and with every two."""
    root = tmp_path_factory.mktemp("joint")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root / "cache"))
        result = hs.fit(
            hs.Tasks(NAMES[:3], of=write_reviews(root / "reviews.csv", 150)), "seeded:bag",
            root / "out", joint="equal", strategy="lp-ft", epochs=2, text="review",
            scratch=False, evidence="none",
        )  # fmt: skip
    return root, result


def test_one_network_for_all_is_compared_with_each_alone(jointly: tuple[Path, Results]) -> None:
    root, result = jointly
    assert result.joint is not None
    assert set(result.joint["together"]) == set(NAMES[:3])
    for name, row in result.joint["affinity"].items():
        assert set(row) == set(NAMES[:3]) - {name}
        for gain in row.values():
            assert gain["low"] <= gain["value"] <= gain["high"]
    assert "stars: with category" in str(result)
    assert hs.load(root / "out").predict(["good fine film"])[0].tasks["stars"].label == "4"
    again = run("report", root / "out", "--json")
    assert json.loads(again.stdout)["joint"] == result.to_json()["joint"]


@pytest.mark.parametrize("weights", ["equal", "uncertainty"])
def test_losses_of_tasks_count_in_units_of_the_naive_models(weights: str) -> None:
    import torch

    from headstart.contracts.model import Batch, Model, SideBySide
    from headstart.contracts.several import Part, Several
    from headstart.tasks.classification import Classification
    from headstart.tasks.regression import Regression

    parts = {
        "kind": Part(Classification(), ("x", "y", "z"), unit=1.1),
        "size": Part(Regression((50.0,), (10.0,)), ("size",), numbered=False, unit=2.0),
    }
    task = Several(parts, weights == "uncertainty")
    targets = np.array([[0, 40], [np.nan, 60], [2, np.nan], [1, 55]], dtype=np.float32)
    features = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    head = task.head(5, ())
    assert isinstance(head, SideBySide)
    step = task.step(Model({}, head), Batch(features, torch.from_numpy(targets), start=1))
    own = np.log(3) / 1.1, np.mean([1.0, 1.0, 0.25]) / 2.0  # heads answer 0 for all
    assert float(step.loss.detach()) == pytest.approx(float(np.mean(own)), rel=1e-5)
    assert step.outputs.shape == (4, 4)
    losses = task.losses(step.outputs.detach().numpy(), targets)
    assert losses[1] == pytest.approx(1.0 / 2.0, rel=1e-5)
    assert losses[0] == pytest.approx((np.log(3) / 1.1 + 1.0 / 2.0) / 2, rel=1e-5)
    learned = [name for name, _ in head.named_parameters() if name == "variances"]
    assert bool(learned) == (weights == "uncertainty")
    nobody = torch.full((2, 2), float("nan"))
    none = task.step(Model({}, head), Batch(features[:2], nobody, start=1))
    assert float(none.loss.detach()) == 0.0


def test_joint_needs_several_tasks_and_a_strategy_that_trains(tmp_path: Path) -> None:
    table = write_reviews(tmp_path / "t.csv", 40)
    options: dict[str, Any] = {"text": "review", "joint": "equal"}
    with pytest.raises(HeadstartError, match="for several tasks, and there is one"):
        hs.fit(table, "seeded:bag", tmp_path / "out", label="stars", **options)
    with pytest.raises(HeadstartError, match="1 task was named"):
        hs.fit(hs.Tasks(["stars"], of=table), "seeded:bag", tmp_path / "out")
    with pytest.raises(HeadstartError, match="does not say how"):
        hs.fit(table, "seeded:bag", tmp_path / "out", label=["stars", "category"], **options)
    with pytest.raises(HeadstartError, match="joint 'both' is not known"):
        hs.fit(
            hs.Tasks(["stars", "category"], of=table), "seeded:bag", tmp_path / "out", joint="both",
            text="review",
        )  # fmt: skip


def test_the_one_column_that_is_no_label_is_the_content(tmp_path: Path) -> None:
    write_reviews(tmp_path / "t.csv", 20)
    chosen = hs.Settings(label=label_columns(NAMES), delimiter=";")
    each = members_of(tmp_path / "t.csv", chosen, Heard())
    assert [member.name for member in each] == list(NAMES)
    assert {member.settings.text for member in each} == {("review",)}


def test_the_benchmark_says_which_task_is_worse_and_what_all_cost(
    shared_data: Path, tmp_path: Path
) -> None:
    from benchmarks import several

    several.lay_out(shared_data / "text", tmp_path / "t.csv", 50)
    rows = rows_of(tmp_path / "t.csv")
    assert len(rows) == 50
    assert {row["category"] for row in rows} == {"books", "electronics"}
    assert all(row["stars"] in "12345" and row["year"].isdigit() for row in rows if row["year"])
    arm = {"value": 0.7, "low": 0.6, "high": 0.8}
    row = {"task": "stars", "metric": "accuracy", "arms": [arm, arm]}
    values = {"items": 50, "one": 10.0, "all": 11.0, "ratio": 1.1, "rows": [row]}
    assert not several.worse(values)
    assert several.worse({**values, "ratio": 1.3})
    assert several.worse({**values, "rows": [{**row, "arms": [arm, {**arm, "value": 0.59}]}]})
    assert "1.10 times" in several.as_markdown(values)


def test_what_is_wrong_with_one_task_is_said_of_it_before_any_work(tmp_path: Path) -> None:
    table = write_reviews(tmp_path / "t.csv", 40)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"metric": "accuracy"}, "Task price: Metric 'accuracy' does not judge numbers"),
        ({"targets": "price=nothing"}, "'nothing' is not known"),
    )
    for options, message in wrong:
        with pytest.raises(HeadstartError, match=message):
            hs.fit(
                *(hs.Tasks(["stars", "price"], of=table), "seeded:bag", tmp_path / "out"),
                text="review", **options,
            )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_run_that_was_killed_goes_on_with_the_tasks_that_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.pipeline import proving
    from headstart.pipeline.several import fitting

    table, out = write_reviews(tmp_path / "t.csv", 60), tmp_path / "out"
    tasks, whole = hs.Tasks(["stars", "price"], of=table), proving.proved
    options: dict[str, Any] = {"text": "review", "scratch": False, "evidence": "none"}

    def killed(*arguments: Any) -> Any:
        if arguments[1].out.name == "price":
            raise MemoryError
        return whole(*arguments)

    monkeypatch.setattr(fitting, "proved", killed)
    with pytest.raises(MemoryError):
        hs.fit(tasks, "seeded:bag", out, **options)
    assert list(members.read(out)) == ["stars"]
    before = (out / "stars" / "headstart.json").stat().st_mtime_ns
    monkeypatch.setattr(fitting, "proved", whole)
    with pytest.raises(HeadstartError, match="already holds a model"):
        hs.fit(tasks, "seeded:bag", out, seed=1, **options)
    heard = Heard()
    result = hs.fit(tasks, "seeded:bag", out, progress=heard, **options)
    assert any("going on with it" in line for line in heard.lines)
    assert list(result.tasks) == ["stars", "price"]
    assert (out / "stars" / "headstart.json").stat().st_mtime_ns == before

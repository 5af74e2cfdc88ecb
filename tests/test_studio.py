"""`studio`: what is kept of examples, what is learned of them, and who may ask."""

from __future__ import annotations

import io
import json
import re
import resource
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from local_pages import Visitor
from PIL import Image
from studios import CONVNET, add, filled, opened, picture, rows
from typer.testing import CliRunner

import headstart as hs
from headstart import catalog
from headstart.cli import app
from headstart.data import InlineSource, Item, Schema, load
from headstart.errors import HeadstartError
from headstart.labelling.sheet import PATH, Sheet
from headstart.runtime.progress import Silent
from headstart.studio.examples import Example, RawExample
from headstart.studio.incoming import Incoming
from headstart.studio.judging import judgements, task_for
from headstart.studio.session import Session


def counts(state: dict[str, Any]) -> dict[str, int]:
    """How many examples each class has, as the page shows it."""
    return {each["name"]: each["count"] for each in state["classes"]}


def test_examples_are_answered_judged_and_kept_as_fit_reads_them(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as visitor:
        assert visitor.give("glance", picture("ants", 99))["waiting"]
        filled(visitor, {"ants": 6, "bees": 6})
        state = visitor.until(lambda s: s["score"] and not s["busy"])
        assert state["head"]["total"] == 12 and counts(state) == {"ants": 6, "bees": 6}
        answer = visitor.give("glance", picture("bees", 99))["answer"]
        assert answer["bees"] > 0.5 and sum(answer.values()) == pytest.approx(1.0)
        assert state["score"]["value"] > 0.8 and state["score"]["examples"] == 12
        assert state["score"]["low"] <= state["score"]["value"] <= state["score"]["high"]
        assert "always giving the commonest class" in state["score"]["verdict"]
        assert [each["examples"] for each in state["growth"]][-1] == 12
    dataset = load(tmp_path / "s/labels.csv", catalog.modality("image"), Schema(kind="classes"))
    found = {item.read(): item.label for item in dataset.items}
    assert found == {picture(n, i): n for n in ("ants", "bees") for i in range(6)}
    with opened(tmp_path / "s") as visitor:  # nothing is lost, and it answers without more
        assert counts(visitor.state()) == {"ants": 6, "bees": 6}
        visitor.until(lambda s: s["head"])
        assert visitor.give("glance", picture("ants", 99))["answer"]["ants"] > 0.5


def test_what_is_no_picture_is_one_sentence_and_the_rest_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as visitor:
        filled(visitor, {"ants": 2, "bees": 2})
        before = (tmp_path / "s/labels.csv").read_bytes()
        for raw, name in ((b"not a picture", "a.png"), (picture("ants", 1)[:90], "b.png")):
            told = add(visitor, raw, "ants", name)
            assert re.match(rf"{name} can't be used: .+\. Give another\.$", str(told["error"]))
        assert "files that count are" in str(
            add(visitor, picture("ants", 3), "ants", "a.exe")["error"]
        )
        visitor.until(lambda s: s["head"])
        assert "can't be used" in str(visitor.give("glance", b"not a picture")["error"])
        assert (tmp_path / "s/labels.csv").read_bytes() == before
        assert add(visitor, picture("ants", 5), "ants")["status"] == 200
        visitor.until(lambda s: s["head"] and s["head"]["total"] == 5)


def test_content_is_kept_once_and_moves_to_the_class_named_last(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as visitor:
        add(visitor, picture("ants", 1), "ants")
        assert "there already" in str(add(visitor, picture("ants", 1), "ants")["said"])
        add(visitor, picture("ants", 1), "bees")
        assert counts(visitor.state()) == {"ants": 0, "bees": 1}
        add(visitor, picture("ants", 1))  # without a class it stays where it is
        assert counts(visitor.state()) == {"ants": 0, "bees": 1}
    assert [label for _, label in rows(tmp_path / "s/labels.csv")] == ["bees"]


def test_changes_are_on_the_disk_and_taken_back(tmp_path: Path) -> None:
    table = tmp_path / "s/labels.csv"
    with opened(tmp_path / "s") as visitor:
        filled(visitor, {"ants": 2, "bees": 1})
        key = visitor.state()["classes"][1]["items"][0]["key"]
        before = sorted(rows(table))
        visitor.state("label", key=key, label="ants")
        assert counts(visitor.state()) == {"ants": 3, "bees": 0}
        visitor.state("undo")
        assert sorted(rows(table)) == before
        visitor.state("remove", key=key)
        assert len(rows(table)) == 2 and len(list((tmp_path / "s/items").iterdir())) == 2
        visitor.state("undo")
        assert sorted(rows(table)) == before and counts(visitor.state()) == {"ants": 2, "bees": 1}
        visitor.state("rename", before="bees", name="wild bees")
        assert counts(visitor.state()) == {"ants": 2, "wild bees": 1}
        visitor.state("drop", name="wild bees")
        assert visitor.state()["unlabelled"]["count"] == 1
        assert visitor.state("label", key=key, label="wasps")["error"].startswith("'wasps' is no")
    assert len(rows(tmp_path / "s/unlabelled.csv")) == 1


def test_a_wrong_class_is_suspected_and_corrected_or_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as visitor:
        filled(visitor, {"ants": 12, "bees": 12})
        for number in (50, 51):
            add(visitor, picture("ants", number), "bees", f"wrong-{number}.png")
        state = visitor.until(lambda s: len(s["suspects"]) >= 2 and not s["busy"])
        wrong = {row["name"]: row for row in state["suspects"]}
        assert {wrong[f"wrong-{number}.png"]["likely"] for number in (50, 51)} == {"ants"}
        visitor.state("keep", key=wrong["wrong-50.png"]["key"])
        visitor.state("label", key=wrong["wrong-51.png"]["key"], label="ants")
        state = visitor.until(lambda s: s["score"] and not s["busy"] and s["head"]["number"] > 2)
        assert not {"wrong-50.png", "wrong-51.png"} & {row["name"] for row in state["suspects"]}
    assert dict(rows(tmp_path / "s/labels.csv"))
    with opened(tmp_path / "s") as visitor:
        state = visitor.until(lambda s: s["score"] and not s["busy"])
        assert "wrong-50.png" not in {row["name"] for row in state["suspects"]}


def test_examples_without_a_class_are_named_in_the_order_they_help(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as visitor:
        filled(visitor, {"ants": 4, "bees": 4})
        for number in range(20, 24):
            add(visitor, picture("bees", number))
            add(visitor, picture("wasps", number))
        state = visitor.until(lambda s: len(s["following"]) == 8)
        assert all(0 <= row["doubt"] <= 1 and row["covers"] >= 1 for row in state["following"])
        first = state["following"][0]
        visitor.state("label", key=first["key"], label=first["guess"])
        state = visitor.until(lambda s: s["unlabelled"]["count"] == 7 and len(s["following"]) == 7)
        assert sum(counts(state).values()) == 9
    assert len(rows(tmp_path / "s/labels.csv")) == 9
    assert len(rows(tmp_path / "s/unlabelled.csv")) == 7


def test_a_folder_a_table_and_a_drop_are_taken_in(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 3, "bees": 2})
    (data / "ants" / "broken.png").write_bytes(b"broken")
    with opened(tmp_path / "s", data=data) as visitor:
        state = visitor.until(lambda s: s["said"][0])
        assert counts(state) == {"ants": 3, "bees": 2}
        assert "5 added" in state["said"][1] and "broken.png can't be used" in state["said"][1]
        drop = visitor.state("begin")["said"]
        for number in range(2):
            visitor.give(f"stage/{drop}/pets/wasps/{number}.png", picture("wasps", number))
            visitor.give(f"stage/{drop}/pets/ants/{number}.png", picture("ants", number))
        visitor.state("take", drop=drop)
        state = visitor.until(lambda s: s["said"][0] == 2)
        assert counts(state) == {"ants": 5, "bees": 2, "wasps": 2}
        assert not list((tmp_path / "s/.incoming").iterdir())
    with opened(tmp_path / "s", data=data) as visitor:  # is not taken in again
        key = visitor.state()["classes"][0]["items"][0]["key"]
        visitor.state("remove", key=key)
    with opened(tmp_path / "s", data=data) as visitor:
        assert counts(visitor.state()) == {"ants": 4, "bees": 2, "wasps": 2}


def test_texts_come_by_table_and_by_line(tmp_path: Path) -> None:
    nasty = '<img src=x onerror=hit=1> said "so", he;\nthen left'
    with opened(tmp_path / "s", "seeded:bag") as visitor:
        drop = visitor.state("begin")["said"]
        table = "text,label\n" + "".join(
            f"{word} number {n},{word}\n" for word in ("good", "bad") for n in range(5)
        )
        visitor.give(f"stage/{drop}/reviews.csv", table.encode())
        visitor.state("take", drop=drop)
        visitor.until(lambda s: counts(s) == {"good": 5, "bad": 5})
        add(visitor, nasty.encode(), "bad", "pasted")
        state = visitor.until(lambda s: s["head"] and s["head"]["total"] == 11)
        assert state["classes"][1]["items"][0]["text"] == nasty
        assert set(visitor.give("glance", b"good number 9")["answer"]) == {"good", "bad"}
        assert "can't be used" in str(visitor.give("glance", b"\xff\xfe\x00")["error"])
    assert [nasty, "bad"] in rows(tmp_path / "s/labels.csv")
    dataset = load(tmp_path / "s/labels.csv", catalog.modality("text"), Schema(kind="classes"))
    assert len(dataset.items) == 11


def test_two_sessions_do_not_disturb_each_other(tmp_path: Path) -> None:
    with opened(tmp_path / "one") as one, opened(tmp_path / "two") as two:
        assert one.token != two.token
        for number in range(3):
            add(one, picture("ants", number), "ants")
            add(two, picture("bees", number), "ants")
            add(two, picture("ants", number), "bees")
            add(one, picture("bees", number), "bees")
        for visitor, mine in ((one, "ants"), (two, "bees")):
            visitor.until(lambda s: s["head"] and s["head"]["total"] == 6)
            assert visitor.give("glance", picture("ants", 9))["answer"][mine] > 0.5
        assert two.ask(f"/{one.token}/state")[0] == 403
        with pytest.raises(HeadstartError, match="open on another page"), opened(tmp_path / "one"):
            pass


def test_nobody_else_may_give_or_look(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as visitor:
        place, raw = f"/{visitor.token}/add?label=ants&name=a.png", picture("ants", 0)
        assert visitor.ask(place, raw, Origin="http://evil.example")[0] == 400
        assert visitor.ask(place, raw, Origin="null")[0] == 400  # as of a sandboxed page
        assert visitor.ask(place, raw, Host="evil.example")[0] == 403
        for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):
            assert visitor.ask(place, raw, **{"Content-Type": kind})[0] == 400
        assert visitor.ask("/add?label=ants&name=a.png", raw)[0] == 403
        huge = {"Content-Length": str(1 << 40)}
        assert visitor.ask(place, raw, **huge)[0] == 400
        for name in ("news", "state", "studio.js", "picture/x"):
            assert visitor.ask(f"/{visitor.token[:-1]}/{name}")[0] == 403
        for name in ("report/1", "report/..%2f..", "model/1.zip", "model/..%2fx.zip"):
            assert visitor.ask(f"/{visitor.token}/{name}")[0] == 409
        assert visitor.ask(f"/{visitor.token}/picture/..%2f..%2fetc%2fpasswd")[0] == 404
        assert counts(visitor.state()) == {}


names = st.lists(
    st.one_of(st.sampled_from(["..", ".", "", "/", "a", "C:\\", "\0"]), st.text(max_size=9)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=200)
@given(parts=names)
def test_a_drop_stays_in_its_folder(parts: list[str], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("drop")
    incoming = Incoming(folder / "session")
    drop = incoming.begin()
    try:
        incoming.put(drop, parts, b"x")
    except (HeadstartError, UnicodeEncodeError):
        pass
    else:
        assert len([each for each in incoming.opened(drop).rglob("*") if each.is_file()]) == 1
    outside = [
        p for p in folder.rglob("*") if p.is_file() and incoming.opened(drop) not in p.parents
    ]
    assert outside == []
    with pytest.raises(HeadstartError, match="not known"):
        incoming.put("../" * 3, ["a"], b"x")


@settings(max_examples=50)
@given(
    answers=st.lists(st.tuples(st.text("abc", min_size=1), st.sampled_from("xy")), max_size=8),
    changes=st.dictionaries(st.text("abc", min_size=1), st.sampled_from(["x", "z", None])),
)
def test_a_sheet_is_as_if_it_had_been_written_so(
    answers: list[tuple[str, str]], changes: dict[str, str | None], tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("sheet") / "labels.csv"
    wanted = dict(answers)
    wanted |= {name: label for name, label in changes.items() if name in wanted and label}
    wanted = {n: label for n, label in wanted.items() if changes.get(n, "") is not None}
    with Sheet(path, (PATH,)) as sheet:
        sheet.add_all([((name,), label) for name, label in answers])
        sheet.replace({(name,): label for name, label in changes.items()})
        assert {content[0]: label for content, label in sheet.answers().items()} == wanted
        sheet.add(("last",), "x")
    with Sheet(path, (PATH,)) as sheet:
        assert {c[0]: label for c, label in sheet.answers().items()} == wanted | {"last": "x"}


def test_a_row_that_points_elsewhere_brings_nothing_in(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "private.png")
    with Session(tmp_path / "s", catalog.modality("image"), Silent()) as session:
        session.add([RawExample("a.png", picture("ants", 0), "ants")])
    with (tmp_path / "s/labels.csv").open("a", encoding="utf-8") as file:
        file.write(
            f'"../private.png","ants"\n"{tmp_path / "private.png"}","ants"\n"no.png","ants"\n'
        )
    with Session(tmp_path / "s", catalog.modality("image"), Silent()) as session:
        assert len(session.examples) == 1 and len(session.broken) == 3


def families(rng: np.random.Generator, count: int, size: int) -> tuple[list[Example], np.ndarray]:
    """Families of near copies, each at a place of its own in space, and of a class by chance."""
    examples: list[Example] = []
    features = []
    for family in range(count):
        place, sketch = rng.normal(size=256), rng.bytes(32).hex()
        for member in range(size):
            name = f"{family}-{member}"
            item = Item(name, "ab"[rng.integers(2)] if not member else examples[-1].item.label,
                        None, InlineSource(b""), f"{len(examples):032x}")  # fmt: skip
            examples.append(Example(item, (name,), sketch))
            features.append(place + rng.normal(size=256) * 1e-3)
    return examples, np.array(features, np.float32)


def test_near_copies_are_never_parted_by_folds() -> None:
    examples, features = families(np.random.default_rng(3), 40, 4)
    place = {each.item.digest: n for n, each in enumerate(examples)}

    def of(items: Any) -> np.ndarray:
        return features[[place[item.digest] for item in items]]

    task = task_for("image", np.array([0, 1]), ("a", "b"))
    last = list(judgements(examples, ("a", "b"), task, of, lambda: False))[-1]
    assert last.score.value < 0.75  # parted, each would be answered by its copies: 1.0
    alone = [Example(each.item, each.content, "") for each in examples]
    parted = list(judgements(alone, ("a", "b"), task, of, lambda: False))[-1]
    assert parted.score.value > 0.95
    assert last.gain.low < 0 < parted.gain.low


def test_a_score_of_one_large_family_is_called_flattering() -> None:
    examples, features = families(np.random.default_rng(3), 2, 20)
    labelled = [
        Example(
            Item(e.item.id, "ab"[n % 2], None, e.item.source, e.item.digest), e.content, e.sketch
        )
        for n, e in enumerate(examples)
    ]
    task = task_for("image", np.array([0, 1]), ("a", "b"))
    first = next(
        judgements(labelled, ("a", "b"), task, lambda i: features[: len(i)], lambda: False)
    )
    assert "40 examples look so alike" in str(first.to_json()["how"])


def test_a_class_of_one_example_is_left_out_of_the_score() -> None:
    examples, features = families(np.random.default_rng(4), 30, 1)
    alone = replace(examples[0], item=replace(examples[0].item, label="rare"))
    task = task_for("image", np.array([0, 1, 2]), ("a", "b", "rare"))
    place = {each.item.digest: n for n, each in enumerate(examples)}
    first = next(
        judgements(
            [alone, *examples[1:]],
            ("a", "b", "rare"),
            task,
            lambda items: features[[place[item.digest] for item in items]],
            lambda: False,
        )
    )
    assert first.examples == 29 and "Without rare" in str(first.to_json()["how"])


FULL = 100_000  # bytes that a file may have in the process below


@pytest.fixture
def cramped(tmp_path: Path) -> Any:
    """A studio in a process that may write no file larger than so many bytes."""
    command = [sys.executable, "-m", "headstart", "studio", "-b", CONVNET, "-o", "s", "--json"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, FULL)),
    )
    assert running.stderr is not None
    found = next(filter(None, (re.search(r":(\d+)/([\w-]+)/", line) for line in running.stderr)))
    yield Visitor(int(found[1]), found[2]), running
    running.kill()
    running.communicate()


def test_a_full_disk_is_one_sentence_and_what_was_kept_stays(cramped: Any, tmp_path: Path) -> None:
    visitor, running = cramped
    filled(visitor, {"ants": 3, "bees": 3})
    before = (tmp_path / "s/labels.csv").read_bytes()
    told = add(visitor, picture("ants", 7, side=400), "ants")
    assert told["status"] == 409 and "can't be written (File too large)" in str(told["error"])
    assert (tmp_path / "s/labels.csv").read_bytes() == before
    assert not [each for each in (tmp_path / "s/items").iterdir() if each.stat().st_size > FULL]
    assert len(list((tmp_path / "s/items").iterdir())) == 6
    assert add(visitor, picture("ants", 8), "ants")["status"] == 200
    visitor.until(lambda s: s["head"] and s["head"]["total"] == 7)
    visitor.state("finish")
    out = json.loads(running.communicate(timeout=30)[0])
    assert running.returncode == 0 and out["counts"] == {"ants": 4, "bees": 3}
    assert out["command"].startswith("headstart fit ") and "labels.csv" in out["command"]


@pytest.mark.slow
def test_a_fit_leaves_a_model_its_report_and_an_archive(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as visitor:
        filled(visitor, {"ants": 12, "bees": 12})
        assert "not a duration" in visitor.state("fit", budget="soon")["error"]
        assert visitor.state("fit", budget="60s")["status"] == 200
        assert "still runs" in visitor.state("rank")["error"]
        state = visitor.until(lambda s: s["job"] and not s["job"]["running"], 180)
        assert state["job"]["error"] == "" and state["job"]["said"]
        (model,) = state["models"]
        assert model["headline"] and state["job"]["command"].startswith("headstart fit ")
        status, page, headers = visitor.ask(f"/{visitor.token}/report/{model['number']}")
        assert status == 200 and b"<html" in page
        assert headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")
        _, raw, _ = visitor.ask(f"/{visitor.token}/model/{model['number']}.zip")
        zipfile.ZipFile(io.BytesIO(raw)).extractall(tmp_path / "out")
    predictor = hs.load(tmp_path / "out/model-1")
    assert predictor.predict(picture("bees", 99))[0].label == "bees"


@pytest.mark.slow
def test_sources_are_ranked_and_chosen_and_a_fit_is_stopped(tmp_path: Path) -> None:
    with opened(tmp_path / "s", CONVNET, "seeded:residual") as visitor:
        filled(visitor, {"ants": 12, "bees": 12})
        visitor.state("follow", on="yes")
        state = visitor.until(lambda s: s["sources"]["ranked"] == 24, 180)
        found = {row["reference"]: row for row in state["sources"]["list"]}
        assert all(0 <= row["low"] <= row["expected"] <= row["high"] <= 1 for row in found.values())
        visitor.state("follow", on="no")
        visitor.state("source", reference="seeded:residual")
        assert "not in the list" in visitor.state("source", reference="file:evil.py")["error"]
        state = visitor.until(lambda s: s["source"] == "seeded:residual" and s["score"])
        assert "-b seeded:residual" in state["command"]
        visitor.until(lambda s: not s["job"]["running"], 60)
        visitor.state("fit", budget="")
        visitor.until(lambda s: s["job"]["said"])
        visitor.state("stop")
        visitor.until(lambda s: not s["job"]["running"], 60)
    with opened(tmp_path / "s", "seeded:residual") as visitor:
        assert counts(visitor.state()) == {"ants": 12, "bees": 12}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent"], "does not exist"),
        (["-b", "seeded:nothing"], "'nothing' is not known"),
        (["-b", "table:columns"], "which the page can't show"),
        (["-b", "seeded:bag", "-o", "{old}"], "this session holds image"),
        (["-o", "{damaged}", "-b", CONVNET], "session.json can't be read"),
        (["-b", CONVNET, "-o", "{new}", "--port", "70000"], "can't be used"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], words: str, tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("old", "damaged", "new")}
    with opened(places["old"]):
        pass
    shutil.copytree(places["old"], places["damaged"])
    (places["damaged"] / "session.json").write_text("[1]", encoding="utf-8")
    done = CliRunner().invoke(app, ["studio", *(a.format(**places) for a in arguments), "--json"])
    assert done.exit_code == 2
    assert words in json.loads(done.stdout)["error"]

"""`label`: the page on this machine, who may ask it, and what it writes."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Fitted, write_pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from local_pages import Visitor, served
from PIL import Image
from typer.testing import CliRunner

import headstart as hs
from headstart import catalog
from headstart.cli import app
from headstart.data import Schema, load
from headstart.errors import HeadstartError
from headstart.labelling.sheet import PATH, Sheet
from headstart.pipeline import labelling
from headstart.pipeline.labelling import LabellingOptions, label

NASTY = "<img src=x onerror=hit=1>"


def page(
    model: Path | None, data: Path, options: LabellingOptions
) -> AbstractContextManager[Visitor]:
    """A page that is served while the block lasts, and then finished."""
    return served(lambda progress: label(model, data, options, progress=progress))


def answer(visitor: Visitor, name: str) -> dict[str, Any]:
    """Give the item that is shown a class."""
    return visitor.state("answer", key=visitor.state()["item"]["key"], label=name)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Six pictures in two folders."""
    return write_pictures(tmp_path / "pool", {"x": 3, "y": 3}, seed=5)


def rows(path: Path) -> list[list[str]]:
    """The table's cells."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_answers_lie_in_a_manifest_at_once_and_a_restart_goes_on(pool: Path) -> None:
    options = LabellingOptions(("ants", "bees"))
    with page(None, pool, options) as visitor:
        first = visitor.state()
        assert [each["name"] for each in first["classes"]] == ["ants", "bees"]
        assert (first["done"], first["total"]) == (0, 6)
        assert first["item"]["name"] == "x/000.png"
        answer(visitor, "ants")
        assert rows(pool / "labels.csv") == [["path", "label"], ["x/000.png", "ants"]]
        reply = answer(visitor, "bees")
        assert (reply["done"], reply["item"]["name"]) == (2, "x/002.png")
    with page(None, pool, options) as visitor:
        again = visitor.state()
        assert (again["done"], again["total"], again["labels"]) == (0, 4, 2)
        assert again["item"]["name"] == "x/002.png"
        undone = visitor.state("undo")  # also of what was answered before the restart
        assert undone["item"]["name"] == "x/001.png"
        assert rows(pool / "labels.csv")[1:] == [["x/000.png", "ants"]]


def test_skipped_items_come_last_and_undo_brings_them_back(pool: Path) -> None:
    with page(None, pool, LabellingOptions(("ants",))) as visitor:
        name = visitor.state()["item"]["name"]
        skipped = visitor.state("skip", key=visitor.state()["item"]["key"])
        assert skipped["item"]["name"] != name and skipped["total"] == 6
        assert visitor.state("undo")["item"]["name"] == name
        visitor.state("skip", key=visitor.state()["item"]["key"])
        items = [answer(visitor, "ants")["item"] for _ in range(6)]
        assert items[4]["name"] == name and items[5] is None
        assert visitor.state()["done"] == 6


def test_classes_can_be_added_and_only_those_are_taken(pool: Path) -> None:
    with page(None, pool, LabellingOptions()) as visitor:
        refused = answer(visitor, "wasps")
        assert refused["status"] == 409 and "Add it first" in refused["error"]
        assert visitor.state("class", name="  wasps ")["classes"][0]["name"] == "wasps"
        assert answer(visitor, "wasps")["status"] == 200
        for wrong in ("", "NaN", "a\nb", "x" * 101):
            assert visitor.state("class", name=wrong)["status"] == 409
        assert len(visitor.state()["classes"]) == 1


def test_an_item_answered_elsewhere_is_not_answered_twice(pool: Path) -> None:
    with page(None, pool, LabellingOptions(("ants",))) as visitor:
        key = visitor.state()["item"]["key"]
        answer(visitor, "ants")
        late = visitor.state("answer", key=key, label="ants")
        assert late["status"] == 409 and "answered already" in late["error"]
    assert len(rows(pool / "labels.csv")) == 2


def test_nobody_else_may_ask(pool: Path) -> None:
    with page(None, pool, LabellingOptions(("ants",))) as visitor:
        place = f"/{visitor.token}/state"
        assert visitor.ask(place)[0] == 200
        for host in ("evil.example", f"localhost.evil.example:{visitor.port}", "127.0.0.1", ""):
            assert visitor.ask(place, Host=host)[0] == 403
        for path in ("/", "/state", "//state", f"/{visitor.token[:-1]}/state", f"/{visitor.token}"):
            assert visitor.ask(path)[0] == 403
        key = visitor.state()["item"]["key"]
        body, act = {"key": key, "label": "ants"}, f"/{visitor.token}/answer"
        assert visitor.ask(act, body, Origin="http://evil.example")[0] == 400
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            assert visitor.ask(act, body, **{"Content-Type": kind})[0] == 400
        for odd in ([1], "x", {"key": 3}, {"key": "x" * 70_000}):
            assert visitor.ask(act, odd)[0] == 400
        assert visitor.ask(f"/{visitor.token}/../etc/passwd")[0] == 404
        assert visitor.ask(f"/{visitor.token}/picture/..%2f..%2fetc%2fpasswd")[0] == 404
        assert visitor.state()["labels"] == 0
        assert visitor.ask(act, body, Origin=f"http://127.0.0.1:{visitor.port}")[0] == 200


def test_a_page_runs_its_own_files_alone(pool: Path) -> None:
    with page(None, pool, LabellingOptions(("ants",))) as visitor:
        _, text, headers = visitor.ask(f"/{visitor.token}/")
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert b"x/000.png" not in text and b"ants" not in text
        for name in ("label.css", "label.js"):
            assert visitor.ask(f"/{visitor.token}/{name}")[0] == 200


def test_a_picture_is_the_whole_item_as_png(tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    folder.mkdir()
    pixels = np.linspace(0, 255, 900 * 1200, dtype=np.float64).reshape(900, 1200).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "grey.tiff")
    with page(None, folder, LabellingOptions(("a",))) as visitor:
        key = visitor.state()["item"]["key"]
        status, raw, headers = visitor.ask(f"/{visitor.token}/picture/{key}")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        image = Image.open(io.BytesIO(raw))
        assert image.size == (960, 720)
        assert np.abs(np.asarray(image.convert("L"))[360, 480] - 127.0) < 4
        assert visitor.ask(f"/{visitor.token}/picture/{'0' * 32}")[0] == 404


def texts(path: Path, words: list[str]) -> Path:
    """A table of texts without labels."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([word] for word in words)])
    return path


def test_texts_are_shown_as_they_are_and_fitted_on(tmp_path: Path) -> None:
    words = [NASTY, 'said "so", he;\nthen left', "= 1 + 1", *(f"text {n}" for n in range(9))]
    pool = texts(tmp_path / "pool.csv", words)
    with page(None, pool, LabellingOptions(("a", "b"))) as visitor:
        assert visitor.state()["item"]["texts"] == [NASTY]
        for number in range(len(words)):
            answer(visitor, "ab"[number % 2])
    dataset = load(tmp_path / "labels.csv", catalog.modality("text"), Schema())
    assert {item.read().decode(): item.label for item in dataset.items} == {
        word: "ab"[number % 2] for number, word in enumerate(words)
    }


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@settings(max_examples=40, deadline=None)
@given(answers=st.lists(st.tuples(cells, st.sampled_from(["a", "b", NASTY])), max_size=8))
def test_a_sheet_reads_what_it_wrote_and_undoes_to_the_byte(
    answers: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("sheet") / "labels.csv"
    states = []
    with Sheet(path, ("text",)) as sheet:
        for content, name in answers:
            states.append(path.read_bytes())
            sheet.add((content,), name)
    with Sheet(path, ("text",)) as sheet:
        assert sheet.answers() == {(content,): name for content, name in answers}
        for before in reversed(states):
            sheet.undo()
            assert path.read_bytes() == before
        assert sheet.last() is None


@pytest.mark.parametrize("torn", ['"c.png', '"c.png"', '"c.png","be', '"c.png",'])
def test_a_torn_line_is_cut_off_and_the_rest_is_kept(torn: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f'path,label\na.png,ants\n"b.png","bees"\n{torn}', encoding="utf-8")
    with Sheet(path, (PATH,)) as sheet:
        assert sheet.answers() == {("a.png",): "ants", ("b.png",): "bees"}
        sheet.add(("d.png",), "ants")
    assert rows(path)[1:] == [["a.png", "ants"], ["b.png", "bees"], ["d.png", "ants"]]


@pytest.mark.parametrize("line", ['"a"b,ants', '"never closed,ants', "a,b,c"])
def test_a_broken_line_within_is_told_and_nothing_is_lost(line: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    text = f"path,label\na.png,ants\n{line}\nb.png,bees\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HeadstartError, match="Correct it"):
        Sheet(path, (PATH,)).__enter__()
    assert path.read_text(encoding="utf-8") == text
    assert [each.name for each in tmp_path.iterdir()] == ["labels.csv"]


def test_a_row_written_by_hand_without_an_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"path,label\r\na.png,ants\r\nb.png,bees")
    with Sheet(path, (PATH,)) as sheet:
        sheet.add(("c.png",), "ants")
    assert rows(path)[1:] == [["a.png", "ants"], ["b.png", "bees"], ["c.png", "ants"]]


def test_a_sheet_is_open_once(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with Sheet(path, (PATH,)), pytest.raises(HeadstartError, match="open on another page"):
        Sheet(path, (PATH,)).__enter__()
    assert [each.name for each in tmp_path.iterdir()] == ["labels.csv"]


def test_a_model_says_the_order_and_the_classes(fitted: Fitted, tmp_path: Path, pool: Path) -> None:
    model = Path(shutil.copytree(fitted.folder, tmp_path / "model"))
    first = hs.suggest(model, pool, 4)
    with page(model, pool, LabellingOptions(count=4)) as visitor:
        state = visitor.state()
        assert [each["name"] for each in state["classes"]] == ["ants", "bees"]
        assert state["total"] == 4
        shown = [str(pool / state["item"]["name"])]
        for _ in range(3):
            shown.append(str(pool / answer(visitor, "ants")["item"]["name"]))
        assert shown == [row.name for row in first.rows]


def test_a_backbone_orders_items_without_a_model(tmp_path: Path) -> None:
    pool = write_pictures(tmp_path / "pool", {"x": 12, "y": 4})
    with page(None, pool, LabellingOptions(("a",), backbone="seeded:convnet", count=2)) as visitor:
        both = [visitor.state()["item"]["name"], answer(visitor, "a")["item"]["name"]]
    assert {name[0] for name in both} == {"x", "y"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-", "absent"], "does not exist"),
        (["absent", "{pool}"], "absent"),
        (["-", "{pool}", "--out", "{pool}/x/labels.csv"], "outside its folder"),
        (["-", "{pool}", "--out", "{pool}/taken.csv"], "has the columns a, b"),
        (["-", "{pool}", "--labels", "a,,b"], "stands for no label"),
        (["-", "{pool}", "--port", "70000"], "can't be used"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], words: str, pool: Path) -> None:
    (pool / "taken.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    command = [each.format(pool=pool) for each in arguments]
    done = CliRunner().invoke(app, ["label", *command, "--json"])
    assert done.exit_code == 2
    assert words in json.loads(done.stdout)["error"]


def test_the_command_serves_until_it_is_interrupted(pool: Path) -> None:
    command = [sys.executable, "-m", "headstart", "label", "-", str(pool), "--labels", "a,b"]
    with subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None and running.stdout is not None
        result = next(
            filter(None, (re.search(r":(\d+)/([\w-]+)/", line) for line in running.stderr))
        )
        visitor = Visitor(int(result[1]), result[2])
        answer(visitor, "b")
        running.send_signal(signal.SIGINT)
        record = json.loads(running.stdout.read())
        assert running.wait(20) == 0
    assert (record["labels"], record["counts"], record["left"]) == (1, {"b": 1}, 5)


def test_the_next_command_fits_what_was_labelled(tmp_path: Path) -> None:
    labelled = labelling.LabellingResult(tmp_path / "labels.csv", {"1": 3, "2": 4}, 0)
    assert "--targets classes" in str(labelled)
    assert "--targets" not in str(labelling.LabellingResult(tmp_path, {"a": 3, "b": 4}, 0))
    assert "headstart fit" not in str(labelling.LabellingResult(tmp_path, {"a": 3}, 0))


@contextmanager
def opened(browser: Any, visitor: Visitor, **options: Any) -> Iterator[tuple[Any, list[str]]]:
    """The page in a tab, and what the browser complained of or asked for elsewhere."""
    context = browser.new_context(**options)
    tab, complaints = context.new_page(), []
    own = f"http://127.0.0.1:{visitor.port}/{visitor.token}/"
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(own)
    tab.locator("#count").get_by_text("of").wait_for()
    yield tab, complaints
    assert all(url.startswith((own, "data:")) for url in requests)
    context.close()


def until(tab: Any, condition: str) -> None:
    """Wait until the page's own script says so; its policy lets the browser ask in no other way."""
    for _ in range(400):
        if tab.evaluate(condition):
            return
        time.sleep(0.05)
    raise AssertionError(condition)


def test_keys_label_skip_and_take_back(browser: Any, pool: Path) -> None:
    with (
        page(None, pool, LabellingOptions(("ants", "bees"))) as visitor,
        opened(browser, visitor) as (tab, complaints),
    ):
        picture = tab.locator("#picture")
        until(tab, "document.getElementById('picture').naturalWidth > 0")
        assert picture.bounding_box()["height"] > 300
        for key, done in (("2", 1), ("1", 2), ("s", 2), ("Backspace", 2), ("Backspace", 1)):
            tab.keyboard.press(key)
            until(tab, f"!busy && find('count').textContent.startsWith('{done} of 6')")
        assert rows(pool / "labels.csv")[1:] == [["x/000.png", "bees"]]
        assert "taken back" in tab.locator("[role=status]").inner_text()
        tab.locator("#class").fill("wasps")
        tab.keyboard.press("Enter")
        tab.get_by_role("button", name="wasps").click()
        until(tab, "!busy && state.done === 2")
        assert rows(pool / "labels.csv")[-1] == ["x/001.png", "wasps"]
        assert complaints == []


def test_many_classes_are_found_by_name(browser: Any, pool: Path) -> None:
    names = tuple(f"class {number}" for number in range(77))
    with (
        page(None, pool, LabellingOptions(names)) as visitor,
        opened(browser, visitor) as (tab, complaints),
    ):
        tab.keyboard.press("/")
        tab.keyboard.type("class 71")
        assert tab.locator("#classes button:visible").count() == 1
        tab.keyboard.press("Enter")
        until(tab, "!busy && state.done === 1")
        assert rows(pool / "labels.csv")[-1][1] == "class 71"
        assert complaints == []


def test_a_browser_runs_nothing_from_the_data_and_fits_a_phone(
    browser: Any, tmp_path: Path
) -> None:
    pool = texts(tmp_path / "pool.csv", [NASTY, f"{NASTY} {'long ' * 400}"])
    phone = {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "has_touch": True}
    with (
        page(None, pool, LabellingOptions((NASTY, "b"))) as visitor,
        opened(browser, visitor, color_scheme="dark", **phone) as (tab, complaints),
    ):
        assert tab.locator("#texts").inner_text() == NASTY
        dark = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        tab.emulate_media(color_scheme="light")
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != dark
        tab.get_by_role("button", name=NASTY).tap()
        until(tab, "!busy && state.done === 1")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert tab.evaluate("typeof hit") == "undefined"
        assert tab.locator("img").count() == 1
        assert complaints == []


def test_a_sound_is_played_and_a_picture_is_not(browser: Any, tmp_path: Path, pool: Path) -> None:
    from sounds import tones

    sounds = tones(tmp_path / "sounds", 2)
    with page(None, sounds, LabellingOptions(("low", "high"))) as visitor:
        key = visitor.state()["item"]["key"]
        status, content, headers = visitor.ask(f"/{visitor.token}/sound/{key}")
        assert (status, headers["Content-Type"]) == (200, "audio/mpeg") and content
        assert visitor.ask(f"/{visitor.token}/sound/nothing")[0] == 404
        with opened(browser, visitor) as (tab, complaints):
            until(tab, "find('sound').hidden === false && find('sound').duration > 0.3")
            assert complaints == []
    with (
        page(None, pool, LabellingOptions(("ants",))) as visitor,
        opened(browser, visitor) as (tab, _),
    ):
        assert tab.evaluate("find('sound').hidden && !find('sound').hasAttribute('src')")

"""The report as a page: what it says, what it weighs, and how a browser shows it."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Fitted
from pages import Seen, look, page, sections, stored
from pictures import photo, saved
from PIL import Image
from records import LABELS, near, record, shown

from headstart import report
from headstart.errors import DataError
from headstart.report import terminal_curves
from headstart.report.page import LARGEST, write_page
from headstart.report.thumbnails import (
    CHARACTERS,
    MOST,
    beginning,
    fitting,
    is_picture,
    thumbnail,
)
from headstart.report.verdict import Verdict, duration

OPTIONAL = {  # keys of the record, and the sections that need them
    "made": {"made"},
    "labels": {"labels"},
    "convergence": {"convergence"},
    "classes": {"confusion", "classes"},
    "groups": {"groups"},
    "calibration": {"calibration"},
    "robustness": {"robustness"},
    "items": {"map", "items"},
    "data": {"data"},
    "ranking": {"ranking"},
    "checks": {"checks"},
}
ALWAYS = {"arms", "cost", "again"}
NASTY = "<script>hit=1</script><img src=x onerror=hit=1>"


def picture(size: tuple[int, int] = (30, 20), mode: str = "RGB", **options: Any) -> bytes:
    """A picture file whose left half is dark and whose right half is light."""
    levels = {"I;16": (2000, 60000), "L": (8, 234)}.get(mode, (8, 234))
    values = np.full(size[::-1], levels[0], dtype="uint16" if mode == "I;16" else "uint8")
    values[:, size[0] // 2 :] = levels[1]
    image = Image.fromarray(values)
    written = io.BytesIO()
    (image if mode in ("I;16", "L") else image.convert(mode)).save(written, "PNG", **options)
    return written.getvalue()


def opened(uri: str) -> Image.Image:
    """The picture in a data URI."""
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_the_whole_record_is_on_the_page(tmp_path: Path) -> None:
    entry = record(items=50)
    text = page(tmp_path, entry)
    assert sections(text) == ALWAYS.union(*OPTIONAL.values())
    assert text.index("Transfer helps") < text.index('<section id="arms"')
    for words in (
        *(entry["labels"]["said"], entry["convergence"]["said"], "The held-out items are few."),
        *("headstart fit --plan plan.json -o again/", "Seed: 7.", "2.15.0", "broken.jpg"),
        *("Check the likely label errors", "Nearest training items", "3 min 7 s", "Failed"),
    ):
        assert words in text, words
    rows = [f"<td>{arm['value']:.3f}</td>" for arm in entry["arms"].values()]
    assert all(row in text for row in rows)


@pytest.mark.parametrize("key", OPTIONAL)
def test_what_the_record_lacks_the_page_leaves_out(key: str, tmp_path: Path) -> None:
    entry = record(items=20)
    rest = {name: value for name, value in entry.items() if name != key}
    text = page(tmp_path, rest | ({"data": {}} if key == "data" else {}))
    assert sections(text) == ALWAYS.union(*OPTIONAL.values()) - OPTIONAL[key]
    assert all(f'href="#{name}"' not in text for name in OPTIONAL[key])
    assert {name.partition("-")[0] for name in stored(text, "drawings")}.isdisjoint(OPTIONAL[key])


def test_a_real_run_has_its_page(fitted: Fitted, tmp_path: Path) -> None:
    entry = fitted.result.evidence.to_json()
    text = page(tmp_path, entry)
    assert {"arms", "data", "checks", "cost", "again"} <= sections(text)
    assert report.VERDICTS[entry["verdict"]].split()[0] in text
    data = stored(text, "drawings")["arms"]["data"]
    values = sorted(value for trace in data for value in trace["x"])
    assert values == sorted(arm["value"] for _, _, arm in report.named_arms(entry))


def test_every_figure_has_its_numbers_and_its_words(tmp_path: Path) -> None:
    text = page(tmp_path, record(items=30))
    figures = re.findall(r"<figure.*?</figure>", text, re.S)
    assert len(figures) == len(stored(text, "drawings")) == 11
    for figure in figures:
        assert "<details" in figure and figure.count("<tr>") >= 2
        assert len(re.findall(r'role="img" aria-label="[^"]{10,}"', figure)) == 1


def test_curves_hold_the_records_numbers(tmp_path: Path) -> None:
    entry = record(items=10)
    traces = stored(page(tmp_path, entry), "drawings")["labels"]["data"]
    by_name = {trace["name"]: trace for trace in traces if "name" in trace}
    transfer = entry["labels"]["transfer"]
    assert by_name["transfer"]["x"] == [row["items"] for row in transfer]
    assert by_name["transfer"]["y"] == [row["value"] for row in transfer]
    ahead = [transfer[-1], *entry["labels"]["forecast"]]  # carries on from the last that is known
    assert by_name["forecast"]["y"] == [row["value"] for row in ahead]


@pytest.mark.parametrize("verdict", ["helps", "hurts", "no evidence", "unknown"])
def test_each_verdict_says_what_it_means_and_what_to_do(verdict: str, tmp_path: Path) -> None:
    gains = {"helps": near(0.2), "hurts": near(-0.2), "no evidence": near(0.0), "unknown": None}
    result = record(items=10) | {"verdict": verdict, "gain": gains[verdict]}
    head = Verdict.of(result)
    assert head.title == report.headline(result).partition(": ")[0]
    assert len(head.sentences) == 3
    assert "What to do next: " in head.sentences[1]
    others = [
        Verdict.of(result | {"verdict": other}).sentences[0] for other in gains if other != verdict
    ]
    assert head.sentences[0] not in others
    assert f'class="verdict {verdict.replace(" ", "-")}"' in page(tmp_path, result)


def test_a_model_from_scratch_is_not_judged_as_transfer() -> None:
    result = record(items=10) | {"verdict": "unknown", "gain": None, "strategy": "scratch"}
    head = Verdict.of(result)
    assert head.mood == "developed"
    assert head.title == "Developed from random weights"


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (8.44, 5.0, 12.0, ("8.4 ×", "5 to 12 times as many")),
        (8.44, 5.0, None, ("8.4 ×", "5 to ? times as many")),
        (None, 3.0, None, ("> 3 ×", "times as many, at least")),
        (None, None, 0.5, ("< 0.5 ×", "times as many, at most")),
        (None, None, None, None),
    ],
)
def test_labels_saved_may_be_known_by_a_bound_alone(
    value: float | None, low: float | None, high: float | None, words: tuple[str, str] | None
) -> None:
    entry = record(items=10)
    entry["labels"]["saved"] = {"value": value, "low": low, "high": high}
    tiles = {tile.title: (tile.value, tile.note) for tile in Verdict.of(entry).tiles}
    assert tiles.get("Labels from scratch") == words


def test_durations_read_as_people_say_them() -> None:
    messages = [duration(seconds) for seconds in (0.04, 59.9, 60, 3599.6, 7260)]
    assert messages == ["0.0 s", "59.9 s", "1 min 0 s", "1 h 0 min", "2 h 1 min"]


def test_classes_without_items_and_values_without_numbers_do_no_harm(tmp_path: Path) -> None:
    entry = record(items=10)
    nothing = {"value": None, "low": None, "high": None, "scratch": None, "change": None}
    entry["classes"]["rows"][0] |= nothing | {"items": 0}
    entry["convergence"]["chosen"][0]["score"] = float("nan")
    text = page(tmp_path, entry)
    data = stored(text, "drawings")["classes"]["data"]
    assert len(data[0]["x"]) == len(LABELS) - 1
    assert "NaN" not in json.dumps(stored(text, "drawings"))


def test_many_classes_stay_readable(tmp_path: Path) -> None:
    names = tuple(f"class {number}" for number in range(150))
    text = page(tmp_path, record(names, items=300))
    drawings = stored(text, "drawings")
    assert len(drawings["confusion"]["data"][0]["z"]) == 40
    assert sum(len(trace["x"]) for trace in drawings["classes"]["data"]) == 40
    assert "Of 150 classes, the 40 with the most mistakes are shown." in text
    assert len(drawings["map"]["data"]) <= 11  # labels share ten colours; the rings
    assert 0 < len(drawings["map"]["layout"]["annotations"]) <= 150  # those that have room
    assert sum(len(trace["x"]) for trace in drawings["map"]["data"]) == 300 + 4
    assert max(each["layout"]["height"] for each in drawings.values()) <= 1000  # a sheet of paper


def test_labels_that_are_numbers_lie_on_a_scale(tmp_path: Path) -> None:
    entry = record(items=30)
    entry["items"]["map"]["label"] = [f"{number / 7:.3f}" for number in range(30)]
    entry["items"] |= {"mistakes": None, "ambiguous": None, "suspects": None}
    entry["data"]["kind"] = "numbers"
    del entry["classes"]
    (trace,) = stored(page(tmp_path, entry), "drawings")["map"]["data"]
    assert trace["marker"]["color"] == [round(number / 7, 3) for number in range(30)]
    entry["items"]["map"]["label"][3] = "1, 2"  # two numbers an item
    traces = stored(page(tmp_path, entry), "drawings")["map"]["data"]
    assert len(traces) == 10


def test_what_users_wrote_is_shown_and_never_run(tmp_path: Path) -> None:
    entry = record((NASTY, "plain"), items=40)
    entry["warnings"] = [f"{NASTY} and `{NASTY}`."]
    entry["items"]["suspects"][0]["id"] = NASTY
    pictures = {item: f"{NASTY} {item}" for item in entry["items"]["map"]["id"]}
    text = page(tmp_path, entry, pictures)
    assert NASTY not in text
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert "<img src=x" not in outside and "<script" not in outside
    assert "&lt;script&gt;hit=1&lt;/script&gt;" in outside
    assert stored(text, "pictures")[entry["items"]["map"]["id"][4]].startswith(NASTY)


def test_the_page_keeps_within_its_size(tmp_path: Path) -> None:
    entry = record(items=2000)
    small = dict.fromkeys(entry["items"]["map"]["id"], thumbnail(saved(photo(320, 240))))
    text = page(tmp_path, entry, small)
    assert len(text.encode()) <= LARGEST
    assert len(stored(text, "pictures")) == MOST
    assert "The page shows 400 of 2000 items themselves" in text
    on_cards = [each["id"] for each in entry["items"]["mistakes"]]
    assert set(on_cards) <= stored(text, "pictures").keys()


def test_large_pictures_and_texts_are_left_out_before_the_page_is_too_large(tmp_path: Path) -> None:
    entry = record(items=2000)
    noise = np.random.default_rng(0).integers(0, 256, 30_000, dtype=np.uint8).tobytes()
    large = f"data:image/jpeg;base64,{base64.b64encode(noise).decode()}"
    for shown_as in (large, "<é&" * 100):
        text = page(tmp_path, entry, dict.fromkeys(entry["items"]["map"]["id"], shown_as))
        assert len(text.encode()) <= LARGEST
        assert 20 < len(stored(text, "pictures")) <= 2000
    assert len(stored(text, "pictures")) > MOST  # texts are small


def test_the_same_record_gives_the_same_page(tmp_path: Path) -> None:
    entry = record(items=30)
    assert page(tmp_path, entry) == page(tmp_path, json.loads(json.dumps(entry)))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"absent/report\.html"):
        write_page(tmp_path / "absent", record(items=10), {})


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "1", "P", "RGBA"])
def test_thumbnails_are_small_and_keep_the_picture(mode: str) -> None:
    uri = thumbnail(picture((300, 200), mode))
    assert is_picture(uri)
    image = opened(uri)
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (96, 64))
    dark, light = (image.convert("L").getpixel((x, 32)) for x in (20, 76))
    assert isinstance(dark, int) and isinstance(light, int)
    assert dark < 30 and light > 220


def test_thumbnails_are_upright_and_lie_on_white() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    assert opened(thumbnail(picture((40, 20), exif=turned))).size == (20, 40)
    clear = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(clear, "PNG")
    assert opened(thumbnail(clear.getvalue())).getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("raw", [b"", b"no picture", picture()[:60]])
def test_what_is_no_picture_is_refused(raw: bytes) -> None:
    with pytest.raises(DataError, match="can't be decoded"):
        thumbnail(raw)


def test_a_text_is_cut_and_is_no_picture() -> None:
    assert beginning("short") == "short"
    assert len(beginning("x" * 1000)) == CHARACTERS
    assert beginning("x" * 1000).endswith("x…")
    assert not is_picture("data:image/jpeg;base64,AAAA and a text")
    assert not is_picture("data:image/svg+xml,<svg onload=hit()>")


def test_those_wanted_first_fit_first() -> None:
    options = {"a": "one", "b": "two" * 50, "c": "three"}
    assert fitting(options, ["c", "absent", "b", "a", "c"], 10_000) == options
    assert list(fitting(options, ["c", "b", "a"], 60)) == ["c", "a"]
    assert fitting(options, ["a"], 0) == {}


def test_a_terminal_shows_arms_and_curves_on_one_scale() -> None:
    entry = record(items=10)
    text = terminal_curves(entry)
    lines = text.splitlines()
    bars = {line.split("  ")[0]: re.search(r"[█-▏▐▕]+", line) for line in lines[1:]}
    starts = {name: bar.start() for name, bar in bars.items() if bar}
    assert starts["naive"] < starts["scratch"] < starts["features"] < starts["chosen (lp-ft)"]
    assert starts["scratch, 100 labels"] < starts["transfer, 100 labels"]
    assert "forecast, 6400 labels" in starts
    assert lines[-1] == entry["labels"]["said"]
    del entry["labels"]
    assert "labels" not in terminal_curves(entry)


def test_a_terminal_shows_scores_below_zero() -> None:
    entry = record(items=10)
    del entry["labels"]
    entry["arms"]["scratch"] |= {"value": -1.5, "low": -2.0, "high": -1.0}
    lines = terminal_curves(entry, width=80).splitlines()
    assert "-2" in lines[0] and max(map(len, lines)) <= 80
    (worst,) = (line for line in lines if line.startswith("scratch"))
    assert lines[0].index("-2") == worst.index("█")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every section."""
    entry = record(items=150)
    pictures = {item: thumbnail(raw) for item, raw in shown(entry).items()}
    return write_page(tmp_path_factory.mktemp("page"), entry, pictures)


@pytest.fixture(scope="module")
def desk(browser: Any, full: Path) -> Seen:
    """The full page on a desktop."""
    return look(browser, full, color_scheme="light")


def test_a_browser_draws_every_figure_and_asks_for_nothing_else(desk: Seen) -> None:
    figures = desk.drawn()
    assert figures.keys() == stored(desk.path.read_text(encoding="utf-8"), "drawings").keys()
    for name, (width, height, marks) in figures.items():
        assert width > 300 and height > 100 and marks > 0, name
    assert desk.complaints == []
    assert [url for url in desk.requests if not url.startswith("data:")] == [desk.path.as_uri()]
    assert desk.tab.locator("#trouble").is_hidden()
    sizes = desk.tab.evaluate("[...document.images].map((each) => [each.src, each.naturalWidth])")
    shown_here = [width for source, width in sizes if source]  # the others are empty as yet
    assert min(shown_here) > 0 and len(shown_here) > 40


def test_hovering_over_the_map_shows_the_item(desk: Seen) -> None:
    assert desk.tab.locator("#hover").is_hidden()
    desk.tab.locator("#map").scroll_into_view_if_needed()
    points = desk.tab.locator("[data-figure=map] path.point")
    for _ in range(40):  # a page may still move while its pictures come
        box = points.nth(3).bounding_box()
        desk.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        desk.tab.wait_for_timeout(50)
        if desk.tab.locator("#hover").is_visible():
            break
    item = desk.tab.locator("#hover p").inner_text().split(" · ")[-1]
    pictures = stored(desk.path.read_text(encoding="utf-8"), "pictures")
    assert desk.tab.locator("#hover img").get_attribute("src") == pictures[item]
    desk.tab.mouse.move(2, 2)
    desk.tab.locator("#hover").wait_for(state="hidden", timeout=3000)


def test_dark_light_and_paper(desk: Seen) -> None:
    def colours() -> tuple[str, str]:
        return desk.colour("body", "backgroundColor"), desk.colour(".xtick text", "fill")

    light = colours()
    desk.tab.emulate_media(color_scheme="dark")
    dark = colours()
    assert light[0] != dark[0] and light[1] != dark[1]
    desk.tab.emulate_media(color_scheme="dark", media="print")
    desk.tab.locator("html.printing").wait_for(state="attached")
    paper = colours()
    assert paper == ("rgba(0, 0, 0, 0)", light[1])
    assert desk.tab.locator("nav").is_hidden()
    assert max(width for width, _, _ in desk.drawn().values()) <= 680
    assert desk.colour("figure", "breakInside") == "avoid"
    desk.tab.emulate_media(color_scheme="light", media="screen")
    desk.tab.locator("html.printing").wait_for(state="detached")
    assert colours() == light
    assert max(width for width, _, _ in desk.drawn().values()) > 800


def test_a_phone_needs_no_sideways_scrolling(browser: Any, full: Path) -> None:
    view = look(browser, full, width=390, is_mobile=True, has_touch=True)
    assert view.tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert max(width for width, _, _ in view.drawn().values()) <= 390
    assert view.complaints == []
    view.tab.evaluate(
        "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
    )
    assert view.tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_browser_runs_nothing_that_a_user_wrote(browser: Any, tmp_path: Path) -> None:
    entry = record((NASTY, "var(--bad)"), items=30)
    texts = {item: f"{NASTY} {item}" for item in entry["items"]["map"]["id"]}
    view = look(browser, write_page(tmp_path, entry, texts))
    assert view.tab.evaluate("typeof hit") == "undefined"
    assert view.complaints == []
    ticks = view.tab.locator("[data-figure=confusion] .ytick text").all_text_contents()
    assert ticks == [f"{NASTY[:25]}…", "var(--bad)"]
    assert view.tab.locator("#map table tbody tr td").nth(2).text_content() == NASTY
    assert view.tab.locator(".card blockquote.whole").first.inner_text().startswith(NASTY)


def test_the_smallest_record_draws_without_complaint(browser: Any, tmp_path: Path) -> None:
    needed = {"metric", "arms", "gain", "verdict", "strategy", "backbone", "held_out"}
    small = {name: value for name, value in record(items=10).items() if name in needed}
    view = look(browser, write_page(tmp_path, small | {"checks": {}, "warnings": []}, {}))
    assert view.drawn().keys() == {"arms"}
    assert view.complaints == []

"""The page in use: searched, sorted, opened by keys, read on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import Seen, look
from records import record, shown

from headstart.report.contents import large
from headstart.report.page import write_page
from headstart.report.thumbnails import thumbnail

NAMES = tuple(f"{a} {b} of the house" for a in ("wool", "linen", "silk") for b in range(26))[:77]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of five classes with pictures."""
    entry = record(items=60)
    pictures: dict[str, str] = {}
    for item, raw in shown(entry, (320, 240)).items():
        pictures |= {item: thumbnail(raw), large(item): thumbnail(raw, 480)}
    return write_page(tmp_path_factory.mktemp("few"), entry, pictures)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 77 classes with texts."""
    entry = record(NAMES, items=400)
    texts = {item: f"A text of {item}" for item in entry["items"]["map"]["id"]}
    return write_page(tmp_path_factory.mktemp("many"), entry, texts)


@pytest.fixture(scope="module")
def open_few(browser: Any, few: Path) -> Seen:
    """One tab for all tests, as to draw its figures is most of their work."""
    return look(browser, few)


@pytest.fixture(scope="module")
def busy(browser: Any, many: Path) -> Seen:
    return look(browser, many)


@pytest.fixture
def desk(open_few: Seen) -> Iterator[Seen]:
    """The tab, given back as it was: without a dialog, at the top, as the browser is set."""
    yield open_few
    open_few.tab.emulate_media(color_scheme="null", reduced_motion="null")
    open_few.tab.evaluate("document.querySelector('dialog')?.close(); window.scrollTo(0, 0)")


def rows(page: Seen, place: str) -> list[str]:
    """The first cells of the rows that are seen of a section's first table."""
    table = page.tab.locator(f"{place} table").first
    result: list[str] = table.locator("tbody tr:visible > th").all_inner_texts()
    return result


def test_a_table_of_many_classes_is_searched(busy: Seen) -> None:
    field = busy.tab.locator("#classes input[type=search]").first
    assert len([row for row in rows(busy, "#classes") if not row.startswith("Accuracy")]) == 77
    field.fill("SILK 2")
    class_names = rows(busy, "#classes")
    groups = [row for row in class_names if row.startswith("Accuracy")]
    assert sorted(set(class_names) - set(groups)) == sorted(n for n in NAMES if "silk 2" in n)
    assert 1 <= len(groups) <= 4
    assert busy.tab.locator("#classes .count").first.inner_text() == "6 of 77"
    field.fill("")
    assert len(rows(busy, "#classes")) >= 78
    assert busy.complaints == []


def test_a_table_is_sorted_by_its_columns_and_back(busy: Seen) -> None:
    before = rows(busy, "#classes")
    head = busy.tab.locator("#classes thead").first.get_by_role("button", name="class")
    head.press("Enter")
    assert rows(busy, "#classes") == sorted(NAMES, key=lambda n: (n.split()[0], int(n.split()[1])))
    head.press("Enter")
    assert rows(busy, "#classes")[0] == "wool 25 of the house"
    head.press("Enter")
    assert rows(busy, "#classes") == before


def test_a_folded_figure_is_drawn_when_it_is_opened(busy: Seen) -> None:
    assert "confusion" not in busy.drawn()
    busy.tab.locator("#confusion details.fold > summary").press("Enter")
    busy.tab.locator("[data-figure=confusion] svg.main-svg").first.wait_for(state="visible")
    width, height, marks = busy.drawn()["confusion"]
    assert width > 700 and height > 700 and marks > 0
    ticks = busy.tab.locator("[data-figure=confusion] .ytick text").all_text_contents()
    assert len(set(ticks)) == 40


def test_one_of_many_labels_is_picked_out_on_the_map(busy: Seen) -> None:
    faint = "[...document.querySelectorAll('#map path.point')].filter((p) => p.style.opacity < .2)"
    assert busy.tab.evaluate(f"{faint}.length") == 0
    assert busy.tab.locator("#map .annotation").count() > 10
    busy.tab.locator("#map input[list]").fill(NAMES[3])
    own = sum(number % 77 == 3 for number in range(400))
    busy.tab.wait_for_function(f"{faint}.length > 0")
    ringed = 4
    assert busy.tab.evaluate(f"{faint}.length") in range(400 - own, 400 - own + ringed + 1)
    assert busy.complaints == []


def test_a_picture_opens_large_by_keyboard_and_gives_the_focus_back(desk: Seen) -> None:
    dialog = desk.tab.locator("dialog")
    opener = desk.tab.locator("button.picture.whole").nth(1)
    opener.focus()
    desk.tab.keyboard.press("Enter")
    dialog.wait_for(state="visible")
    item = opener.get_attribute("data-item")
    assert dialog.locator(".name").inner_text() == item
    assert "predicted" in dialog.locator(".about").inner_text()
    assert (
        dialog.locator("img").evaluate("(image) => image.decode().then(() => image.naturalWidth)")
        == 320
    )
    for _ in range(8):  # nothing behind it can be reached
        desk.tab.keyboard.press("Tab")
        inside = (
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
        assert desk.tab.evaluate(inside)
    desk.tab.keyboard.press("ArrowRight")
    assert dialog.locator(".name").inner_text() != item
    desk.tab.keyboard.press("ArrowLeft")
    assert dialog.locator(".name").inner_text() == item
    desk.tab.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert desk.tab.evaluate("document.activeElement.dataset.item") == item
    assert desk.complaints == []


def test_a_point_of_the_map_opens_its_item(desk: Seen) -> None:
    desk.tab.locator("#map").scroll_into_view_if_needed()
    box = desk.tab.locator("[data-figure=map] path.point").nth(3).bounding_box()
    assert box is not None
    desk.tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    desk.tab.locator("dialog").wait_for(state="visible")
    assert desk.tab.locator("dialog .name").inner_text().startswith("photos/")
    assert desk.tab.locator("dialog [data-step]").first.is_hidden()
    desk.tab.get_by_role("button", name="Close").click()
    desk.tab.locator("dialog").wait_for(state="hidden")


@pytest.mark.parametrize("which", ["few", "many"])
def test_a_small_phone_reads_it_all_without_sideways_scrolling(
    which: str, browser: Any, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(which)
    page = look(browser, path, width=360, is_mobile=True, has_touch=True)
    page.tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.tab.wait_for_function("document.querySelectorAll('details.fold svg.main-svg').length >= 0")
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 360
    names = page.tab.locator(".card .about .name:visible").all_inner_texts()
    assert len(names) == page.tab.locator(".card").count() > 5
    assert all(name.startswith("photos/") for name in names)
    beside = page.tab.locator(".nearest li .name:visible").count()
    assert beside == page.tab.locator(".nearest li").count() > 5
    assert page.complaints == []


def test_motion_is_for_those_who_want_it(desk: Seen) -> None:
    for motion, behaviour in (("no-preference", "smooth"), ("reduce", "auto")):
        desk.tab.emulate_media(reduced_motion=motion)
        assert desk.colour("html", "scrollBehavior") == behaviour


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str, desk: Seen) -> None:
    desk.tab.emulate_media(color_scheme=scheme)

    def brightness(colour: str) -> float:
        numbers = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [n / 12.92 if n <= 0.03928 else ((n + 0.055) / 1.055) ** 2.4 for n in numbers]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(text: str, ground: str) -> float:
        one, other = sorted(brightness(desk.colour(place, what)) for place, what in (
            (text, "color"), (ground, "backgroundColor")
        ))  # fmt: skip
        return (other + 0.05) / (one + 0.05)

    for text, ground in (
        *(("body", "section"), (".rest", "header"), (".tiles dt", ".tiles div")),
        *(("nav a", "body"), (".warning", ".warning"), (".passed strong", "section")),
        *((".failed strong", "section"), (".card .name", "section"), ("pre", "pre")),
    ):
        assert contrast(text, ground) >= 4.5, text  # WCAG 2.2, level AA


def test_a_browser_without_the_needed_parts_says_so(browser: Any, few: Path) -> None:
    context = browser.new_context()
    context.add_init_script("delete window.DecompressionStream")
    tab = context.new_page()
    tab.goto(few.as_uri())
    tab.locator("#trouble").wait_for(state="visible")
    assert tab.locator("[data-figure]:visible").count() == 0
    assert tab.locator("#arms summary").is_visible()

"""The studio's page in a browser: camera, microphone, keys, roles, two tabs, a phone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from local_pages import Visitor
from studios import CONVNET, add, filled, opened, picture, rows

NASTY = "<img src=x onerror=hit=1>"


@contextmanager
def tab(browser: Any, visitor: Visitor, **options: Any) -> Iterator[Any]:
    """The page in a tab that asks for nothing elsewhere, and of which nothing complains."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    page, complaints, requests = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(visitor.url)
    until(page, "state !== null")
    yield page
    own = (visitor.url, "data:", f"blob:http://127.0.0.1:{visitor.port}")
    assert all(url.startswith(own) for url in requests)
    # a refused example is answered with 409, which the browser notes by itself
    assert [each for each in complaints if "status of 409" not in each] == []
    context.close()


def until(page: Any, condition: str, patience: float = 90) -> None:
    """Wait until the page's own script says so; its policy lets the browser ask in no other way."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if page.evaluate(condition):
            return
        time.sleep(0.05)
    raise AssertionError((condition, page.evaluate("JSON.stringify(state).slice(0, 2000)")))


def add_class(page: Any, name: str) -> None:
    """Type a further class."""
    page.get_by_role("textbox", name="Name of a further class").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("article", name=re.compile(f"^{re.escape(name)}, ")).wait_for()


def bars(page: Any) -> dict[str, int]:
    """The percentages of the answer."""
    script = "(all) => all.map((each) => [each.ariaLabel, Number(each.ariaValueNow)])"
    return dict(page.get_by_role("meter").evaluate_all(script))


def test_a_camera_gives_examples_and_is_answered_at_once(browser: Any, tmp_path: Path) -> None:
    with opened(tmp_path / "s") as visitor, tab(browser, visitor) as page:
        add_class(page, "one")
        add_class(page, "two")
        page.get_by_role("button", name="Camera").click()
        until(page, "find('camera').videoWidth > 0")
        hold = page.get_by_role("button", name="Hold to capture: one")
        hold.hover()
        page.mouse.down()
        until(page, "state.classes[0].count >= 3")
        page.mouse.up()
        assert hold.get_attribute("aria-pressed") == "false"
        page.locator("body").press("2")  # the same by keys
        until(page, "state.classes[1].count >= 1")
        page.get_by_role("button", name="Hold to capture: two").focus()
        page.keyboard.down("Space")
        until(page, "state.classes[1].count >= 3")
        page.keyboard.up("Space")
        until(page, "state.head && find('bars').children.length === 2")
        assert set(bars(page)) == {"one", "two"} and 99 <= sum(bars(page).values()) <= 101
        until(page, "state.score !== null")
        assert (
            "held-out examples" in page.get_by_role("region", name="What it is worth").inner_text()
        )
        count = page.evaluate("state.classes[0].count + state.classes[1].count")
        page.reload()  # in the middle
        until(page, "state && state.head")
        assert page.evaluate("state.classes[0].count + state.classes[1].count") == count
    assert len(rows(tmp_path / "s/labels.csv")) == count


def test_a_microphone_gives_examples_that_are_heard(browser: Any, tmp_path: Path) -> None:
    with opened(tmp_path / "s", "seeded:audio") as visitor, tab(browser, visitor) as page:
        add_class(page, "beep")
        add_class(page, "hum")
        page.get_by_role("button", name="Microphone").click()
        until(page, "microphone.context && heard() >= 1")
        for number in "11":
            page.locator("body").press(number)
            until(page, f"state.classes[0].count >= {number}")
            until(page, "!capturing.busy")
        page.locator("body").press("2")
        until(
            page, "state.classes[1].count >= 1 && state.head && find('bars').children.length === 2"
        )
        item = page.get_by_role("list", name="Examples of beep").get_by_role("button").first
        item.click()
        player = page.get_by_role("dialog").locator("audio")
        until(page, "document.querySelector('dialog audio').duration > 0.8")
        assert player.get_attribute("controls") is not None
        page.keyboard.press("Escape")
        assert not page.get_by_role("dialog").is_visible()


def test_texts_are_typed_answered_and_corrected_by_keys(browser: Any, tmp_path: Path) -> None:
    with opened(tmp_path / "s", "seeded:bag") as visitor, tab(browser, visitor) as page:
        for name in (NASTY, "fine"):
            add_class(page, name)
            page.get_by_role("textbox", name=f"Texts of {name}").fill(
                "\n".join(f"{name} text {n}" for n in range(6))
            )
            page.keyboard.press("Control+Enter")
            place = 0 if name == NASTY else 1
            until(page, f"state.classes[{place}].count === 6")
        page.get_by_role("textbox", name="A text to answer about").fill("fine text 9")
        until(page, "find('bars').children.length === 2")
        first = bars(page)
        assert set(first) == {NASTY, "fine"}
        add(visitor, b"fine text 9", "fine")  # what is answered about is answered anew
        until(
            page,
            "Number(find('bars').dataset.head) === state.head.number && state.head.total === 13",
        )
        page.get_by_role("list", name="Examples of fine").get_by_role("button").first.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="No class").focus()
        page.keyboard.press("Enter")
        until(page, "state.unlabelled.count === 1")
        page.get_by_role("button", name="Take back").focus()
        page.keyboard.press("Enter")
        until(page, "state.unlabelled.count === 0 && state.classes[1].count === 7")
        assert page.evaluate("typeof hit") == "undefined" and page.locator("img").count() == 1
        assert page.get_by_role("status").first.get_attribute("aria-live") == "polite"


def test_files_and_a_broken_one_are_taken_where_they_are_put(browser: Any, tmp_path: Path) -> None:
    files = tmp_path / "files"
    for name in ("ants", "bees"):
        (files / name).mkdir(parents=True)
        for number in range(3):
            (files / name / f"{number}.png").write_bytes(picture(name, number))
    (files / "ants" / "broken.png").write_bytes(b"no picture")
    with opened(tmp_path / "s") as visitor, tab(browser, visitor) as page:
        page.locator("#folder").set_input_files(str(files))
        until(page, "state.classes.length === 2 && state.said[0] === 1")
        assert "broken.png can't be used" in page.locator("#said").inner_text()
        page.get_by_label("Files of ants").set_input_files(
            [str(files / "ants/broken.png"), str(files / "bees/0.png")]
        )
        until(page, "state.classes[0].count === 4 && state.classes[1].count === 2")
        assert "broken.png can't be used" in page.get_by_role("alert").inner_text()
        page.locator("#files").set_input_files(str(files / "ants/0.png"))
        page.locator("#probe-file input").set_input_files(str(files / "bees/1.png"))
        until(page, "find('bars').children.length === 2")
        assert bars(page)["bees"] > 50
        assert page.get_by_role("img", name="The picture that is answered about").is_visible()


def test_a_mistake_is_corrected_and_the_next_is_labelled_by_one_press(
    browser: Any, tmp_path: Path
) -> None:
    with opened(tmp_path / "s") as visitor:
        filled(visitor, {"ants": 12, "bees": 12})
        add(visitor, picture("ants", 50), "bees", "wrong.png")
        add(visitor, picture("bees", 60), "", "new.png")
        with tab(browser, visitor) as page:
            mistakes = page.get_by_role("region", name="Likely mistakes")
            row = mistakes.get_by_role("listitem").filter(has=page.get_by_alt_text("wrong.png"))
            row.get_by_role("button", name="It is ants").focus()
            page.keyboard.press("Enter")
            until(page, "state.classes[0].count === 13")
            following = page.get_by_role("region", name="Label next")
            following.get_by_role("button", name="bees", exact=True).click()
            until(page, "state.unlabelled.count === 0")
            assert not following.is_visible()


def test_two_tabs_show_the_same_and_two_sessions_do_not(browser: Any, tmp_path: Path) -> None:
    with (
        opened(tmp_path / "one") as one,
        opened(tmp_path / "two") as two,
        tab(browser, one) as first,
        tab(browser, one) as second,
        tab(browser, two) as other,
    ):
        add_class(first, "ants")
        until(second, "state.classes.length === 1")
        add(two, picture("bees", 1), "bees")
        until(other, "state.classes.length === 1 && state.classes[0].name === 'bees'")
        assert first.evaluate("state.classes.map((each) => each.name).join()") == "ants"
        second.get_by_role("button", name="Finish").click()
        until(first, "news.readyState !== 1")


def test_a_kind_is_chosen_first_where_nothing_says_it(browser: Any, tmp_path: Path) -> None:
    from local_pages import served

    from headstart.studio.desk import Opening
    from headstart.studio.opening import studio

    opening = Opening(tmp_path / "s")
    with (
        served(lambda progress: studio(None, opening, progress=progress)) as visitor,
        tab(browser, visitor) as page,
    ):
        assert not page.get_by_role("main").is_visible()
        assert "Say first" in visitor.state("class", name="a")["error"]
        page.get_by_role("button", name="Sounds").click()
        page.get_by_role("main").wait_for()
        assert page.get_by_role("radio", checked=True).get_attribute("value").startswith("seeded:")
        assert "random weights" in page.get_by_role("region", name="Source").inner_text()


PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


def test_a_phone_needs_no_sideways_scrolling_in_light_or_dark(browser: Any, tmp_path: Path) -> None:
    long = "a class with a name that is as long as a name of a class may reasonably be, or longer"
    with opened(tmp_path / "s") as visitor:
        filled(visitor, {"ants": 14, "bees": 2})
        add(visitor, picture("wasps", 1), long)
        visitor.until(lambda s: s["score"] and not s["busy"])
        with tab(browser, visitor, color_scheme="dark", **PHONE) as page:
            page.get_by_role("button", name="Show more of ants").tap()
            until(page, "document.querySelector('.items').children.length === 14")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
            page.emulate_media(color_scheme="light")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
            small = page.evaluate(
                """[...document.querySelectorAll("main button, main .button, main select")]
                    .filter((each) => each.checkVisibility())
                    .map((each) => each.getBoundingClientRect())
                    .filter((box) => box.height < 43.5).length"""
            )
            assert small == 0  # thumbs are broad; thumbnails are 56 px


SCHEMES = ("light", "dark")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_stands_out_from_its_ground(scheme: str, browser: Any, tmp_path: Path) -> None:
    script = """() => {
        const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const light = (colour) => {
            const [r, g, b] = numbers(colour).map((v) => v / 255)
                .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (each) => {
            for (let at = each; at; at = at.parentElement) {
                const colour = getComputedStyle(at).backgroundColor;
                if (numbers(colour)[3] !== 0) return colour;
            }
        };
        return [...document.querySelectorAll("h1, h2, h3, p, span, button, label, code")]
            .filter((each) => each.checkVisibility() && each.innerText && !each.disabled)
            .map((each) => [each.innerText, getComputedStyle(each).color, ground(each)])
            .map(([text, ...both]) => [text, both.map(light).sort((one, other) => other - one)])
            .map(([text, [one, other]]) => [text, (one + 0.05) / (other + 0.05)])
            .filter(([text, ratio]) => ratio < 4.5);
    }"""
    with opened(tmp_path / "s") as visitor:
        filled(visitor, {"ants": 6, "bees": 6})
        visitor.until(lambda s: s["score"] and not s["busy"])
        with tab(browser, visitor, color_scheme=scheme) as page:
            page.get_by_role("region", name="What it is worth").locator("#verdict").wait_for()
            assert page.evaluate(script) == []


def test_everything_is_reached_by_keys_and_has_a_name(browser: Any, tmp_path: Path) -> None:
    with opened(tmp_path / "s", CONVNET, "seeded:residual") as visitor:
        filled(visitor, {"ants": 3, "bees": 3})
        visitor.until(lambda s: s["score"] and not s["busy"])
        with tab(browser, visitor) as page:
            calls = []
            for _ in range(60):
                page.keyboard.press("Tab")
                calls.append(
                    page.evaluate("document.activeElement.id || document.activeElement.name")
                )
                if calls[-1] == "copy":
                    break
            order = [each for each in calls if each]
            for expected in (
                "finish",
                "name",
                "folder",
                "files",
                "camera-on",
                "source",
                "rank",
                "fit",
            ):
                assert expected in order
            nameless = page.evaluate(
                """[...document.querySelectorAll("button, input, select, textarea, a")]
                    .filter((each) => each.checkVisibility())
                    .filter((each) => !(each.innerText || each.ariaLabel || each.labels?.length))
                    .map((each) => each.outerHTML)"""
            )
            assert nameless == []
            group = page.get_by_role("radiogroup", name="Source")
            group.get_by_role("radio").first.focus()
            page.keyboard.press("ArrowDown")
            until(page, "state.source === 'seeded:residual' && state.head")


@pytest.mark.slow
def test_two_thousand_examples_are_taken_shown_and_answered(browser: Any, tmp_path: Path) -> None:
    files = tmp_path / "files"
    for name in ("ants", "bees"):
        (files / name).mkdir(parents=True)
        for number in range(1000):
            (files / name / f"{number}.png").write_bytes(picture(name, number))
    with opened(tmp_path / "s") as visitor, tab(browser, visitor) as page:
        page.locator("#folder").set_input_files(str(files))
        until(page, "state.classes.length === 2 && state.said[0] === 1", 300)
        assert page.evaluate("state.classes.map((each) => each.count).join()") == "1000,1000"
        until(page, "state.head && state.head.examples === 2000", 300)
        page.locator("#probe-file input").set_input_files(str(files / "bees/1.png"))
        until(page, "find('bars').children.length === 2")
        assert bars(page)["bees"] > 50
        assert page.locator("main img[src^=picture]").count() <= 100
        until(page, "state.score && state.score.examples === 2000", 300)
    assert len(rows(tmp_path / "s/labels.csv")) == 2000

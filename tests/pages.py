"""Pages of records: written, taken apart, and opened in a browser."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.report.page import write_page


def sections(text: str) -> set[str]:
    """The ids of a page's sections."""
    return set(re.findall(r'<section id="([^"]+)"', text))


def stored(text: str, name: str) -> Any:
    """One of the page's blocks of JSON."""
    match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert match is not None
    return json.loads(match[1])


def page(folder: Path, evidence: dict[str, Any], pictures: dict[str, str] | None = None) -> str:
    """The page of a record."""
    return write_page(folder, evidence, pictures or {}).read_text(encoding="utf-8")


@dataclass
class Seen:
    """A page that is open in a browser, with what the browser complained of and asked for."""

    tab: Any
    path: Path
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def drawn(self) -> dict[str, list[float]]:
        """Width and height of each figure's drawing, and how many marks it has."""
        values: dict[str, list[float]] = self.tab.evaluate(
            """() => {
                const places = [...document.querySelectorAll("[data-figure]")]
                    .filter((each) => each.checkVisibility());
                const measure = (each) => {
                    const box = each.querySelector("svg.main-svg").getBoundingClientRect();
                    const marks = each.querySelectorAll("path.point, g.hm image").length;
                    return [each.dataset.figure, [box.width, box.height, marks]];
                };
                return Object.fromEntries(places.map(measure));
            }"""
        )
        return values

    def colour(self, selector: str, name: str = "color") -> str:
        """A computed colour of the first element that matches."""
        script = f"(each) => getComputedStyle(each)[{name!r}]"
        return str(self.tab.locator(selector).first.evaluate(script))


def look(browser: Any, path: Path, width: int = 1280, **options: Any) -> Seen:
    """Open a page in a tab of its own."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page = Seen(context.new_page(), path)
    page.tab.set_default_timeout(90_000)  # milliseconds: others may need the machine too
    complain = page.complaints.append
    page.tab.on("console", lambda message: complain(message.text))
    page.tab.on("pageerror", lambda error: complain(str(error)))
    page.tab.on("request", lambda request: page.requests.append(request.url))
    page.tab.goto(path.as_uri())
    page.tab.locator("html.drawn").wait_for(state="attached")
    return page

"""`report.html`: the evidence as one page that needs nothing else, not even a network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, Template
from markupsafe import Markup, escape

from headstart.report import (
    adaptation,
    background,
    boxes,
    by_class,
    figures,
    refit,
    sections,
    sentences,
    theme,
)
from headstart.report.contents import Section, large, sound
from headstart.report.thumbnails import fitting, is_clip, is_picture
from headstart.report.verdict import Verdict

FILE = "report.html"
LARGEST = 8_000_000  # bytes of the page, the plotting library among them
LARGE_PICTURES = 3_000_000  # bytes of them that are pictures to open on a click
ORDER = (
    *(background.provenance, adaptation.adaptation, refit.refit, sections.arms, sections.metrics),
    *(boxes.boxes, sentences.sentences, sections.labels, sections.convergence),
    *(by_class.confusion, by_class.classes),
    *(sections.groups, sections.calibration, sections.robustness),
    *(background.feature_map, background.inspection, background.data, background.ranking),
    *(background.checks, background.cost, background.again),
)


def write_page(folder: Path, evidence: Mapping[str, Any], pictures: Mapping[str, str]) -> Path:
    """Write the page of an evidence record into a folder; answer with its path.

    `pictures` holds for an item's id its thumbnail (see `thumbnails.thumbnail`), or its text; under
    keys of their own also what can be heard of it (`contents.sound`, `thumbnails.clip`).
    What the record lacks, the page leaves out. It stays within 8 MB: where there are more than 400
    pictures, or too many texts, those on cards come first, then as many of the map as fit, spread
    over it, and the page says so. Large pictures (see `contents.large`) that open on a click take 3
    MB of that at most, those of cards first; the others open as their thumbnails. Raises OSError,
    naming the file, where it can't be written.
    """
    path = folder / FILE
    content = _rendered(evidence, pictures).encode("utf-8")
    try:
        path.write_bytes(content)
    except OSError as error:  # a full disk shows when the file is flushed, and then without a name
        raise OSError(error.errno, error.strerror, str(path)) from error
    return path


def policy() -> str:
    """What a browser may do with the page: show it, and run the scripts that we wrote."""
    script = PackageLoader("headstart", "templates").get_source(Environment(), "report.js")[0]
    trusted = " ".join(_hash(text) for text in (theme.library(), script))
    return (
        f"default-src 'none'; script-src {trusted}; style-src 'unsafe-inline'; "
        "img-src data: blob:; media-src data:; base-uri 'none'; form-action 'none'"
    )


def _rendered(evidence: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    """The page with as many pictures as its size allows."""
    page_sections = [section for make in ORDER if (section := make(evidence))]
    verdict = Verdict.of(evidence)
    item_ids = list(_item_ids(evidence, page_sections))
    head = background.title(evidence)
    room = LARGEST - len(_page(head, verdict, page_sections, {}, "").encode("utf-8"))
    while True:
        thumbnails = fitting(pictures, item_ids, room)
        note = _omitted(item_ids, pictures, thumbnails)
        page = _page(head, verdict, page_sections, thumbnails, note)
        spare = LARGEST - len(page.encode("utf-8"))
        if spare >= 0 or not thumbnails:
            break
        room += spare  # texts on cards stand on the page twice
    opened = fitting(pictures, _opened(page_sections), min(spare, LARGE_PICTURES))
    return _page(head, verdict, page_sections, thumbnails | opened, note) if opened else page


def _page(
    head: str,
    verdict: Verdict,
    page_sections: Sequence[Section],
    pictures: Mapping[str, str],
    note: str,
) -> str:
    template, shared = _template()
    drawings = {each.name: each.drawing for part in page_sections for each in part.figures}
    return template.render(
        shared,
        head=head,
        verdict=verdict,
        sections=page_sections,
        pictures=pictures,
        note=note,
        drawings={name: each for name, each in drawings.items() if figures.several(each)},
    )


@cache
def _template() -> tuple[Template, Mapping[str, Any]]:
    """The page's template, and what stands in every page: Plotly, script and style."""
    files = PackageLoader("headstart", "templates")
    environment = Environment(
        loader=files,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = _marked
    packed, script, style = (
        Markup(text)  # ours and Plotly's; all else is escaped
        for text in (
            theme.packed(),
            files.get_source(environment, "report.js")[0],
            files.get_source(environment, "report.css")[0],
        )
    )
    shared = {
        "template": theme.template(),
        "packed": packed,
        "script": script,
        "style": style,
        "policy": Markup(policy()),
        "is_picture": is_picture,
        "sound": sound,
    }
    return environment.get_template("report.html"), shared


def _marked(text: str) -> Markup:
    """A sentence with what stands between backticks as code, and all of it escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them has no partner
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part
        for place, part in enumerate(parts)
    )


def _hash(script: str) -> str:
    """What a content security policy calls a script by (W3C, CSP level 2)."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _item_ids(evidence: Mapping[str, Any], page_sections: Sequence[Section]) -> Iterator[str]:
    """The items that the page would show: those of cards, then the map's, spread over it."""
    for section in page_sections:
        for group in section.groups:
            for card in group.cards:
                yield card.item
                yield from (card.explained, sound(card.item))
                yield from (each.item for each in card.nearest)
    ids = ((evidence.get("items") or {}).get("map") or {}).get("id") or []
    stride = max(1, len(ids) // 400)
    for start in range(stride):
        yield from ids[start::stride]


def _opened(page_sections: Sequence[Section]) -> list[str]:
    """The keys of the large pictures: those of all cards, then of the items beside them."""
    cards = [card for part in page_sections for group in part.groups for card in group.cards]
    beside = [each.item for card in cards for each in card.nearest]
    return [large(item) for item in (*(card.item for card in cards), *beside)]


def _omitted(
    item_ids: Sequence[str], pictures: Mapping[str, str], thumbnails: Mapping[str, str]
) -> str:
    """A sentence on what was left out for the sake of size; none where nothing was."""
    here = {item for item in item_ids if item in pictures and not is_clip(pictures[item])}
    thumbnails = {item: each for item, each in thumbnails.items() if not is_clip(each)}
    if len(thumbnails) == len(here):
        return ""
    return (
        f"The page shows {len(thumbnails)} of {len(here)} items themselves, so that it stays "
        "small; the others by name."
    )

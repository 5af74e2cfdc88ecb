"""Pages for people: what is served, how to ask it, a model's card and its report.

What stands in a model's folder may be a stranger's. The card is shown as Markdown in which no HTML
counts; the report is drawn anew from its numbers, and never the file that lies there. No page runs
a script but the report's own, whose hash its policy names.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from headstart.artifact import read_evidence
from headstart.errors import HeadstartError
from headstart.loading import members
from headstart.report.page import policy as report_policy
from headstart.report.page import write_page
from headstart.server.refusals import RefusedError
from headstart.server.shelf import Served, Shelf

POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox allow-top-navigation-by-user-activation"
)
CARD: Final = "README.md"
_LARGEST: Final = 2**20  # bytes of a card
_SHOWN: Final = 20  # labels of a model
_MARK: Final = "---\n"  # around what a card says to programs


def report_headers() -> dict[str, str]:
    """The report's own policy, in a sandbox where its scripts are of no origin."""
    policy = f"{report_policy()}; frame-ancestors 'none'; sandbox allow-scripts"
    return {"Content-Security-Policy": policy}


@final
@dataclass(frozen=True)
class Table:
    """A heading, and rows below titles; the first cell of a row is its head."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def overview(shelf: Shelf) -> str:
    """All models, with links to what there is of each."""
    rows = []
    for served in shelf.models.values():
        about = served.to_json()
        place = f"/models/{served.name}"
        links = Markup(" ").join(
            Markup('<a href="{}/{}">{}</a>').format(place, name, name)
            for name in ("card", "report")
        )
        labels = ", ".join(about["labels"][:_SHOWN])
        more = len(about["labels"]) - _SHOWN
        labels += f" and {more} more" if more > 0 else ""
        state = about["problem"] or about["drift"]["alarm"] or "answers"
        rows.append((served.name, about["kind"], labels, about["version"], state, links))
    columns = ("model", "answers with", "labels", "version", "state", "pages")
    more_pages = Table(
        "For programs",
        ("address", "what"),
        [
            (Markup('<a href="/docs">/docs</a>'), "how to ask"),
            (Markup('<a href="/openapi.json">/openapi.json</a>'), "the same as OpenAPI"),
            (Markup('<a href="/metrics">/metrics</a>'), "counters for Prometheus"),
        ],
    )
    return _page("Models", [Table("Served here", columns, rows), more_pages])


def manual(document: Mapping[str, Any]) -> str:
    """The OpenAPI document as a page."""
    tables, blocks = [], []
    rows = [
        (f"{method.upper()} {path}", operation["summary"], ", ".join(operation["responses"]))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    tables.append(Table("Addresses", ("address", "what", "statuses"), rows))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            for kind, about in content.items():
                if "example" in about:
                    blocks.append(_command(document, method, path, kind, about["example"]))
    return _page(document["info"]["title"], tables, blocks)


def _command(document: Mapping[str, Any], method: str, path: str, kind: str, example: Any) -> str:
    secured = ' -H "Authorization: Bearer $HEADSTART_TOKEN"' if document.get("security") else ""
    address = document["servers"][0]["url"] + path
    sent = example if isinstance(example, str) else json.dumps(example)
    return (
        f"curl -X {method.upper()} {shlex.quote(address)}{secured} "
        f"-H {shlex.quote(f'Content-Type: {kind}')} --data-binary {shlex.quote(sent)}"
    )


def card(served: Served) -> str:
    """A model's card. Raises RefusedError (404) where it has none that can be shown."""
    from markdown_it import MarkdownIt

    try:
        with (served.folder / CARD).open("rb") as file:
            text = file.read(_LARGEST + 1).decode("utf-8")
    except (OSError, ValueError):
        raise RefusedError(404, f"Model {served.name!r} has no card that can be read.") from None
    if len(text) > _LARGEST:
        raise RefusedError(404, f"The card of {served.name!r} is too long to be shown.")
    if text.startswith(_MARK):
        text = text[len(_MARK) :].partition(f"\n{_MARK}")[2] or text
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return _page(served.name, [], body=Markup(markdown.render(text)))


def report(served: Served, task: str | None) -> str:
    """A model's report; of one that answers several tasks that of one, or a page of links.

    Raises RefusedError (404) where it has none that can be shown.
    """
    folder = served.folder
    if members.are_in(folder):
        folders = members.read(folder)
        if task is None:
            rows = [
                (Markup('<a href="?task={}">{}</a>').format(quote(name), name),) for name in folders
            ]
            return _page(served.name, [Table("Reports", ("task",), rows)])
        if task not in folders:
            raise RefusedError(404, f"{served.name!r} has no task {task[:64]!r}.")
        folder = folders[task]
    try:
        return _drawn(folder)
    except (HeadstartError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise RefusedError(404, f"Model {served.name!r} has no report that can be shown.") from None


def _drawn(folder: Path) -> str:
    with TemporaryDirectory(prefix="headstart-") as place:
        return write_page(Path(place), read_evidence(folder), {}).read_text(encoding="utf-8")


def _page(
    title: str, tables: Sequence[Table], blocks: Sequence[str] = (), body: Markup | None = None
) -> str:
    environment = Environment(
        loader=PackageLoader("headstart", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("server.html").render(
        title=title, tables=tables, blocks=blocks, body=body, back=title != "Models"
    )

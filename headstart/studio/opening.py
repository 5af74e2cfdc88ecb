"""`headstart studio`: what a session begins with, and the page until it is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart import catalog
from headstart.data import demand_data, recognise
from headstart.data.schema import Schema
from headstart.errors import HeadstartError
from headstart.report.notebook import Printed
from headstart.runtime.local_page import LocalServer
from headstart.runtime.places import demand_path
from headstart.runtime.progress import Show, as_progress
from headstart.studio.desk import Desk, Opening
from headstart.studio.notes import Notes
from headstart.studio.server import StudioPage
from headstart.studio.sources import KINDS
from headstart.studio.space import Space

FOLDER: Final = "studio"


@final
@dataclass(frozen=True, repr=False)
class Closed(Printed):
    """What a page left: the table of examples, how many of each class, the models made of them."""

    folder: Path
    counts: Mapping[str, int]
    command: str
    models: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """{"out", "counts", "models", "command"}."""
        return {
            "out": str(self.folder),
            "counts": dict(self.counts),
            "models": list(self.models),
            "command": self.command,
        }

    def __str__(self) -> str:
        each = ", ".join(f"{name} {count}" for name, count in self.counts.items()) or "no example"
        lines = [f"{self.folder} has {each}.", *(f"Model: {path}" for path in self.models)]
        return "\n".join([*lines, *([f"Next: {self.command}"] if self.command else [])])


def studio(
    data: str | Path | None,
    opening: Opening,
    port: int = 0,
    *,
    browser: bool = False,
    progress: Show = None,
) -> Closed:
    """Show a page that learns from examples as they are given, until it is closed or interrupted.

    `data` is a folder or a table to begin with, labelled or not; each is taken in once. Raises
    HeadstartError for anything the user can mend.
    """
    progress = as_progress(progress)
    demand_path(opening.folder)
    place = None if data is None else Path(data)
    if place is not None:
        demand_data(place)
    with Desk(opening, progress) as desk:
        kind, space = _kind(place, opening)
        if kind:
            desk.begin(kind, space)
            if place is not None and str(place.absolute()) not in desk.session.notes.taken:
                desk.take(place)
        with LocalServer.opened(StudioPage(desk), "headstart studio", port) as server:
            closing_words = f"All is kept in {opening.folder}"
            server.serve(progress, closing_words, browser)
        return _closed(desk)


def _kind(place: Path | None, opening: Opening) -> tuple[str, Space | None]:
    """What the examples are, empty where nothing says it yet; the first source named, loaded."""
    kind = Notes.read(opening.folder).modality
    space = Space.of(opening.sources[0], kind) if opening.sources else None
    kind = space.backbone.modality if space else kind
    if space and kind not in KINDS:
        raise HeadstartError(
            f"{space.reference} reads {kind}, which the page can't show. Name a source of "
            f"{', '.join(KINDS)}, or run `headstart fit`."
        )
    if not kind and place is not None:
        kind = recognise(place, {name: catalog.modality(name) for name in KINDS}, Schema())
    return kind, space


def _closed(desk: Desk) -> Closed:
    try:
        session = desk.session
    except HeadstartError:
        return Closed(desk.opening.folder, {}, "")
    counts = {name: 0 for name in session.notes.classes}
    for each in session.labelled():
        counts[each.item.label] += 1
    enough = sum(map(bool, counts.values())) > 1
    command = desk.commands.shell(desk.learner.reference) if enough else ""
    models = [each["path"] for each in desk.commands.models()]
    return Closed(desk.opening.folder, counts, command, models)

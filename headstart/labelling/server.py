"""The page of one desk: what it asks for, and the answers."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from PIL import Image

from headstart.contracts import Modality
from headstart.data import Item
from headstart.errors import DataError, HeadstartError
from headstart.labelling.desk import Desk
from headstart.runtime.local_page import Visit

_FILES: Final = {"": "label.html", "label.css": "label.css", "label.js": "label.js"}
SIDE: Final = 720  # px of the shorter side, at most
LONGEST: Final = 1600


@final
class LabelPage:
    """Answers to whoever asks the page of a desk whose items a modality shows."""

    def __init__(self, desk: Desk, modality: Modality) -> None:
        self.desk = desk
        self.modality = modality

    def __call__(self, visit: Visit) -> None:
        """The page, its two files, the state or a picture; or an act, and the state after it."""
        if visit.posted:
            self._act(visit)
        elif visit.place in _FILES:
            visit.show(_FILES[visit.place])
        elif visit.place == "state":
            self._tell(visit, 200, self.desk.state())
        elif visit.place.startswith("picture/"):
            self._picture(visit, visit.place.removeprefix("picture/"))
        elif visit.place.startswith("sound/"):
            self._sound(visit, visit.place.removeprefix("sound/"))
        else:
            visit.tell(404, {"error": "There is nothing here."})

    def _act(self, visit: Visit) -> None:
        body, act = visit.texts(), self._acts().get(visit.place)
        if act is None or body is None:
            visit.tell(404 if act is None else 400, {"error": "That can't be asked."})
            return
        try:
            self._tell(visit, 200, act(body))
        except HeadstartError as error:
            self._tell(visit, 409, self.desk.state() | {"error": str(error)})
            return
        except OSError as error:
            sentence = (
                f"The answer can't be written: {error.strerror}. Free some space and try again."
            )
            self._tell(visit, 500, self.desk.state() | {"error": sentence})
            return
        if visit.place == "finish":  # when the page has been told
            visit.server.shutdown()

    def _tell(self, visit: Visit, status: int, state: Mapping[str, Any]) -> None:
        """Answer with the desk's state, and whether its items can be heard."""
        visit.tell(status, {**state, "plays": self.modality.plays})

    def _acts(self) -> Mapping[str, Callable[[Mapping[str, str]], dict[str, Any]]]:
        desk = self.desk
        return {
            "answer": lambda body: desk.answer(body.get("key", ""), body.get("label", "")),
            "skip": lambda body: desk.skip(body.get("key", "")),
            "undo": lambda body: desk.undo(),
            "class": lambda body: desk.add_class(body.get("name", "")),
            "finish": lambda body: desk.state("Finished. This page can be closed."),
        }

    def _picture(self, visit: Visit, key: str) -> None:
        entry = self.desk.find(key)
        if entry is None:
            visit.tell(404, {"error": "No such item is shown."})
            return
        send_picture(visit, entry.item, self.modality)

    def _sound(self, visit: Visit, key: str) -> None:
        """The beginning of an item, as its modality plays it: never the file itself."""
        entry = self.desk.find(key)
        try:
            played = None if entry is None else self.modality.played(entry.item.read())
        except DataError:
            played = None
        if played is None:
            visit.tell(404, {"error": "There is nothing to hear."})
        else:
            visit.send(200, "audio/mpeg", played)


def send_picture(visit: Visit, item: Item, modality: Modality, side: int = SIDE) -> None:
    """Answer with an item as a picture, or that it is none; the browser may keep it."""
    try:
        content = picture(item, modality, side)
        visit.send(200, "image/png", content, Cache_Control="private, max-age=3600")
    except (DataError, AttributeError, LookupError, TypeError, ValueError):
        visit.tell(404, {"error": "The item can't be shown as a picture."})


def picture(item: Item, modality: Modality, side: int = SIDE) -> bytes:
    """The whole item as a PNG, by its modality's decoder: never the file itself.

    Raises DataError where it can't be read, or is no picture.
    """
    pixels = modality.shown(item.read(), side)
    if pixels is None:
        raise DataError(f"{item.id} can't be shown: it is no picture. Look at the file itself.")
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST, LONGEST))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()

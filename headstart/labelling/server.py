"""The page on this machine alone: whoever asks must know its address, which nobody can guess."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable, Mapping
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Final, final

from PIL import Image

from headstart.contracts import Modality
from headstart.data import Item
from headstart.errors import DataError, HeadstartError
from headstart.labelling.desk import Desk

HOST: Final = "127.0.0.1"
PATIENCE: Final = 30.0  # seconds that a silent visitor is waited for
_LARGEST: Final = 64 * 1024  # bytes of a request's body
_POLICY: Final = (  # nothing but our own files, and nobody may frame or be sent to from here
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_FILES: Final = {
    "": ("label.html", "text/html; charset=utf-8"),
    "label.css": ("label.css", "text/css; charset=utf-8"),
    "label.js": ("label.js", "text/javascript; charset=utf-8"),
}
_JSON: Final = "application/json"
SIDE: Final = 720  # px of the shorter side, at most
LONGEST: Final = 1600


@final
class LabelServer(ThreadingHTTPServer):
    """Answers to the page of one desk, at 127.0.0.1 and under a random path.

    A request counts only if it names this address as its host, so that no other site's name can be
    bound to it, and knows the path, so that no other user of the machine can look or answer. Raises
    OSError where the port is taken.
    """

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, desk: Desk, modality: Modality, port: int = 0) -> None:
        self.desk = desk
        self.modality = modality
        super().__init__((HOST, port), _Answer)

    @cached_property
    def token(self) -> str:
        """The secret part of the address."""
        return secrets.token_urlsafe(18)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of visitors who left early."""

    def is_own(self, host: str) -> bool:
        """Whether a request names this very address."""
        return host == f"{HOST}:{self.port}"


@final
class _Answer(BaseHTTPRequestHandler):
    """One request."""

    server: LabelServer
    server_version, sys_version = "headstart", ""
    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: addresses hold the secret."""

    def do_GET(self) -> None:
        """The page, its two files, the state, a picture, or a sound."""
        place = self._place()
        if place is None:
            return
        if place in _FILES:
            name, kind = _FILES[place]
            content = files("headstart").joinpath("templates", name).read_bytes()
            if type(self.server.modality).played is not Modality.played:
                content = content.replace(b'data-plays="no"', b'data-plays="yes"')
            self._send(200, kind, content)
        elif place == "state":
            self._tell(200, self.server.desk.state())
        elif place.startswith("picture/"):
            self._picture(place.removeprefix("picture/"))
        elif place.startswith("sound/"):
            self._sound(place.removeprefix("sound/"))
        else:
            self._tell(404, {"error": "There is nothing here."})

    def do_POST(self) -> None:
        """An answer, a skip, taking back, a class, or the end."""
        place = self._place()
        if place is None:
            return
        body = self._body()
        act = self._acts().get(place)
        if act is None or body is None:
            self._tell(404 if act is None else 400, {"error": "That can't be asked."})
            return
        try:
            self._tell(200, act(body))
        except HeadstartError as error:
            self._tell(409, self.server.desk.state() | {"error": str(error)})
            return
        except OSError as error:
            sentence = (
                f"The answer can't be written: {error.strerror}. Free some space and try again."
            )
            self._tell(500, self.server.desk.state() | {"error": sentence})
            return
        if place == "finish":  # when the page has been told
            self.server.shutdown()

    def _acts(self) -> Mapping[str, Callable[[Mapping[str, str]], dict[str, Any]]]:
        desk = self.server.desk
        return {
            "answer": lambda body: desk.answer(body.get("key", ""), body.get("label", "")),
            "skip": lambda body: desk.skip(body.get("key", "")),
            "undo": lambda body: desk.undo(),
            "class": lambda body: desk.add_class(body.get("name", "")),
            "finish": lambda body: desk.state("Finished. This page can be closed."),
        }

    def _picture(self, key: str) -> None:
        entry = self.server.desk.find(key)
        if entry is None:
            self._tell(404, {"error": "No such item is shown."})
            return
        try:
            self._send(200, "image/png", picture(entry.item, self.server.modality))
        except (DataError, AttributeError, LookupError, TypeError, ValueError):
            self._tell(404, {"error": "The item can't be shown as a picture."})

    def _sound(self, key: str) -> None:
        """The beginning of an item, as its modality plays it: never the file itself."""
        entry = self.server.desk.find(key)
        try:
            played = None if entry is None else self.server.modality.played(entry.item.read())
        except DataError:
            played = None
        if played is None:
            self._tell(404, {"error": "There is nothing to hear."})
        else:
            self._send(200, "audio/mpeg", played)

    def _place(self) -> str | None:
        """What is asked for behind the secret; None where the visitor may not ask at all."""
        secret, slash, place = self.path.removeprefix("/").partition("/")
        allowed = secrets.compare_digest(secret.encode(), self.server.token.encode())
        if not self.server.is_own(self.headers.get("Host", "")) or not (allowed and slash):
            self._tell(403, {"error": "Open the address that `headstart label` printed."})
            return None
        return place.partition("?")[0]

    def _body(self) -> Mapping[str, str] | None:
        """The request's JSON object of texts; None for anything else.

        A page of another site can't send this type without being asked first, and is refused.
        """
        length = self.headers.get("Content-Length", "")
        own = self.headers.get("Origin") in (None, self.server.url.rsplit("/", 2)[0])
        if not own or self.headers.get_content_type() != _JSON or not length.isdecimal():
            return None
        if int(length) > _LARGEST:
            return None
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (TimeoutError, ValueError, RecursionError):
            return None
        right = isinstance(body, dict) and all(isinstance(each, str) for each in body.values())
        return body if right else None

    def _tell(self, status: int, content: Mapping[str, Any]) -> None:
        self._send(status, _JSON, json.dumps(content).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def picture(item: Item, modality: Modality) -> bytes:
    """The whole item as a PNG, by its modality's decoder: never the file itself.

    Raises DataError where it can't be read, or is no picture.
    """
    shown = modality.shown(item.read(), SIDE)
    if shown is None:
        raise DataError(f"{item.id} can't be shown: it is no picture. Look at the file itself.")
    image = Image.fromarray(shown)
    image.thumbnail((LONGEST, LONGEST))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()

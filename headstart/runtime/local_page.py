"""A page on this machine alone: whoever asks must know its address, which nobody can guess."""

from __future__ import annotations

import json
import secrets
import webbrowser
from collections.abc import Callable, Mapping
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Final, final
from urllib.parse import parse_qsl, unquote

from headstart.errors import HeadstartError
from headstart.runtime.progress import Progress

HOST: Final = "127.0.0.1"
PATIENCE: Final = 30.0  # seconds that a silent visitor is waited for
JSON: Final = "application/json"
RAW: Final = "application/octet-stream"
_LARGEST: Final = 64 * 1024  # bytes of a request's JSON
_POLICY: Final = (  # nothing but our own files, and nobody may frame or be sent to from here
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_TEMPLATES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

Answers = Callable[["Visit"], None]


@final
class LocalServer(ThreadingHTTPServer):
    """Answers at 127.0.0.1 and under a random path, by the function `answers`.

    A request counts only if it names this address as its host, so that no other site's name can be
    bound to it, and knows the path, so that no other user of the machine can look or answer.
    `command` is what printed the address. Raises OSError where the port is taken.
    """

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, answers: Answers, command: str, port: int = 0) -> None:
        self.answers = answers
        self.command = command
        super().__init__((HOST, port), Visit)

    @classmethod
    def opened(cls, answers: Answers, command: str, port: int) -> LocalServer:
        """The same. Raises HeadstartError for a port that can't be used."""
        try:
            return cls(answers, command, port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise HeadstartError(
                f"Port {port} can't be used ({reason}). Leave --port out, or give another."
            ) from None

    @cached_property
    def token(self) -> str:
        """The secret part of the address."""
        return secrets.token_urlsafe(18)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def origin(self) -> str:
        """What a browser calls the place that its own requests come from."""
        return f"http://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return f"{self.origin}/{self.token}/"

    def serve(self, progress: Progress, closing_words: str, browser: bool) -> None:
        """Answer until it is shut down or interrupted.

        `closing_words` say what then becomes of the work; with `browser` the page is opened in the
        usual one.
        """
        progress.say(f"Open {self.url}")
        progress.say(f"{closing_words}; end with Ctrl-C or on the page.")
        if browser:
            webbrowser.open(self.url)
        try:
            self.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            progress.say("Stopped; what was answered is kept.")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of visitors who left early."""


@final
class Visit(BaseHTTPRequestHandler):
    """One request: what is asked for behind the secret, its content, and ways to answer."""

    server: LocalServer
    server_version, sys_version = "headstart", ""
    timeout = PATIENCE
    place = ""

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: addresses hold the secret."""

    def do_GET(self) -> None:
        """Answer whoever may ask."""
        secret, slash, rest = self.path.removeprefix("/").partition("/")
        allowed = secrets.compare_digest(secret.encode(), self.server.token.encode())
        own = self.headers.get("Host", "") == f"{HOST}:{self.server.port}"
        if not (own and allowed and slash):
            self.tell(403, {"error": f"Open the address that `{self.server.command}` printed."})
            return
        self.place = rest.partition("?")[0]
        self.server.answers(self)

    do_POST = do_GET

    @property
    def posted(self) -> bool:
        """Whether something is to be changed."""
        return self.command == "POST"

    @property
    def query(self) -> Mapping[str, str]:
        """What stands behind the question mark, by name."""
        return dict(parse_qsl(self.path.partition("?")[2], keep_blank_values=True))

    @property
    def parts(self) -> list[str]:
        """The place between its slashes, each decoded."""
        return [unquote(part) for part in self.place.split("/")]

    def texts(self) -> Mapping[str, str] | None:
        """The request's JSON object of texts; None for anything else."""
        raw = self.content(JSON, _LARGEST)
        try:
            body = json.loads(raw or b"")
        except (ValueError, RecursionError):
            return None
        right = isinstance(body, dict) and all(isinstance(each, str) for each in body.values())
        return body if right else None

    def content(self, kind: str, largest: int) -> bytes | None:
        """The request's bytes; None where they are of another type, too many, or don't come.

        A page of another site can't send these types without being asked first, and is refused.
        """
        length = self.headers.get("Content-Length", "")
        own = self.headers.get("Origin") in (None, self.server.origin)
        if not own or self.headers.get_content_type() != kind or not length.isdecimal():
            return None
        if int(length) > largest:
            return None
        try:
            raw = self.rfile.read(int(length))
        except TimeoutError:
            return None
        return raw if len(raw) == int(length) else None

    def tell(self, status: int, content: Mapping[str, Any]) -> None:
        """Answer with JSON."""
        self.send(status, JSON, json.dumps(content).encode())

    def show(self, template: str) -> None:
        """Answer with one of the package's own files."""
        kind = _TEMPLATES[template[template.rindex(".") :]]
        self.send(200, kind, files("headstart").joinpath("templates", template).read_bytes())

    def send(self, status: int, kind: str, content: bytes, **headers: str) -> None:
        """Answer with bytes; `headers` are further ones, or others, with _ for -."""
        self.begin(status, kind, Content_Length=str(len(content)), **headers)
        self.wfile.write(content)

    def begin(self, status: int, kind: str, **headers: str) -> None:
        """Send the head of an answer, whose content is then written to `wfile`."""
        self.send_response(status)
        own = {
            "Content-Type": kind,
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        for name, value in {
            **own,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }.items():
            self.send_header(name, value)
        self.end_headers()

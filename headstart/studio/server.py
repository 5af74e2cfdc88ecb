"""What the page asks for, and the answers: a state as it changes, files, and acts on the desk."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, cast, final

from headstart.errors import HeadstartError, named_reason
from headstart.labelling.server import send_picture
from headstart.runtime.local_page import RAW, Visit
from headstart.studio.desk import Desk
from headstart.studio.examples import RawExample

LARGEST: Final = 256 * 2**20  # bytes of a file that is given
_FILES: Final = {
    "": "studio.html",
    **{name: name for name in ("studio.css", "studio.js", "studio-microphone.js")},
}
_THUMBNAIL: Final = 160  # px of the shorter side, at most
_PATIENCE: Final = 10.0  # seconds without news after which the line is tried
_PACE: Final = 0.1  # seconds between news
_REPORT: Final = (  # a report has scripts of its own, and may not act for the page
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; media-src data:; font-src data:"
)
_TOO_LARGE: Final = f"That can't be asked; a file may have {LARGEST >> 20} MiB."

Act = Callable[[Mapping[str, str]], str | None]


@final
class StudioPage:
    """Answers to whoever asks the page of a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def __call__(self, visit: Visit) -> None:
        """The page, its files, or what it asks; a mistake is one sentence."""
        try:
            if visit.posted:
                self._take(visit)
            elif visit.place in _FILES:
                visit.show(_FILES[visit.place])
            else:
                self._show(visit)
        except HeadstartError as error:
            visit.tell(409, {"error": str(error)})
        except OSError as error:  # of a disk, or of a line that is gone
            reason = error.strerror or str(error)
            visit.tell(500, {"error": f"That can't be written ({reason}). Free some space."})
        except Exception as error:  # or the page would think that nobody answers any more
            sentence = f"{named_reason(error)}. This is a defect of Headstart: please report it."
            visit.tell(500, {"error": sentence})

    def _show(self, visit: Visit) -> None:
        what, *rest = visit.parts
        shows = {
            "state": lambda: visit.tell(200, self.desk.state()),
            "news": lambda: self._stream(visit),
            "picture": lambda: self._picture(visit, rest),
            "sound": lambda: self._sound(visit, rest),
            "examples": lambda: self._examples(visit),
            "report": lambda: self._report(visit, rest),
            "model": lambda: self._model(visit, rest),
        }
        show = shows.get(what)
        if show is None:
            visit.tell(404, {"error": "There is nothing here."})
        else:
            show()

    def _stream(self, visit: Visit) -> None:
        """The state now, and whenever it has changed, as events; until the page goes."""
        visit.begin(200, "text/event-stream")
        number: int | None = -1
        while True:
            before, number = number, self.desk.wait(number or 0, _PATIENCE)
            if number is None:
                return
            news = "" if number == before else f"data: {json.dumps(self.desk.state())}"
            visit.wfile.write(f"{news or ':'}\n\n".encode())
            visit.wfile.flush()
            time.sleep(_PACE)

    def _picture(self, visit: Visit, rest: list[str]) -> None:
        example = self.desk.find("".join(rest))
        if example is None:
            visit.tell(404, {"error": "No such example is here."})
            return
        send_picture(visit, example.item, self.desk.session.modality, _THUMBNAIL)

    def _sound(self, visit: Visit, rest: list[str]) -> None:
        example = self.desk.find("".join(rest))
        heard = example and self.desk.session.modality.played(example.item.read())
        if not heard:
            visit.tell(404, {"error": "There is nothing to hear."})
            return
        visit.send(200, "audio/mpeg", heard)

    def _examples(self, visit: Visit) -> None:
        query = visit.query
        start = query.get("start", "")
        examples = self.desk.shown(query.get("label", ""), int(start) if start.isdecimal() else 0)
        visit.tell(200, {"items": examples})

    def _report(self, visit: Visit, rest: list[str]) -> None:
        page = self.desk.commands.model("".join(rest)) / "report.html"
        visit.send(
            200, "text/html; charset=utf-8", page.read_bytes(), Content_Security_Policy=_REPORT
        )

    def _model(self, visit: Visit, rest: list[str]) -> None:
        """A model's folder as one archive, written while it is sent."""
        number = "".join(rest).removesuffix(".zip")
        folder = self.desk.commands.model(number)
        visit.begin(200, "application/zip")
        with zipfile.ZipFile(cast(BinaryIO, visit.wfile), "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, Path(f"model-{number}") / path.relative_to(folder))

    def _take(self, visit: Visit) -> None:
        what, *rest = visit.parts
        if what in ("add", "stage", "glance"):
            raw = visit.content(RAW, LARGEST)
            if raw is None:
                visit.tell(400, {"error": _TOO_LARGE})
                return
            visit.tell(200, self._content(visit, what, rest, raw))
            return
        body, act = visit.texts(), self._acts().get(what)
        if act is None or body is None:
            visit.tell(404 if act is None else 400, {"error": "That can't be asked."})
            return
        visit.tell(200, {"said": act(body) or ""})
        if what == "finish":
            visit.server.shutdown()

    def _content(self, visit: Visit, what: str, rest: list[str], raw: bytes) -> dict[str, Any]:
        if what == "glance":
            return self.desk.glance(raw)
        if what == "stage":
            self.desk.incoming.put(rest[0], rest[1:], raw)
            return {}
        query = visit.query
        example = RawExample(query.get("name", "pasted.txt"), raw, query.get("label") or None)
        intake = self.desk.add([example])
        return {"said": intake.sentence(), "error": " ".join(intake.problems)}

    def _acts(self) -> Mapping[str, Act]:
        desk = self.desk
        return {
            "kind": lambda body: desk.begin(body.get("name", "")),
            "class": lambda body: self._changed(lambda s: s.add_class(body.get("name", ""))),
            "rename": lambda body: self._changed(
                lambda s: s.rename(body.get("before", ""), body.get("name", ""))
            ),
            "drop": lambda body: self._changed(lambda s: s.drop_class(body.get("name", ""))),
            "label": lambda body: self._changed(
                lambda s: s.label(body.get("key", ""), body.get("label") or None)
            ),
            "remove": lambda body: self._changed(lambda s: s.remove(body.get("key", ""))),
            "keep": lambda body: self._changed(lambda s: s.keep(body.get("key", ""))),
            "undo": lambda body: self._changed(lambda s: s.undo()),
            "begin": lambda body: desk.incoming.begin(),
            "take": self._take_in,
            "forget": lambda body: desk.incoming.end(body.get("drop", "")),
            "source": lambda body: desk.choose(body.get("reference", "")),
            "rank": lambda body: desk.rank(),
            "follow": self._follow,
            "fit": lambda body: desk.fit(body.get("budget", "")),
            "export": self._export,
            "stop": self._stop,
            "finish": lambda body: "Finished. This page can be closed.",
        }

    def _changed(self, change: Callable[[Any], Any]) -> str:
        sentence = change(self.desk.session)
        self.desk.act()
        return sentence if isinstance(sentence, str) else ""

    def _take_in(self, body: Mapping[str, str]) -> None:
        drop = body.get("drop", "")
        self.desk.take(self.desk.incoming.opened(drop), drop)

    def _follow(self, body: Mapping[str, str]) -> None:
        self.desk.follows = body.get("on", "") == "yes"
        self.desk.learner.wake()

    def _export(self, body: Mapping[str, str]) -> None:
        commands = self.desk.commands
        commands.run(commands.export_words(body.get("number", ""), body.get("form", "")))

    def _stop(self, body: Mapping[str, str]) -> None:
        job = self.desk.commands.job
        if job is not None:
            job.stop()

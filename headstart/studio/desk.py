"""What the page shows and does: a session, what is learned of it, and the commands it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, final

from headstart import catalog
from headstart.errors import DataError, HeadstartError
from headstart.runtime.budget import seconds
from headstart.runtime.progress import Progress
from headstart.studio.appraiser import Appraiser
from headstart.studio.commands import FORMS, Commands
from headstart.studio.examples import Example, Intake, RawExample
from headstart.studio.incoming import Incoming, read
from headstart.studio.jobs import Job
from headstart.studio.learner import Learner
from headstart.studio.session import Session
from headstart.studio.sources import KINDS, Sources
from headstart.studio.space import Space

NEWEST: Final = 12  # examples of a class that are shown at once
_BATCH: Final = 32  # examples that are kept before others may ask
_LETTERS: Final = 160  # of a text that are shown


@final
@dataclass(frozen=True)
class Opening:
    """Where a session lies and what it begins with.

    `sources` are the references that the user named, `can_export` whether there is a command
    `headstart export`.
    """

    folder: Path
    sources: Sequence[str] = ()
    can_export: bool = False


@final
class Desk:
    """All that a page asks and does; safe to use in threads. Used as a context, it ends its work.

    It has no session before it is known what the examples are: pictures, texts or sounds.
    """

    def __init__(self, opening: Opening, progress: Progress) -> None:
        self.opening = opening
        self.incoming = Incoming(opening.folder)
        self._progress = progress
        self._stack = ExitStack()
        self._news = threading.Condition()
        self._number = 0  # grows whenever there is something new to show
        self._message: tuple[int, str] = (0, "")
        self._session: Session | None = None
        self._closed = False
        self.follows = False  # whether sources are ranked anew when examples have changed

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self.changed()
        if self._session is not None:
            self._rest()
            self.commands.close()
            self.incoming.end()
        self._stack.close()

    @property
    def session(self) -> Session:
        """The session. Raises HeadstartError before there is one."""
        if self._session is None:
            raise HeadstartError("Say first what the examples are: pictures, texts or sounds.")
        return self._session

    def begin(self, modality: str, space: Space | None = None) -> None:
        """Open the session of a kind of example. Raises HeadstartError where it can't be."""
        if modality not in KINDS:
            raise HeadstartError(
                f"{modality[:20]!r} can't be shown. Give one of {', '.join(KINDS)}."
            )
        if self._session is not None:
            raise HeadstartError("The session has begun already.")
        self.sources = Sources.of(modality, self.opening.sources)
        session = Session(self.opening.folder, catalog.modality(modality), self._progress)
        self._stack.enter_context(session)
        self.incoming.end()  # what an earlier run left
        references = self.sources.references
        before = session.notes.source
        first = before if before and not self.sources.explicit else references[0]
        self.sources.references = list(dict.fromkeys([*references, first]))
        session.note(modality=modality, source=first)
        self.commands = Commands(session.table, self.opening.can_export, self.changed)
        self._session = session
        self._learn(space if space is not None and space.reference == first else first)

    def choose(self, reference: str) -> None:
        """Learn on another source from now on. Raises HeadstartError for one that isn't listed."""
        if reference not in self.sources.references:
            raise HeadstartError(f"{reference[:100]} is not in the list. Name it with -b.")
        self.session.note(source=reference)
        self._rest()
        self._learn(reference)

    def _learn(self, source: str | Space) -> None:
        self.learner = Learner(self.session, source, self.changed, lambda: self.appraiser.wake())
        self.appraiser = Appraiser(self.learner, self._appraised)
        for worker in (self.learner, self.appraiser):
            worker.start()
        self.learner.wake()

    def _rest(self) -> None:
        for worker in (self.learner, self.appraiser):
            worker.close()

    def changed(self) -> None:
        """Let all who wait look again."""
        with self._news:
            self._number += 1
            self._news.notify_all()

    def say(self, sentence: str) -> None:
        """Tell everybody who looks on."""
        self._message = self._message[0] + 1, sentence
        self.changed()

    def wait(self, after: int, patience: float) -> int | None:
        """The number of what there is to show, once it isn't `after`; None where all is over."""
        with self._news:
            self._news.wait_for(lambda: self._closed or self._number != after, patience)
            return None if self._closed else self._number

    def act(self) -> None:
        """After a change to the session: learn from it, show it."""
        self.learner.wake()
        self.changed()

    def add(self, examples: Iterable[RawExample]) -> Intake:
        """Keep examples. Raises HeadstartError where they can't be written."""
        intake = self.session.add(examples)
        if intake.new:
            self.act()
        return intake

    def take(self, place: Path, drop: str | None = None) -> None:
        """Take in a folder or a table, while the page goes on; a `drop` is removed then."""
        self.session  # noqa: B018  # must be there
        threading.Thread(target=self._take, args=(place, drop), daemon=True).start()

    def _take(self, place: Path, drop: str | None) -> None:
        intake = Intake()
        try:
            examples = read(place, self.session.modality)
            while batch := list(islice(examples, _BATCH)):
                part = self.add(batch)
                intake.new, intake.known = intake.new + part.new, intake.known + part.known
                intake.problems += part.problems
            if drop is None:
                taken_in = (*self.session.notes.taken, str(place.absolute()))
                self.session.note(taken=tuple(dict.fromkeys(taken_in)))
            self.say(intake.sentence())
        except (HeadstartError, OSError) as error:
            self.say(str(error))
        finally:
            if drop is not None:
                self.incoming.end(drop)

    def glance(self, raw: bytes) -> dict[str, Any]:
        """What the head answers about something that is not kept. Raises HeadstartError."""
        head = self.learner.head
        if head is None:
            return {"waiting": "Give two classes an example each, and answers come."}
        space = self.learner.space
        problem = space.modality.problem(raw)
        try:
            if problem is not None:
                raise DataError(problem)
            features = space.glance(raw)
        except DataError as error:
            reason = str(error).rstrip(".")
            raise HeadstartError(f"That can't be used: {reason}. Give another.") from None
        return {"answer": head.answer(features), "head": head.number}

    def fit(self, budget: str) -> None:
        """Run the whole `fit`. Raises HeadstartError for a wrong budget, and beside another."""
        limit = seconds(budget) if budget else None
        self.commands.run(self.commands.fit_words(self.learner.reference, budget), budget=limit)

    def rank(self) -> None:
        """Rank the sources. Raises HeadstartError beside another command."""
        count = len(self.session.labelled())
        references = self.sources.references if self.sources.explicit else ()

        def done(job: Job) -> None:
            if "ranking" in job.answer:
                self.sources.learn(job.answer, count)
            else:  # the page shows why
                self.follows = False

        self.commands.run(self.commands.rank_words(references), done)

    def find(self, key: str) -> Example | None:
        """The example that the page calls so."""
        return self.session.examples.get(key)

    def shown(self, label: str, start: int) -> list[dict[str, Any]]:
        """Some examples of a class, or of none, the newest first, from a place on."""
        with self.session.lock:
            own = [each for each in self.session.examples.values() if each.item.label == label]
        return [self._example(each) for each in own[::-1][start : start + NEWEST]]

    def _example(self, example: Example) -> dict[str, Any]:
        text = example.content[0][:_LETTERS] if self.session.modality.inline else None
        return {"key": example.key, "name": Path(example.item.id).name[:100], "text": text}

    def state(self) -> dict[str, Any]:
        """All that the page shows."""
        common = {"kinds": KINDS, "said": list(self._message), "folder": str(self.opening.folder)}
        if self._session is None:
            return common | {"kind": ""}
        session, learner, appraiser = self._session, self.learner, self.appraiser
        with session.lock:
            newest: dict[str, list[Example]] = {"": [], **{n: [] for n in session.notes.classes}}
            for each in session.examples.values():
                newest[each.item.label].append(each)
        classes = [
            {
                "name": name,
                "count": len(own),
                "items": list(map(self._example, own[: -NEWEST - 1 : -1])),
            }
            for name, own in newest.items()
        ]
        head = learner.head
        return common | {
            "kind": session.notes.modality,
            "source": learner.reference,
            "sources": self.sources.to_json() | {"follows": self.follows},
            "unlabelled": classes[0],
            "classes": classes[1:],
            "broken": [f"{name}: {why}" for name, why in session.broken[:5]],
            "busy": learner.busy or appraiser.busy,
            "error": learner.error or appraiser.error,
            "head": None if head is None else head.to_json(),
            "score": None if appraiser.judgement is None else appraiser.judgement.to_json(),
            "growth": [{"examples": n} | appraiser.growth[n] for n in sorted(appraiser.growth)],
            "suspects": list(self._current_rows(appraiser.suspects, "id", labelled=True)),
            "following": list(self._current_rows(appraiser.following, "key", labelled=False)),
            "can_undo": session.can_undo,
            "job": self.commands.job.to_json() if self.commands.job else None,
            "models": self.commands.models(),
            "forms": FORMS if self.commands.can_export else (),
            "command": self.commands.shell(learner.reference),
        }

    def _current_rows(
        self, rows: Sequence[Mapping[str, Any]], name: str, labelled: bool
    ) -> Iterator[dict[str, Any]]:
        """Rows about examples that are still there, and have a class still, or none."""
        for row in rows:
            example = self.session.examples.get(row[name])
            if example is None or bool(example.item.label) is not labelled:
                continue
            if labelled and example.key in self.session.notes.kept:
                continue
            if row.get("label", example.item.label) == example.item.label:
                yield {**row, **self._example(example)}

    def _appraised(self) -> None:
        """Show what was found; rank the sources anew where that is wanted and due."""
        self.changed()
        job = self.commands.job
        idle = not self.appraiser.busy and not (job and job.running)
        count = len(self.session.labelled())
        if self.follows and idle and self.appraiser.judgement and self.sources.examples != count:
            try:
                self.rank()
            except HeadstartError as error:
                self.follows = False
                self.say(str(error))

"""From a request to its answers: read, decoded, joined with others, answered, logged."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, final

from starlette.requests import Request

from headstart.data import Input
from headstart.data.sources import digest
from headstart.drift import demand_refusing
from headstart.errors import DataError
from headstart.serve import Prediction
from headstart.serve.decoding import Decoded
from headstart.serve.predictions import demand_any
from headstart.serve.written import table_rows
from headstart.server import body as bodies
from headstart.server.batching import Job
from headstart.server.intake import inputs_in
from headstart.server.journal import Journal, now
from headstart.server.limits import Limits
from headstart.server.refusals import RefusedError
from headstart.server.room import Place, Room
from headstart.server.shelf import Served
from headstart.server.versions import Version

Result = TypeVar("Result")


@final
@dataclass
class _Stage:
    """How far a request has come."""

    uploaded: bool = False
    job: Job | None = None


@final
class Answering:
    """Answers requests within limits, several at a time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.room = Room(limits)
        self._decoders = ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode")

    async def predict(self, request: Request, served: Served) -> dict[str, Any]:
        """The answer to a request, as JSON has it. Raises RefusedError and DataError."""
        stage = _Stage()
        try:
            async with asyncio.timeout(self.limits.seconds):
                job, version = await self._answered(request, served, stage)
        except TimeoutError:
            if stage.job is not None:
                stage.job.abandoned = True
            raise late(self.limits, stage.uploaded) from None
        predictions = _abstaining(job.predictions(), request, version)
        demand_any(predictions)
        return {
            "model": served.name,
            "version": version.name,
            "request": job.name,
            "predictions": [each.to_json() for each in predictions],
        }

    async def _answered(
        self, request: Request, served: Served, stage: _Stage
    ) -> tuple[Job, Version]:
        with Place(self.room) as place:
            place.take_items(1)
            content = await bodies.read(request, self.limits, place)
            stage.uploaded = True
            version = served.entered()
            try:
                stage.job = job = await self._job(content, version, place)
                await _awaited(job, version)
            finally:
                version.leave()
        return job, version

    async def _job(self, content: bodies.Body, version: Version, place: Place) -> Job:
        """A request's items, decoded."""
        limits = self.limits
        version.decoding(1)
        try:
            inputs, first = await self.run(_opened, content, version, limits.items)
            place.take_items(len(inputs) - 1)
            rest = await asyncio.gather(*(self.run(version.decode, each) for each in inputs[1:]))
        finally:
            version.decoding(-1)
        return Job(secrets.token_hex(8), [first, *rest], lambda: None)

    def run(self, work: Callable[..., Result], *arguments: Any) -> asyncio.Future[Result]:
        """Work in a thread that decodes."""
        return asyncio.get_running_loop().run_in_executor(self._decoders, partial(work, *arguments))

    def close(self) -> None:
        """End the threads."""
        self._decoders.shutdown(wait=False, cancel_futures=True)


def late(limits: Limits, uploaded: bool) -> RefusedError:
    """The refusal of what took too long: 408 for the upload, 504 for the answer."""
    if not uploaded:
        return RefusedError(
            408, f"The body took more than {limits.seconds:g} s. Send less at once."
        )
    return RefusedError(
        504, f"No answer came within {limits.seconds:g} s. Send fewer items at once."
    )


def _opened(content: bodies.Body, version: Version, most: int) -> tuple[list[Input], Decoded]:
    """All inputs of a request, and the first one decoded: most have no other."""
    inputs = inputs_in(content, version.predictor, most)
    return inputs, version.decode(inputs[0])


async def _awaited(job: Job, version: Version) -> None:
    """Wait until a job is answered. Raises RefusedError where that can't be logged."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    job.done = lambda: loop.call_soon_threadsafe(done.set)
    version.put(job)
    await done.wait()
    if job.error is not None:
        reason = getattr(job.error, "strerror", None) or str(job.error)
        raise RefusedError(
            503, f"The answer can't be written to the log ({reason}). Try again later."
        ) from job.error


def _abstaining(
    predictions: Sequence[Prediction], request: Request, version: Version
) -> Sequence[Prediction]:
    """The same, without answers to the unfamiliar where the address says `abstain=true`."""
    wish = request.query_params.get("abstain", "false").lower()
    if wish not in ("true", "false", "1", "0"):
        raise RefusedError(422, f"abstain is {wish[:40]!r}. Give true or false.")
    if wish in ("false", "0"):
        return predictions
    demand_refusing(version.predictor.limits)
    return [each if each.error else each.or_abstained() for each in predictions]


def log_rows(job: Job, version: str) -> list[Mapping[str, Any]]:
    """A job as rows of the log: when, which request and item, which content, and the answer.

    The content itself is not among them, only its hash. What the row is called is the request and
    the item's place in it, so that labels that come later find it.
    """
    time = now()
    rows = table_rows(job.predictions())
    lines: list[Mapping[str, Any]] = []
    for place, (item, row) in enumerate(zip(job.items, rows, strict=True)):
        answer = {name: value for name, value in row.items() if name not in ("path", "id")}
        head = {"time": time, "id": f"{job.name}#{place}", "digest": _digest(item)}
        lines.append({**head, "version": version, **answer})
    return lines


def _digest(item: Decoded) -> str | None:
    source = item.input.source
    try:
        return None if source is None else digest(source.read())
    except DataError:
        return None


def log_answers(journal: Journal | None, jobs: Sequence[Job], version: str) -> None:
    """Log what jobs were answered. Raises OSError."""
    if journal is not None and jobs:
        journal.write([row for job in jobs for row in log_rows(job, version)])

"""Requests at a fixed rate, or as fast as they are answered, over connections that stay open."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np

PATIENCE: Final = 60.0  # seconds for one answer


@dataclass(frozen=True)
class Target:
    """A request that is sent again and again."""

    port: int
    path: str
    body: bytes

    @property
    def request(self) -> bytes:
        """It as bytes."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        return head.encode() + self.body


@dataclass
class Answers:
    """How long answers took, in seconds from when their requests were due, and what failed."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0
    spent: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.spent if self.spent else 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds within which so many percent were answered."""
        return 1000 * float(np.percentile(self.seconds, share)) if self.seconds else float("nan")


async def fastest(target: Target, connections: int, seconds: float) -> Answers:
    """As many as are answered, where each connection asks again as soon as it has its answer."""
    answers, until = Answers(), time.perf_counter() + seconds

    async def ask() -> None:
        line = _Line(target)
        while time.perf_counter() < until:
            begun = time.perf_counter()
            if await line.ask():
                answers.seconds.append(time.perf_counter() - begun)
            else:
                answers.failures += 1
        await line.close()

    begun = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(connections)))
    answers.spent = time.perf_counter() - begun
    return answers


async def at_rate(target: Target, rate: float, seconds: float, seed: int = 0) -> Answers:
    """Requests that come by chance (Poisson), so many a second, whether others wait or not."""
    rng, answers = random.Random(seed), Answers()
    idle: list[_Line] = []
    tasks: list[asyncio.Task[None]] = []

    async def ask(due: float) -> None:
        line = idle.pop() if idle else _Line(target)
        if await line.ask():
            answers.seconds.append(time.perf_counter() - due)
        else:
            answers.failures += 1
        idle.append(line)

    begun = due = time.perf_counter()
    while (due := due + rng.expovariate(rate)) < begun + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(due)))
    await asyncio.gather(*tasks)
    answers.spent = time.perf_counter() - begun
    for line in idle:
        await line.close()
    return answers


class _Line:
    """One connection, opened when it is first used, and again after a failure."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> bool:
        """Send the request; whether it was answered as it should be."""
        try:
            async with asyncio.timeout(PATIENCE):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._target.port)
                reader, writer = self._streams
                writer.write(self._target.request)
                await writer.drain()
                return await _status(reader) == 200
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            await self.close()
            return False

    async def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of an answer that is read to its end. Raises ValueError for what is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    lines = dict(line.partition(":")[::2] for line in head.split("\r\n")[1:])
    await reader.readexactly(int(lines["content-length"]))
    return status

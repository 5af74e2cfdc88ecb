"""The benchmark of serving: what its load measures, what it counts as failed, what it shows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from benchmarks import commands
from benchmarks.__main__ import main
from benchmarks.serving.comparing import as_markdown, median_of
from benchmarks.serving.load import Answers, Target, at_rate, fastest

PAUSE = 0.02  # seconds that the server below takes


def against(
    work: Callable[[Target], Awaitable[Answers]], statuses: tuple[int, ...] = (200,)
) -> Answers:
    """A load against a server that answers one request after the other, with these statuses."""

    async def run() -> Answers:
        turn, count = asyncio.Lock(), iter(range(10**6))
        lines: list[asyncio.Task[None] | None] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            lines.append(asyncio.current_task())
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
                    await reader.readexactly(length)
                    async with turn:
                        await asyncio.sleep(PAUSE)
                    status = statuses[next(count) % len(statuses)]
                    writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}".encode())
                    await writer.drain()
            except asyncio.IncompleteReadError:
                writer.close()
                await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            return await work(Target(port, "/", b"{}"))
        finally:
            await asyncio.gather(*filter(None, lines))
            server.close()
            await server.wait_closed()

    return asyncio.run(run())


def test_a_server_answers_no_faster_than_it_can() -> None:
    answers = against(lambda target: fastest(target, 4, 1.0))
    assert answers.failures == 0 and 2 < answers.rate <= 1 / PAUSE
    assert answers.percentile(50) >= 3 * 1000 * PAUSE  # three others are in turn before it


def test_what_waits_for_its_turn_counts_from_when_it_was_due() -> None:
    calm = against(lambda target: at_rate(target, 5, 1.0))
    crowded = against(lambda target: at_rate(target, 100, 1.0))
    assert crowded.percentile(99) > 2 * calm.percentile(99)
    assert len(crowded.seconds) > 60 and crowded.rate <= 1 / PAUSE


def test_refusals_count_as_failures() -> None:
    answers = against(lambda target: fastest(target, 1, 0.5), (200, 503))
    assert abs(answers.failures - len(answers.seconds)) <= 1


def test_the_table_names_every_number() -> None:
    row = {
        "server": "a",
        "rate": 10.5,
        "cpu": 9.5,
        "p50": 1.5,
        "p99": 2.5,
        "failures": 0,
        "MiB": 100,
    }
    table = as_markdown([row | {"common rate": 8.4, "common p99": 2.0}]).splitlines()
    assert table[-1] == "| a | 10.5 | 9.5 | 1.5, 2.5 | 2.0 (at 8.4/s) | 0 | 100 |"
    assert len({line.count("|") for line in table}) == 1


def test_rounds_become_medians_and_no_failure_is_lost() -> None:
    rows = [{"server": "a", "rate": rate, "failures": 1} for rate in (9.0, 30.0, 10.0)]
    assert median_of(rows) == {"server": "a", "rate": 10.0, "failures": 3}


def test_without_the_data_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "SHARED", tmp_path / "nowhere")
    monkeypatch.setattr(sys, "argv", ["benchmarks", "serve"])
    assert main() == 2
    assert "nowhere" in capsys.readouterr().err

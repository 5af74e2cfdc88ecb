"""`headstart serve` at a steady rate for long: does it grow, and does its log keep what it said?

At the end the server is killed (SIGKILL): each answer that was received has to be in the log.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import held
from benchmarks.serving.comparing import Plan, computed, started
from benchmarks.serving.load import at_rate

LOOKS: Final = 12  # at the memory, the first of them once caches are full
GROWTH: Final = 16 * 2**20  # bytes, from the third look to the last


def endure(plan: Plan, rate: float, out: Path) -> bool:
    """Print and write a row a look; whether memory stayed and no acknowledged answer is missing."""
    rows: list[dict[str, Any]] = []
    log = plan.work / "served" / "model.jsonl"
    before = _lines(log)
    with started(plan.ours(), plan.work / "server.log") as (target, process):
        for look in range(LOOKS):
            spent = computed(process)
            answers = asyncio.run(at_rate(target, rate, plan.seconds / LOOKS, seed=look))
            spent, count = computed(process) - spent, len(answers.seconds)
            rows.append(
                {
                    "answers": count,
                    "failures": answers.failures,
                    "p99": round(answers.percentile(99), 1),
                    "cpu": round(1000 * spent / max(1, count), 1),
                    "MiB": round(held(process) / 2**20, 1),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
        os.kill(process, signal.SIGKILL)
    acknowledged, logged = sum(row["answers"] for row in rows), _lines(log) - before
    grown = 2**20 * (rows[-1]["MiB"] - rows[2]["MiB"])
    facts = {"acknowledged": acknowledged, "logged": logged, "grown MiB": round(grown / 2**20, 1)}
    print(json.dumps(facts))
    out.write_text(json.dumps({"rows": rows, **facts}, indent=1) + "\n")
    failed = sum(row["failures"] for row in rows)
    return grown < GROWTH and logged >= acknowledged and not failed


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0

"""One draw: what each contender gains over source only; and the table of all draws."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import environments
from benchmarks.adaptation.domains import PAIRS, Draw, draws
from benchmarks.lines import Lines
from headstart import catalog
from headstart.adaptation import (
    SOURCE,
    Candidate,
    Labelled,
    Presence,
    candidates_on,
    chosen,
    disputed,
    gains,
    presence,
)
from headstart.contracts.domains import Domains
from headstart.errors import HeadstartError
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Silent

SCRIPT: Final = Path(__file__).resolve().parent / "peers" / "skada_methods.py"
OURS: Final = ("ours", "ours, 20 labels", "mcc", "best of ours")
KEY: Final = ("pair", "part", "seed")
_ASKED = 5  # draws of 20 labels in each


def run(shared: Path, work: Path, seeds: int, peers: bool = True) -> list[dict[str, Any]]:
    """Do all draws that are not done; answer with their rows, gains over source only in points."""
    lines = Lines(work / "adaptation.jsonl", KEY)
    if peers:
        environments.make("skada")
    work.mkdir(parents=True, exist_ok=True)
    cells = [
        {"pair": str(pair), "part": part, "seed": seed}
        for pair in PAIRS
        for seed in range(seeds)
        for part in (("all", "some") if pair.many else ("all",))
    ]
    missing = lines.missing(cells)
    for pair in PAIRS:
        if not any(cell["pair"] == str(pair) for cell in missing):
            continue
        for part, seed, draw in draws(pair, shared, work, seeds):
            cell = {"pair": str(pair), "part": part, "seed": seed}
            if cell in missing:
                print(cell, flush=True)
                lines.once(cell, lambda draw=draw: compare(draw, work, peers))
    return [row for row in lines.rows() if {name: row[name] for name in KEY} in cells]


def compare(draw: Draw, work: Path, peers: bool) -> dict[str, Any]:
    """Source only's accuracy, and in points what each contender gains."""
    rows = _ours(draw)
    if peers:
        rows |= _skada(draw, work)
    source = rows.pop(SOURCE)
    return {SOURCE: source} | {name: round(100 * (v - source), 2) for name, v in rows.items()}


def _ours(draw: Draw) -> dict[str, float]:
    domains = Domains(draw.source, draw.targets, draw.target, draw.classes)
    methods = {}
    for name in catalog.names("adaptations"):
        method = catalog.adaptation(name)
        try:
            method.demand()
        except HeadstartError:
            continue
        methods[name] = method
    plain = domains.source_scale.folded(*domains.start)
    candidates = candidates_on(domains, draw.held_out, plain, methods, Budget(None), Silent())
    there = presence(domains, candidates)
    right = {each.name: float((each.answered == draw.truth).mean()) for each in candidates}
    asked = [right[_by_labels(candidates, draw, seed)] for seed in range(_ASKED)]
    return {
        SOURCE: right[SOURCE],
        "ours": right[chosen(candidates, there).name],
        "ours, 20 labels": float(np.mean(asked)),
        "mcc": right["mcc"],
        "best of ours": max(right.values()),
    }


def _by_labels(candidates: Sequence[Candidate], draw: Draw, seed: int) -> str:
    """What 20 labels choose: those that are asked for."""
    places = disputed(candidates, seed=seed)
    known = gains(candidates, Labelled(places, draw.truth[places]))
    even = np.full(draw.classes, 1 / draw.classes)
    return chosen(candidates, Presence(even, even, even), known).name


def _skada(draw: Draw, work: Path) -> dict[str, float]:
    """Its methods, and the one that its entropy scorer chooses; those that fail are left out."""
    place, out = work / "draw.npz", work / "answers.json"
    np.savez(place, source=draw.source, targets=draw.targets, target=draw.target)
    command = [environments.python("skada"), SCRIPT, place, out]
    subprocess.run([str(part) for part in command], check=True)
    found: Mapping[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    known = {name: row for name, row in found.items() if "answers" in row}
    right = {
        f"skada {name}": float((np.array(row["answers"]) == draw.truth).mean())
        for name, row in known.items()
    }
    for name, row in found.items():
        for what in ("error", "entropy error", "IW error"):
            if what in row:
                print(f"skada {name}, {what}: {row[what]}", file=sys.stderr)
    scored = {name: row["entropy"] for name, row in known.items() if "entropy" in row}
    if scored:
        right["skada by entropy"] = right[f"skada {max(scored, key=lambda name: scored[name])}"]
    return right


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Mean gains over draws of each pair, then the mean and the worst pair of each contender."""
    names = [name for name in dict.fromkeys(n for row in rows for n in row) if name not in KEY]
    contenders = [name for name in names if name != SOURCE]
    lines = [f"| pair | {SOURCE} | {' | '.join(contenders)} |", "|---" * (len(names) + 1) + "|"]
    for part, title in (("all", "all classes"), ("some", "4 of 10 classes")):
        pairs = list(dict.fromkeys(row["pair"] for row in rows if row["part"] == part))
        means: dict[str, list[float]] = {name: [] for name in contenders}
        for pair in pairs:
            own = [row for row in rows if (row["pair"], row["part"]) == (pair, part)]
            cells = []
            for name in contenders:
                values = [row[name] for row in own if name in row]
                means[name].append(float(np.mean(values)) if values else float("nan"))
                cells.append(f"{means[name][-1]:+.1f}")
            base = float(np.mean([row[SOURCE] for row in own]))
            lines.append(f"| {pair}, {title} | {base:.3f} | {' | '.join(cells)} |")
        if pairs:
            shown = [f"{np.mean(v):+.1f} / {np.min(v):+.1f}" for v in means.values()]
            lines.append(f"| **{title}: mean / worst pair** | | {' | '.join(shown)} |")
    return "\n".join(lines)


def harm(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a pair loses more than a point on average over draws, or two where classes lack."""
    known: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        known.setdefault((row["pair"], row["part"]), []).append(row["ours"])
    least = {"all": -1.0, "some": -2.0}
    return any(np.mean(values) < least[part] for (_, part), values in known.items())

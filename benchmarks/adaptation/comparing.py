"""One draw: what each contender gains over source only on the target."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import environments
from benchmarks.adaptation.domains import Draw, Pair, draws
from benchmarks.lines import Lines, Row
from headstart import catalog
from headstart.adaptation import (
    SOURCE,
    Candidate,
    Labelled,
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
KEY: Final = ("pair", "part", "seed")
_ASKED = 5  # draws of 20 labels in each


def run(
    shared: Path, work: Path, pairs: Sequence[Pair], seeds: int, peers: bool = True
) -> list[Row]:
    """Do all draws that are not done, pair by pair; answer with their rows, in points of gain."""
    lines = Lines(work / "adaptation.jsonl", KEY)
    if peers:
        environments.make("skada")
    cells = [
        {"pair": str(pair), "part": part, "seed": seed}
        for pair in pairs
        for seed in range(seeds)
        for part in pair.parts
    ]
    missing = lines.missing(cells)
    for pair in pairs:
        own = [cell for cell in missing if cell["pair"] == str(pair)]
        if own:
            print(f"{pair}: {len(own)} draws", flush=True)
            _pair(pair, own, lines, (shared, work), peers)
    return [row for row in lines.rows() if {name: row[name] for name in KEY} in cells]


def _pair(
    pair: Pair, cells: Sequence[Row], lines: Lines, places: tuple[Path, Path], peers: bool
) -> None:
    """A pair's draws that are missing; the peers' methods run in one process for all of them."""
    seeds = 1 + max(cell["seed"] for cell in cells)
    draw_of = {
        f"{part} {seed}": draw
        for part, seed, draw in draws(pair, *places, seeds)
        if {"pair": str(pair), "part": part, "seed": seed} in cells
    }
    theirs = skada(draw_of) if peers else {}
    for cell in cells:
        name = f"{cell['part']} {cell['seed']}"
        lines.once(cell, lambda name=name: compare(draw_of[name], theirs.get(name, {})))


def compare(draw: Draw, theirs: Mapping[str, float]) -> dict[str, Any]:
    """Source only's accuracy, and in points what each contender gains."""
    rows, more = _ours(draw)
    source = rows.pop(SOURCE)
    gained = {name: round(100 * (v - source), 2) for name, v in {**rows, **theirs}.items()}
    own = {name: gained.pop(f"({name})") for name in more["validators"] if name != SOURCE}
    return {SOURCE: source, "gains": gained, "methods": own, **more}


def _ours(draw: Draw) -> tuple[dict[str, float], dict[str, Any]]:
    domains = Domains(draw.source, draw.targets, draw.target, draw.classes)
    methods = {}
    for name in catalog.names("adaptations"):
        method = catalog.adaptation(name)
        if method.by_name:
            continue
        try:
            method.demand()
        except HeadstartError:
            continue
        methods[name] = method
    plain = domains.source_scale.folded(*domains.start)
    candidates = candidates_on(domains, draw.held_out, plain, methods, Budget(None), Silent())
    there = presence(domains)
    right = {each.name: float((each.answered == draw.truth).mean()) for each in candidates}
    choice = chosen(candidates, there)
    accuracies = [right[_by_labels(candidates, there, draw, seed)] for seed in range(_ASKED)]
    rows = {f"({name})": value for name, value in right.items() if name != SOURCE}
    rows |= {
        SOURCE: right[SOURCE],
        "ours": right[choice.name],
        "ours, 20 labels": float(np.mean(accuracies)),
        "best of ours": max(right.values()),
    }
    more = {
        "chosen": choice.name,
        "effective": there.effective,
        "validators": {each.name: dict(each.scores) for each in candidates},
        "seconds": {each.name: round(each.seconds, 2) for each in candidates},
    }
    return rows, more


def _by_labels(candidates: Sequence[Candidate], there: Any, draw: Draw, seed: int) -> str:
    """What 20 labels choose: those that are asked for."""
    places = disputed(candidates, seed=seed)
    gain_of = gains(candidates, Labelled(places, draw.truth[places]))
    return chosen(candidates, there, gain_of).name


def skada(draw_of: Mapping[str, Draw]) -> dict[str, dict[str, float]]:
    """By draw the accuracy of its methods, and of the ones that its scorers choose.

    What fails is left out and said.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in draw_of.items():
            place = Path(folder) / f"{name}.npz"
            np.savez(place, source=draw.source, targets=draw.targets, target=draw.target)
        out = Path(folder) / "answers.json"
        command = [environments.python("skada"), SCRIPT, folder, out]
        subprocess.run([str(part) for part in command], check=True)
        answers = json.loads(out.read_text(encoding="utf-8"))
    return {name: _accuracies(answers[name], draw) for name, draw in draw_of.items()}


def _accuracies(rows: Mapping[str, Any], draw: Draw) -> dict[str, float]:
    rows_with_answers = {name: row for name, row in rows.items() if "answers" in row}
    right = {
        f"skada {name}": float((np.array(row["answers"]) == draw.truth).mean())
        for name, row in rows_with_answers.items()
    }
    for name, row in rows.items():
        for what in ("error", "entropy error", "IW error"):
            if what in row:
                print(f"skada {name}, {what}: {row[what]}", file=sys.stderr)
    for scorer in ("entropy", "IW"):
        scored = {name: row[scorer] for name, row in rows_with_answers.items() if scorer in row}
        if scored:
            best = max(scored, key=lambda name: scored[name])
            right[f"skada by {scorer}"] = right[f"skada {best}"]
    return right

"""Every stream before every detector, row by row; the table of all; what is broken."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import environments
from benchmarks.drift import detectors, streams
from benchmarks.drift.streams import KINDS, Stream
from benchmarks.lines import Lines
from headstart.drift.watching import LENGTH

OURS: Final = "headstart"
LOG: Final = "headstart, from a log"
PEERS: Final = ("NannyML", "Evidently")
KEY: Final = ("by", "set", "kind", "seed")
SCRIPTS: Final = Path(__file__).resolve().parent / "peers"
_AT_MOST: Final = 0.05  # of quiet streams that may alarm
Row = dict[str, Any]


def run(
    shared: Path, work: Path, pairs: Sequence[str], draws: Mapping[str, int], peers: bool = True
) -> list[Row]:
    """Look at all streams that were not looked at; answer with the rows of those asked for.

    `draws` are the `seeds` of each pair and kind, and the `quiet` streams.
    """
    lines = Lines(work / "drift" / "drift.jsonl", KEY)
    each = [
        *streams.planted(shared, work, pairs, draws["seeds"]),
        *streams.quiet(shared, work, tuple(streams.QUIET), draws["quiet"]),
    ]
    names = (OURS, LOG, *detectors.DETECTORS, *(PEERS if peers else ()))
    wanted = [{"by": name, **dict(stream.about)} for name in names for stream in each]
    for name in names:
        own = [stream for stream in each if lines.missing([{"by": name, **dict(stream.about)}])]
        for stream, row in _rows(name, own, work):
            lines.once({"by": name, **dict(stream.about)}, lambda row=row: row)
        print(f"{name}: {len(own)} streams", flush=True)
    keys = {tuple(row[part] for part in KEY) for row in wanted}
    return [row for row in lines.rows() if tuple(row[part] for part in KEY) in keys]


def _rows(name: str, own: Sequence[Stream], work: Path) -> Iterable[tuple[Stream, Row]]:
    if name in (OURS, LOG):
        return ((stream, streams.watched(stream, name == LOG)) for stream in own)
    if name in detectors.DETECTORS:
        return ((stream, detectors.looked_at(stream, name)) for stream in own)
    return ((stream, _peer(name, stream, work)) for stream in own)


def _peer(name: str, stream: Stream, work: Path) -> Row:
    """What a library says of one stream, in an environment of its own."""
    place, out = work / "drift" / f"{name}.npz", work / "drift" / f"{name}.json"
    known, model = stream.model.reference, stream.model
    np.savez(
        place,
        reference=known.features.astype(np.float32),
        targets=known.targets,
        known=model.probabilities(known.features.astype(np.float32)),
        rows=stream.rows,
        chances=model.probabilities(stream.rows),
    )
    script = SCRIPTS / f"{name.lower()}_windows.py"
    command = [str(environments.make(name.lower())), str(script), str(place), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"delay": None, "early": False, "failed": done.stderr[-500:]}
    answer = json.loads(out.read_text(encoding="utf-8"))
    after = answer["after"]
    if after is None:
        return {"delay": None, "early": False}
    early = after <= stream.begins
    row: Row = {"delay": None if early else after - stream.begins, "early": early}
    estimate = answer.get("accuracy")
    truth = stream.truth[after - detectors.WINDOW : after]
    if estimate and not early and np.isin(truth, model.labels).all():
        answers = model.labels[
            model.outputs(stream.rows[after - detectors.WINDOW : after]).argmax(axis=1)
        ]
        right = float((answers == truth).mean())
        row["inside"] = bool(estimate[0] <= right <= estimate[1])
    return row


def as_markdown(rows: Sequence[Row]) -> str:
    """A row a detector: quiet streams that alarmed, what was found when, the range's hits."""
    titles = ["detector", f"alarms in {LENGTH:,} quiet items", *KINDS, "range holds the accuracy"]
    table = [f"| {' | '.join(titles)} |", f"|---|{'--:|' * (len(titles) - 1)}"]
    for name in dict.fromkeys(row["by"] for row in rows):
        own = [row for row in rows if row["by"] == name and "failed" not in row]
        still = [row for row in own if row["kind"] == "nothing"]
        cells = [name, f"{sum(row['early'] for row in still)} of {len(still)}"]
        cells += [_found([row for row in own if row["kind"] == kind]) for kind in KINDS]
        held = [row["inside"] for row in own if row.get("inside") is not None]
        cells.append(f"{sum(held)} of {len(held)}" if held else "–")
        table.append(f"| {' | '.join(cells)} |")
    return "\n".join(table)


def _found(rows: Sequence[Row]) -> str:
    delays = [row["delay"] for row in rows if row["delay"] is not None]
    early = sum(row["early"] for row in rows)
    before = f", {early} before" if early else ""
    middle = f" after {np.median(delays):.0f}" if delays else ""
    return f"{len(delays)} of {len(rows)}{middle}{before}"


def broken(rows: Sequence[Row]) -> bool:
    """Whether ours alarms in more than 5 % of the quiet streams, or its range misses a fifth."""
    ours = [row for row in rows if row["by"] == OURS]
    still = [row["early"] for row in ours if row["kind"] == "nothing"]
    held = [row["inside"] for row in ours if row["inside"] is not None]
    too_many = bool(still) and float(np.mean(still)) > _AT_MOST
    return too_many or (bool(held) and float(np.mean(held)) < 0.8)

"""Every stream before every detector, row by row; the table of all; what is broken."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import environments
from benchmarks.drift import detectors, monitors, streams
from benchmarks.drift.streams import KINDS, Stream
from benchmarks.lines import Lines
from headstart.drift.watching import LENGTH

OURS: Final = "headstart"
LOG: Final = "headstart, from a log"
KEY: Final = ("by", "set", "kind", "seed")
_AT_MOST: Final = 0.05  # of quiet streams that may alarm
Row = dict[str, Any]


def run(
    shared: Path, work: Path, pairs: Sequence[str], draws: Mapping[str, int], peers: bool = True
) -> list[Row]:
    """Look at all streams that were not looked at; answer with the rows of those asked for.

    `draws` are the `seeds` of each pair and kind, and the `quiet` streams. `peers` are NannyML and
    Evidently, left out where pip can't install them.
    """
    lines = Lines(work / "drift" / "drift.jsonl", KEY)
    each = [
        *streams.planted(shared, work, pairs, draws["seeds"]),
        *streams.quiet(shared, work, tuple(streams.QUIET), draws["quiet"]),
    ]
    names = (OURS, LOG, *detectors.DETECTORS, *(_installed() if peers else ()))
    entries = [{"by": name, **dict(stream.about)} for name in names for stream in each]
    for name in names:
        own = [stream for stream in each if lines.missing([{"by": name, **dict(stream.about)}])]
        for stream, row in _rows(name, own):
            lines.once({"by": name, **dict(stream.about)}, lambda row=row: row)
        print(f"{name}: {len(own)} streams", flush=True)
    keys = {tuple(row[part] for part in KEY) for row in entries}
    return [row for row in lines.rows() if tuple(row[part] for part in KEY) in keys]


def _installed() -> Sequence[str]:
    """The peers, if their environment can be made."""
    try:
        environments.make(monitors.ENVIRONMENT)
    except environments.BrokenEnvironmentError as error:
        print(error, file=sys.stderr)
        return ()
    return tuple(monitors.MONITORS)


def _rows(name: str, own: Sequence[Stream]) -> Iterable[tuple[Stream, Row]]:
    if name in (OURS, LOG):
        return ((stream, streams.watched(stream, name == LOG)) for stream in own)
    if name in monitors.MONITORS:
        return monitors.looked_at(own, name)
    return ((stream, detectors.looked_at(stream, name)) for stream in own)


def as_markdown(rows: Sequence[Row]) -> str:
    """A row a detector: quiet streams that alarmed, what was found when, the range's hits."""
    titles = ["detector", f"alarms in {LENGTH:,} quiet items", *KINDS, "range holds the accuracy"]
    table = [f"| {' | '.join(titles)} |", f"|---|{'--:|' * (len(titles) - 1)}"]
    for name in dict.fromkeys(row["by"] for row in rows):
        own = [row for row in rows if row["by"] == name]
        still = [row for row in own if row["kind"] == "nothing"]
        cells = [name, f"{sum(row['early'] for row in still)} of {len(still)}"]
        cells += [_delays([row for row in own if row["kind"] == kind]) for kind in KINDS]
        shares = [row["inside"] for row in own if row.get("inside") is not None]
        cells.append(f"{sum(shares)} of {len(shares)}" if shares else "–")
        table.append(f"| {' | '.join(cells)} |")
    return "\n".join(table)


def _delays(rows: Sequence[Row]) -> str:
    delays = [row["delay"] for row in rows if row["delay"] is not None]
    early = sum(row["early"] for row in rows)
    before = f", {early} before" if early else ""
    middle = f" after {np.median(delays):.0f}" if delays else ""
    return f"{len(delays)} of {len(rows)}{middle}{before}"


def broken(rows: Sequence[Row]) -> bool:
    """Whether ours alarms in more than 5 % of the quiet streams, or its range misses a fifth."""
    ours = [row for row in rows if row["by"] == OURS]
    still = [row["early"] for row in ours if row["kind"] == "nothing"]
    shares = [row["inside"] for row in ours if row["inside"] is not None]
    too_many = bool(still) and float(np.mean(still)) > _AT_MOST
    return too_many or (bool(shares) and float(np.mean(shares)) < 0.8)

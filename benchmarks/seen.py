"""Sources that were seen before on new photos: ranking and extraction beside the work in them.

The work is decoding the photos as each source wants them, and its engine on ready batches, both in
CPU-seconds of this process; ours is the whole process, imports included. Wall clocks say little on
a busy machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.measuring import spent
from benchmarks.photos import SUFFIXES, chosen
from benchmarks.small import forget

BATCH: Final = 32
FEW: Final = 64  # photos by which a source is seen for the first time


@dataclass(frozen=True)
class Seen:
    """Photos to rank on, photos to extract from, sources with the first to extract, a folder."""

    ranked: Path
    extracted: Path
    sources: Sequence[str]
    work: Path

    def measured(self, ranked: int, extracted: int) -> Iterator[dict[str, Any]]:
        """A row for `rank` on so many photos, and one for `cache-features` on so many."""
        shutil.rmtree(self.work, ignore_errors=True)
        for name, folder, count, sources in (
            ("rank", self.ranked, ranked, self.sources),
            ("cache-features", self.extracted, extracted, self.sources[:1]),
        ):
            few, data = (_linked(folder, self.work / f"{name}-{n}", n) for n in (FEW, count))
            own = [part for source in sources for part in ("-b", source)]
            command = ["-m", "headstart", name, "--offline", "--json"]
            self._spent([*command, str(few), *own])
            forget(self.work / "cache")
            row = self._spent([*command, str(data), *own])
            start = self._spent([*command, str(data), *own])  # all is stored: what is left is ours
            inner = [work_in(source, data) for source in sources]
            decoding, engine = (sum(part[n] for part in inner) for n in ("decoding", "engine"))
            yield {
                "work": f"{name}, {len(sources)} sources, {count} photos",
                **row,
                "again": start["cpu"],
                "decoding": round(decoding, 1),
                "engine": round(engine, 1),
                "ratio": round(row["cpu"] / (decoding + engine), 2),
            }

    def _spent(self, arguments: Sequence[str]) -> dict[str, float]:
        cache = self.work / "cache"
        return spent(arguments, self.work / "log.txt", HEADSTART_CACHE=cache)


def work_in(source: str, photos: Path) -> dict[str, float]:
    """CPU-seconds of decoding all photos for a source, and of its engine on ready batches."""
    import torch

    from headstart import catalog
    from headstart.data import load as load_data
    from headstart.features.engine import fastest
    from headstart.features.extract import Prefix
    from headstart.features.reading import Reader, groups_of
    from headstart.runtime.progress import Silent

    modality, backbone = catalog.modality("image"), catalog.load_backbone(source)
    items = load_data(photos, modality).items
    reader = Reader(modality, backbone.preprocess).in_arrays()
    groups = groups_of(np.arange(len(items)), BATCH)
    first = next(reader.batches(items, groups))
    prefix = Prefix(backbone, len(backbone.stages), torch.device("cpu"))
    key = prefix.key(reader, "auto")
    engine = fastest(prefix.network(), first, prefix.device, key=key, progress=Silent())
    list(engine.stream([first] * 2))
    started = time.process_time()
    for _ in engine.stream([first] * len(groups)):
        pass
    computed = time.process_time()
    for _ in reader.batches(items, groups):
        pass
    return {"engine": computed - started, "decoding": time.process_time() - computed}


def compare(bench: Seen, ranked: int, extracted: int, out: Path) -> list[dict[str, Any]]:
    """Measure, print each row as it is there, and write them as JSON with the machine."""
    from benchmarks.machine import written

    return written(bench.measured(ranked, extracted), as_markdown, out)


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table."""
    names = ("work", "cpu", "again", "decoding", "engine", "ratio", "MiB")
    lines = [
        "| work | CPU-seconds | all stored | decoding | engine | × both | peak MiB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(f"| {' | '.join(str(row.get(name, '')) for name in names)} |")
    return "\n".join(lines)


def _linked(photos: Path, folder: Path, count: int) -> Path:
    """So many of the photos, of all splits, by class."""
    paths = sorted(path for path in photos.rglob("*") if path.suffix.lower() in SUFFIXES)
    for path in chosen(paths, count):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.parent.name)
    return folder

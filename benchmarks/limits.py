"""What bounds us, measured in this process: decoding, the engine, and the store's random reads.

The only file here that uses the package's insides.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

BATCH: Final = 32
READ: Final = 256  # stored features a random batch
STORED: Final = (20_000, 1280)  # rows, numbers a row: the store that is read at random
SECONDS: Final = 5.0  # at most so long for each measurement


def main() -> int:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("store", "limits"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    results = store() if args.what == "store" else limits(args)
    args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def limits(args: argparse.Namespace) -> dict[str, Any]:
    """Images a second: decoded into batches, and run by each engine on ready tensors."""
    import torch

    from headstart import catalog
    from headstart.data import load as load_data
    from headstart.features.engine import TorchEngine, fastest
    from headstart.features.extract import Prefix
    from headstart.features.reading import Reader, groups_of
    from headstart.runtime.progress import Silent

    modality = catalog.modality("image")
    backbone = catalog.load_backbone(f"timm:{args.backbone}@{args.weights}")
    items = load_data(args.data, modality).items[:1024]
    reader, groups = Reader(modality, backbone.preprocess), groups_of(np.arange(len(items)), BATCH)
    first = next(reader.batches(items, groups))
    batches = reader.batches(items, groups[1:] or groups)
    decoded = _rate(lambda: len(next(batches)), len(groups[1:] or groups))
    prefix = Prefix(backbone, len(backbone.stages), torch.device("cpu"))
    network, key = prefix.network(), prefix.key(reader, "auto")
    engine = fastest(network, first, prefix.device, key=key, progress=Silent())
    plain = TorchEngine(prefix.network(), prefix.device)
    return {
        "decoding alone, images/s": decoded,
        f"engine alone ({engine.name}), images/s": _streamed(engine, first),
        "plain torch fp32 alone, images/s": _streamed(plain, first),
    }


def _streamed(engine: Any, batch: Any) -> float:
    """Images a second of an engine that is given one batch over and over, as extraction does."""
    for _ in engine.stream([batch] * 2):
        pass
    started = time.perf_counter()

    def again() -> Any:
        while time.perf_counter() - started < SECONDS:
            yield batch

    images = sum(len(rows) for rows in engine.stream(again()))
    return images / (time.perf_counter() - started)


def _rate(work: Callable[[], int], most: int) -> float:
    """Images a second of something that answers with how many it did, `most` times at the most."""
    started, done, times = time.perf_counter(), 0, 0
    while times < most and (not done or time.perf_counter() - started < SECONDS):
        done, times = done + work(), times + 1
    return done / (time.perf_counter() - started)


def store() -> dict[str, Any]:
    """Microseconds a random batch from the store and from a bare memory map of the same rows."""
    from headstart.features.store import FeatureStore

    rng = np.random.default_rng(0)
    rows = rng.normal(size=STORED).astype(np.float32)
    digests = [rng.bytes(16).hex() for _ in rows]
    orders = [rng.integers(len(rows), size=READ) for _ in range(200)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with FeatureStore({"made for": "benchmark"}, STORED[1:], place) as archive:
            archive.append(digests, rows)
        stored = archive.rows(digests)
        bare_file = place / "bare.bin"
        rows.tofile(bare_file)
        bare = np.memmap(bare_file, np.float32, "r", shape=STORED)
        cold = _each(lambda order: stored[order], orders)
        stored.all()  # every row's checksum is compared once
        ours = _each(lambda order: stored[order], orders)
        bare_time = _each(lambda order: np.asarray(bare[order]), orders)
    return {
        "store, µs a batch, rows read before": ours,
        "store, µs a batch, with checksums of new rows": cold,
        "bare memory map, µs a batch": bare_time,
        "store / memory map": ours / bare_time,
    }


def _each(reader: Callable[[np.ndarray], np.ndarray], orders: list[np.ndarray]) -> float:
    """The median microseconds of reading a batch."""
    seconds = []
    for order in orders:
        started = time.perf_counter()
        reader(order)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds) * 1e6)


if __name__ == "__main__":
    sys.exit(main())

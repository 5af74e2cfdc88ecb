"""Sentences a second: our frozen extraction next to sentence-transformers' `encode`, in one run.

Both get the same texts and the same encoder; both are timed from texts to vectors in memory, after
a warm-up, several times in turn; ours with an empty store and an engine that is chosen already.
"""

from __future__ import annotations

import csv
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.extracting import extraction

REPEATS: Final = 3
WARM_UP: Final = 256  # texts


def compare(source: Path, encoder: str, limit: int | None, out: Path) -> dict[str, Any]:
    """Measure both, print the table, and write it as JSON. Answers with what was found."""
    from benchmarks.machine import facts

    texts = _texts(source)[:limit]
    peer, ours = _peer(encoder), extraction(encoder, "text")
    contents = [text.encode() for text in texts]
    peer(texts[:WARM_UP])
    ours(contents)  # chooses the engine and converts the network for it
    times: dict[str, list[float]] = {"peer": [], "ours": []}
    for _ in range(REPEATS):
        started = time.perf_counter()
        theirs = peer(texts)
        times["peer"].append(time.perf_counter() - started)
        started = time.perf_counter()
        own = ours(contents)
        times["ours"].append(time.perf_counter() - started)
    cosines = (theirs * own).sum(1) / np.linalg.norm(theirs, axis=1) / np.linalg.norm(own, axis=1)
    rates = {name: len(texts) / statistics.median(seconds) for name, seconds in times.items()}
    result = {
        "source": source.name,
        "texts": len(texts),
        "sentence-transformers, texts/s": round(rates["peer"], 1),
        "headstart, texts/s": round(rates["ours"], 1),
        "ratio": round(rates["ours"] / rates["peer"], 2),
        "cosine, lowest": round(float(cosines.min()), 5),
        "cosine, mean": round(float(cosines.mean()), 5),
        "seconds": {name: [round(one, 2) for one in seconds] for name, seconds in times.items()},
        "machine": facts(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, value in result.items():
        if name != "machine":
            print(f"{name:32} {value}")
    return result


def _texts(source: Path) -> list[str]:
    """The column `text` of a CSV file, each text once."""
    with open(source, newline="", encoding="utf-8") as file:
        return list(dict.fromkeys(row["text"] for row in csv.DictReader(file)))


def _peer(encoder: str) -> Callable[[list[str]], np.ndarray]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(encoder.removeprefix("hf:"), device="cpu")

    def encode(texts: list[str]) -> np.ndarray:
        return np.asarray(model.encode(texts, show_progress_bar=False))

    return encode

"""A record of evidence with every key that a report can show, made from a fixed seed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from headstart.evidence import Arm, Evidence

LABELS = ("ants", "bees", "crickets", "dragonflies", "earwigs")
HELD_OUT = 400


def record(labels: Sequence[str] = LABELS, items: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Evidence of a transfer that helps, with `items` points on the map, ten at least."""
    rng = np.random.default_rng(seed)
    return _measured(rng).to_json() | {
        "labels": _labels(),
        "convergence": _convergence(rng),
        "calibration": _calibration(),
        "classes": _classes(labels, rng),
        "groups": [
            {"group": "night", "items": 120} | near(0.84),
            {"group": "day", "items": 280} | near(0.96),
        ],
        "robustness": [
            {"corruption": name, "scratch": scratch} | near(value)
            for name, value, scratch in (
                ("none", 0.93, 0.61),
                ("blur", 0.88, 0.5),
                ("noise", 0.71, 0.44),
            )
        ],
        "items": _items(labels, items, rng),
        "seed": 7,
        "made": {
            "command": "headstart fit photos/ -b timm:resnet50 -o insects/",
            "date": "2026-01-31",
            "headstart": "0.1.0",
            "modality": "image",
            "data": "photos",
            "backbone": {
                "reference": "timm:resnet50",
                "licence": "apache-2.0",
                "trained_on": "imagenet-1k",
                "pretrained": True,
            },
        },
        "versions": {"headstart": "0.1.0", "torch": "2.15.0"},
    }


def near(value: float, room: float = 0.03) -> dict[str, float]:
    """A value and an interval around it."""
    return {"value": value, "low": round(value - room, 5), "high": round(value + room, 5)}


def shown(record: Mapping[str, Any], size: tuple[int, int] = (96, 72)) -> dict[str, bytes]:
    """For each item on the map a picture file in its label's colour."""
    places = record["items"]["map"]
    names = sorted(set(places["label"]))
    files = {}
    for number, (item, label) in enumerate(zip(places["id"], places["label"], strict=True)):
        rng = np.random.default_rng(number)
        hue = np.roll([210, 120, 60], names.index(label)) + rng.integers(-40, 40)
        noise = rng.normal(0, 20, (12, 16, 3)) + hue
        small = Image.fromarray(noise.clip(0, 255).astype("uint8"))
        written = io.BytesIO()
        small.resize(size, Image.Resampling.BICUBIC).save(written, "PNG")
        files[item] = written.getvalue()
    return files


def _measured(rng: np.random.Generator) -> Evidence:
    def arm(strategy: str, right: float, seconds: float, steps: int = 0) -> Arm:
        scores = (rng.random(HELD_OUT) < right).astype(np.float64)
        return Arm(strategy, scores, (right, -0.5), seconds, steps)

    arms = {
        "naive": arm("naive", 0.22, 0.0),
        "features": arm("feature-extraction", 0.86, 11.2),
        "scratch": arm("scratch", 0.61, 412.7, 4200),
        "chosen": arm("lp-ft", 0.93, 187.4, 2100),
    }
    counts = {"ants": 1500, "bees": 1700, "crickets": 1400, "dragonflies": 1600, "earwigs": 1800}
    data = {
        "items": 10_000,
        "skipped": 2,
        "duplicates": 1,
        "conflicts": 2,
        "leaks": 1,
        "notes": {"greyscale": 12},
        "splits": {"train": counts, "test": dict.fromkeys(counts, 80)},
        "sizes": {"train": 8000, "validation": 1600, "test": 400},
        "spread": {"train": "1400 to 1800 a class"},
        "said": ["`photos` holds a folder for each class"],
        "split_rule": "split by a hash of the content",
        "warnings": ["The class 'crickets' has the fewest items."],
        "skipped_items": [["broken.jpg", "it is empty"], ["odd.gif", "it is not a picture"]],
        "duplicate_items": [["a.jpg", "b.jpg"]],
        "conflict_items": [[["c.jpg", "ants"], ["d.jpg", "bees"]]],
        "leak_items": [["e.jpg", "f.jpg"]],
    }
    ranking = {
        "metric": "accuracy",
        "items": 800,
        "ranking": [
            {
                "backbone": name,
                "expected": value,
                "tuned": tuned,
                "seconds": 12.5,
                "speed": 300.0,
                "parameters": 25_600_000,
                "licence": "apache-2.0",
                "dropped": "",
            }
            | near(value, 0.02)
            for name, value, tuned in (
                ("timm:resnet50", 0.88, near(0.92)),
                ("timm:mobilenetv3_large_100", 0.83, near(0.86)),
                ("timm:vgg11", 0.71, None),
            )
        ],
        "prior": [{"backbone": "timm:vgg11", "value": 1.0, "reasons": ["on this machine"]}],
    }
    return Evidence(
        "accuracy",
        arms,
        "timm:resnet50",
        data,
        dropped=arm("full-fine-tuning", 0.9, 302.1, 2100),
        protocol="Scratch: rates 0.001, 0.003 tried, the best trained for 4200 steps.",
        checks={"frozen stages are bit-identical": True, "equal in a fresh process": False},
        warnings=["The held-out items are few."],
        ranking=ranking,
    )


def _labels() -> dict[str, Any]:
    counts = (100, 200, 400, 800, 1600)
    transfer, scratch = (0.71, 0.8, 0.86, 0.9, 0.93), (0.3, 0.36, 0.44, 0.52, 0.61)
    return {
        "counts": list(counts),
        "transfer": [{"items": n} | near(v) for n, v in zip(counts, transfer, strict=True)],
        "scratch": [{"items": n} | near(v) for n, v in zip(counts, scratch, strict=True)],
        "saved": {"value": 20.0, "low": 16.0, "high": 27.0},
        "said": "Scratch needs 20 x the labels (95 % interval 16 to 27).",
        "forecast": [{"items": 3200} | near(0.945), {"items": 6400} | near(0.955, 0.04)],
    }


def _convergence(rng: np.random.Generator) -> dict[str, Any]:
    def curve(best: float, pace: float, seconds: float) -> list[dict[str, float]]:
        steps = np.arange(1, 22) * 100
        scores = best * (1 - np.exp(-steps / pace)) + rng.normal(0, 0.006, len(steps))
        return [
            {"steps": int(s), "seconds": round(s * seconds, 2), "score": round(float(v), 5)}
            for s, v in zip(steps, scores, strict=True)
        ]

    sentence = "The transfer reaches the best score of scratch in 5 % of its steps."
    return {
        "chosen": curve(0.93, 150, 0.09),
        "scratch": curve(0.62, 900, 0.1),
        "said": sentence,
    }


def _calibration() -> dict[str, Any]:
    def bins(sureness: float) -> list[dict[str, Any]]:
        edges = np.linspace(0.3, 1.0, 11)
        middles = (edges[1:] + edges[:-1]) / 2
        return [
            {
                "from": round(float(low), 5),
                "to": round(float(high), 5),
                "confidence": round(float(m), 5),
                "accuracy": round(float(m**sureness), 5),
                "items": 40,
            }
            for low, high, m in zip(edges, edges[1:], middles, strict=False)
        ]

    return {
        "temperature": 1.62,
        "ece": near(0.074, 0.02),
        "ece_scaled": near(0.021, 0.01),
        "bins": bins(1.5),
        "bins_scaled": bins(1.06),
        "scratch_ece": near(0.11, 0.03),
    }


def _classes(labels: Sequence[str], rng: np.random.Generator) -> dict[str, Any]:
    count = len(labels)
    confusion = rng.integers(0, 4, (count, count)) + 74 * np.eye(count, dtype=int)
    rows = []
    for number, label in enumerate(labels):
        value = float(confusion[number, number] / confusion[number].sum())
        scratch = round(value - 0.32 + 0.35 * number / count, 5)
        change = near(round(value - scratch, 5), 0.06)
        row = {"label": label, "items": int(confusion[number].sum()), "scratch": scratch}
        rows.append(row | near(round(value, 5), 0.05) | {"change": change})
    text = f"The lowest class is {labels[-1]!r}."
    return {"rows": rows, "confusion": confusion.tolist(), "hurt": [labels[-1]], "said": text}


def _items(labels: Sequence[str], items: int, rng: np.random.Generator) -> dict[str, Any]:
    ids = [f"photos/{labels[n % len(labels)]}/{n:05}.jpg" for n in range(items)]
    own = [labels[n % len(labels)] for n in range(items)]
    angles = np.array([n % len(labels) for n in range(items)]) * 2 * np.pi / len(labels)
    places = 5 * np.stack([np.cos(angles), np.sin(angles)]) + rng.normal(0, 1.1, (2, items))
    splits = rng.choice(["train", "validation", "test"], items, p=[0.7, 0.1, 0.2]).tolist()
    wrong = [(ids[n], own[n], own[n + 1], round(0.99 - 0.01 * n, 5)) for n in range(8)]
    suspects = [{"id": i, "label": a, "likely": b, "score": p} for i, a, b, p in wrong[4:]]
    return {
        "mistakes": [_card(each) for each in wrong],
        "ambiguous": [_card((i, a, a, 0.4)) for i, a, _, _ in wrong[:3]],
        "suspects": suspects,
        "nearest": {i: ids[20 + 3 * n : 23 + 3 * n] for n, (i, *_) in enumerate(wrong)},
        "map": {
            "id": ids,
            "x": places[0].round(5).tolist(),
            "y": places[1].round(5).tolist(),
            "label": own,
            "split": splits,
        },
    }


def _card(row: tuple[str, str, str, float]) -> dict[str, Any]:
    return dict(zip(("id", "label", "predicted", "probability"), row, strict=True))

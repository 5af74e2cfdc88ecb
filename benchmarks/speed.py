"""Commands of the benchmarks that measure speed: cold processes, seen sources, sounds, workers."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.arguments import RefusedError, demand, numbers
from benchmarks.commands import SHARED, WEIGHTS


def seen_sources(args: argparse.Namespace) -> int:
    """Rank six sources and extract features, all of them seen before on other photos."""
    from benchmarks.seen import Seen, compare

    demand(SHARED, "which holds the photos and the weights.")
    weights, images = SHARED / "weights", SHARED / "images"
    mobilenet = f"timm:mobilenetv2_100@{weights}/mobilenetv2_100"
    sources = [
        *(f"{mobilenet}.{name}.safetensors" for name in ("imagenet", "inat_insect")),
        *(f"{mobilenet}.{name}.safetensors?size=160" for name in ("imagenet", "inat_insect")),
        f"torchvision:squeezenet1_1@{weights}/squeezenet1_1.imagenet.safetensors",
        f"graph:{weights}/mobilenet_v1_0.25_128_quant.tflite",
    ]
    bench = Seen(images / "hymenoptera", images / "flowers", sources, args.work.resolve())
    compare(bench, args.ranked, args.extracted, args.work.resolve().parent / "seen.json")
    return 0


def cold_answers(args: argparse.Namespace) -> int:
    """Compare `predict` of one picture and one text with a plain script."""
    from benchmarks.cold import Cold, compare
    from headstart.demo.docstrings import encoder

    demand(SHARED, "which holds photos, texts and weights.")
    photos, texts = SHARED / "images" / "hymenoptera" / "train", SHARED / "text" / "sst2"
    weights, work = SHARED / "weights" / WEIGHTS, args.work.resolve()
    answering = _environment("predict")
    cold = Cold(photos, texts / "train.csv", weights, f"hf:{encoder()}", work, answering)
    compare(cold, args.pairs, work.parent / "cold.json")
    return 0


def _environment(name: str) -> Path:
    """The interpreter of a peers' environment. Raises RefusedError where pip can't make it."""
    from benchmarks import environments

    try:
        return environments.make(name)
    except environments.BrokenEnvironmentError as error:
        raise RefusedError(str(error)) from None


def scale(args: argparse.Namespace) -> int:
    """Extract, rank and fit in workers, beside peers; 1 where two are too slow or answer otherwise.

    What an earlier call did is not done again.
    """
    from benchmarks.scale import workers

    few, many = numbers(args.sizes, int)
    work, limit = args.work.resolve(), float(args.limit)
    bench = workers.Bench(work, args.backbone, (few, many), args.side, limit, epochs=args.epochs)
    rows = workers.compare(bench)
    print(workers.as_markdown(rows))
    sentences = workers.missed(rows)
    print("\n".join(sentences))
    return int(bool(sentences))


def kills(args: argparse.Namespace) -> int:
    """Kill workers and commands at random moments; 1 where that changed anything."""
    from benchmarks.scale import kills as random

    rows = random.over(args.work.resolve(), args.backbone, args.items, args.moments)
    print(random.as_markdown(rows))
    return int(not all(row.equal for row in rows))


def hearing(args: argparse.Namespace) -> int:
    """Extract from sounds beside librosa; 1 where ours is less than three times as fast."""
    from benchmarks.hearing import TIMES, Sounds, compare

    folder, work = SHARED / "audio" / "fsdd", args.work.resolve()
    demand(folder, "which holds the sounds.")
    sounds = Sounds(folder, SHARED / "weights", work, _environment("librosa"))
    rows = compare(sounds, args.rounds, work.parent / "hearing.json")
    return int(any(row["ratio"] < TIMES for row in rows))

"""`python -m benchmarks fast-path`, `small`, `adaptation`, `drift` and more: one table each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.registry import DEFAULT_WORKS, OURS, PEERS, ROOT, WORKS

SHARED: Final = ROOT.parent / "shared" / "data"
WEIGHTS: Final = "mobilenetv2_100.imagenet.safetensors"
MEMORY_NUMBERS: Final = (10_000, 100_000)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    commands = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    kinds = commands.add_subparsers(required=True)
    path = kinds.add_parser(
        "fast-path", help="compare with the peers, print the table, write it as JSON and Markdown"
    )
    path.add_argument("--works", default=",".join(DEFAULT_WORKS), help=f"of {', '.join(WORKS)}")
    path.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}; may be ''")
    path.add_argument("--backbone", choices=("mobilenetv2_100", "resnet50"))
    path.add_argument("--subset", type=int, help="use so many of the photos")
    path.add_argument("--photos", type=int, help="make so many of 500x375 px and use these")
    path.add_argument("--source", type=Path, default=SHARED / "images" / "flowers")
    path.add_argument("--memory", action="store_true", help="peak memory at 10,000 and 100,000")
    path.add_argument("--out", type=Path, default=ROOT / "benchmarks" / ".work" / "results.json")
    path.set_defaults(backbone="mobilenetv2_100", run=fast_path)
    small = kinds.add_parser("small", help="a small set, frozen, in CPU-seconds beside a script")
    small.add_argument("--work", type=Path, default=ROOT / "benchmarks" / ".work" / "small")
    small.set_defaults(run=small_sets)
    text = kinds.add_parser("text", help="encode texts next to sentence-transformers")
    text.add_argument("--source", type=Path, default=SHARED / "text" / "sst2" / "train.csv")
    text.add_argument("--encoder", help="hf:folder or name; absent, the one of the demonstration")
    text.add_argument("--limit", type=int, help="use so many of the texts")
    text.add_argument("--out", type=Path, default=ROOT / "benchmarks" / ".work" / "text.json")
    text.set_defaults(run=text_encoding)
    cold = kinds.add_parser("cold", help="one answer from a cold process beside a plain script")
    cold.add_argument("--pairs", type=int, default=3, help="runs of each, in turn")
    cold.add_argument("--work", type=Path, default=ROOT / "benchmarks" / ".work" / "cold")
    cold.set_defaults(run=cold_answers)
    choosing = kinds.add_parser("choosing", help="rankings and strategies next to trying them all")
    choosing.add_argument("--targets", help="some of them, by commas; absent, all")
    choosing.add_argument("--work", type=Path, default=ROOT / "benchmarks" / ".work" / "choosing")
    choosing.set_defaults(run=choices)
    for name, run, draws, summary in (
        ("suggest", suggestions, 10, "labels that `suggest` picks next to random ones"),
        ("forecast", forecasts, 40, "how often the learning curve's forecast holds"),
    ):
        kind = kinds.add_parser(name, help=summary)
        kind.add_argument("--sets", help="some of them, by commas; absent, all")
        kind.add_argument("--draws", type=int, default=draws, help="samples of each set")
        kind.set_defaults(run=run)
    covers = kinds.add_parser("coverage", help="how often the intervals hold a known truth")
    tiers = ("simulated", "features", "gain")
    covers.add_argument("--tier", choices=tiers, help="absent, all, which takes hours")
    covers.add_argument("--repeats", type=int, default=200, help="simulations of each world")
    covers.add_argument("--set", help="real sets, by commas; absent, the large ones")
    covers.add_argument("--sizes", default="", help="numbers of labels, by commas; absent, all")
    covers.add_argument("--draws", type=int, default=100, help="draws of each size")
    covers.add_argument("--conditions", default="plain", help="of plain, random, shuffled")
    covers.add_argument("--strategy", help="in place of the policy's; give it a --work of its own")
    covers.add_argument("--work", type=Path, default=ROOT / "benchmarks" / ".work" / "coverage")
    covers.set_defaults(run=coverage)
    adapting = kinds.add_parser("adaptation", help="answers on other domains beside skada's")
    adapting.add_argument("--seeds", type=int, default=3, help="draws of each pair")
    adapting.add_argument("--no-peers", action="store_true", help="without skada")
    adapting.add_argument("--work", type=Path, default=ROOT / "benchmarks" / ".work" / "adaptation")
    adapting.set_defaults(run=adaptation)
    for name, run, seeds, summary in (
        ("familiarity", scope, 10, "inputs out of scope beside other scores, coverage of sets"),
        ("drift", drift, 5, "planted drift and none: delay, false alarms, accuracy ranges"),
    ):
        kind = kinds.add_parser(name, help=summary)
        kind.add_argument("--sets", help="some of them, by commas; absent, all")
        kind.add_argument("--seeds", type=int, default=seeds, help="draws of each set")
        kind.add_argument("--nulls", type=int, default=200, help="streams in which nothing moves")
        kind.add_argument("--work", type=Path, default=ROOT / "benchmarks" / ".work" / "drift")
        kind.set_defaults(run=run)
    detecting = kinds.add_parser("detection", help="boxes around raccoons, by training pictures")
    detecting.add_argument("--sizes", default="10,40,150", help="training pictures, by commas")
    detecting.add_argument("--backbone", help="absent, YOLOX-nano beside the photos")
    detecting.add_argument(
        "--scratch", action="store_true", help="train a network from scratch too"
    )
    detecting.add_argument("--work", type=Path, default=ROOT / "benchmarks" / ".work" / "detection")
    detecting.set_defaults(run=detection)
    accurate = kinds.add_parser("accuracy", help="accuracy in so many minutes beside the peers")
    accurate.add_argument("--tasks", help="some of them, by commas; absent, all twelve")
    accurate.add_argument("--minutes", default="1,3,10", help="of wall clock, by commas")
    accurate.add_argument("--peers", help="some of them, by commas, or ''; absent, all")
    accurate.add_argument("--seeds", type=int, default=3, help="runs of each")
    accurate.add_argument("--work", type=Path, default=ROOT / "benchmarks" / ".work" / "accuracy")
    accurate.set_defaults(run=accuracy)
    return commands


def names(text: str, choices: Mapping[str, object], what: str) -> list[str]:
    """The names in a comma-separated list, in the registry's order. Raises ValueError."""
    chosen = [name for name in text.split(",") if name]
    for name in chosen:
        if name not in choices:
            raise ValueError(f"{what} {name!r} is not known. Give of: {', '.join(choices)}.")
    return [name for name in choices if name in chosen]


def main() -> int:
    """Run what was asked for: 0 when all went well, 1 when a contender failed, 2 for a mistake."""
    args = parser().parse_args()
    done: int = args.run(args)
    return done


def small_sets(args: argparse.Namespace) -> int:
    """Compare a whole fit on a few photos with a plain script."""
    from benchmarks.small import Small, compare

    if not SHARED.is_dir():
        return _refuse(f"{SHARED} is not there, which holds the photos and the weights.")
    photos, more = SHARED / "images" / "hymenoptera", SHARED / "images" / "parrot.jpg"
    work = args.work.resolve()
    compare(Small(photos, more, SHARED / "weights" / WEIGHTS, work), work.parent / "small.json")
    return 0


def detection(args: argparse.Namespace) -> int:
    """Fit a detector on few pictures and judge it on fifty others."""
    from benchmarks.detection import Raccoons, compare

    place = SHARED / "detection" / "raccoon"
    if not place.is_dir():
        return _refuse(f"{place} is not there, which holds the photos and their boxes.")
    detector = f"graph:{SHARED / 'weights' / 'detection' / 'yolox_nano.onnx'}"
    raccoons = Raccoons(place, args.backbone or detector, args.work.resolve(), args.scratch)
    compare(raccoons, [int(size) for size in args.sizes.split(",")])
    return 0


def text_encoding(args: argparse.Namespace) -> int:
    """Compare encoders of texts."""
    from benchmarks.text import compare

    if not args.source.is_file():
        return _refuse(f"{args.source} is not there. Give a CSV file with a column `text`.")
    encoder = args.encoder
    if encoder is None:
        from headstart.demo.docstrings import encoder as brought

        encoder = f"hf:{brought()}"
    compare(args.source, encoder, args.limit, args.out)
    return 0


def cold_answers(args: argparse.Namespace) -> int:
    """Compare `predict` of one picture and one text with a plain script."""
    from benchmarks.cold import Cold, compare
    from headstart.demo.docstrings import encoder

    if not SHARED.is_dir():
        return _refuse(f"{SHARED} is not there, which holds photos, texts and weights.")
    photos, texts = SHARED / "images" / "hymenoptera" / "train", SHARED / "text" / "sst2"
    weights, work = SHARED / "weights" / WEIGHTS, args.work.resolve()
    cold = Cold(photos, texts / "train.csv", weights, f"hf:{encoder()}", work)
    compare(cold, args.pairs, work.parent / "cold.json")
    return 0


def coverage(args: argparse.Namespace) -> int:
    """Count how often the intervals hold the truth; 1 where they break what they promise."""
    from benchmarks.coverage import pools, real, simulated
    from benchmarks.coverage.draws import CONDITIONS, FEATURES, GAIN

    tiers = [args.tier] if args.tier else ["simulated", FEATURES, GAIN]
    broken = "simulated" in tiers and bool(simulated.run(args.repeats)["broken"])
    tiers = [tier for tier in tiers if tier != "simulated"]
    if not tiers:
        return int(broken)
    if not SHARED.is_dir():
        return _refuse(f"{SHARED} is not there, which holds the sets. Give --tier simulated.")
    try:
        sets = names(args.set or ",".join(pools.LARGE), pools.SETS, "Set")
        conditions = names(args.conditions, dict.fromkeys(CONDITIONS), "Condition")
        sizes = [int(size) for size in args.sizes.split(",") if size]
    except ValueError as error:
        return _refuse(str(error))
    plan = {"draws": args.draws, "sizes": sizes, "conditions": conditions}
    plan["strategy"] = args.strategy
    return int(not real.run(tiers, sets, plan, SHARED, args.work.resolve()) or broken)


def adaptation(args: argparse.Namespace) -> int:
    """Compare answers on other domains; 1 where ours lose more than they may."""
    from benchmarks.adaptation import comparing

    if not SHARED.is_dir():
        return _refuse(f"{SHARED} is not there, which holds the domains.")
    rows = comparing.run(SHARED, args.work.resolve(), args.seeds, not args.no_peers)
    print(comparing.as_markdown(rows))
    return int(comparing.harm(rows))


def accuracy(args: argparse.Namespace) -> int:
    """Compare what is reached in so many minutes; 1 where ours is missing somewhere."""
    from benchmarks.accuracy import running, table
    from benchmarks.accuracy.tasks import CONTENDERS, TASKS

    if not SHARED.is_dir():
        return _refuse(f"{SHARED} is not there, which holds the tasks and the sources.")
    try:
        tasks = names(args.tasks or ",".join(TASKS), TASKS, "Task")
        peers = ",".join(CONTENDERS) if args.peers is None else f"{OURS},{args.peers}"
        who = names(peers, CONTENDERS, "Peer")
        minutes = [float(number) for number in args.minutes.split(",")]
    except ValueError as error:
        return _refuse(str(error))
    plan = running.Plan(tasks, minutes, args.seeds, who, SHARED, args.work.resolve())
    rows = running.run(plan)
    print(table.as_markdown(rows, who))
    return int(any("error" in row for row in rows if row["who"] == OURS))


def scope(args: argparse.Namespace) -> int:
    """Compare familiarity with other scores; 1 where another is better in the mean."""
    from benchmarks.drift import scope as scoping

    def run(shared: Path, sets: Sequence[str], draws: int) -> Mapping[str, Any]:
        return scoping.run(shared, args.work.resolve(), sets, draws)

    args.draws = args.seeds
    return _on_sets(args, tuple(scoping.TASKS), run, "worse")


def drift(args: argparse.Namespace) -> int:
    """Watch streams that move and streams that don't; 1 where more than 5 % of these alarm."""
    from benchmarks.drift import streams

    def run(shared: Path, sets: Sequence[str], draws: int) -> Mapping[str, Any]:
        found = streams.run(shared, args.work.resolve(), sets, args.nulls, draws)
        return {**found, "broken": found["alarms"] > 0.05 * found["streams"]}

    args.draws = args.seeds
    return _on_sets(args, tuple(streams.SETTING), run, "broken")


def suggestions(args: argparse.Namespace) -> int:
    """Compare suggested labels with random ones; 1 where they are worse somewhere."""
    from benchmarks.labelling import choosing

    return _on_sets(args, choosing.SETS, choosing.run, "worse")


def forecasts(args: argparse.Namespace) -> int:
    """Count how often forecasts hold what came true; 1 where that is less than promised."""
    from benchmarks.labelling import forecasting

    return _on_sets(args, tuple(forecasting.SETS), forecasting.run, "broken")


def _on_sets(
    args: argparse.Namespace,
    choices: Sequence[str],
    run: Callable[..., Mapping[str, Any]],
    bad: str,
) -> int:
    if not SHARED.is_dir():
        return _refuse(f"{SHARED} is not there, which holds the sets.")
    try:
        sets = names(args.sets or ",".join(choices), dict.fromkeys(choices), "Set")
    except ValueError as error:
        return _refuse(str(error))
    return 1 if run(SHARED, sets, draws=args.draws)[bad] else 0


def choices(args: argparse.Namespace) -> int:
    """Compare choosing with trying everything."""
    import json

    from benchmarks.choosing import measuring, table, targets
    from benchmarks.machine import facts

    if not SHARED.is_dir():
        return _refuse(f"{SHARED} is not there, which holds the targets and the sources.")
    by_name = {target.name: target for target in targets.TARGETS}
    try:
        chosen = names(args.targets or ",".join(by_name), by_name, "Target")
    except ValueError as error:
        return _refuse(str(error))
    from headstart.demo.docstrings import encoder

    rows = []
    for target in (by_name[name] for name in chosen):
        data = targets.lay_out(target, SHARED, args.work)
        sources = targets.references(target, SHARED, f"hf:{encoder()}")
        text = target.modality == "text"
        bench = measuring.Bench.of(target.name, data, sources, args.work, text)
        rows.append(measuring.compare(bench))
        content = json.dumps({"rows": rows, "machine": facts()}, indent=1)
        (args.work / "results.json").write_text(content + "\n")
    print(table.as_markdown(rows))
    return 0


def fast_path(args: argparse.Namespace) -> int:
    """Compare transfers on photos."""
    try:
        works, peers = names(args.works, WORKS, "Work"), names(args.peers, PEERS, "Peer")
    except ValueError as error:
        return _refuse(str(error))
    if {"warm", "new"} & set(works) and "frozen" not in works:
        works = [name for name in WORKS if name in {*works, "frozen"}]
    if not args.source.is_dir():
        return _refuse(f"{args.source} is not there. Give a folder of class folders with --source.")
    if args.out.is_dir():
        return _refuse(f"{args.out} is a folder. Give a file for the results with --out.")
    weights = SHARED / "weights" / WEIGHTS
    if args.backbone != "resnet50" and not weights.exists():
        return _refuse(f"{weights} is not there. Run with --backbone resnet50, which needs none.")
    from benchmarks import environments, photos
    from benchmarks import fast_path as path

    if args.backbone == "resnet50":
        from benchmarks.weights import random_weights

        weights = random_weights(path.WORKPLACE / "resnet50.random.safetensors")
    plan = photos.Plan(str(args.source.resolve()), args.subset, args.photos)
    asked_for_memory = args.memory or "memory" in works
    try:
        run = path.start(plan, args.backbone, weights.resolve(), args.out.resolve())
        well = path.compare(run, [name for name in works if name != "memory"], peers)
        if asked_for_memory:
            path.memory(run, plan, MEMORY_NUMBERS)
    except FileNotFoundError as error:
        return _refuse(f"{error} holds no photo. Give a folder of class folders with --source.")
    except environments.BrokenEnvironmentError as error:
        return _refuse(str(error))
    run.write()
    print(run.out.with_suffix(".md").read_text(encoding="utf-8"))
    return 0 if well else 1


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

"""What each command of the benchmarks does: its numbers are written, its table is printed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.arguments import RefusedError, demand, names, numbers
from benchmarks.registry import OURS, PEERS, ROOT, WORKS

SHARED: Final = ROOT.parent / "shared" / "data"
WEIGHTS: Final = "mobilenetv2_100.imagenet.safetensors"
SOURCE: Final = "Give a folder of class folders with --source."
MEMORY_NUMBERS: Final = (10_000, 100_000)


def small_sets(args: argparse.Namespace) -> int:
    """Compare a whole fit on a few photos with a plain script."""
    from benchmarks.small import Small, compare

    demand(SHARED, "which holds the photos and the weights.")
    photos, more = SHARED / "images" / "hymenoptera", SHARED / "images" / "parrot.jpg"
    work = args.work.resolve()
    compare(Small(photos, more, SHARED / "weights" / WEIGHTS, work), work.parent / "small.json")
    return 0


def detection(args: argparse.Namespace) -> int:
    """Fit a detector on few pictures and judge it on fifty others."""
    from benchmarks.detection import Raccoons, compare, compare_paces

    photos = SHARED / "detection" / "raccoon"
    demand(photos, "which holds the photos and their boxes.")
    detector = f"graph:{SHARED / 'weights' / 'detection' / 'yolox_nano.onnx'}"
    raccoons = Raccoons(photos, args.backbone or detector, args.work.resolve(), args.scratch)
    if args.sizes:
        compare(raccoons, numbers(args.sizes, int))
    if args.paces:
        compare_paces(raccoons, args.paces)
    return 0


def translation(args: argparse.Namespace) -> int:
    """Develop translators, carry them to another language, and weigh a pivot."""
    from benchmarks.translation import PARTS, Interface, compare

    strings = SHARED / "parallel" / "interface"
    demand(strings, "which holds the strings.")
    parts = names(args.parts, dict.fromkeys(PARTS), "part")
    interface = Interface(strings, args.work.resolve(), args.minutes, args.epochs)
    compare(interface, numbers(args.sizes, int), parts)
    return 0


def text_encoding(args: argparse.Namespace) -> int:
    """Compare encoders of texts."""
    from benchmarks.text import compare

    if not args.source.is_file():
        raise RefusedError(f"{args.source} is not there. Give a CSV file with a column `text`.")
    encoder = args.encoder
    if encoder is None:
        from headstart.demo.docstrings import encoder as brought

        encoder = f"hf:{brought()}"
    compare(args.source, encoder, args.limit, args.out)
    return 0


def serving(args: argparse.Namespace) -> int:
    """Load a served model beside the same graph in other servers; 1 where one is ahead."""
    from benchmarks.serving.comparing import Plan, compare

    photos, weights = SHARED / "images" / "hymenoptera" / "train", SHARED / "weights" / WEIGHTS
    demand(photos, "which holds the photos.")
    work = args.work.resolve()
    plan = Plan(photos, weights, work, args.seconds)
    if args.steady:
        from benchmarks.serving.enduring import endure

        return int(not endure(plan, args.steady, work.parent / "endurance.json"))
    rows = compare(plan, args.rounds, work.parent / "serving.json")
    ours, *others = rows
    ahead = any(
        each["rate"] > ours["rate"] or each["common p99"] < ours["common p99"] for each in others
    )
    return int(ahead)


def coverage(args: argparse.Namespace) -> int:
    """Count how often the intervals hold the truth; 1 where they break what they promise."""
    from benchmarks.coverage import pools, real, simulated
    from benchmarks.coverage.draws import CONDITIONS, FEATURES, GAIN

    tiers = [args.tier] if args.tier else ["simulated", FEATURES, GAIN]
    broken = "simulated" in tiers and bool(simulated.run(args.repeats)["broken"])
    tiers = [tier for tier in tiers if tier != "simulated"]
    if not tiers:
        return int(broken)
    demand(SHARED, "which holds the sets. Give --tier simulated.")
    sets = names(args.set or ",".join(pools.LARGE), pools.SETS, "Set")
    conditions = names(args.conditions, dict.fromkeys(CONDITIONS), "Condition")
    sizes = numbers(args.sizes, int)
    plan = {"draws": args.draws, "sizes": sizes, "conditions": conditions}
    plan["strategy"] = args.strategy
    return int(not real.run(tiers, sets, plan, SHARED, args.work.resolve()) or broken)


def adaptation(args: argparse.Namespace) -> int:
    """Compare answers on other domains; 1 where a goal is missed."""
    from benchmarks.adaptation import comparing, table
    from benchmarks.adaptation.domains import PAIRS

    demand(SHARED, "which holds the domains.")
    kinds = dict.fromkeys(pair.kind for pair in PAIRS)
    kinds_chosen = names(",".join(kinds) if args.kinds is None else args.kinds, kinds, "Kind")
    pairs = [pair for pair in PAIRS if pair.kind in kinds_chosen]
    rows = comparing.run(SHARED, args.work.resolve(), pairs, args.seeds, not args.no_peers)
    print(table.as_markdown(rows))
    return int(bool(table.missed(rows)))


def several_tasks(args: argparse.Namespace) -> int:
    """Compare several tasks with one; 1 where one is worse than alone, or all cost too much."""
    from benchmarks import several
    from headstart.demo.docstrings import encoder

    demand(SHARED, "which holds the texts.")
    chosen = args.encoder or f"hf:{encoder()}"
    comparison = several.compare(SHARED / "text", chosen, args.work.resolve(), args.limit)
    print(several.as_markdown(comparison))
    return int(several.worse(comparison))


def audio(args: argparse.Namespace) -> int:
    """Choose among sources for sounds; 1 where what was chosen is below its bar."""
    from benchmarks import audio as sounds

    demand(SHARED, "which holds the sounds and the sources.")
    bars = {each.name: each.bar for each in sounds.SETS}
    sets = names(args.sets, bars, "Set")
    rows = sounds.run(SHARED, args.work.resolve(), sets, args.groups, not args.no_sources)
    print(sounds.as_markdown(rows))
    chosen = [row for row in rows if row.source == sounds.CHOSEN]
    return int(any(row.right / row.items < bars[row.set] for row in chosen))


def tables(args: argparse.Namespace) -> int:
    """Compare few rows with and without other tables; 1 where ours breaks what it promises."""
    import json

    from benchmarks import tables as related

    folder = SHARED / "tables" / "houses"
    demand(folder, "which holds the tables.")
    rows = related.run(folder, args.draws)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(related.as_markdown(rows))
    broken = related.behind(rows)
    print("\n".join(broken))
    return int(bool(broken))


def accuracy(args: argparse.Namespace) -> int:
    """Compare what is reached in so many minutes; 1 where ours is missing somewhere."""
    from benchmarks.accuracy import running, table
    from benchmarks.accuracy.tasks import CONTENDERS, TASKS

    demand(SHARED, "which holds the tasks and the sources.")
    tasks = names(args.tasks or ",".join(TASKS), TASKS, "Task")
    peers = ",".join(CONTENDERS) if args.peers is None else f"{OURS},{args.peers}"
    who = names(peers, CONTENDERS, "Peer")
    minutes = numbers(args.minutes, float)
    plan = running.Plan(tasks, minutes, args.seeds, who, SHARED, args.work.resolve())
    rows = running.run(plan)
    print(table.as_markdown(rows, who))
    return int(any("error" in row for row in rows if row["who"] == OURS))


def scope(args: argparse.Namespace) -> int:
    """Compare familiarity with other scores; 1 where another is better in the mean."""
    from benchmarks.drift import scope as scoping

    def run(shared: Path, sets: Sequence[str], draws: int) -> Mapping[str, Any]:
        return scoping.run(shared, args.work.resolve() / "drift", sets, draws)

    args.draws = args.seeds
    return _on_sets(args, tuple(scoping.TASKS), run, "worse")


def drift(args: argparse.Namespace) -> int:
    """Watch streams that move and streams that don't; 1 where more than 5 % of these alarm."""
    from benchmarks.drift import comparing, streams

    def run(shared: Path, sets: Sequence[str], draws: int) -> Mapping[str, Any]:
        counts = {"seeds": draws, "quiet": args.quiet}
        rows = comparing.run(shared, args.work.resolve(), sets, counts, not args.no_peers)
        print(comparing.as_markdown(rows))
        return {"broken": comparing.broken(rows)}

    args.draws = args.seeds
    return _on_sets(args, tuple(streams.MOVED), run, "broken")


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
    demand(SHARED, "which holds the sets.")
    sets = names(args.sets or ",".join(choices), dict.fromkeys(choices), "Set")
    return 1 if run(SHARED, sets, draws=args.draws)[bad] else 0


def choices(args: argparse.Namespace) -> int:
    """Compare choosing with trying everything."""
    import json

    from benchmarks.choosing import measuring, table, targets
    from benchmarks.machine import facts

    demand(SHARED, "which holds the targets and the sources.")
    by_name = {target.name: target for target in targets.TARGETS}
    chosen = names(args.targets or ",".join(by_name), by_name, "Target")
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
    works, peers = names(args.works, WORKS, "Work"), names(args.peers, PEERS, "Peer")
    if {"warm", "new"} & set(works) and "frozen" not in works:
        works = [name for name in WORKS if name in {*works, "frozen"}]
    if not args.source.is_dir():
        raise RefusedError(f"{args.source} is not there. {SOURCE}")
    if args.out.is_dir():
        raise RefusedError(f"{args.out} is a folder. Give a file for the results with --out.")
    weights = SHARED / "weights" / WEIGHTS
    if args.backbone != "resnet50" and not weights.exists():
        raise RefusedError(
            f"{weights} is not there. Run with --backbone resnet50, which needs none."
        )
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
        raise RefusedError(f"{error} holds no photo. {SOURCE}") from None
    except environments.BrokenEnvironmentError as error:
        raise RefusedError(str(error)) from None
    run.write()
    print(run.out.with_suffix(".md").read_text(encoding="utf-8"))
    return 0 if well else 1

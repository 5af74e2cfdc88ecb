"""`python -m benchmarks fast-path`, `small`, `adaptation`, `drift` and more: one table each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import commands, speed
from benchmarks.arguments import RefusedError
from benchmarks.commands import SHARED
from benchmarks.registry import DEFAULT_WORKS, PEERS, ROOT, WORKS

WORK: Final = ROOT / "benchmarks" / ".work"
Flag = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Command:
    """What a command does, in a line and as a function that answers with the exit code."""

    summary: str
    run: Callable[[argparse.Namespace], int]
    flags: Sequence[Flag]


def flag(name: str, summary: str | None = None, **settings: Any) -> Flag:
    """A flag, whose settings are those of argparse."""
    return name, {"help": summary, **settings}


def count(name: str, default: int | None, summary: str) -> Flag:
    """A flag that takes a whole number."""
    return flag(name, summary, type=int, default=default)


def place(name: str, default: Path) -> Flag:
    """A flag that takes a file or folder."""
    return flag(name, type=Path, default=default)


SETS: Final = flag("--sets", "some of them, by commas; absent, all")
COMMANDS: Final = {
    "fast-path": Command(
        "compare with the peers, print the table, write it as JSON and Markdown",
        commands.fast_path,
        (
            flag("--works", f"of {', '.join(WORKS)}", default=",".join(DEFAULT_WORKS)),
            flag("--peers", f"of {', '.join(PEERS)}; may be ''", default=",".join(PEERS)),
            flag("--backbone", choices=("mobilenetv2_100", "resnet50"), default="mobilenetv2_100"),
            count("--subset", None, "use so many of the photos"),
            count("--photos", None, "make so many of 500x375 px and use these"),
            place("--source", SHARED / "images" / "flowers"),
            flag("--memory", "peak memory at 10,000 and 100,000", action="store_true"),
            place("--out", WORK / "results.json"),
        ),
    ),
    "small": Command(
        "a small set, frozen, in CPU-seconds beside a script",
        commands.small_sets,
        (place("--work", WORK / "small"),),
    ),
    "seen": Command(
        "ranking and extraction with sources seen before, beside the work in them",
        speed.seen_sources,
        (
            count("--ranked", 398, "photos to rank sources on"),
            count("--extracted", 4000, "photos to extract features of"),
            place("--work", WORK / "seen"),
        ),
    ),
    "text": Command(
        "encode texts next to sentence-transformers",
        commands.text_encoding,
        (
            place("--source", SHARED / "text" / "sst2" / "train.csv"),
            flag("--encoder", "hf:folder or name; absent, the one of the demonstration"),
            count("--limit", None, "use so many of the texts"),
            place("--out", WORK / "text.json"),
        ),
    ),
    "cold": Command(
        "one answer from a cold process beside a plain script",
        speed.cold_answers,
        (count("--pairs", 3, "runs of each, in turn"), place("--work", WORK / "cold")),
    ),
    "serve": Command(
        "a served model under load beside LitServe and BentoML with the same graph",
        commands.serving,
        (
            flag("--seconds", "of each measurement", type=float, default=20.0),
            count("--rounds", 3, "of all in turn"),
            flag("--steady", "requests a second of this server alone, then a kill", type=float),
            place("--work", WORK / "serving"),
        ),
    ),
    "choosing": Command(
        "rankings and strategies next to trying them all",
        commands.choices,
        (
            flag("--targets", "some of them, by commas; absent, all"),
            place("--work", WORK / "choosing"),
        ),
    ),
    "suggest": Command(
        "labels that `suggest` picks next to random ones",
        commands.suggestions,
        (SETS, count("--draws", 10, "samples of each set")),
    ),
    "forecast": Command(
        "how often the learning curve's forecast holds",
        commands.forecasts,
        (SETS, count("--draws", 40, "samples of each set")),
    ),
    "coverage": Command(
        "how often the intervals hold a known truth",
        commands.coverage,
        (
            flag(
                "--tier",
                "absent, all, which takes hours",
                choices=("simulated", "features", "gain"),
            ),
            count("--repeats", 200, "simulations of each world"),
            flag("--set", "real sets, by commas; absent, the large ones"),
            flag("--sizes", "numbers of labels, by commas; absent, all", default=""),
            count("--draws", 100, "draws of each size"),
            flag("--conditions", "of plain, random, shuffled", default="plain"),
            flag("--strategy", "in place of the policy's; give it a --work of its own"),
            place("--work", WORK / "coverage"),
        ),
    ),
    "adaptation": Command(
        "answers on other domains beside skada's",
        commands.adaptation,
        (
            flag("--kinds", "of pairs, by commas; absent, all"),
            count("--seeds", 3, "draws of each pair"),
            flag("--no-peers", "without skada", action="store_true"),
            place("--work", WORK / "adaptation"),
        ),
    ),
    "familiarity": Command(
        "inputs out of scope beside other scores, coverage of sets",
        commands.scope,
        (SETS, count("--seeds", 10, "draws of each set"), place("--work", WORK)),
    ),
    "drift": Command(
        "planted drift and none: delay, false alarms, accuracy ranges",
        commands.drift,
        (
            SETS,
            count("--seeds", 1, "draws of each pair of domains and kind of drift"),
            count("--quiet", 200, "streams in which nothing moves"),
            flag("--no-peers", "without NannyML and Evidently", action="store_true"),
            place("--work", WORK),
        ),
    ),
    "tables": Command(
        "few rows of a table beside others, by number",
        commands.tables,
        (
            count("--draws", 40, "samples of each number of rows"),
            place("--out", WORK / "tables.json"),
        ),
    ),
    "tasks": Command(
        "several tasks in one run beside one of them",
        commands.several_tasks,
        (
            count("--limit", 4000, "use so many of the texts"),
            flag("--encoder", "absent, the one of the demonstration"),
            place("--work", WORK / "tasks"),
        ),
    ),
    "scale": Command(
        "extraction, rank and fit in one worker of Ray and in two, beside joblib and Ray Data",
        speed.scale,
        (
            flag("--sizes", "pictures, few and many, by a comma", default="128,1152"),
            flag("--backbone", "of timm", default="timm:mobilenetv2_100?pretrained=false"),
            count("--side", 224, "pixels of a picture"),
            count("--epochs", 4, "that fit trains for"),
            count("--limit", 3600, "seconds that one command may take"),
            place("--work", WORK / "scale"),
        ),
    ),
    "kills": Command(
        "workers of Ray and the command killed at random moments",
        speed.kills,
        (
            flag("--backbone", "any for pictures", default="seeded:convnet"),
            count("--items", 3000, "pictures"),
            count("--moments", 30, "that something is killed in"),
            place("--work", WORK / "kills"),
        ),
    ),
    "audio": Command(
        "sounds of unheard speakers and kits, by all sources",
        commands.audio,
        (
            flag("--sets", "some of them, by commas", default="digits,drums"),
            count("--groups", 0, "held out in turn; absent, all"),
            flag("--no-sources", "only what is chosen", action="store_true"),
            place("--work", WORK / "audio"),
        ),
    ),
    "hearing": Command(
        "features of sounds a CPU-second, beside librosa with the plain engine",
        speed.hearing,
        (count("--rounds", 3, "runs of each, in turn"), place("--work", WORK / "hearing")),
    ),
    "detection": Command(
        "boxes around raccoons, by training pictures",
        commands.detection,
        (
            flag("--sizes", "training pictures, by commas", default="10,40,150"),
            flag("--backbone", "absent, YOLOX-nano beside the photos"),
            flag("--scratch", "train a network from scratch too", action="store_true"),
            count(
                "--paces", 0, "photos to time an epoch on, from stored maps and not; absent, none"
            ),
            place("--work", WORK / "detection"),
        ),
    ),
    "translation": Command(
        "one language pair from another, through a third, and stored states",
        commands.translation,
        (
            flag("--sizes", "training pairs of a child, by commas", default="300,1000"),
            flag("--parts", "of child, unrelated, pivot, states", default="child,pivot,states"),
            flag("--minutes", "for each training", type=float, default=20.0),
            count("--epochs", 12, "of a parent; of a child three times as many"),
            place("--work", WORK / "translation"),
        ),
    ),
    "accuracy": Command(
        "accuracy in so many minutes beside the peers",
        commands.accuracy,
        (
            flag("--tasks", "some of them, by commas; absent, all twelve"),
            flag("--minutes", "of wall clock, by commas", default="1,3,10"),
            flag("--peers", "some of them, by commas, or ''; absent, all"),
            count("--seeds", 3, "runs of each"),
            place("--work", WORK / "accuracy"),
        ),
    ),
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    kinds = whole.add_subparsers(required=True)
    for name, command in COMMANDS.items():
        kind = kinds.add_parser(name, help=command.summary)
        for option, settings in command.flags:
            kind.add_argument(option, **settings)
        kind.set_defaults(run=command.run)
    return whole


def main() -> int:
    """Run what was asked for: 0 when all went well, 1 when a contender failed, 2 for a mistake."""
    args = parser().parse_args()
    try:
        code: int = args.run(args)
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())

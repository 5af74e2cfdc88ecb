"""Headstart itself under the peers' contract: `headstart fit` or `features`, in this process.

HEADSTART_CACHE says where features are stored: a fresh folder for a first run.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

from contract import Clock, arguments, write

STRATEGIES: Final = {
    "frozen": {"mobilenetv2_100": "feature-extraction", "resnet50": "feature-extraction"},
    # The same last stages as the peers': blocks.6 and conv_head, and layer4.
    "last-stage": {
        "mobilenetv2_100": "last-stages?count=2",
        "resnet50": "last-stages?count=3",
    },
    "full": {"mobilenetv2_100": "full-fine-tuning", "resnet50": "full-fine-tuning"},
}


def command(args: argparse.Namespace) -> list[str]:
    """The words after `headstart`."""
    arguments = [str(args.data), "-b", f"timm:{args.backbone}@{args.weights}"]
    if args.work == "extraction":
        return ["cache-features", *arguments, "--json", "--offline"]
    strategy = STRATEGIES[args.work][args.backbone]
    words = ["fit", *arguments, "-o", str(args.out.with_suffix(".model")), "-s", strategy]
    words += ["--no-scratch", "--evidence", "none", "--json", "--offline"]
    if args.work != "frozen":  # a probe has no epochs
        words += ["--epochs", str(args.epochs)]
    return words


def arms(answer: dict[str, Any]) -> dict[str, Any]:
    """Of the evidence: the accuracy handed over, and what the strategy asked for came to."""
    chosen, trained = answer["arms"]["chosen"], answer.get("dropped") or answer["arms"]["chosen"]
    return {
        "accuracy": chosen["value"],
        "asked_accuracy": trained["value"],
        "strategy_seconds": trained["seconds"],
        "features_seconds": answer["arms"]["features"]["seconds"],
        "steps": trained["steps"],
    }


def main() -> int:
    """Fit, and write what it took."""
    args = arguments(__doc__)
    import headstart.pipeline  # noqa: F401  # imports are not counted inside, here as elsewhere
    from headstart.cli import app

    clock, printed = Clock(), StringIO()
    with redirect_stdout(printed):
        code = clock.train(lambda: app(command(args), standalone_mode=False))
    if code:
        print(printed.getvalue())
        return int(code)
    answer = json.loads(printed.getvalue())
    if args.work == "extraction":
        clock.training = answer["seconds"]
        write(args, "headstart", clock, None, answer["items"], engine=answer["engine"])
        return 0
    values = arms(answer)
    # A strategy's seconds include the probe it starts from, and its judging on raw photos.
    clock.training = values["strategy_seconds"]
    accuracy = values.pop("accuracy")
    # No rate: what is stored does not go through the network again.
    write(args, "headstart", clock, accuracy, None, **values)
    return 0


if __name__ == "__main__":
    sys.exit(main())

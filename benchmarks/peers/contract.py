"""What every peer's script takes and writes; it imports nothing that a peer would have to pay for.

`seconds_inside` runs from the end of the imports to the held-out accuracy, `seconds_training` is
the training loop alone, `images_per_second` is training images times epochs by the latter.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

WORKS = ("extraction", "frozen", "last-stage", "full")
BACKBONES = ("mobilenetv2_100", "resnet50")
BATCH = 32
RATES = {"frozen": 1e-3, "last-stage": 3e-4, "full": 3e-4}  # Adam's; a user's usual choice
_TOLD = (
    *("torch", "torchvision", "timm", "numpy", "pillow", "scikit-learn", "fastai", "transformers"),
    *("accelerate", "datasets", "keras", "openvino"),
)


def arguments(about: str | None, works: tuple[str, ...] = WORKS) -> argparse.Namespace:
    """Read the command line of a peer that can do these works."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="holds train/, val/ and test/")
    parser.add_argument("--weights", type=Path, required=True, help="timm's, in safetensors")
    parser.add_argument("--backbone", choices=BACKBONES, default=BACKBONES[0])
    parser.add_argument("--work", choices=works, default=works[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--bf16", action="store_true", help="products in bf16, where offered")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    return parser.parse_args()


@final
class Clock:
    """Started once the imports are done; measures the training loop apart."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.training = 0.0

    def inside(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._started

    def train(self, work: Callable[[], Any]) -> Any:
        """Do the training and remember how long it took."""
        started = time.perf_counter()
        answer = work()
        self.training += time.perf_counter() - started
        return answer


def write(
    args: argparse.Namespace,
    peer: str,
    clock: Clock,
    accuracy: float | None,
    images: int | None,
    **more: Any,
) -> None:
    """Write what was measured; `images` went through the network in it."""
    record = {
        "peer": peer,
        "work": args.work,
        "backbone": args.backbone,
        "epochs": args.epochs,
        "seconds_inside": round(clock.inside(), 3),
        "seconds_training": round(clock.training, 3),
        "accuracy": accuracy,
        "images_per_second": round(images / clock.training, 2) if images else None,
        "versions": versions(),
        **more,
    }
    args.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """The versions of the libraries that matter, where they are installed."""
    installed = {}
    for name in _TOLD:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed

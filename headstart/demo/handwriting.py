"""The whole path on real data that comes with scikit-learn, offline: handwritten digits."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.defaults import Settings
from headstart.pipeline.flow import fit, pretrain
from headstart.results import Result
from headstart.runtime.progress import Progress, Silent

SOURCE_DIGITS, TARGET_DIGITS = range(5), range(5, 10)
LABELS_PER_CLASS = 10
BACKBONE = "seeded:residual?size=16&channels=1&width=16"
STRATEGY = "full-fine-tuning?decay=0.6"
SOURCE_SETTINGS = Settings(augment="no", evidence="none")
TARGET_SETTINGS = Settings(augment="no", epochs=50)


@dataclass(frozen=True)
class DemoResult:
    """The source that was developed and the transfer from it."""

    source: Result
    transfer: Result

    def to_json(self) -> dict[str, Any]:
        """Both records."""
        return {"source": self.source.to_json(), "transfer": self.transfer.to_json()}

    def __str__(self) -> str:
        lead = self.source.evidence.over_naive()
        arm = self.source.evidence.to_json()["arms"]["chosen"]
        return (
            f"Source: a network trained on the digits 0-4 reaches {arm['value']:.3f} accuracy, "
            f"{100 * lead.value:.0f} points above the naive model.\n"
            f"Target: the digits 5-9 with {LABELS_PER_CLASS} labels each.\n\n{self.transfer}"
        )


def digits(progress: Progress | None = None, out: Path | None = None) -> DemoResult:
    """Develop a source on the digits 0-4, then transfer it to 5-9 with 10 labels a class."""
    progress = progress or Silent()
    root = out or Path(tempfile.mkdtemp(prefix="headstart-demo-"))
    _write(root / "digits-0-4", SOURCE_DIGITS, None)
    _write(root / "digits-5-9", TARGET_DIGITS, LABELS_PER_CLASS)
    progress.say("Developing a source on the digits 0-4.")
    source = pretrain(
        root / "digits-0-4",
        BACKBONE,
        root / "source",
        settings=SOURCE_SETTINGS,
        progress=progress,
    )
    progress.say("Transferring it to the digits 5-9.")
    transfer = fit(
        root / "digits-5-9",
        f"checkpoint:{root / 'source'}",
        root / "model",
        strategy=STRATEGY,
        settings=TARGET_SETTINGS,
        progress=progress,
    )
    return DemoResult(source, transfer)


def _write(folder: Path, digits: range, per_class: int | None) -> None:
    """Write digits as 16 x 16 pictures; with `per_class`, all but so many to test on."""
    from PIL import Image
    from sklearn.datasets import load_digits

    images, names = load_digits(return_X_y=True)
    for digit in digits:
        rows = np.flatnonzero(names == digit)
        for position, row in enumerate(rows):
            split = "" if per_class is None else "train" if position < per_class else "test"
            place = folder / split / str(digit)
            place.mkdir(parents=True, exist_ok=True)
            pixels = (images[row].reshape(8, 8) * 255 / 16).astype("uint8")
            Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC).save(
                place / f"{row}.png"
            )

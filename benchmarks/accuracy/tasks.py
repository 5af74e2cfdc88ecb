"""The twelve tasks, and who is compared on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.choosing.targets import IMAGES, TARGETS, TEXTS, Target, references
from benchmarks.registry import OURS
from headstart.contracts.references import parse

TASKS: Final = {
    target.name: target
    for target in (
        *TARGETS,
        Target("mnist", "images/mnist_train.parquet", (20, 10, 100), "image", IMAGES),
        Target("mr", "text/mr.csv", (200, 50, 500), "text", TEXTS),
        Target("subj", "text/subj.csv", (50, 20, 500), "text", TEXTS),
        Target("agnews", "text/agnews.csv", (100, 25, 300), "text", TEXTS),
    )
}


@dataclass(frozen=True)
class Contender:
    """A library: its script, none for ours, its environment, and the inputs that it takes."""

    name: str
    about: str
    script: str = ""
    environment: str = "peers"
    modalities: Sequence[str] = ("image", "text")

    @property
    def path(self) -> Path:
        """The script's file."""
        return Path(__file__).resolve().parent / "peers" / self.script


CONTENDERS: Final = {
    each.name: each
    for each in (
        Contender(OURS, "`headstart fit` with a budget, nothing else said", environment=""),
        Contender(
            "fastai",
            "`fine_tune`, the epochs that find time",
            "fine_tune.py",
            modalities=("image",),
        ),
        Contender("hf", "Trainer on the whole network, the epochs that find time", "trainer.py"),
        Contender("sklearn", "LogisticRegressionCV on standardised features", "linear.py"),
        Contender("autogluon", "TabularPredictor on the features", "tabular.py", "autogluon"),
    )
}


def words(target: Target, data: Path) -> tuple[str, list[str]]:
    """Our reference of a task's network, and the same network as words for the peers' scripts."""
    from headstart.demo.docstrings import encoder

    source = target.sources[0]
    backbone = references(target, data, f"hf:{encoder()}")[source]
    if target.modality == "text":
        return backbone, ["--encoder", str(encoder())]
    reference = parse(backbone)
    return backbone, ["--weights", str(reference.weights), "--size", reference.options["size"]]

"""Who is compared, in which environment, and at which works."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SCRIPTS: Final = Path(__file__).resolve().parent / "peers"
OURS: Final = "headstart"


@dataclass(frozen=True)
class Peer:
    """One peer: its script, the environment that it runs in, its works and own options."""

    name: str
    script: str
    about: str
    works: tuple[str, ...] = ("frozen", "last-stage", "full")
    options: tuple[str, ...] = ()
    environment: str = "peers"

    @property
    def path(self) -> Path:
        """The script's file."""
        return SCRIPTS / self.script


@dataclass(frozen=True)
class Work:
    """One row: what is done, for how many epochs, and whether peers do it anew."""

    name: str
    about: str
    epochs: int = 1
    like: str = ""  # peers have no shortcut for this one: it costs them that work once more


def _answering() -> tuple[str, ...]:
    """What the distribution that only answers names, for pictures and texts."""
    file = ROOT / "distributions" / "predict" / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return *project["dependencies"], *project["optional-dependencies"]["text"]


# One environment serves all peers as long as their pins agree; a peer whose pins clash gets its own
# entry. torch, torchvision, timm, openvino, pillow and numpy are those that run the benchmark.
ENVIRONMENTS: Final = {
    "peers": (
        *("torch", "torchvision", "timm", "scikit-learn", "fastai", "keras"),
        *("transformers", "accelerate", "datasets"),
    ),
    "autogluon": (
        *("autogluon.tabular[lightgbm,catboost,xgboost]", "torch", "torchvision", "timm"),
        "transformers",
    ),
    "skada": ("skada==0.6.0",),
    # evidently 0.7.23 imports names that pandas 3 has no more, and asks for any pandas
    "monitors": ("nannyml==0.13.1", "evidently==0.7.23", "pandas<3"),
    "predict": _answering(),
    "librosa": ("librosa", "openvino", "numpy"),
    "litserve": ("litserve", "openvino", "pillow", "numpy"),
    "bentoml": ("bentoml", "openvino", "pillow", "numpy"),
}

PEERS: Final = {
    peer.name: peer
    for peer in (
        Peer("plain", "plain_loop.py", "PyTorch loop after torchvision's tutorial, fp32"),
        Peer(
            "tuned", "plain_loop.py", "the same loop, channels-last and bf16", options=("--bf16",)
        ),
        Peer("fastai", "fastai_learner.py", "fastai vision_learner"),
        Peer("hf", "hf_trainer.py", "Hugging Face Trainer"),
        Peer("keras", "keras_fit.py", "Keras 3 on torch"),
        Peer(
            "sklearn",
            "sklearn_probe.py",
            "scikit-learn on timm features, fp32, run once",
            works=("extraction", "frozen"),
        ),
    )
}

WORKS: Final = {
    work.name: work
    for work in (
        Work("extraction", "features of every photo, nothing stored before"),
        Work("frozen", "frozen backbone, new head, whole process, nothing stored before", epochs=5),
        Work("warm", "the same once more", epochs=5, like="frozen"),
        Work("new", "the same with 1 % more photos", epochs=5, like="frozen"),
        Work("last-stage", "last stage and head trained", epochs=10),
        Work("full", "full fine-tuning, one epoch"),
        Work("store", "random batches of 256 stored features next to a bare memory map"),
        Work("limits", "decoding alone, and the engine alone on ready tensors"),
        Work("memory", "peak memory of extraction over generated photos"),
    )
}
DEFAULT_WORKS: Final = tuple(name for name in WORKS if name != "memory")
OURS_ALONE: Final = ("store", "limits", "memory")  # in-process measurements, in limits.py

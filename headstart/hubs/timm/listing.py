"""What timm has, told without loading or downloading anything."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path
from typing import Any, Final

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.file_download import repo_folder_name

from headstart.contracts import Card
from headstart.hubs.timm.library import timm
from headstart.loading.meta import without_values
from headstart.runtime.places import cache_folder

FILES: Final = ("model.safetensors", "pytorch_model.bin")
_ANY_OF_THEM: Final = "*model.[bs]*"
COUNTED: Final = Path(__file__).with_name("parameters.json")  # of timm 1.0.31, with usual heads
_PATIENCE: Final = 10.0  # seconds a listing may spend on counting parameters it doesn't know yet
_DATASETS: Final = {
    "in1k": "ImageNet-1k",
    "in10k": "ImageNet-10k",
    "in12k": "ImageNet-12k",
    "in21k": "ImageNet-21k",
    "in22k": "ImageNet-22k",
    "in21k_p": "ImageNet-21k",
    "inat21": "iNaturalist 2021",
    "jft": "JFT",
    "laion2b": "LAION-2B",
    "laion400m": "LAION-400M",
    "laiona": "LAION-Aesthetic",
    "webli": "WebLI",
    "lvd142m": "LVD-142M",
    "lvd1689m": "LVD-1689M",
    "sat493m": "SAT-493M",
    "openai": "WIT-400M (OpenAI)",
    "metaclip": "MetaCLIP",
    "metaclip2": "MetaCLIP 2",
    "datacompxl": "DataComp-XL",
    "datacomp1b": "DataComp-1B",
    "dfn2b": "DFN-2B",
    "dfn5b": "DFN-5B",
    "dfndr2b": "DFNDR-2B",
    "merged2b": "Merged-2B",
    "yfcc15m": "YFCC-15M",
    "yfcc100m": "YFCC-100M",
    "ig1b": "Instagram-1B",
    "swag": "Instagram-3.6B",
    "swsl": "Instagram-1B",
    "ssl": "YFCC-100M",
    "coco": "COCO",
    "cc12m": "CC-12M",
}
ACCURACY: Final[Mapping[str, float]] = json.loads(
    Path(__file__).with_name("accuracy.json").read_text(encoding="utf-8")
)
"""Top-1 on the validation images of ImageNet-1k, in percent, by timm's name with its tag.

From results/results-imagenet.csv of PyTorch Image Models (Wightman 2019), as of late 2024, rounded
to one decimal: the row at the size that these weights are fed by default, which is not always the
size at which they do best. Those of DINOv2 (Oquab et al. 2023) are its authors', and of a linear
head on frozen features. Weights whose head was never trained on ImageNet-1k have no entry.
"""

_PUBLISHED: Final = {
    2014: "vgg",
    2015: "inception_v3 resnet",
    2016: "densenet inception_resnet inception_v4 resnetv2 resnext wide_resnet xception",
    2017: "dla dpn mobilenetv1 nasnet pnasnet senet154 seresnet seresnext",
    2018: "darknet fbnetc mnasnet mobilenetv2",
    2019: "cspdarknet cspresne ecaresnet efficientnet ghostnet hrnet mixnet mobilenetv3 res2ne "
    "selecsls skresn spnasnet vovnet",
    2020: "deit fbnetv3 gernet regnet resnest rexnet tinynet tresnet vit_",
    2021: "beit botnet cait clip coat_ coatnet convit crossvit efficientnetv2 gmlp halonet "
    "hardcorenas lcnet levit mixer mobilevit mvitv2 nest_ nfnet pit_ poolformer pvt_v2 repvgg "
    "resmlp resnetrs swin tnt_ twins visformer volo xcit",
    2022: "beit3 beitv2 caformer convformer convmixer convnext davit deit3 edgenext "
    "efficientformer efficientvit eva_ flexivit focalnet gcvit ghostnetv2 maxvit maxxvit "
    "mobileone mobilevitv2 nextvit repghost sequencer tiny_vit",
    2023: "convnextv2 dinov2 efficientvit_m eva02 fastvit hiera inception_next repvit samvit "
    "siglip swiftformer",
    2024: "aimv2 ghostnetv3 mambaout mobilenetv4 rdnet sam2 starnet test_ vitamin",
    2025: "dinov3 naflexvit",
}
_YEARS: Final = {word: year for year, words in _PUBLISHED.items() for word in words.split()}


def listed(pattern: str) -> list[str]:
    """Names with a tag for each set of weights, and architectures without any, by shell pattern.

    Of a plain name, the weights that it stands for come first.
    """
    tagged = timm.list_pretrained()
    with_weights = {name.partition(".")[0] for name in tagged}
    names = tagged + [name for name in timm.list_models() if name not in with_weights]
    usual = _usual(pattern)  # a plain name means all of its weights too
    matches = [n for n in names if fnmatchcase(n, pattern) or n.partition(".")[0] == pattern]
    return sorted(matches, key=lambda name: (name != usual, name))


def cards(pattern: str) -> Iterator[Card]:
    """Describe what matches; parameters are None where counting them would take too long now."""
    counts = _Counts()
    try:
        for name in listed(pattern):
            config = timm.get_pretrained_cfg(name)
            details = config.to_dict() if config is not None else {}
            yield Card(
                reference=f"timm:{name}",
                modality="image",
                parameters=counts.of(name.partition(".")[0]),
                input="x".join(map(str, details.get("input_size") or ())),
                licence=details.get("license"),
                trained_on=trained_on(details) if "." in name else None,
                at_hand=at_hand(details) is not None,
                accuracy=ACCURACY.get(name),
                year=year(name),
                path=_cache_pattern(details),
            )
    finally:
        counts.keep()


def looked_at() -> tuple[str, ...]:
    """What decides what `cards` tells, besides the weights at hand."""
    variables = ("$HF_HUB_CACHE", "$HUGGINGFACE_HUB_CACHE", "$HF_HOME", "$XDG_CACHE_HOME", "$HOME")
    return ("timm", "huggingface_hub", escape(str(_own_counts())), *variables)


def trained_on(config: Mapping[str, Any]) -> str | None:
    """The data sets that a pretrained tag names, in the order of training."""
    words = re.split("[_-]", str(config.get("tag") or ""))
    names = dict.fromkeys(_DATASETS[word] for word in words if word in _DATASETS)
    return ", then ".join(names) or None


def at_hand(config: Mapping[str, Any], revision: str | None = None) -> Path | None:
    """The weights in the Hugging Face cache of this machine, or None; opens no connection."""
    repository = config.get("hf_hub_id")
    if not repository:
        return None
    for name in filter(None, (config.get("hf_hub_filename"), *FILES)):
        path = try_to_load_from_cache(str(repository), name, revision=revision)
        if isinstance(path, str):
            return Path(path)
    return None


def _cache_pattern(config: Mapping[str, Any]) -> str | None:
    """Where the Hub's cache keeps weights, of whatever revision, once they are fetched."""
    repository = config.get("hf_hub_id")
    if not repository:
        return None
    folder = repo_folder_name(repo_id=str(repository), repo_type="model")
    return f"{escape(str(Path(constants.HF_HUB_CACHE) / folder))}/snapshots/*/{_ANY_OF_THEM}"


def _own_counts() -> Path:
    return cache_folder() / f"timm-{timm.__version__}-parameters.json"


class _Counts:
    """Parameters per architecture: known, or counted without memory and then remembered."""

    def __init__(self) -> None:
        self._shipped, self._own = _read(COUNTED), _read(_own_counts())
        self._before = len(self._own)
        self._until = time.monotonic() + _PATIENCE

    def of(self, architecture: str) -> int | None:
        """How many parameters, with the architecture's usual head."""
        if architecture in self._shipped:
            return self._shipped[architecture]
        if architecture not in self._own and time.monotonic() < self._until:
            self._own[architecture] = _count(architecture)
        return self._own.get(architecture)

    def keep(self) -> None:
        """Remember the counts; a folder that can't be written is no reason to fail a listing."""
        path = _own_counts()
        beside = path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            if len(self._own) > self._before:
                path.parent.mkdir(parents=True, exist_ok=True)
                beside.write_text(json.dumps(self._own))
                beside.replace(path)


def _read(path: Path) -> dict[str, int | None]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _count(architecture: str) -> int | None:
    try:
        with without_values():
            network = timm.create_model(architecture)
    except Exception:  # a few architectures can't be built without memory
        return None
    return sum(parameter.numel() for parameter in network.parameters())


def _usual(name: str) -> str:
    """The name with its tag, of the weights that timm takes where a plain name has none."""
    plain = "." not in name and timm.is_model(name)
    config = timm.get_pretrained_cfg(name) if plain else None
    return f"{name}.{config.tag}" if config is not None and config.tag else name


def year(name: str) -> int | None:
    """When the newest architecture or method that a name mentions was published, if any is known.

    A variant's name contains that of what it varies: `wide_resnet50_2` is of 2016, not of 2015.
    """
    return max((year for word, year in _YEARS.items() if word in name), default=None)

"""What a timm model is fed and made with: by its config, by options, by what timm saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts.references import Reference, literal
from headstart.errors import HeadstartError, WeightsError, reason
from headstart.hubs.timm.library import timm
from headstart.loading import refusals
from headstart.loading.preprocess import Recipe, with_options

PREPROCESSING: Final = ("size", "channels", "crop", "crop_mode", "interpolation", "mean", "std")
IN_HEADER: Final = (*PREPROCESSING[:1], *PREPROCESSING[2:], "pad_type")
_OURS: Final = frozenset({"pretrained", "ema", *PREPROCESSING})
REFUSED: Final = frozenset(  # what create_model would take but the hub decides
    """num_classes in_chans pretrained_cfg pretrained_cfg_overlay checkpoint_path cache_dir
    scriptable exportable no_jit features_only out_indices pretrained_strict feature_cfg""".split()
)
CONFIG: Final = "config.json"
FOLDER: Final = "local-dir:"  # how timm itself names a folder
_LEFT_OUT: Final = ("num_classes", "in_chans", "img_size")  # told by the weights, or by the input


def configured(config: Mapping[str, Any]) -> Recipe:
    """The preprocessing that a timm `pretrained_cfg` asks for."""
    channels, height, width = config.get("input_size") or (3, 224, 224)
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "crop": config.get("crop_pct") or 0.875,
        "crop_mode": config.get("crop_mode") or "center",
        "interpolation": config.get("interpolation") or "bicubic",
        "mean": list(config.get("mean") or (0.485, 0.456, 0.406)),
        "std": list(config.get("std") or (0.229, 0.224, 0.225)),
    }


def construction(
    options: Mapping[str, str], own: Recipe, fed: Recipe, config: Mapping[str, Any]
) -> Recipe:
    """The keywords for `timm.create_model`: options of its own, channels, and a fixed input size.

    Raises HeadstartError for keywords that the hub decides itself.
    """
    for name in options:
        if name in REFUSED:
            raise HeadstartError(f"The timm option {name!r} is set by Headstart. Leave it out.")
    keywords = {name: _value(text) for name, text in options.items() if name not in _OURS}
    if fed["channels"] != own["channels"]:
        keywords["in_chans"] = fed["channels"]
    sides = fed["height"], fed["width"]
    if config.get("fixed_input_size") and sides != (own["height"], own["width"]):
        keywords.setdefault("img_size", sides[0] if sides[0] == sides[1] else list(sides))
    return keywords


def text(value: Any) -> str:
    """A keyword of `timm.create_model` as the text of an option."""
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def _value(text: str) -> Any:
    """The keyword that an option's text stands for."""
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return literal(text)


@final
@dataclass(frozen=True)
class Saved:
    """A config.json of timm: the architecture, what it is fed, and keywords of its construction."""

    path: Path
    architecture: str
    config: Mapping[str, Any]
    keywords: Mapping[str, str]

    def demand(self, reference: Reference) -> None:
        """Raise WeightsError where the reference names another architecture."""
        if self.architecture != reference.name.partition(".")[0]:
            source = f"{self.path} says that {reference.weights}"
            raise refusals.other_network(source, self.architecture, reference)


def is_folder(name: str) -> bool:
    """Whether a reference names a folder of timm instead of an architecture."""
    return name.startswith(FOLDER) or (not timm.is_model(name) and Path(name).is_dir())


def of_folder(name: str) -> tuple[Path, Saved]:
    """The folder that a reference names, and what its config.json says.

    Raises WeightsError where it holds none of timm.
    """
    folder = Path(name.removeprefix(FOLDER)).expanduser()
    config = beside(folder) if folder.is_dir() else None
    if config is None:
        raise WeightsError(
            f"{folder} is not a folder with a {CONFIG} of timm. Give one that timm saved, or write "
            "timm:ARCHITECTURE@FILE."
        )
    return folder, config


def beside(place: Path) -> Saved | None:
    """What the config.json in a folder, or beside a file, says of a network of timm, if anything.

    Raises WeightsError where it is one of timm and can't be used.
    """
    path = (place if place.is_dir() else place.parent) / CONFIG
    if not path.is_file():
        return None
    content = _content(path)
    if not isinstance(content, dict) or not isinstance(content.get("architecture"), str):
        return None  # of another library
    config, arguments = content.get("pretrained_cfg", content), content.get("model_args") or {}
    if not timm.is_model(content["architecture"]):
        raise WeightsError(
            f"{path} names the architecture {content['architecture'][:80]!r}, which this timm "
            f"{timm.__version__} has not. Give the weights of another."
        )
    try:
        fed = _fed(config, arguments)
        with_options(fed, {}, str(path))
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise WeightsError(
            f"{path} says what pictures look like in values that can't be (input_size, mean, std "
            "or crop_pct). Mend it."
        ) from None
    except HeadstartError as error:
        raise WeightsError(str(error)) from None
    keywords = {
        str(name): text(value)
        for name, value in arguments.items()
        if name not in _LEFT_OUT and name not in REFUSED and value is not None
    }
    architecture = content["architecture"].partition(".")[0]
    input_size = [fed[side] for side in ("channels", "height", "width")]
    own = {"input_size": input_size, "crop_pct": fed["crop"], "mean": fed["mean"]}
    return Saved(path, architecture, {**config, **own, "std": fed["std"]}, keywords)


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path} can't be read ({reason(error)}). Mend it, or take it away."
        ) from None


def _fed(config: Mapping[str, Any], arguments: Mapping[str, Any]) -> Recipe:
    """The preprocessing, with the sides and channels that the network was made for."""
    fed = configured(config)
    fed["channels"] = arguments.get("in_chans") or fed["channels"]
    size = arguments.get("img_size")
    if size and config.get("fixed_input_size"):
        fed["height"], fed["width"] = size if isinstance(size, list) else (size, size)
    for name in ("channels", "height", "width"):
        if type(fed[name]) is not int:
            raise TypeError
    fed["crop"] = float(fed["crop"])
    for name in ("mean", "std"):
        fed[name] = [float(value) for value in fed[name]]
        if len(fed[name]) not in (1, 3, fed["channels"]):
            raise ValueError
    return fed

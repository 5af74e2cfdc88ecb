"""The config.json that timm writes beside weights: the network, and what it is fed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.timm import recipe
from headstart.hubs.timm.library import timm

CONFIG: Final = "config.json"
FOLDER: Final = "local-dir:"  # how timm itself names a folder
_LEFT_OUT: Final = ("num_classes", "in_chans", "img_size")  # told by the weights, or by the input


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
            raise WeightsError(
                f"{self.path} says that {reference.weights} holds the weights of "
                f"timm:{self.architecture}, not of timm:{reference.name}. "
                f"Write timm:{self.architecture}@{reference.weights}."
            )


def is_folder(name: str) -> bool:
    """Whether a reference names a folder of timm instead of an architecture."""
    return name.startswith(FOLDER) or (not timm.is_model(name) and Path(name).is_dir())


def of_folder(name: str) -> tuple[Path, Saved]:
    """The folder that a reference names, and what its config.json says.

    Raises WeightsError where it holds none of timm.
    """
    folder = Path(name.removeprefix(FOLDER)).expanduser()
    found = beside(folder) if folder.is_dir() else None
    if found is None:
        raise WeightsError(
            f"{folder} is not a folder with a {CONFIG} of timm. Give one that timm saved, or write "
            "timm:ARCHITECTURE@FILE."
        )
    return folder, found


def beside(place: Path) -> Saved | None:
    """What the config.json in a folder, or beside a file, says of a network of timm, if anything.

    Raises WeightsError where it is one of timm and can't be used.
    """
    path = (place if place.is_dir() else place.parent) / CONFIG
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path} can't be read ({str(error)[:160]}). Mend it, or take it away."
        ) from None
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
        recipe.changed(fed, {}, str(path))
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise WeightsError(
            f"{path} says what pictures look like in values that can't be (input_size, mean, std "
            "or crop_pct). Mend it."
        ) from None
    except HeadstartError as error:
        raise WeightsError(str(error)) from None
    keywords = {
        str(name): recipe.text(value)
        for name, value in arguments.items()
        if name not in _LEFT_OUT and name not in recipe.REFUSED and value is not None
    }
    architecture = content["architecture"].partition(".")[0]
    return Saved(path, architecture, {**config, **_sides(fed)}, keywords)


def _fed(config: Mapping[str, Any], arguments: Mapping[str, Any]) -> recipe.Recipe:
    """The preprocessing, with the sides and channels that the network was made for."""
    fed = recipe.configured(config)
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


def _sides(fed: recipe.Recipe) -> dict[str, Any]:
    return {
        "input_size": [fed[side] for side in ("channels", "height", "width")],
        "crop_pct": fed["crop"],
        "mean": fed["mean"],
        "std": fed["std"],
    }

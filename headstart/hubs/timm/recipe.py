"""The preprocessing of a timm model, and the options that change it or the model's construction."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from headstart.contracts.references import literal
from headstart.errors import HeadstartError, UnknownNameError
from headstart.loading.preprocess import CROP_MODES, INTERPOLATIONS

Recipe = dict[str, Any]
PREPROCESSING: Final = ("size", "channels", "crop", "crop_mode", "interpolation", "mean", "std")
_KNOWN: Final = {"crop_mode": CROP_MODES, "interpolation": INTERPOLATIONS}
_HEADER: Final = (*PREPROCESSING[:1], *PREPROCESSING[2:], "pad_type")
_OURS: Final = frozenset({"pretrained", "ema", *PREPROCESSING})
REFUSED: Final = frozenset(  # what create_model would take but the hub decides
    """num_classes in_chans pretrained_cfg pretrained_cfg_overlay checkpoint_path cache_dir
    scriptable exportable no_jit features_only out_indices pretrained_strict feature_cfg""".split()
)


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


def changed(own: Recipe, options: Mapping[str, str], what: str) -> Recipe:
    """The model's own preprocessing with options put in. Raises HeadstartError for a bad value."""
    recipe = dict(own)
    if "channels" in options:
        recipe["channels"] = int(_number(options, "channels", what))
    if "size" in options:
        recipe["height"], recipe["width"] = _sides(options, what)
    if "crop" in options:
        recipe["crop"] = _number(options, "crop", what)
    for name in ("crop_mode", "interpolation"):
        recipe[name] = options.get(name, own[name])
    for name in ("crop_mode", "interpolation"):
        if recipe[name] not in _KNOWN[name]:
            raise UnknownNameError(name.replace("_", " "), str(recipe[name]), _KNOWN[name])
    for name in ("mean", "std"):
        values = _numbers(options, name, what) if name in options else own[name]
        given = name in options
        recipe[name] = _spread(values, recipe["channels"], again=not given)
        if len(recipe[name]) != recipe["channels"]:
            raise HeadstartError(
                f"{what}?{name}={options.get(name)!r} has not one number for each of "
                f"{recipe['channels']} channels. Give one number, or one a channel with commas."
            )
    above = [recipe[side] for side in ("height", "width", "channels", "crop")] + recipe["std"]
    if not all(math.isfinite(v) for v in [*above, *recipe["mean"]]) or min(above) <= 0:
        raise HeadstartError(
            f"{what} has a size, crop, channels or std that is not above 0. Give a number above 0."
        )
    return recipe


def difference(recipe: Recipe, own: Recipe) -> dict[str, str]:
    """The options that turn the model's own preprocessing into this one."""
    options = {
        name: str(recipe[name])
        for name in ("channels", "crop", "crop_mode", "interpolation")
        if recipe[name] != own[name]
    }
    height, width = recipe["height"], recipe["width"]
    if (height, width) != (own["height"], own["width"]):
        options["size"] = str(height) if height == width else f"{height}x{width}"
    plain = changed(own, {"channels": str(recipe["channels"])}, "")
    for name in ("mean", "std"):
        if recipe[name] != plain[name]:
            options[name] = ",".join(map(str, recipe[name]))
    return options


def from_header(metadata: Mapping[str, str]) -> dict[str, str]:
    """The options that a weights file states in its header."""
    return {name: metadata[name] for name in _HEADER if name in metadata}


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


def _spread(values: list[float], channels: int, again: bool) -> list[float]:
    """One number for all channels, or the mean of three for a grey picture.

    More channels than values get them `again` from the first, as timm gives them weights.
    """
    if len(values) == 1:
        return values * channels
    if channels == 1:
        return [math.fsum(values) / len(values)]
    return [values[n % len(values)] for n in range(channels)] if again else values


def _sides(options: Mapping[str, str], what: str) -> tuple[int, int]:
    """Height and width, of one number or of two with an x between."""
    values = _numbers(options, "size", what)
    return int(values[0]), int(values[-1])


def _number(options: Mapping[str, str], name: str, what: str) -> float:
    return _numbers(options, name, what)[0]


def _numbers(options: Mapping[str, str], name: str, what: str) -> list[float]:
    try:
        between = "x" if name == "size" and "x" in options[name] else ","
        return [float(part) for part in options[name].strip("()[] ").split(between)]
    except ValueError:
        raise HeadstartError(
            f"{what}?{name}={options[name]!r} is not a number. "
            f"Give one, such as {name}={'0.5' if name in ('mean', 'std', 'crop') else '224'}."
        ) from None

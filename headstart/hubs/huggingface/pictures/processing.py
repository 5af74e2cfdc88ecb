"""How a model's own image processor prepares pictures, as a recipe of ours and back."""

from __future__ import annotations

import json
import math
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headstart.errors import HeadstartError
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.loading import quiet
from headstart.hubs.huggingface.reading import CONFIG, PROCESSORS, dumped, read_json

Recipe = dict[str, Any]
_NESTED: Final = "image_processor"  # where processor_config.json keeps it
_ELSEWHERE: Final = ("auto_map", "processor_class", "name_or_path", "_processor_class")
_FILTERS: Final = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box"}
_ALIKE: Final = (1, 2, 3)  # torchvision's other filters are not Pillow's
_LARGEST: Final = 8192  # pixels
_LEVELS: Final = 255
_WARPED: Final = 384  # from this size on, ConvNeXt's processor crops nothing
_STEPS: Final = ("resize", "center_crop", "rescale_and_normalize", "_preprocess")


def settings(layout: Layout) -> dict[str, Any] | None:
    """What the model's folder says of its image processor, None where it says nothing."""
    for name in PROCESSORS:
        path = layout.reader / name
        if path.is_file():
            content = read_json(path)
            inner = content.get(_NESTED) if name == PROCESSORS[1] else content
            if isinstance(inner, Mapping):
                return {n: value for n, value in inner.items() if n not in _ELSEWHERE}
    return None


def recipe(layout: Layout, content: Mapping[str, Any], channels: int) -> Recipe:
    """The recipe of a processor as transformers opens it.

    Raises HeadstartError for one that prepares pictures in a way that can't be kept.
    """
    processor, what = _opened(layout, content), layout.what
    fed = _view(processor, what)
    number = int(2 if processor.resample is None else processor.resample)
    if number not in _ALIKE:
        raise _refusal(what, f"it resizes by filter {number}, in which libraries differ")
    levels = _levels(processor, channels, what)
    return {"channels": channels, **fed, "interpolation": _FILTERS[number], **levels}


def _view(processor: Any, what: str) -> Recipe:
    """What of a picture is resized to which size."""
    from transformers.image_processing_backends import TorchvisionBackend

    size, crop = _sizes(processor.size), _sizes(processor.crop_size)
    kind, own = type(processor).__name__, vars(TorchvisionBackend)
    odd = set(size) - {"shortest_edge", "height", "width"}
    if not processor.do_resize or processor.do_pad or odd:
        raise _refusal(what, f"{kind} gives pictures of different sizes")
    shortest = int(size.get("shortest_edge") or 0)
    if kind.startswith("ConvNext"):
        return _of_convnext(shortest, float(processor.crop_pct), what)
    if any(getattr(type(processor), step) is not own[step] for step in _STEPS):
        raise _refusal(what, f"{kind} has a way of its own")
    crop = crop if processor.do_center_crop else {}
    if shortest:
        return _centred(shortest, crop, what)
    return _squashed(int(size.get("height") or 0), int(size.get("width") or 0), crop, what)


def file(fed: Mapping[str, Any]) -> bytes:
    """An image processor of transformers that does what a recipe says."""
    high, wide = (math.floor(fed[side] / fed["crop"]) for side in ("height", "width"))
    squashed = fed["crop_mode"] == "squash"
    content = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"height": high, "width": wide} if squashed else {"shortest_edge": wide},
        "resample": next(n for n, name in _FILTERS.items() if name == fed["interpolation"]),
        "do_center_crop": True,
        "crop_size": {"height": fed["height"], "width": fed["width"]},
        "do_rescale": True,
        "rescale_factor": 1 / _LEVELS,
        "do_normalize": True,
        "image_mean": list(fed["mean"]),
        "image_std": list(fed["std"]),
        "do_convert_rgb": fed["channels"] == 3,
    }
    return dumped(content)


def _opened(layout: Layout, content: Mapping[str, Any]) -> Any:
    """transformers' own processor, from a copy of its settings alone."""
    from transformers import AutoImageProcessor

    auto: Any = AutoImageProcessor
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        (Path(place) / PROCESSORS[0]).write_text(json.dumps(content), encoding="utf-8")
        kind = {"model_type": layout.raw.get("model_type")}
        (Path(place) / CONFIG).write_text(json.dumps(kind), encoding="utf-8")
        try:
            return auto.from_pretrained(
                place, local_files_only=True, trust_remote_code=False, backend="torchvision"
            )
        except Exception as error:  # each kind of processor fails in its own way
            reason = " ".join(str(error).replace(place, "").split()).rstrip(".")[:160]
            raise _refusal(layout.what, f"transformers can't open it: {reason}") from error


def _sizes(value: Any) -> dict[str, int]:
    """The sides that a size names."""
    sides = dict(value) if isinstance(value, Mapping) else vars(value) if value else {}
    return {name: side for name, side in sides.items() if side is not None}


def _of_convnext(size: int, share: float, what: str) -> Recipe:
    _check(what, size)
    if size >= _WARPED:
        return _squashed(size, size, {}, what)
    if not 0 < share <= 1:
        raise _refusal(what, f"it keeps {share} of a picture")
    return _centred(int(size / share), {"height": size, "width": size}, what)


def _centred(shortest: int, crop: Mapping[str, int], what: str) -> Recipe:
    """The shorter side resized, and a square cut out of the middle."""
    side = crop.get("height", 0)
    if side != crop.get("width"):
        raise _refusal(what, "it crops no square")
    _check(what, shortest, side)
    return _recipe(side, side, _share(side, shortest, what), "center")


def _squashed(high: int, wide: int, crop: Mapping[str, int], what: str) -> Recipe:
    """Both sides resized, whatever their ratio was, and perhaps the middle cut out."""
    side, across = crop.get("height", high), crop.get("width", wide)
    _check(what, high, wide, side, across)
    share = _share(side, high, what)
    if math.floor(across / share) != wide:
        raise _refusal(what, "it crops another share of the height than of the width")
    return _recipe(side, across, share, "squash")


def _recipe(high: int, wide: int, share: float, mode: str) -> Recipe:
    return {
        "height": high,
        "width": wide,
        "crop": share,
        "crop_mode": mode,
        "crop_origin": "floor",
    }


def _share(side: int, resized: int, what: str) -> float:
    """The share of the resized picture that is kept, such that its size comes out exactly."""
    if side > resized:
        raise _refusal(what, f"it crops {side} pixels out of {resized}")
    share = side / resized
    return share if math.floor(side / share) == resized else side / (resized + 0.5)


def _check(what: str, *sides: int) -> None:
    for side in sides:
        if not 0 < side <= _LARGEST:
            raise _refusal(what, f"a side of {side} pixels is not between 1 and {_LARGEST}")


def _levels(processor: Any, channels: int, what: str) -> Recipe:
    """Mean and standard deviation for values from 0 to 1."""
    factor = float(processor.rescale_factor) * _LEVELS if processor.do_rescale else float(_LEVELS)
    factor = 1.0 if math.isclose(factor, 1.0, rel_tol=1e-9) else factor
    plain = {"mean": [0.0] * channels, "std": [1.0] * channels}
    levels = {}
    for name, usual in plain.items():
        value = getattr(processor, f"image_{name}") if processor.do_normalize else usual
        values = [value] * channels if isinstance(value, int | float) else list(value or ())
        values = [float(value) / factor if factor else math.nan for value in values]
        wrong = [v for v in values if not math.isfinite(v) or (name == "std" and v <= 0)]
        if wrong or len(values) != channels:
            raise _refusal(what, f"image_{name}={value!r} is not one number for each channel")
        levels[name] = values
    return levels


def _refusal(what: str, reason: str) -> HeadstartError:
    return HeadstartError(
        f"{what} has an image processor that can't be kept: {reason}. "
        "Say yourself how pictures are fed with ?size=224&mean=0.5&std=0.5."
    )

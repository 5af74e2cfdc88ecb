"""Detectors of transformers, as `AutoModelForObjectDetection` opens them.

Carion et al. 2020 (DETR), Zhu et al. 2021 (Deformable DETR), Meng et al. 2021 (Conditional DETR),
Liu et al. 2022 (DAB-DETR), Fang et al. 2021 (YOLOS), Zhao et al. 2024 (RT-DETR), Peng et al. 2025
(D-FINE). The trunk is the stage; encoder, decoder and last layers are the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

import torch
from torch import nn

from headstart.contracts import Backbone
from headstart.contracts.maps import MeanOfMaps
from headstart.errors import HeadstartError, reason
from headstart.hubs.huggingface.building import architecture, built, native, origin, untrained
from headstart.hubs.huggingface.detectors.families import FAMILIES, DetectorFamily
from headstart.hubs.huggingface.detectors.head import TransformersHead, Trunk
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.loading import labelled, load, read_weights
from headstart.hubs.huggingface.parts import Stage
from headstart.hubs.huggingface.pictures.processing import settings
from headstart.hubs.huggingface.planning import library_config
from headstart.hubs.huggingface.reading import CONFIG, PROCESSORS, dumped, read_json
from headstart.loading import head_removal
from headstart.loading.preprocess import PictureInput
from headstart.loading.refusals import misfit
from headstart.loading.spec import resolve
from headstart.loading.transformers_networks import AutoModelForObjectDetection

_SIZE: Final = 640  # px, where nothing says another
_LARGEST: Final = 1333


@final
@dataclass(frozen=True)
class DetectorOptions(PictureInput):
    """The options of a reference: of a square that pictures are fed in, in their own shape."""

    size: int = _SIZE
    crop_mode: str = "squash"
    pretrained: bool = True


def backbone(layout: Layout) -> Backbone:
    """The detector's trunk as the one stage; `detector` makes the rest for the user's classes.

    Raises HeadstartError where the network can't be made or fed so, WeightsError for weights that
    are missing or belong to another network.
    """
    family, what = FAMILIES[layout.kind], layout.what
    processor = dict(settings(layout) or {})
    options = resolve(DetectorOptions, layout.reference, _usual(processor))
    fed = {**options.preprocess(what), "crop_mode": "letterbox"}
    network = _network(layout)
    tokens = int(network.config.num_detection_tokens) if family.tokens else 0  # type: ignore[union-attr, arg-type]
    trunk = Stage(network, [Trunk((family.trunk,), tokens)]).eval()
    return Backbone(
        stages={"trunk": trunk},
        pool=MeanOfMaps(),
        feature_dim=_width(trunk, fed, what),
        modality="image",
        preprocess=fed,
        origin=origin(layout, [trunk]),
        architecture=architecture(layout, size=str(options.size)),
        delicate=True,
        library="transformers",
        native=native(layout.raw, network, own=True),
        files={PROCESSORS[0]: dumped(_processor(processor, fed, family))},
        detector=partial(_head, layout, network, family, options.size),
    )


def _network(layout: Layout) -> nn.Module:
    """The whole network as its folder has it, for as many classes."""
    auto: Any = AutoModelForObjectDetection
    config = library_config(layout.raw, layout.encoder / CONFIG)
    names = read_json(layout.encoder / CONFIG).get("id2label")
    config = labelled(config, auto, len(names) if names else config.num_labels)

    def fill() -> nn.Module:
        state, source = read_weights(layout)
        loaded = load(auto, config, state, source)
        if loaded.missing:
            missing = sorted(loaded.missing)
            raise misfit(source, f"{len(missing)} missing: {', '.join(missing[:3])}")
        return loaded.network

    def make() -> nn.Module:
        return untrained(auto, config)

    return built(make, layout, fill if layout.pretrained else None)


def _head(
    layout: Layout, network: nn.Module, family: DetectorFamily, side: int, labels: Sequence[str]
) -> TransformersHead:
    """All but the trunk, for these classes: pretrained but for what depends on them."""
    auto: Any = AutoModelForObjectDetection
    config = labelled(network.config, auto, len(labels))
    other = untrained(auto, config)
    head = TransformersHead(other, family, len(labels), side)
    if layout.pretrained:
        own, state = other.state_dict(), network.state_dict()
        same = {n: t for n, t in state.items() if n in own and own[n].shape == t.shape}
        other.load_state_dict(same, strict=False)
    return head


def _usual(processor: dict[str, Any]) -> dict[str, str]:
    """How the model's own processor feeds pictures, as options."""
    size = processor.get("size")
    sides = [*size.values()] if isinstance(size, dict) else [size]
    numbers = [int(each) for each in sides if isinstance(each, int) and 0 < each <= _LARGEST]
    usual = {"size": str(min(numbers))} if numbers else {}
    for name in ("mean", "std"):
        values = processor.get(f"image_{name}")
        if processor.get("do_normalize") is False:
            values = [0.0] * 3 if name == "mean" else [1.0] * 3
        if isinstance(values, list):
            usual[name] = ",".join(map(str, values))
    return usual


def _processor(own: dict[str, Any], fed: dict[str, Any], family: DetectorFamily) -> dict[str, Any]:
    """The image processor of transformers that feeds pictures in their own shape on a square."""
    side = fed["height"]
    kind = own.get("image_processor_type", family.processor)
    return {
        "image_processor_type": kind,
        "do_resize": True,
        "size": {"max_height": side, "max_width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(fed["mean"]),
        "image_std": list(fed["std"]),
        "do_pad": True,
        "pad_size": {"height": side, "width": side},
    }


def _width(trunk: nn.Module, fed: dict[str, Any], what: str) -> int:
    """How many features its maps have, tried on one picture."""
    try:
        with torch.no_grad():
            maps = trunk(head_removal.example(fed)[:1])
    except Exception as error:  # sizes that don't fit the network fail in as many ways
        raise HeadstartError(
            f"{what} can't read pictures of {fed['height']} px ({reason(error)}). "
            "Give it another size=, or none."
        ) from error
    for values in maps.values():
        head_removal.demand_finite(values, what)
    return sum(values.shape[1] for values in maps.values())

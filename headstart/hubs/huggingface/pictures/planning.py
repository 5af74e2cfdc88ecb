"""A reference to an encoder of pictures, with everything settled before the network is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from headstart.errors import HeadstartError
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.pictures.families import FAMILIES, WHOLE, PictureFamily
from headstart.hubs.huggingface.pictures.processing import file, recipe, settings
from headstart.hubs.huggingface.planning import library_config
from headstart.hubs.huggingface.reading import CONFIG, PROCESSORS, dumped
from headstart.hubs.huggingface.sentences import MODULES
from headstart.loading.preprocess import PictureInput, with_options
from headstart.loading.spec import LoadSpec, resolve

POOLING: Final = ("own", "pooler", "cls", "mean")
_ENOUGH: Final = {"size", "mean", "std"}  # options that say how pictures are fed
_CHANGES: Final = ("size", "crop", "crop_mode", "interpolation", "mean", "std")


@final
@dataclass(frozen=True)
class PictureOptions(PictureInput):
    """The options of a reference; those for pictures are the image processor's unless given."""

    pooling: str = "own"
    pretrained: bool = True
    base: str = ""


@final
@dataclass(frozen=True)
class PictureSpec(LoadSpec[PictureOptions]):
    """What to build, with features made in which way, fed with what.

    `raw` and `config` are those of transformers' network for classification where `own`, and of
    the tower alone otherwise.
    """

    layout: Layout
    family: PictureFamily
    raw: Mapping[str, Any]
    config: Any
    steps: tuple[str, ...]
    preprocess: Mapping[str, Any]
    processor: bytes

    @property
    def own(self) -> bool:
        """Whether features are those that transformers' own classifier is over."""
        return self.options.pooling == "own"


def settle(layout: Layout) -> PictureSpec:
    """Check the options, and read what the files say of network and pictures.

    Raises HeadstartError for options and folders that can't be used.
    """
    what = layout.what
    tower = _tower(layout)
    family = FAMILIES[tower["model_type"]]
    if (layout.root / MODULES).is_file() and "pooling" not in layout.reference.options:
        raise HeadstartError(
            f"{what} holds modules of sentence-transformers over pictures, which are not read. "
            "Choose how to make features with ?pooling=own."
        )
    options, preprocess, processor = _fed(layout, tower.get("num_channels", 3))
    raw = _classifier(tower, family) if options.pooling == "own" else tower
    return PictureSpec(
        reference=layout.reference,
        options=options,
        layout=layout,
        family=family,
        raw=raw,
        config=library_config(raw, layout.encoder / CONFIG),
        steps=_steps(options.pooling, family, tower["model_type"], what),
        preprocess=preprocess,
        processor=processor,
    )


def _fed(layout: Layout, channels: Any) -> tuple[PictureOptions, dict[str, Any], bytes]:
    """The options, how pictures are fed with them, and the processor that does so."""
    what, changes = layout.what, layout.reference.options
    if channels not in (1, 3):
        raise HeadstartError(
            f"{what} takes pictures of {channels!r} channels. Give a model for 1 or 3 channels."
        )
    processor, enough = settings(layout), _ENOUGH <= changes.keys()
    if processor is None and not enough:
        raise HeadstartError(
            f"{what} has no {PROCESSORS[0]}, so it says not how pictures are fed. "
            "Copy it beside the weights, or say so with ?size=224&mean=0.5&std=0.5."
        )
    options = resolve(PictureOptions, layout.reference, {"channels": str(channels)})
    preprocess = {**options.preprocess(what), "crop_origin": "floor"}
    changes = {name: changes[name] for name in _CHANGES if name in changes}
    if processor is not None and not enough:
        preprocess = with_options(recipe(layout, processor, channels), changes, what)
    if processor is not None and (not changes or preprocess["crop_mode"] == "border"):
        return options, preprocess, dumped(processor)
    return options, preprocess, file(preprocess)


def _tower(layout: Layout) -> dict[str, Any]:
    """The part of config.json that describes the network for pictures."""
    kind = layout.kind
    if kind not in WHOLE:
        return dict(layout.raw)
    inner = layout.raw.get("vision_config")
    return {**(inner if isinstance(inner, Mapping) else {}), "model_type": WHOLE[kind]}


def _classifier(tower: Mapping[str, Any], family: PictureFamily) -> dict[str, Any]:
    """config.json of transformers' network for classification with this tower."""
    if not family.whole:
        return dict(tower)
    return {"model_type": family.whole, "vision_config": {**tower, **dict(family.settings)}}


def _steps(pooling: str, family: PictureFamily, kind: str, what: str) -> tuple[str, ...]:
    ways = {name: getattr(family, name) for name in POOLING}
    if not ways.get(pooling):
        names = ", ".join(name for name, steps in ways.items() if steps)
        raise HeadstartError(
            f"{what}?pooling={pooling!r} is not known of the kind {kind}. Give one of {names}."
        )
    steps: tuple[str, ...] = ways[pooling]
    return steps

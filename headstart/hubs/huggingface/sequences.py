"""Encoder–decoders that translate, saved by transformers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.loading import read_weights
from headstart.hubs.huggingface.reading import card
from headstart.loading.refusals import demand_package
from headstart.loading.spec import HubOptions, resolve

KINDS: Final = ("marian",)
_FILES: Final = ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json")
_LARGEST: Final = 1 << 28  # bytes of a file of pieces


@final
@dataclass(frozen=True)
class SequenceOptions(HubOptions):
    """The options of a reference.

    `vocabulary` is `joint`, where pieces of the texts that it is fitted to are added, or `own`.
    """

    vocabulary: str = "joint"
    pretrained: bool = True


def backbone(layout: Layout) -> Backbone:
    """The encoder in stages with the decoder as its head.

    Raises HeadstartError for options and files that can't be used, WeightsError for weights that
    are missing or belong to another network.
    """
    demand_package("sentencepiece", layout.what, "translation")
    from headstart.loading.sequences.building import Plan
    from headstart.loading.sequences.building import backbone as built
    from headstart.loading.sequences.files import JOINT, OWN, PieceFiles

    options = resolve(SequenceOptions, layout.reference)
    if options.vocabulary not in (JOINT, OWN):
        raise HeadstartError(
            f"{layout.what} has a vocabulary {options.vocabulary!r}. Give {JOINT} or {OWN}."
        )
    licence, trained_on = card(layout.root) if layout.pretrained else (None, None)
    own = {**options.changed(("pretrained",)), "pretrained": "false"}
    return built(
        Plan(
            reference=layout.reference,
            architecture=Reference("hf", layout.reference.name, layout.commit, own),
            raw=layout.raw,
            pieces=PieceFiles.read(_read(layout.reader), layout.what),
            state=read_weights(layout)[0] if layout.pretrained else {},
            what=layout.what,
            mode=options.vocabulary,
            pretrained=layout.pretrained,
            licence=licence,
            trained_on=trained_on,
        )
    )


def _read(folder: Path) -> dict[str, bytes]:
    places = {name: folder / name for name in _FILES}
    return {
        name: place.read_bytes()
        for name, place in places.items()
        if place.is_file() and place.stat().st_size <= _LARGEST
    }

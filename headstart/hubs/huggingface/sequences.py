"""Encoder–decoders that translate, saved by transformers."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.loading import quiet, read_weights
from headstart.hubs.huggingface.reading import card
from headstart.loading.refusals import demand_package
from headstart.loading.spec import HubOptions, resolve

if TYPE_CHECKING:
    from headstart.loading.sequences.files import PieceFiles
    from headstart.loading.sequences.own_tokens import OwnTokens

KINDS: Final = ("bart", "m2m_100", "marian", "mbart", "mt5", "t5")
_JOINT: Final = ("marian",)  # kinds whose pieces can be joined with others
_FILES: Final = ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json")
_LARGEST: Final = 1 << 28  # bytes of a file of pieces


@final
@dataclass(frozen=True)
class SequenceOptions(HubOptions):
    """The options of a reference.

    `vocabulary` is `joint`, where pieces of the texts that it is fitted to are added, or `own`, as
    other kinds than Marian have it. `source` and `target` are the codes of languages of a model
    that knows many.
    """

    vocabulary: str = ""
    source: str = ""
    target: str = ""
    pretrained: bool = True


def backbone(layout: Layout) -> Backbone:
    """The encoder in stages with the decoder as its head.

    Raises HeadstartError for options and files that can't be used, WeightsError for weights that
    are missing or belong to another network.
    """
    demand_package("sentencepiece", layout.what, "translation")
    from headstart.loading.sequences.building import Plan
    from headstart.loading.sequences.building import backbone as built
    from headstart.loading.sequences.files import JOINT, OWN

    options = resolve(SequenceOptions, layout.reference)
    able = (JOINT, OWN) if layout.kind in _JOINT else (OWN,)
    mode = options.vocabulary or able[0]
    if mode not in able:
        raise HeadstartError(
            f"{layout.what} can't have the vocabulary {mode!r}. Give {' or '.join(able)}."
        )
    licence, trained_on = card(layout.root) if layout.pretrained else (None, None)
    own = {**options.changed(("pretrained",)), "pretrained": "false"}
    state, file = read_weights(layout) if layout.pretrained else ({}, "")
    return built(
        Plan(
            reference=layout.reference,
            architecture=Reference("hf", layout.reference.name, layout.commit, own),
            raw=layout.raw,
            pieces=_pieces(layout, options),
            state=state,
            file=file,
            what=layout.what,
            mode=mode,
            pretrained=layout.pretrained,
            licence=licence,
            trained_on=trained_on,
        )
    )


def _pieces(layout: Layout, options: SequenceOptions) -> PieceFiles | OwnTokens:
    """Marian's two SentencePiece models, or another kind's tokenizer."""
    from headstart.hubs.huggingface.tokens import copied
    from headstart.loading.sequences.files import PieceFiles
    from headstart.loading.sequences.own_tokens import OwnTokens

    if layout.kind in _JOINT:
        return PieceFiles.read(_read(layout.reader), layout.what)
    languages = options.source, options.target
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        copied(layout.reader, Path(place), layout.raw)
        count = int(layout.raw.get("vocab_size", 0))
        return OwnTokens.open(Path(place), languages, count, layout.what)


def _read(folder: Path) -> dict[str, bytes]:
    places = {name: folder / name for name in _FILES}
    return {
        name: place.read_bytes()
        for name, place in places.items()
        if place.is_file() and place.stat().st_size <= _LARGEST
    }

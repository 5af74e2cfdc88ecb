"""Networks that write down what is said, saved by transformers, as `?speech=true` names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, final

from headstart.contracts import Backbone
from headstart.errors import HeadstartError
from headstart.hubs.huggingface.layout import Layout
from headstart.loading.spec import HubOptions, resolve

LETTERS: Final = (  # kinds that say a letter a frame
    *("data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm"),
)
WRITERS: Final = ("speech_to_text", "whisper")  # kinds that write piece by piece
VOCABULARIES: Final = ("joint", "own", "new")
_SPEECH: Final = "speech"
_OWN: Final = (_SPEECH, "vocabulary", "language", "task")


@final
@dataclass(frozen=True)
class SpeechOptions(HubOptions):
    """The options of a reference.

    `vocabulary` is `joint`, where letters of the transcripts are added to the network's, `own`, or
    `new`, of the transcripts alone. `language` is Whisper's word for what is spoken, by itself
    unless named, `task` what it does: `transcribe` or `translate`, into English.
    """

    speech: bool = True
    vocabulary: str = "joint"
    language: str = ""
    task: str = "transcribe"
    pretrained: bool = True


def is_meant(layout: Layout) -> bool:
    """Whether a reference means what is said rather than a sound's features."""
    has_option = any(name in layout.reference.options for name in _OWN)
    return layout.kind == WRITERS[0] or (has_option and layout.kind in (*LETTERS, *WRITERS))


def transcriber(layout: Layout) -> Callable[[], Backbone] | None:
    """What makes the network that writes down what is said; None where there is no such."""
    if layout.kind not in (*LETTERS, *WRITERS):
        return None
    return partial(_backbone_of, layout)


def _backbone_of(layout: Layout) -> Backbone:
    """The same network, known by the name that it already has."""
    others = ("window", "hop", "fill", "rate")
    options = {n: v for n, v in layout.reference.options.items() if n not in others}
    reference = replace(layout.reference, options={**options, _SPEECH: "true"})
    own = backbone(replace(layout, reference=reference))
    if layout.reference.weights is None or layout.file is None:
        name = str(replace(layout.reference, weights=layout.commit or layout.reference.weights))
        own.origin = replace(own.origin, reference=name)
    return own


def backbone(layout: Layout) -> Backbone:
    """The encoder in stages with what writes as its head.

    Raises HeadstartError for options and files that can't be used, WeightsError for weights that
    are missing or belong to another network.
    """
    from headstart.hubs.huggingface.speech import by_letters, by_pieces

    options = resolve(SpeechOptions, layout.reference)
    if options.vocabulary not in VOCABULARIES:
        raise HeadstartError(
            f"{layout.what}?vocabulary={options.vocabulary!r} is not known. "
            f"Give one of {', '.join(VOCABULARIES)}."
        )
    if layout.kind in LETTERS:
        return by_letters.backbone(layout, options)
    return by_pieces.backbone(layout, options)

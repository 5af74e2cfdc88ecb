"""Transcription: what is said in a sound, as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from headstart.contracts import Backbone, Task
from headstart.contracts.frozen import is_native
from headstart.contracts.writing import Writing, unpooled
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that a saved model is described without torch
    import numpy as np
    from torch import nn

_UNTRAINED: Final = 2e-3  # a rate, and those of trained networks that are 96 wide
_OF_LETTERS, _OF_PIECES, _NARROW = 6.4e-3, 6e-4, 96
_RARE: Final = 0.2  # seconds between two windows: more of them hear no letters


@final
class Transcription(Writing):
    """What is said, in letters or pieces, judged by the error rate of words as they are spoken.

    Letters are learned by connectionist temporal classification (Graves et al. 2006) behind
    encoders of frames, pieces by the decoder of an encoder-decoder.
    """

    own_metric: ClassVar[str] = "headstart.metrics.transcription:SpokenWER"
    longest: ClassVar[int] = 4096

    def __init__(self, writer: nn.Module | None = None) -> None:
        self.writer = writer

    def prepared(
        self, backbone: Backbone, items: Sequence[bytes], labels: Sequence[str]
    ) -> Backbone:
        """The backbone with letters of the transcripts, where it says letters."""
        from headstart.loading.sequences.letter_heads import LetterHead
        from headstart.loading.sequences.lettering import lettered

        own = _speaking(backbone)
        if own.head is not None and is_native(own.head) and not isinstance(own.head, LetterHead):
            return own
        return lettered(own, labels)

    def backbone(self, backbone: Backbone) -> Backbone:
        """The same network without its pooling: what writes reads all states."""
        own = _speaking(backbone)
        return own if own.summary is not None else unpooled(own, self.backbone)

    def remarks(
        self, sizes: Callable[[], np.ndarray | None], texts: Sequence[str]
    ) -> Sequence[str]:
        """Which sounds are too short for what is said in them, or too long to learn from."""
        writer: Any = self.writer
        windows = None if writer is None else sizes()
        own: Sequence[str] = () if windows is None else writer.remarks(windows.tolist(), texts)
        return own

    def for_backbone(self, backbone: Backbone) -> Task:
        """The task with what writes behind this backbone."""
        from headstart.loading.sequences.letter_heads import LetterHead, RecurrentLetterHead

        head, width = backbone.head, backbone.feature_dim
        letters = isinstance(head, LetterHead)
        writes = letters or (head is not None and is_native(head))
        own = Transcription(head if writes else RecurrentLetterHead(width, ()))
        own.measure, own.learning_rate = self.measure, _UNTRAINED
        if backbone.origin.pretrained and writes and not isinstance(head, RecurrentLetterHead):
            usual = _OF_LETTERS if letters else _OF_PIECES  # what is wider forgets sooner
            own.learning_rate = min(_UNTRAINED, usual * (_NARROW / width) ** 2)
            own.untrained = "" if getattr(head, "mode", "") == "new" else "zero-shot"
        return own


def _speaking(backbone: Backbone) -> Backbone:
    """The same network as what is said is read from it.

    Raises HeadstartError for one that hears too seldom, or no sounds.
    """
    if backbone.summary is not None or (backbone.head is not None and is_native(backbone.head)):
        return backbone
    if backbone.transcriber is not None:
        return backbone.transcriber()
    heard = backbone.preprocess
    rate, hop = int(heard.get("rate", 0)), int(heard.get("hop", 0))
    if backbone.modality == "audio" and 0 < hop <= _RARE * rate:
        return replace(backbone, preprocess={**heard, "whole": True})
    apart = hop / rate if rate else 0.0
    raise HeadstartError(
        f"{backbone.origin.reference} hears windows {apart:g} s apart, in which no letters can be "
        "told. Name a network of speech, such as Whisper or wav2vec 2.0 by hf:, or let it hear "
        "more often with ?hop=0.08."
    )

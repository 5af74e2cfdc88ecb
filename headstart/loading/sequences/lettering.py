"""A network with the letters of what it is to write down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import nn

from headstart.contracts import Backbone
from headstart.loading.sequences.letter_heads import LinearLetterHead, RecurrentLetterHead
from headstart.loading.sequences.letters import UNKNOWN, Letters

VOCABULARY: Final = "vocab.json"
TOKENIZER: Final = "tokenizer_config.json"
_SEED: Final = 0


def files(letters: Letters) -> dict[str, bytes]:
    """What transformers' tokenizer of letters reads."""
    names = {number: name for name, number in letters.ids.items()}
    own: dict[str, Any] = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "pad_token": names[letters.blank],
    }
    own |= {"unk_token": UNKNOWN if UNKNOWN in letters.ids else names[letters.blank]}
    own |= {"word_delimiter_token": letters.boundary, "do_lower_case": False}
    own |= {"bos_token": "<s>" if "<s>" in letters.ids else None}
    own |= {"eos_token": "</s>" if "</s>" in letters.ids else None}
    return {VOCABULARY: letters.file(), TOKENIZER: json.dumps(own, indent=2).encode()}


def lettered(backbone: Backbone, texts: Sequence[str], letters: Letters | None = None) -> Backbone:
    """The backbone with the letters of transcripts, by what its head says of its own.

    `letters` are those to have, where they are known. `for_task` does the same to another such
    network, and what became of the letters is among the notes. A network without letters gets a
    head of its own.
    """
    head = backbone.head
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(_SEED)
        if not isinstance(head, LinearLetterHead):
            return _headed(backbone, texts)
        before = head.letters
        alphabet = letters or _chosen(head, texts)
        grown = _grown(backbone, head, alphabet)
    native = {**backbone.native, "vocab_size": max(alphabet.ids.values()) + 1}
    return replace(
        backbone,
        stages=backbone.unpooled(),
        head=grown,
        files={**backbone.files, **files(alphabet)},
        native={**native, "pad_token_id": alphabet.blank},
        notes=(*backbone.notes, _sentence(head.mode, before, alphabet, texts)),
        for_task=lambda other: lettered(other, texts, alphabet),
    )


def _chosen(head: LinearLetterHead, texts: Sequence[str]) -> Letters:
    if head.mode == "new":
        return Letters.of(texts)
    return head.letters.grown(texts) if head.mode == "joint" else head.letters


def _grown(backbone: Backbone, head: LinearLetterHead, letters: Letters) -> LinearLetterHead:
    if letters.ids == head.letters.ids and head.mode != "new":
        return head
    if head.mode != "new" and backbone.origin.pretrained:
        return head.grown(letters)
    layer = nn.Linear(backbone.feature_dim, max(letters.ids.values()) + 1)
    return LinearLetterHead(layer, letters, head.dropout.p, head.mode)


def _headed(backbone: Backbone, texts: Sequence[str]) -> Backbone:
    head = RecurrentLetterHead(_width(backbone), texts)
    return replace(
        backbone,
        stages=backbone.unpooled(),
        head=head,
        notes=(*backbone.notes, _sentence("new", head.letters, head.letters, texts)),
        for_task=lambda other: lettered(other, texts),
    )


def _width(backbone: Backbone) -> int:
    """How wide the states are that a network hands to its pooling."""
    states = {"hidden": torch.zeros(1, 2, int(backbone.preprocess["window"]))}
    states["mask"] = torch.ones(1, 2, dtype=torch.long)
    with torch.no_grad():
        for stage in backbone.unpooled().values():
            states = stage(states)
    return int(states["hidden"].shape[2])


def _sentence(mode: str, before: Letters, letters: Letters, texts: Sequence[str]) -> str:
    lost = {letter for text in texts for letter in letters.lacking(text)}
    more = f" {len(lost)} of the transcripts have none and are left out." if lost else ""
    if mode == "new":
        return f"The network learns {len(letters.texts)} letters, those of the transcripts.{more}"
    added = len(letters.ids) - len(before.ids)
    return (
        f"The network has {len(letters.texts)} letters: {len(before.texts)} of its own, {added} "
        f"new.{more}"
    )

"""The encoders that can be taken apart: where their embeddings, layers and own pooling stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, final

from headstart.errors import HeadstartError
from headstart.hubs.huggingface.pictures.families import FAMILIES as PICTURES
from headstart.hubs.huggingface.pictures.families import WHOLE

SOUNDS: Final = (  # kinds of encoders of sounds
    *("audio-spectrogram-transformer", "clap", "data2vec-audio", "hubert", "unispeech"),
    *("unispeech-sat", "wav2vec2", "wavlm", "whisper"),
)
_DECODERS: Final = ("is_decoder", "is_encoder_decoder")


@final
@dataclass(frozen=True)
class Family:
    """Names of modules in transformers' network for sequence classification.

    Those of the encoder stand without `prefix`, as they do in the encoder alone; those of `own`,
    which lie between the last hidden states and the final linear layer `head`, stand with it.
    """

    prefix: str
    layers: str
    own: tuple[str, ...]
    trained: str  # a tensor that shows that a checkpoint's own pooling was trained
    head: str = "classifier"
    embeddings: tuple[str, ...] = ("embeddings",)
    attention: str = "plain"  # how a layer attends: plain, shared, relative, disentangled, rotary
    reads: str = "tokens"  # what own pooling begins with: tokens, cls, or as config.json says
    types: bool = True  # it takes token types
    pooler: str = ""  # a part of the encoder that only its own pooling needs
    reserved: int = 0  # positions that no token can have, besides that of padding


_BERT: Final = Family(
    prefix="bert",
    layers="encoder.layer",
    own=("bert.pooler", "dropout"),
    trained="bert.pooler.dense.weight",
    pooler="pooler",
)
_ROBERTA: Final = replace(
    _BERT,
    prefix="roberta",
    own=("classifier",),
    trained="classifier.dense.weight",
    head="classifier.out_proj",
    reserved=1,
)
FAMILIES: Final[Mapping[str, Family]] = {
    "albert": replace(
        _BERT,
        prefix="albert",
        layers="encoder.albert_layer_groups",
        own=("albert.pooler", "albert.pooler_activation", "dropout"),
        trained="albert.pooler.weight",
        embeddings=("embeddings", "encoder.embedding_hidden_mapping_in"),
        attention="shared",
        reads="cls",
    ),
    "bert": _BERT,
    "camembert": _ROBERTA,
    "deberta-v2": Family(
        prefix="deberta",
        layers="encoder.layer",
        own=("pooler", "dropout"),
        trained="pooler.dense.weight",
        attention="disentangled",
    ),
    "distilbert": Family(
        prefix="distilbert",
        layers="transformer.layer",
        own=("pre_classifier", "relu", "dropout"),
        trained="pre_classifier.weight",
        reads="cls",
        types=False,
    ),
    "electra": Family(
        prefix="electra",
        layers="encoder.layer",
        own=("classifier",),
        trained="classifier.dense.weight",
        head="classifier.out_proj",
        embeddings=("embeddings", "embeddings_project"),
    ),
    "modernbert": Family(
        prefix="model",
        layers="layers",
        own=("head", "drop"),
        trained="head.dense.weight",
        attention="rotary",
        reads="config",
        types=False,
    ),
    "mpnet": replace(_ROBERTA, prefix="mpnet", attention="relative", types=False),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}


def family(config: Mapping[str, Any], what: str) -> Family:
    """How the network of this config.json is built.

    Raises HeadstartError for one that is not an encoder of text, or is of a kind not known here.
    """
    kind = config.get("model_type")
    if any(config.get(name) for name in _DECODERS) and kind is not None:
        from headstart.hubs.huggingface.sequences import KINDS

        raise HeadstartError(
            f"{what} is a {kind} that writes text, not an encoder. "
            f"Give an encoder: {', '.join(FAMILIES)}; to translate, one of {', '.join(KINDS)}."
        )
    if kind not in FAMILIES:
        texts, pictures = ", ".join(FAMILIES), ", ".join((*PICTURES, *WHOLE))
        sounds = ", ".join(SOUNDS)
        raise HeadstartError(
            f"{what} is of the kind {kind!r}, not an encoder that can be taken apart. "
            f"Give one of the kinds {texts} for texts, {pictures} for pictures or {sounds} for "
            "sounds."
        )
    return FAMILIES[str(kind)]

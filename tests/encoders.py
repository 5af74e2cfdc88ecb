"""Tiny random encoders saved by transformers, with a tokenizer, and batches for them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart import artifact
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.loading.weights import save

_SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
_RELATIVE = {**_SIZES, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
KINDS: dict[str, dict[str, Any]] = {  # by model type, with a word after it for another shape of it
    "albert": {**_SIZES, "embedding_size": 16},
    "albert groups": {
        **_SIZES,
        "num_hidden_layers": 4,
        "num_hidden_groups": 2,
        "inner_group_num": 2,
    },
    "bert": _SIZES,
    "camembert": _SIZES,
    "deberta-v2": {
        **_RELATIVE,
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "deberta-v2 convolution": {**_RELATIVE, "conv_kernel_size": 3, "type_vocab_size": 2},
    "deberta-v2 absolute": {**_SIZES, "relative_attention": False, "type_vocab_size": 0},
    "distilbert": {
        "vocab_size": 40,
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 48,
        "max_position_embeddings": 64,
    },
    "electra": {**_SIZES, "embedding_size": 16},
    "modernbert": {
        **_SIZES,
        "local_attention": 8,
        **{f"{token}_token_id": place for place, token in enumerate(("pad", "bos", "eos"))},
        **{f"{token}_token_id": place for place, token in ((1, "cls"), (2, "sep"))},
    },
    "modernbert mean": {
        **_SIZES,
        "local_attention": 8,
        "classifier_pooling": "mean",
        **{f"{token}_token_id": place for place, token in enumerate(("pad", "bos", "eos"))},
        **{f"{token}_token_id": place for place, token in ((1, "cls"), (2, "sep"))},
    },
    "mpnet": _SIZES,
    "roberta": {**_SIZES, "type_vocab_size": 1},
    "xlm-roberta": {**_SIZES, "type_vocab_size": 1},
}
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def encoder(kind: str, classifier: bool = False, labels: int = 3, **settings: Any) -> Any:
    """transformers' own network in eval mode, every tensor of it random."""
    from transformers import CONFIG_MAPPING, AutoModel, AutoModelForSequenceClassification

    config = CONFIG_MAPPING[kind.split()[0]](**{**KINDS[kind], **settings, "num_labels": labels})
    make: Any = AutoModelForSequenceClassification if classifier else AutoModel
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(1)
        network = make.from_config(config)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return network.eval()


def save_encoder(folder: Path, network: Any, tokens: bool = True) -> Path:
    """Write a network as its library does, and a tokenizer beside it."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call] # the library has no types
    network.save_pretrained(folder)
    if tokens:
        save_tokenizer(folder, network.config.pad_token_id or 0)
    return folder


def save_tokenizer(folder: Path, pad: int = 0) -> None:
    """A tokenizer of the words w4 … w39, that pads and cuts as a careless person left it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {f"w{number}": number for number in range(4, 40)}
    words |= {"[PAD]": pad, "[UNK]": 1 - pad, "[CLS]": 2, "[SEP]": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(list(SPECIAL.values()))
    tokenizer.enable_truncation(7)
    tokenizer.enable_padding(pad_id=pad, pad_token="[PAD]")
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **SPECIAL, "model_max_length": 60}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def small_encoder(folder: Path, kind: str = "bert", classifier: bool = False) -> Path:
    """A folder with a tiny random encoder, as users have them."""
    return save_encoder(folder, encoder(kind, classifier))


LABELS = ("bad", "good", "odd")


def saved(folder: Path, backbone: Backbone, head: nn.Linear | None = None) -> Path:
    """What an artifact holds of a backbone, under a head that is random unless it is given."""
    head = nn.Linear(backbone.feature_dim, len(LABELS)) if head is None else head
    state = Model.of(backbone, nn.Identity()).backbone_state()
    state |= {f"{backbone.head_name}.{name}": t for name, t in head.state_dict().items()}
    for name, content in backbone.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    folder.mkdir(parents=True, exist_ok=True)
    save(state, folder / "model.safetensors", {"format": "pt"})
    artifact.write_folders(folder, state, backbone)
    labels = {
        "id2label": {str(number): label for number, label in enumerate(LABELS)},
        "label2id": {label: number for number, label in enumerate(LABELS)},
    }
    config = {name: labels.get(name, value) for name, value in backbone.native.items()}
    if config:
        (folder / "config.json").write_text(json.dumps(config))
    architecture = str(replace(backbone.architecture, name="."))
    (folder / "headstart.json").write_text(json.dumps({"format": 1, "architecture": architecture}))
    return folder


def texts(pad: int = 0, items: int = 3, length: int = 13, types: bool = False) -> dict[str, Tensor]:
    """A padded batch: the first text is the longest, each next one shorter by two tokens."""
    generator = torch.Generator().manual_seed(items * 100 + length)
    ids = torch.randint(4, 40, (items, length), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(items):
        mask[row, max(1, length - 2 * row) :] = 0
    batch = {"input_ids": torch.where(mask == 1, ids, pad), "mask": mask}
    return batch | ({"types": (torch.arange(length) > length // 3) * mask} if types else {})


def features(backbone: Backbone, batch: dict[str, Tensor]) -> Tensor:
    """What the backbone makes of a batch, in eval mode."""
    with torch.no_grad():
        rows: Tensor = nn.Sequential(*backbone.prefix()).eval()(batch)
    return rows

"""Small networks that translate, and pairs of texts that are quick to learn."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from headstart import catalog
from headstart.contracts.model import Model
from headstart.loading.sequences.writer import Writer

WORDS = {
    "cat": "кот",
    "dog": "пёс",
    "sees": "видит",
    "the": "этот",
    "red": "алый",
    "big": "большой",
}
OTHER = {"cat": "кіт", "dog": "пес", "sees": "бачить", "the": "цей", "red": "червоний", "big": "їх"}


def pairs(count: int, words: dict[str, str] = WORDS, seed: int = 0) -> list[tuple[str, str]]:
    """Different sentences with a placeholder, and each word by word in the other language."""
    rng, entries = np.random.default_rng(seed), dict[str, str]()
    while len(entries) < count:
        own = [str(rng.choice(list(words))) for _ in range(rng.integers(3, 7))]
        other = [words[word] for word in own]
        entries[" ".join([*own, "%1"])] = " ".join([*other, "%1"])
    return list(entries.items())


def table(
    path: Path, rows: Sequence[tuple[str, str]], target: str = "ru", held_out: int = 8
) -> Path:
    """A CSV of such pairs; the last ones are for test, those before for validation."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("en", target, "split"))
        for place, row in enumerate(rows):
            remaining = len(rows) - place
            split = (
                "test"
                if remaining <= held_out
                else "validation"
                if remaining <= 2 * held_out
                else "train"
            )
            writer.writerow((*row, split))
    return path


def marian(folder: Path, width: int = 16) -> Path:
    """A folder as transformers saves a Marian network, with random weights."""
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder.mkdir()
    ids = {"</s>": 0, "<unk>": 1}
    for name, texts in zip(("source", "target"), zip(*pairs(200), strict=True), strict=True):
        written = io.BytesIO()
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=written,
            vocab_size=60,
            hard_vocab_limit=False,
            bos_id=-1,
            eos_id=0,
            unk_id=1,
            minloglevel=3,
        )
        (folder / f"{name}.spm").write_bytes(written.getvalue())
        own = SentencePieceProcessor(model_proto=written.getvalue())
        for number in range(own.get_piece_size()):
            ids.setdefault(own.id_to_piece(number), len(ids))
    ids["<pad>"] = len(ids)
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    sides = {"layers": 2, "attention_heads": 2, "ffn_dim": 32}
    sizes: dict[str, Any] = {
        f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in sides.items()
    }
    special: dict[str, Any] = {"pad_token_id": ids["<pad>"], "decoder_start_token_id": ids["<pad>"]}
    config = MarianConfig(
        vocab_size=len(ids),
        d_model=width,
        max_position_embeddings=64,
        eos_token_id=0,
        forced_eos_token_id=0,
        scale_embedding=True,
        **sizes,
        **special,
    )
    torch.manual_seed(0)
    network = MarianMTModel(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "positions" not in name:
                parameter.mul_(3)  # so that answers differ
    network.save_pretrained(folder)
    source, target, vocabulary = (
        str(folder / n) for n in ("source.spm", "target.spm", "vocab.json")
    )
    MarianTokenizer(source, target, vocabulary).save_pretrained(folder)
    return folder


def t5(folder: Path, multilingual: bool = False, scaled: bool = True) -> Path:
    """A folder as transformers saves T5, or mT5, with random weights; `scaled` is its output."""
    from transformers import (
        MT5Config,
        MT5ForConditionalGeneration,
        T5Config,
        T5ForConditionalGeneration,
        T5Tokenizer,
    )

    special = ["<pad>", "</s>", "<unk>"]
    tokenizer = T5Tokenizer(vocab=_unigrams(special), extra_ids=0)
    sizes: dict[str, Any] = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 3, "num_heads": 2}
    sizes |= {"vocab_size": len(tokenizer), "decoder_start_token_id": 0, "num_decoder_layers": 2}
    if not scaled:
        sizes |= {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"}
    torch.manual_seed(0)
    network: Any = (
        MT5ForConditionalGeneration(MT5Config(**sizes))
        if multilingual
        else T5ForConditionalGeneration(T5Config(**sizes))
    )
    with torch.no_grad():  # so that places and answers differ
        for side in (network.encoder, network.decoder):
            side.block[0].layer[0].SelfAttention.relative_attention_bias.weight.normal_()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _unigrams(special: list[str]) -> list[tuple[str, float]]:
    """Pieces of the pairs, of a unigram model, behind special ones."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learned = Tokenizer(models.Unigram())
    learned.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=80, special_tokens=special, unk_token="<unk>")
    learned.train_from_iterator([text for row in pairs(200) for text in row], trainer)
    return [tuple(row) for row in json.loads(learned.to_str())["model"]["vocab"]]


def mbart(folder: Path, fifty: bool) -> Path:
    """A folder as transformers saves mBART, or mBART-50, with random weights."""
    from transformers import (
        MBart50Tokenizer,
        MBartConfig,
        MBartForConditionalGeneration,
        MBartTokenizer,
    )

    pieces = _unigrams(["<s>", "<pad>", "</s>", "<unk>"])
    kind: Any = MBart50Tokenizer if fifty else MBartTokenizer
    tokenizer = kind(vocab=pieces, src_lang="en_XX", tgt_lang="ru_RU")
    names = ("layers", "attention_heads", "ffn_dim")
    sizes: dict[str, Any] = {
        f"{side}_{name}": 2 if name != "ffn_dim" else 32
        for side in ("encoder", "decoder")
        for name in names
    }
    config = MBartConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        max_position_embeddings=64,
        forced_eos_token_id=2,
        **sizes,
    )
    torch.manual_seed(0)
    MBartForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Opened:
    """A backbone under its own decoder, with what reads texts for it; `fitted` to pairs first."""

    def __init__(self, reference: str, fitted: Sequence[tuple[str, str]] = ()) -> None:
        task = catalog.task("text-translation")
        backbone = catalog.load_backbone(reference)
        if fitted:
            sources, targets = zip(*fitted, strict=True)
            backbone = task.prepared(backbone, [each.encode() for each in sources], targets)
        self.backbone = task.backbone(backbone)
        self.task = task.for_backbone(self.backbone)
        self.model = Model.of(self.backbone, self.task.head(0, ("ru",))).eval()
        self.writer = cast(Writer, self.model.head)
        self.modality = catalog.modality("text").fitted(self.backbone)

    def inputs(self, texts: list[str]) -> Any:
        """A batch of texts."""
        fed = self.backbone.preprocess
        return self.modality.collate([self.modality.decode(t.encode(), fed) for t in texts], fed)

    def states(self, texts: list[str]) -> Any:
        """What the encoder makes of texts."""
        with torch.inference_mode():
            return self.model.features(self.inputs(texts))

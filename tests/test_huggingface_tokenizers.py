"""A tokenizer whose files contradict each other is what transformers makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from encoders import encoder, save_encoder, saved, small_encoder
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from headstart import catalog
from headstart.contracts import Backbone
from headstart.errors import HeadstartError

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "good",
    "Good",
    "GOOD",
    "film",
    "Film",
    "cafe",
]
WORDS += ["café", "##s", "##ly", "中", "国", "w", "##w", ",", "!", "<extra>", "x", "y"]
TEXTS = [
    "Good films, GOOD Film",
    "café Café cafés!",
    "中国 film",
    "good [MASK] film <extra> [SEP] goodly",
    "film " * 70 + "good",
    "xyxyxyx  Xy\n good",
]


def word_pieces(folder: Path, settings: dict[str, Any], **own: Any) -> Path:
    """A BERT with a tokenizer.json of word pieces, and a tokenizer_config.json that may differ."""
    save_encoder(folder, encoder("bert", num_hidden_layers=1), tokens=False)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    lower = own.pop("lowercase", False)
    made.normalizer = normalizers.BertNormalizer(lowercase=lower, **own.pop("normalizer", {}))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(own.pop("special", WORDS[:5]))
    if "truncation" in own:
        made.enable_truncation(**own.pop("truncation"))
    if own.pop("padding", False):
        made.enable_padding(length=30, direction="left")
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def pieces(folder: Path, kind: str) -> Path:
    """A RoBERTa with byte pairs, or an XLM-RoBERTa with a unigram model."""
    save_encoder(folder, encoder(kind, vocab_size=400, num_hidden_layers=1), tokens=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer: Any
    if kind == "roberta":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
    else:
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=60, special_tokens=special, unk_token="<unk>", show_progress=False
        )
    made.train_from_iterator(TEXTS * 5, trainer)
    made.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)]
    )
    made.save(str(folder / "tokenizer.json"))
    return folder


def ids(backbone: Backbone) -> list[list[int]]:
    """Our tokens of all texts."""
    text = catalog.modality("text").fitted(backbone)
    return [text.decode(t.encode(), backbone.preprocess).ids.tolist() for t in TEXTS]


def library_ids(folder: Path, length: int) -> list[list[int]]:
    """The library's own tokens of all texts."""
    from transformers import AutoTokenizer

    library = AutoTokenizer.from_pretrained(folder)
    found = library(TEXTS, truncation=True, max_length=length, padding=False)["input_ids"]
    return [list(each) for each in found]


def agrees(folder: Path, scratch: Path) -> Backbone:
    """Assert that ours are the library's tokens, before and after saving."""
    backbone = catalog.load_backbone(f"hf:{folder}")
    length = backbone.preprocess["max_length"]
    wanted = library_ids(folder, length)
    assert ids(backbone) == wanted
    again = saved(scratch, backbone)
    assert library_ids(again, length) == wanted
    for reference in (f"checkpoint:{again}", f"hf:{again}"):
        opened = catalog.load_backbone(reference)
        assert ids(opened) == wanted
        assert (opened.files, opened.preprocess) == (backbone.files, backbone.preprocess)
    return backbone


CLASSES = ["BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", None]


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("config", [True, False])
@pytest.mark.parametrize("file", [True, False])
def test_lower_case(file: bool, config: bool, kind: str | None, tmp_path: Path) -> None:
    settings = {"do_lower_case": config} | ({"tokenizer_class": kind} if kind else {})
    agrees(word_pieces(tmp_path / "model", settings, lowercase=file), tmp_path / "saved")


EXTRA = {"20": {"content": "<extra>", "special": False, "lstrip": False, "rstrip": False}}
SETTINGS: dict[str, dict[str, Any]] = {
    "accents": {"strip_accents": True},
    "no Chinese": {"tokenize_chinese_chars": False},
    "longest": {"model_max_length": 9},
    "endless": {"model_max_length": 10**30},
    "left": {"truncation_side": "left", "model_max_length": 12},
    "added": {"added_tokens_decoder": EXTRA},
    "extra": {"extra_special_tokens": ["<extra>"]},
    "split": {"split_special_tokens": True},
    "mask": {"mask_token": "<extra>"},
}
FILES: dict[str, dict[str, Any]] = {
    "plain": {},
    "cut": {"truncation": {"max_length": 6}, "padding": True},
    "cut left": {"truncation": {"max_length": 8, "direction": "left"}},
    "few special": {"special": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]},
    "more special": {"special": [*WORDS[:5], "good"]},
    "accents": {"normalizer": {"strip_accents": True}},
}


@pytest.mark.parametrize("own", FILES)
@pytest.mark.parametrize("config", SETTINGS)
def test_other_contradictions(config: str, own: str, tmp_path: Path) -> None:
    for kind in CLASSES[1:3]:
        settings = {**SETTINGS[config], "tokenizer_class": kind}
        folder = word_pieces(tmp_path / str(kind), settings, **FILES[own])
        agrees(folder, tmp_path / f"{kind}-saved")


@pytest.mark.parametrize(
    "settings", [None, {"add_prefix_space": True}, {"truncation_side": "left"}]
)
@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta"])
def test_pieces_of_bytes_and_of_text(
    kind: str, settings: dict[str, Any] | None, tmp_path: Path
) -> None:
    folder = pieces(tmp_path / "model", kind)
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    agrees(folder, tmp_path / "saved")


def test_a_token_without_a_vector_is_text(tmp_path: Path) -> None:
    """transformers adds [MASK] as number 40 of 40, on which the network would fail."""
    folder = small_encoder(tmp_path)
    (folder / "tokenizer_config.json").unlink()
    backbone = catalog.load_backbone(f"hf:{folder}")
    text = catalog.modality("text").fitted(backbone)
    assert text.decode(b"w5 [MASK]", backbone.preprocess).ids.max() < 40


def test_entries_that_lead_elsewhere_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    odd = {
        "vocab_file": str(tmp_path / "secret.json"),
        "auto_map": {"AutoTokenizer": ["a.B", None]},
    }
    settings = {"tokenizer_class": "BertTokenizer", "tokenizer_file": "/etc/hostname", **odd}
    backbone = catalog.load_backbone(f"hf:{word_pieces(tmp_path / 'model', settings)}")
    assert json.loads(backbone.files["tokenizer_config.json"]) == {
        "tokenizer_class": "BertTokenizer"
    }


def test_a_tokenizer_that_its_library_cannot_open_is_one_sentence(tmp_path: Path) -> None:
    settings = {"tokenizer_class": "BertTokenizer", "added_tokens_decoder": {"x": 1}}
    folder = word_pieces(tmp_path / "model", settings)
    with pytest.raises(HeadstartError, match="has a tokenizer that transformers can't open"):
        catalog.load_backbone(f"hf:{folder}")

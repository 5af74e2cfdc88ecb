"""Sentence encoders answer as in sentence-transformers, and so does what is saved of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoders import saved, small_encoder
from safetensors.torch import save_file
from torch import nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.errors import HeadstartError

pytestmark = pytest.mark.slow  # importing sentence-transformers takes seconds

TEXTS = ["w4 w5 w6", "w7", "w9 w8 w7 W6 w5 w4 unknown", "w30 w31", " ".join(["w12 w13"] * 40)]
SETTINGS = "config_sentence_transformers.json"
Modules = Callable[[Any], list[Any]]


def library() -> Any:
    """The package's modules under one name."""
    from sentence_transformers.sentence_transformer import modules

    return modules


def answers(backbone: Backbone, inputs: list[str] = TEXTS) -> np.ndarray:
    """What our stages make of texts, read by our own modality, one at a time."""
    text = catalog.modality("text").fitted(backbone)
    network = nn.Sequential(*backbone.prefix()).eval()
    rows = []
    with torch.no_grad():
        for each in inputs:
            item = text.decode(each.encode(), backbone.preprocess)
            rows.append(network(text.collate([item], backbone.preprocess))[0].numpy())
    return np.stack(rows)


def encoded(folder: Path, inputs: list[str] = TEXTS) -> np.ndarray:
    """What sentence-transformers answers, left to itself."""
    from sentence_transformers import SentenceTransformer

    model: Any = SentenceTransformer(str(folder), device="cpu")
    rows: np.ndarray = model.encode(inputs, show_progress_bar=False)
    return rows


def agrees(folder: Path, scratch: Path) -> Backbone:
    """Assert that the folder, and what is saved of it, answer alike in both libraries."""
    expected = encoded(folder)
    backbone = catalog.load_backbone(f"hf:{folder}")
    np.testing.assert_allclose(answers(backbone), expected, atol=1e-5)
    assert backbone.feature_dim == expected.shape[1]
    again = saved(scratch, backbone)
    np.testing.assert_allclose(encoded(again), expected, atol=1e-5)
    for reference in (f"checkpoint:{again}", f"hf:{again}"):
        opened = catalog.load_backbone(reference)
        np.testing.assert_allclose(answers(opened), expected, atol=1e-5)
        assert opened.origin.weights_hash == backbone.origin.weights_hash
        assert (opened.preprocess, dict(opened.files)) == (backbone.preprocess, backbone.files)
        assert opened.folders == backbone.folders
    return backbone


def made(folder: Path, modules: Modules, kind: str = "bert", **settings: Any) -> Path:
    """A model of an encoder's tokens and these modules, as sentence-transformers saves it."""
    from sentence_transformers import SentenceTransformer

    source = small_encoder(folder.parent / f"{folder.name}-source", kind)
    torch.manual_seed(3)
    first = library().Transformer(str(source))
    model = SentenceTransformer(modules=[first, *modules(library())], device="cpu", **settings)
    model.save(str(folder), create_model_card=False)
    return folder


POOLINGS = [
    *("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"),
    ("mean", "max"),
    ("lasttoken", "cls", "weightedmean"),
]
AFTER: dict[str, Modules] = {
    "normalize": lambda m: [m.Pooling(32), m.Normalize()],
    "dense": lambda m: [m.Pooling(32), m.Dense(32, 12)],
    "dense and normalize": lambda m: [
        m.Pooling(32, "cls"),
        m.Dense(32, 20, activation_function=nn.Identity(), bias=False),
        m.Normalize(),
    ],
    "normalize before dense": lambda m: [m.Pooling(32), m.Normalize(), m.Dense(32, 8)],
    "two dense": lambda m: [
        m.Pooling(32, ("mean", "max")),
        m.Dense(64, 48, activation_function=nn.GELU()),
        m.Dense(48, 48, use_residual=True),
        m.Dense(48, 16, use_residual=True, activation_function=nn.SiLU()),
    ],
    "norm and dropout": lambda m: [m.Pooling(32), m.LayerNorm(32), m.Dropout(0.5)],
}


@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
def test_every_pooling(pooling: Any, tmp_path: Path) -> None:
    agrees(made(tmp_path / "model", lambda m: [m.Pooling(32, pooling)]), tmp_path / "saved")


@pytest.mark.parametrize("modules", AFTER.values(), ids=AFTER)
def test_modules_after_pooling(modules: Modules, tmp_path: Path) -> None:
    agrees(made(tmp_path / "model", modules), tmp_path / "saved")


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("pooling", ["cls", "max", "mean", "weightedmean", "lasttoken"])
def test_prompts(pooling: str, include: bool, tmp_path: Path) -> None:
    folder = made(
        tmp_path / "model",
        lambda m: [m.Pooling(32, pooling, include_prompt=include)],
        prompts={"query": "w20 w21: ", "document": "w22 "},
        default_prompt_name="query",
    )
    backbone = agrees(folder, tmp_path / "saved")
    assert backbone.preprocess["prompt"] == "w20 w21: "


@pytest.mark.parametrize("kind", ["roberta", "distilbert", "modernbert", "mpnet"])
def test_other_kinds_of_encoder(kind: str, tmp_path: Path) -> None:
    modules = AFTER["dense and normalize"]
    agrees(made(tmp_path / "model", modules, kind, truncate_dim=9), tmp_path / "saved")


def edit(path: Path, **changes: Any) -> None:
    """Change entries of a JSON file, made where there is none."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | changes))


@pytest.mark.parametrize("settings", [{}, {"max_seq_length": 6}, {"do_lower_case": True}], ids=str)
def test_the_old_layout(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = made(tmp_path / "model", AFTER["dense"])
    inner = folder / "0_Transformer"
    inner.mkdir()
    for path in [path for path in folder.iterdir() if path.is_file()]:
        if path.name not in ("modules.json", SETTINGS):
            shutil.move(path, inner / path.name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0] |= {"path": inner.name, "type": "sentence_transformers.models.Transformer"}
    (folder / "modules.json").write_text(json.dumps(modules))
    old = {"word_embedding_dimension": 32, "pooling_mode_max_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(old))
    (inner / "sentence_bert_config.json").write_text(json.dumps(settings))
    torch.save({n: t for n, t in _dense(folder).items()}, folder / "2_Dense" / "pytorch_model.bin")
    (folder / "2_Dense" / "model.safetensors").unlink()
    backbone = agrees(folder, tmp_path / "saved")
    assert backbone.preprocess["max_length"] == settings.get("max_seq_length", 60)


def _dense(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "2_Dense" / "model.safetensors")


def test_what_is_trained_after_pooling_is_what_its_library_opens(tmp_path: Path) -> None:
    backbone = catalog.load_backbone(f"hf:{made(tmp_path / 'model', AFTER['dense'])}")
    with torch.no_grad():
        for parameter in nn.ModuleList(backbone.prefix()).parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    again = saved(tmp_path / "saved", backbone)
    np.testing.assert_allclose(encoded(again), answers(backbone), atol=1e-5)


# --- static embeddings ---


def static(folder: Path, *more: Any, truncated: bool = False) -> Path:
    """A table of vectors as sentence-transformers saves it."""
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

    source = small_encoder(folder.parent / f"{folder.name}-source")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_truncation()
    if truncated:
        tokenizer.enable_truncation(5)
    table = torch.randn(40, 16, generator=torch.Generator().manual_seed(1))
    first = library().StaticEmbedding(tokenizer, embedding_weights=table)
    model = SentenceTransformer(modules=[first, *more], device="cpu")
    model.save(str(folder), create_model_card=False)
    return folder


@pytest.mark.parametrize("truncated", [True, False])
def test_static_embeddings(truncated: bool, tmp_path: Path) -> None:
    more = library().Dense(16, 7), library().Normalize()
    backbone = agrees(static(tmp_path / "model", *more, truncated=truncated), tmp_path / "saved")
    assert list(backbone.stages) == ["embedding"]
    assert backbone.preprocess["max_length"] == (5 if truncated else 131072)
    loss = nn.Sequential(*backbone.prefix())(_batch(backbone)).square().sum()
    loss.backward()
    assert all(p.grad is not None for s in backbone.prefix() for p in s.parameters())


def _batch(backbone: Backbone) -> Any:
    text = catalog.modality("text").fitted(backbone)
    items = [text.decode(each.encode(), backbone.preprocess) for each in TEXTS]
    return text.collate(items, backbone.preprocess)


@pytest.mark.parametrize("place", ["", "0_StaticEmbedding"])
def test_tables_of_model2vec(place: str, tmp_path: Path) -> None:
    folder = static(tmp_path / "model", library().Normalize())
    generator = torch.Generator().manual_seed(2)
    state = {
        "embeddings": torch.randn(11, 16, generator=generator),
        "mapping": torch.randint(0, 11, (40,), generator=generator),
        "weights": torch.rand(40, generator=generator),
    }
    inner = folder / place
    inner.mkdir(exist_ok=True)
    if place:
        shutil.move(folder / "tokenizer.json", inner / "tokenizer.json")
        (folder / "model.safetensors").unlink()
        modules = json.loads((folder / "modules.json").read_text())
        modules[0]["path"] = place
        (folder / "modules.json").write_text(json.dumps(modules))
    save_file(state, inner / "model.safetensors")
    agrees(folder, tmp_path / "saved")
    random = catalog.load_backbone(f"hf:{folder}?pretrained=false")
    assert not np.allclose(answers(random), encoded(folder), atol=0.1)


# --- what can't be read ---


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("sentence_transformers.models.LSTM", "has the module LSTM, which can't be kept"),
        ("sentence_transformers.models.Asym", "has the module Asym, which can't be kept"),
        ("custom_st.Evil", "names the module custom_st.Evil, which is code"),
    ],
)
def test_modules_that_are_refused_by_name(kind: str, message: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "model", AFTER["dense"])
    modules = json.loads((folder / "modules.json").read_text())
    modules[2]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(f"hf:{folder}")
    assert catalog.load_backbone(f"hf:{folder}?pooling=mean").feature_dim == 32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "evil.Tanh"}, "Dense module with the activation 'evil.Tanh'"),
        ({"activation_function": "torch.nn.Module"}, "with the activation 'torch.nn.Module'"),
        ({"out_features": 1 << 40}, "Dense module with 32 to 1099511627776 features over 32"),
        ({"in_features": 31}, "Dense module with 31 to 12 features over 32"),
        ({"out_features": 13}, "2_Dense/model.safetensors does not fit the network"),
        ({"module_input_name": "token_embeddings"}, "is not over pooled features"),
    ],
)
def test_dense_modules_that_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = made(tmp_path / "model", AFTER["dense"])
    edit(folder / "2_Dense" / "config.json", **changes)
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(f"hf:{folder}")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("config_sentence_transformers.json", {"truncate_dim": "9"}, "truncate_dim='9'"),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "odd"},
            "default prompt 'odd'",
        ),
        ("sentence_bert_config.json", {"model_args": {"evil": 1}}, "with 'model_args'"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "'transformer_task'"),
        ("sentence_bert_config.json", {"modality_config": {"image": {}}}, "'modality_config'"),
        ("1_Pooling/config.json", {"pooling_mode": "sum"}, "pools by 'sum', which is not known"),
    ],
)
def test_settings_that_are_refused(
    name: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = made(tmp_path / "model", AFTER["dense"])
    edit(folder / name, **changes)
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(f"hf:{folder}")

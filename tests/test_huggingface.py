"""The hub of text encoders: its stages equal transformers' own networks, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoders import KINDS, encoder, features, save_encoder, small_encoder, texts
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.features.engine.openvino import OpenVinoEngine
from headstart.loading.weights import digest

BOTH = pytest.mark.parametrize("own", [True, False], ids=["own", "mean"])
EVERY = pytest.mark.parametrize("kind", KINDS)


def load(folder: Path, own: bool) -> Backbone:
    """The encoder in a folder, pooled in its own way or by the mean."""
    return catalog.load_backbone(f"hf:{folder}?pooling={'own' if own else 'mean'}")


def reference(network: Any, batch: dict[str, Tensor], own: bool) -> Tensor:
    """transformers' own logits, or the mean of its last hidden states."""
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["mask"]}
    if "types" in batch:
        inputs["token_type_ids"] = batch["types"]
    with torch.no_grad():
        answer = network(**inputs)
    if own:
        logits: Tensor = answer.logits
        return logits
    weights = batch["mask"].unsqueeze(-1)
    hidden: Tensor = answer.last_hidden_state
    return (hidden * weights).sum(1) / weights.sum(1)


@BOTH
@EVERY
def test_stages_equal_transformers_own_network(kind: str, own: bool, tmp_path: Path) -> None:
    network = encoder(kind, classifier=own)
    backbone = load(save_encoder(tmp_path, network), own)
    fed = backbone.preprocess
    model = Model.of(backbone, (own and backbone.head) or nn.Identity()).eval()
    for size in ((3, 13), (2, 31), (1, 3)):
        batch = texts(fed["pad"], *size, types=fed["types"])
        with torch.no_grad():
            result = model(batch)
        expected = reference(network, batch, own)
        assert result.shape == expected.shape
        assert torch.allclose(result, expected, atol=1e-5), (result - expected).abs().max()
    assert features(backbone, batch).shape[1] == backbone.feature_dim


@BOTH
@EVERY
def test_tensors_keep_their_names_and_stand_in_one_stage(
    kind: str, own: bool, tmp_path: Path
) -> None:
    network = encoder(kind, classifier=own)
    backbone = load(save_encoder(tmp_path, network), own)
    stages = [stage.state_dict() for stage in backbone.prefix()]
    names = [name for state in stages for name in state]
    assert len(names) == len(set(names))
    theirs = network.state_dict()
    remaining = set(theirs) - set(names)
    if own:
        assert remaining == {f"{backbone.head_name}.weight", f"{backbone.head_name}.bias"}
    else:
        assert {name.partition(".")[0] for name in remaining} <= {"pooler"}
    for state in stages:
        for name, tensor in state.items():
            assert torch.equal(tensor, theirs[name]), name
    assert backbone.origin.weights_hash == digest({n: theirs[n] for n in names})


@EVERY
def test_stages_are_embeddings_and_layers(kind: str, tmp_path: Path) -> None:
    backbone = load(small_encoder(tmp_path, kind), own=False)
    layers = ["layers"] if kind.startswith("albert") else ["layer 0", "layer 1"]
    assert list(backbone.stages) == ["embeddings", *layers]
    assert (backbone.modality, backbone.differentiable, backbone.delicate) == ("text", True, True)
    batch = texts(backbone.preprocess["pad"])
    model = Model.of(backbone, nn.Identity()).eval()
    with torch.no_grad():
        for stop in range(1, len(backbone.stages)):
            between = model.features(batch, stop=stop)
            assert set(between) == {"hidden", "mask"}
            assert between["hidden"].shape == (3, 13, 32)
            assert torch.equal(between["mask"], batch["mask"])
            assert torch.equal(model(between, start=stop), model(batch))


@BOTH
@EVERY
def test_every_tensor_is_trained(kind: str, own: bool, tmp_path: Path) -> None:
    """One that no gradient reaches would be saved, counted and frozen for nothing."""
    backbone = load(save_encoder(tmp_path, encoder(kind, classifier=own)), own)
    fed = backbone.preprocess
    model = Model.of(backbone, nn.Linear(backbone.feature_dim, 2)).train()
    loss = model(texts(fed["pad"], types=fed["types"])).square().sum()
    loss.backward()
    without = [n for n, p in model.stages.named_parameters() if p.grad is None]
    assert without == []
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@EVERY
def test_stages_run_in_low_precision(kind: str, tmp_path: Path) -> None:
    backbone = load(small_encoder(tmp_path, kind), own=False)
    batch = texts(backbone.preprocess["pad"])
    expected = features(backbone, batch)
    model = Model.of(backbone, nn.Identity()).eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        cast = model(batch)
    rounded = model.to(torch.bfloat16)
    with torch.inference_mode():
        low = rounded(batch)
    assert low.dtype == torch.bfloat16
    for result in (cast.float(), low.float()):
        assert torch.cosine_similarity(result, expected).min() > 0.999


def test_rotated_positions_keep_their_precision_in_bf16(tmp_path: Path) -> None:
    """Frequencies rounded to bf16 would turn the last of these tokens by whole radians."""
    network = encoder("modernbert", max_position_embeddings=2000)
    backbone = load(save_encoder(tmp_path, network), own=False)
    batch = texts(items=1, length=1000)
    expected = features(backbone, batch)
    for part in backbone.prefix():
        part.to(torch.bfloat16)
    rows = features(backbone, batch)
    assert torch.cosine_similarity(rows.float(), expected).min() > 0.999


@EVERY
def test_openvino_agrees_on_texts_of_any_length(kind: str, tmp_path: Path) -> None:
    backbone = load(save_encoder(tmp_path, encoder(kind, classifier=True)), own=True)
    fed = backbone.preprocess
    network = nn.Sequential(*backbone.prefix()).eval()
    engine = OpenVinoEngine(network, texts(fed["pad"], types=fed["types"]), "fp32", None)
    for size in ((4, 9), (2, 31)):
        batch = texts(fed["pad"], *size, types=fed["types"])
        expected = features(backbone, batch).numpy()
        np.testing.assert_allclose(engine.run(batch), expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["bert", "modernbert", "mpnet", "deberta-v2 convolution"])
def test_neither_padding_nor_neighbours_change_features(kind: str, tmp_path: Path) -> None:
    backbone = load(small_encoder(tmp_path, kind), own=False)
    batch = texts(backbone.preprocess["pad"], 4, 17)
    together = features(backbone, batch)
    for row in range(4):
        length = int(batch["mask"][row].sum())
        alone = {name: tensor[row : row + 1, :length] for name, tensor in batch.items()}
        assert torch.allclose(features(backbone, alone)[0], together[row], atol=1e-5)


def test_token_types_change_features_where_the_model_has_them(tmp_path: Path) -> None:
    two = load(small_encoder(tmp_path / "bert"), own=False)
    one = load(small_encoder(tmp_path / "roberta", "roberta"), own=False)
    assert (two.preprocess["types"], one.preprocess["types"]) == (True, False)
    plain, typed = texts(), texts(types=True)
    zeros = {**plain, "types": torch.zeros_like(plain["mask"])}
    assert not torch.allclose(features(two, plain), features(two, typed))
    assert torch.equal(features(two, plain), features(two, zeros))


def test_dropout_is_on_in_training_only(tmp_path: Path) -> None:
    backbone = load(small_encoder(tmp_path, classifier=True), own=True)
    stages = list(backbone.prefix())
    assert not any(module.training for stage in stages for module in stage.modules())
    network, batch = nn.Sequential(*stages), texts()
    with torch.no_grad():
        network.train()
        assert not torch.equal(network(batch), network(batch))
        network.eval()
        assert torch.equal(network(batch), network(batch))


def test_random_weights_follow_the_seed_and_loaded_ones_leave_it_alone(tmp_path: Path) -> None:
    small_encoder(tmp_path)
    hashes = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        origin = catalog.load_backbone(f"hf:{tmp_path}?pretrained=false").origin
        assert not origin.pretrained
        hashes.append(origin.weights_hash)
    assert hashes[0] == hashes[1] != hashes[2]
    before = torch.get_rng_state()
    load(tmp_path, own=False)
    assert torch.equal(before, torch.get_rng_state())

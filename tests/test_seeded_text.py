"""The seeded networks for texts: what stands in for real encoders in tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from text_networks import batch, errors_when_converted, features, random_batch, saved
from torch import nn

from headstart import catalog
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, WeightsError

NETWORKS = ("seeded:bag", "seeded:text-encoder")
TOKENS = 258
every_network = pytest.mark.parametrize("network", NETWORKS)


@every_network
def test_the_seed_alone_makes_the_weights(network: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (catalog.load_backbone(f"{network}?seed={seed}") for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert first.origin.weights_hash == again.origin.weights_hash != other.origin.weights_hash


def test_stages_and_widths() -> None:
    encoder = catalog.load_backbone("seeded:text-encoder")
    assert list(encoder.stages) == ["embeddings", "layer1", "layer2", "layer3"]
    assert list(catalog.load_backbone("seeded:bag").stages) == ["embeddings", "pool"]
    wide = catalog.load_backbone("seeded:text-encoder?width=16")
    assert (encoder.feature_dim, wide.feature_dim) == (32, 64)
    assert features(wide, batch(wide, ["a", "bc"])).shape == (2, 64)


@every_network
@given(text=st.text(st.characters(exclude_characters="\x1e", codec="utf-8"), max_size=15))
def test_each_byte_of_any_text_is_a_token(network: str, text: str) -> None:
    backbone = catalog.load_backbone(network)
    ids = batch(backbone, [text])["input_ids"][0].tolist()
    assert ids == ([2 + byte for byte in text.encode()] or [1])


@every_network
def test_texts_are_cut_at_64_bytes(network: str) -> None:
    backbone = catalog.load_backbone(network)
    inputs = batch(backbone, ["x" * 99, "y"])
    assert inputs["mask"].sum(1).tolist() == [64, 1]
    assert features(backbone, inputs).isfinite().all()


@every_network
def test_other_texts_have_other_features(network: str) -> None:
    backbone = catalog.load_backbone(network)
    one, same, other = features(backbone, batch(backbone, ["good", "good", "bad"]))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=0.1)


def test_order_counts_for_the_encoder_alone() -> None:
    bag, encoder = map(catalog.load_backbone, NETWORKS)
    texts = ["not good", "good not"]
    one, other = features(bag, batch(bag, texts))
    torch.testing.assert_close(one, other)
    one, other = features(encoder, batch(encoder, texts))
    assert not torch.allclose(one, other, atol=1e-2)


@every_network
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    more=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_padding_changes_nothing(network: str, lengths: list[int], more: int, seed: int) -> None:
    backbone = catalog.load_backbone(network)
    narrow, wide = (random_batch(lengths, TOKENS, extra, seed) for extra in (0, more))
    torch.testing.assert_close(
        features(backbone, wide), features(backbone, narrow), atol=1e-5, rtol=0
    )


@every_network
def test_every_front_runs_in_openvino(network: str) -> None:
    assert max(errors_when_converted(catalog.load_backbone(network), TOKENS)) < 1e-4


@every_network
def test_bf16_is_near(network: str) -> None:
    backbone = catalog.load_backbone(network)
    inputs = random_batch([3, 9], TOKENS)
    expected = features(backbone, inputs)
    for stage in backbone.prefix():
        stage.to(torch.bfloat16)
    rows = features(backbone, inputs)
    assert rows.dtype == torch.bfloat16
    assert (rows.float() - expected).norm() < 0.02 * expected.norm()


@every_network
def test_every_parameter_learns(network: str) -> None:
    backbone = catalog.load_backbone(network)
    model = Model.of(backbone, nn.Linear(backbone.feature_dim, 2)).train()
    model(batch(backbone, ["good", "bad"])).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


def test_an_adapter_fits_the_encoder() -> None:
    backbone = catalog.load_backbone("seeded:text-encoder")
    model = Model.of(backbone, nn.Linear(backbone.feature_dim, 2))
    inputs = batch(backbone, ["good", "bad"])
    before = model.eval()(inputs)
    names = list(model.backbone_state())
    strategy = catalog.strategy("lora?rank=2")
    strategy.on_train_start(model)
    assert len(model.backbone_state()) > len(names)
    strategy.on_train_end(model)
    assert list(model.backbone_state()) == names
    torch.testing.assert_close(model.eval()(inputs), before)


@every_network
@pytest.mark.parametrize("own_files", [True, False])
def test_a_saved_folder_loads_again(network: str, own_files: bool, tmp_path: Path) -> None:
    backbone = catalog.load_backbone(f"{network}?seed=5&width=4")
    folder = saved(tmp_path / "model", backbone, own_files)
    again = catalog.load_backbone(f"checkpoint:{folder}")
    assert again.origin.weights_hash == backbone.origin.weights_hash
    assert again.architecture == backbone.architecture
    assert again.preprocess == backbone.preprocess
    assert again.head is not None
    inputs = batch(backbone, ["one", "another one"])
    assert torch.equal(features(again, inputs), features(backbone, inputs))
    (card,) = catalog.hub("seeded").cards(network.removeprefix("seeded:"))
    assert (card.modality, card.input) == ("text", "text")


def test_a_bag_tells_words_apart_after_a_probe() -> None:
    backbone = catalog.load_backbone("seeded:bag")
    values = features(backbone, batch(backbone, ["awful", "dull", "great", "lovely"])).numpy()
    examples = values, np.array([0, 0, 1, 1])
    head = catalog.task("text-classification").probe(examples, examples, ["bad", "good"])
    assert head(torch.from_numpy(values)).argmax(1).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("seeded:bag?size=32", "has no option 'size'. Its options: seed, width"),
        ("seeded:text-encoder?channels=1", "has no option 'channels'"),
        ("seeded:text-encoder?width=0", "a width below 1"),
        ("seeded:bag?network=text-encoder", "the two networks bag and text-encoder"),
        ("seeded:convnet?network=bag", "has no option 'network'"),
        ("seeded:text_encoder", "Did you mean 'text-encoder'"),
    ],
)
def test_wrong_settings_are_refused(reference: str, message: str) -> None:
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(reference)


def test_a_folder_must_name_its_network(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match="is not known"):
        catalog.load_backbone(f"seeded:{tmp_path}")


def test_weights_of_the_other_network_are_refused(tmp_path: Path) -> None:
    backbone = catalog.load_backbone("seeded:bag")
    backbone.architecture = catalog.load_backbone("seeded:text-encoder").architecture
    folder = saved(tmp_path / "model", backbone)
    with pytest.raises(WeightsError, match=r"does not fit the network: .*: embeddings\.positions"):
        catalog.load_backbone(f"checkpoint:{folder}")

"""Networks over word vectors: which words count, how much, and what comes back from a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from text_networks import Inputs, batch, errors_when_converted, features, random_batch, saved
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, UnknownNameError, WeightsError

ROWS = {"the": [2, 0], "film": [0, 4], "is": [1, 1], "n't": [-1, 0], "good": [3, -3]}
POOLINGS = ("mean", "sif")
every_pooling = pytest.mark.parametrize("pooling", POOLINGS)


def write(path: Path, rows: Mapping[str, list[int]] = ROWS) -> Path:
    """A file of vectors without a header."""
    path.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in rows.items()))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "glove.txt")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty words with five numbers each."""
    rows = np.random.default_rng(0).integers(-9, 9, (40, 5)).tolist()
    folder = tmp_path_factory.mktemp("vectors")
    return write(folder / "glove.txt", {f"w{number}": row for number, row in enumerate(rows)})


def of(backbone: Backbone, *texts: str) -> list[list[float]]:
    values: list[list[float]] = features(backbone, batch(backbone, texts)).tolist()
    return values


def words(backbone: Backbone, text: str) -> list[str]:
    """What the tokenizer finds in a text, "?" for a word that the vocabulary lacks."""
    names = ["_", "?", *list(json.loads(backbone.files["tokenizer.json"])["model"]["vocab"])[2:]]
    return [names[number] for number in batch(backbone, [text])["input_ids"][0]]


# --- pooling ---


def test_the_mean_is_that_of_known_words(file: Path) -> None:
    backbone = catalog.load_backbone(f"glove:{file}")
    assert list(backbone.stages) == ["embeddings", "pooling"]
    assert of(backbone, "the film", "The odd FILM", "odd", "good good, the?") == [
        *([1, 2], [1, 2], [0, 0]),
        pytest.approx([8 / 3, -2]),
    ]


def test_frequent_words_count_less_by_sif(file: Path) -> None:
    backbone = catalog.load_backbone(f"glove:{file}?pooling=sif")
    shares = 1 / np.arange(1, 6) / sum(1 / rank for rank in range(1, 6))
    weights = dict(zip(ROWS, 1e-3 / (1e-3 + shares), strict=True))
    expected = (weights["film"] * np.array([0, 4]) + weights["good"] * np.array([3, -3])) / 2
    assert of(backbone, "odd film, good", "none") == [pytest.approx(expected), [0, 0]]
    plain = catalog.load_backbone(f"glove:{file}")
    assert backbone.origin.weights_hash != plain.origin.weights_hash


@every_pooling
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    more=st.integers(0, 30),
    seed=st.integers(0, 99),
)
def test_neither_padding_nor_order_changes_a_feature(
    pooling: str, lengths: list[int], more: int, seed: int, many: Path
) -> None:
    backbone = catalog.load_backbone(f"glove:{many}?pooling={pooling}")
    narrow, wide = (random_batch(lengths, 42, extra, seed) for extra in (0, more))
    expected = features(backbone, narrow)
    torch.testing.assert_close(features(backbone, wide), expected, atol=1e-5, rtol=0)
    turned: Inputs = {name: tensor.flip(1) for name, tensor in wide.items()}
    torch.testing.assert_close(features(backbone, turned), expected, atol=1e-5, rtol=0)


@every_pooling
def test_every_front_runs_in_openvino(pooling: str, many: Path) -> None:
    backbone = catalog.load_backbone(f"glove:{many}?pooling={pooling}")
    assert max(errors_when_converted(backbone, 42)) < 1e-4


@every_pooling
def test_bf16_is_near(pooling: str, many: Path) -> None:
    backbone = catalog.load_backbone(f"glove:{many}?pooling={pooling}")
    inputs = random_batch([400, 3], 42)
    expected = features(backbone, inputs)
    for stage in backbone.prefix():
        stage.to(torch.bfloat16)
    rows = features(backbone, inputs)
    assert rows.dtype == torch.bfloat16
    assert (rows.float() - expected).norm() < 0.02 * expected.norm()


@every_pooling
def test_training_moves_the_words_that_were_seen_alone(pooling: str, file: Path) -> None:
    backbone = catalog.load_backbone(f"glove:{file}?pooling={pooling}")
    model = Model.of(backbone, nn.Linear(2, 1)).train()
    catalog.strategy("full-fine-tuning").on_train_start(model)
    before = {name: tensor.clone() for name, tensor in model.backbone_state().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0)
    model(batch(backbone, ["the good odd", "film"])).sum().backward()
    optimizer.step()
    after = model.backbone_state()
    moved = (after["embedding.weight"] != before["embedding.weight"]).any(1).tolist()
    assert moved == [False, False, True, True, False, False, True]
    assert torch.equal(after["word_weights"], before["word_weights"])


# --- words ---


def test_texts_are_cut_into_the_vocabulary_s_words(file: Path) -> None:
    backbone = catalog.load_backbone(f"glove:{file}?max_length=6")
    assert words(backbone, "The film isn't good!") == ["the", "film", "is", "n't", "good", "?"]
    assert (
        words(backbone, "ISN\N{RIGHT SINGLE QUOTATION MARK}T")
        == words(backbone, "is n't")
        == ["is", "n't"]
    )
    assert words(backbone, "good " * 9) == ["good"] * 6
    assert words(backbone, "[PAD] [UNK]") == ["?"] * 6
    assert backbone.preprocess["max_length"] == 6


def test_contractions_stay_whole_where_the_vocabulary_has_them_so(tmp_path: Path) -> None:
    rows = {"don't": [1], "it's": [2], "it": [3], "...": [4], "!": [5]}
    backbone = catalog.load_backbone(f"glove:{write(tmp_path / 'g', rows)}")
    assert words(backbone, "Don't, it's ... it!!") == ["don't", "?", "it's", "...", "it", "!", "!"]


@pytest.mark.parametrize(
    ("rows", "option", "expected"),
    [
        ({"paris": [1], "3": [2]}, "auto", ["paris", "paris"]),
        ({"paris": [1], "Rome": [2]}, "auto", ["?", "paris"]),
        ({"paris": [1], "Rome": [2]}, "yes", ["paris", "paris"]),
        ({"paris": [1]}, "no", ["?", "paris"]),
        ({"Paris": [1], "paris": [2]}, "auto", ["Paris", "paris"]),
    ],
)
def test_texts_are_lower_cased_where_the_vocabulary_is(
    rows: dict[str, list[int]], option: str, expected: list[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "words.txt", rows)
    assert words(catalog.load_backbone(f"glove:{path}?lower={option}"), "Paris paris") == expected


def test_what_the_vocabulary_lacks_is_told(file: Path) -> None:
    backbone = catalog.load_backbone(f"glove:{file}")
    modality = catalog.modality("text").fitted(backbone)
    items = [modality.decode(text, backbone.preprocess) for text in (b"the film", b"odd film")]
    (message,) = modality.remarks(items, backbone.preprocess)
    assert message == "25.0 % of the words (1 of 4) are not in the vocabulary."


# --- references ---


def test_the_first_words_alone(file: Path) -> None:
    backbone = catalog.load_backbone(f"word2vec:{file}?words=2")
    assert words(backbone, "the film is") == ["the", "film", "?"]
    assert str(backbone.architecture) == (f"word2vec:{file}?words=2&dimension=2&pretrained=false")
    bare = catalog.load_backbone(backbone.architecture)
    assert words(bare, "the film is") == ["the", "film", "?"]


def test_random_vectors_have_the_same_size(many: Path) -> None:
    backbone = catalog.load_backbone(f"glove:{many}")
    torch.manual_seed(3)
    bare = catalog.load_backbone(backbone.architecture)
    vectors: Tensor = bare.stages["embeddings"].state_dict()["embedding.weight"]
    assert vectors.shape == backbone.stages["embeddings"].state_dict()["embedding.weight"].shape
    assert not vectors[:2].any()
    assert vectors[2:].std().item() == pytest.approx(0.1, rel=0.2)
    before = torch.get_rng_state()
    catalog.load_backbone(f"glove:{many}")
    assert torch.equal(before, torch.get_rng_state())


@every_pooling
def test_a_saved_folder_needs_its_file_no_more(pooling: str, file: Path, tmp_path: Path) -> None:
    backbone = catalog.load_backbone(f"fasttext:{file}?pooling={pooling}&words=4&max_length=3")
    with torch.no_grad():
        backbone.stages["embeddings"].get_parameter("embedding.weight").mul_(2)  # as if trained
    folder = saved(tmp_path / "model", backbone)
    inputs = batch(backbone, ["the film is", "odd"])
    file.unlink()
    again = catalog.load_backbone(f"checkpoint:{folder}")
    assert again.origin.pretrained
    assert again.preprocess == backbone.preprocess
    assert again.files == backbone.files
    assert again.head is not None
    assert again.head(torch.zeros(1, 2)).shape == (1, 3)
    assert torch.equal(features(again, inputs), features(backbone, inputs))
    bare = catalog.load_backbone(again.architecture)
    assert not bare.origin.pretrained
    assert (bare.architecture, bare.preprocess) == (again.architecture, again.preprocess)
    assert (again.feature_dim, bare.feature_dim) == (2, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("?words=3", "holds 5 words and lower-casing, which can't be changed"),
        ("?lower=no", "holds 5 words and lower-casing"),
        ("?pretrained=false", "doesn't say how long vectors are"),
        ("", r"is a folder\. Give a file of word vectors; .* is checkpoint:"),
    ],
)
def test_a_saved_folder_can_not_be_changed(
    options: str, message: str, file: Path, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "model", catalog.load_backbone(f"glove:{file}"))
    weights = "" if options in ("", "?pretrained=false") else f"@{folder}/model.safetensors"
    with pytest.raises(WeightsError, match=message):
        catalog.load_backbone(f"glove:{folder}{weights}{options}")


@pytest.mark.parametrize("content", [None, "{", "[]", '{"model": {"vocab": {"[PAD]": 3}}}'])
def test_folders_without_our_tokenizer_are_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(WeightsError, match=r"tokenizer\.json is not "):
        catalog.load_backbone(f"glove:{tmp_path}?pretrained=false&dimension=3")


def test_weights_of_another_vocabulary_are_refused(file: Path, many: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", catalog.load_backbone(f"glove:{file}"))
    with pytest.raises(WeightsError, match=r"embedding\.weight \(7×2 in the file, 42×5 in"):
        catalog.load_backbone(f"glove:{many}@{folder}/model.safetensors")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ("pooling=max", UnknownNameError, "Pooling 'max' is not known"),
        ("lower=maybe", HeadstartError, "Give auto, yes or no"),
        ("words=0", HeadstartError, "a number below 1"),
        ("max_length=0", HeadstartError, "a number below 1"),
        ("words=many", HeadstartError, "is not a number"),
        ("dimension=3", WeightsError, "has 2 numbers for each word, not 3"),
        ("size=3", HeadstartError, "has no option 'size'. Its options: pooling, words"),
    ],
)
def test_wrong_settings_are_refused(
    options: str, error: type[HeadstartError], message: str, file: Path
) -> None:
    with pytest.raises(error, match=message):
        catalog.load_backbone(f"glove:{file}?{options}")


# --- real vectors ---


def test_a_queen_is_the_nearest_to_a_king(shared_data: Path) -> None:
    file = shared_data / "weights" / "word2vec_google_1000x300.txt"
    if not file.is_file():
        pytest.skip(f"needs {file}")
    backbone = catalog.load_backbone(f"word2vec:{file}")
    assert backbone.feature_dim == 300
    names = list(json.loads(backbone.files["tokenizer.json"])["model"]["vocab"])[2:]
    assert len(names) == 1000
    vectors = backbone.stages["embeddings"].state_dict()["embedding.weight"][2:]
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    near = vectors @ vectors[names.index("king")]
    assert names[int(near.argsort(descending=True)[1])] == "queen"
    rows = features(backbone, batch(backbone, ["The king and the queen", "日本", "a"]))
    assert rows.isfinite().all()
    assert rows[0].norm() > 0

"""Explanations: planted evidence is found, and the sums of integrated gradients come out."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Fitted
from hypothesis import given
from hypothesis import strategies as st
from pictures import PLAIN
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from typer.testing import CliRunner

from headstart import catalog
from headstart.cli import answers, app
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.errors import HeadstartError
from headstart.explain import PictureExplanation, TextExplanation, explain
from headstart.features.reading import Reader
from headstart.modalities.text import Text
from headstart.serve import Predictor

LABELS = ("plain", "marked")
SIZE = 32
WORDS = ("a", "film", "with", "wonderful", "dreadful", "actors", "and", "music")
_CPU = torch.device("cpu")


class Redness(nn.Module):
    """Answers (N, 2, 8, 8): how red each part is, and how little."""

    def forward(self, pictures: Tensor) -> Tensor:
        red = (pictures[:, :1] - pictures[:, 1:2]).relu()
        maps = torch.cat([red, 1 - red], dim=1)
        return nn.functional.avg_pool2d(maps, SIZE // 8)


class Corner(nn.Module):
    """Answers (N, 2): how bright the lower right corner is, and nothing."""

    def forward(self, pictures: Tensor) -> Tensor:
        bright = pictures[:, :, -8:, -8:].mean((1, 2, 3))
        return torch.stack([bright, bright * 0], dim=1)


class Last(nn.Module):
    """Puts the channels of a map last, as some transformers do."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1)


class First(nn.Module):
    """The mean over a map whose channels are last."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((1, 2))


class Pool(nn.Module):
    """The mean over a map, perhaps without a way back for gradients."""

    def __init__(self, cut: bool = False) -> None:
        super().__init__()
        self.cut = cut

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((2, 3)).detach() if self.cut else maps.mean((2, 3))


def head(rows: Sequence[Sequence[float]]) -> nn.Linear:
    """A linear layer with these weights, frozen."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.load_state_dict({"weight": torch.tensor(rows)})
    return layer.requires_grad_(False)


def sees(stages: Mapping[str, nn.Module], weights: Sequence[Sequence[float]]) -> Predictor:
    """A model for pictures of two labels."""
    reader = Reader(catalog.modality("image"), PLAIN)
    task = catalog.task("image-classification")
    return Predictor(Model(stages, head(weights)), task, reader, LABELS, _CPU)


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """A grey picture with a red upper left corner."""
    pixels = np.full((SIZE, SIZE, 3), 120, dtype=np.uint8)
    pixels[:8, :8] = (250, 20, 20)
    path = tmp_path / "marked.png"
    Image.fromarray(pixels).save(path)
    return path


def picture(predictor: Predictor, path: Path) -> PictureExplanation:
    """The one explanation of one picture."""
    (result,) = explain(predictor, [path])
    assert isinstance(result, PictureExplanation)
    assert result.heat.shape == (SIZE, SIZE) and result.picture.shape == (SIZE, SIZE, 3)
    assert result.heat.min() >= 0 and result.heat.max() in (0, 1)
    return result


def test_grad_cam_finds_the_marked_corner(marked: Path) -> None:
    predictor = sees({"redness": Redness(), "pool": Pool()}, [[0.0, 0.1], [9.0, 0.0]])
    image = picture(predictor, marked)
    assert image.label == "marked"
    assert image.method == "Grad-CAM on 8 x 8 cells of the stage redness."
    assert image.heat[:10, :10].sum() > 0.95 * image.heat.sum()
    assert image.heat[4, 4] == 1


def test_grad_cam_shows_nothing_where_nothing_speaks_for_the_label(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.new("RGB", (SIZE, SIZE), (120, 120, 120)).save(path)
    predictor = sees({"redness": Redness(), "pool": Pool()}, [[0.0, -1.0], [0.0, -2.0]])
    assert picture(predictor, path).heat.max() == 0


def test_occlusion_finds_the_corner_that_a_network_without_maps_looks_at(tmp_path: Path) -> None:
    path = tmp_path / "white.png"
    Image.new("RGB", (SIZE, SIZE), "white").save(path)
    image = picture(sees({"corner": Corner()}, [[0.0, 0.0], [1.0, 0.0]]), path)
    assert image.method.startswith("Occlusion by patches of 4 x 4 pixels, as no stage")
    assert image.heat[-8:, -8:].min() > 0.2
    assert image.heat[:-12].max() == image.heat[:, :-12].max() == 0


def test_a_map_with_channels_last_is_not_taken_for_one(marked: Path) -> None:
    stages = {"redness": Redness(), "turned": Last(), "pool": First()}
    image = picture(sees(stages, [[0.0, 0.1], [9.0, 0.0]]), marked)
    assert "stage redness" in image.method
    stages = {"both": nn.Sequential(Redness(), Last()), "pool": First()}
    image = picture(sees(stages, [[0.0, 0.1], [9.0, 0.0]]), marked)
    assert image.method.startswith("Occlusion")
    assert image.heat[:12, :12].sum() > 0.95 * image.heat.sum()


def test_a_network_without_gradients_is_explained_by_occlusion(marked: Path) -> None:
    stages = {"redness": Redness(), "pool": Pool(cut=True)}
    image = picture(sees(stages, [[0.0, 0.1], [9.0, 0.0]]), marked)
    assert image.method.startswith("Occlusion") and "no gradient comes back" in image.method
    assert image.heat[:12, :12].sum() > 0.95 * image.heat.sum()


def test_the_first_number_is_explained(marked: Path) -> None:
    predictor = sees({"redness": Redness(), "pool": Pool()}, [[3.0, 0.0], [0.0, 9.0]])
    predictor.task = catalog.task("image-regression")
    assert picture(predictor, marked).label == "plain"


@pytest.mark.parametrize("name", ["convnet", "residual", "vit"])
def test_whole_networks_are_explained(name: str, marked: Path) -> None:
    backbone = catalog.load_backbone(f"seeded:{name}?size={SIZE}")
    weights = np.random.default_rng(0).normal(size=(2, backbone.feature_dim)).tolist()
    predictor = sees({}, weights)
    predictor.model = Model.of(backbone, head(weights))
    image = picture(predictor, marked)
    assert image.method.startswith("Occlusion" if name == "vit" else "Grad-CAM")


def test_an_overlay_is_red_where_it_is_hot(marked: Path, tmp_path: Path) -> None:
    predictor = sees({"redness": Redness(), "pool": Pool()}, [[0.0, 0.1], [9.0, 0.0]])
    image = picture(predictor, marked)
    image.save(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as overlay:
        values = np.asarray(overlay).astype(int)
    assert values.shape == (224, 224, 3)
    assert (values[-1, -1] == 120).all() and values[28, 28, 0] - values[28, 28, 2] > 200


class Vectors(nn.Module):
    """A vector for each word id, and the mask."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.vectors = nn.Embedding(len(vectors), vectors.shape[1])
        self.vectors.load_state_dict({"weight": vectors})

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"hidden": self.vectors(inputs["input_ids"]), "mask": inputs["mask"]}


class Mean(nn.Module):
    """The mean over words."""

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return inputs["hidden"].mean(1)


def bag_of_words() -> Predictor:
    """A model to which one word speaks for its second label, and one against it."""
    numbers = {"[PAD]": 0, "[UNK]": 1} | {word: place + 2 for place, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = torch.zeros(len(numbers), 2)
    vectors[:, 1] = torch.arange(len(numbers))  # that says nothing
    vectors[numbers["wonderful"], 0], vectors[numbers["dreadful"], 0] = 4.0, -1.0
    preprocess = {"pad": 0, "unknown": 1, "max_length": 64, "types": False}
    model = Model({"embeddings": Vectors(vectors), "pool": Mean()}, head([[-1.0, 0], [1.0, 0]]))
    task = catalog.task("text-classification")
    return Predictor(model, task, Reader(Text(tokenizer), preprocess), LABELS, _CPU)


def text(predictor: Predictor, inputs: str) -> TextExplanation:
    """The one explanation of one text, whose sums come out."""
    (result,) = explain(predictor, [inputs])
    assert isinstance(result, TextExplanation) and result.path == inputs
    total = sum(piece.weight for piece in result.pieces)
    assert total == pytest.approx(result.difference + result.delta, abs=1e-5)
    return result


def test_a_bag_of_words_is_explained_by_its_word() -> None:
    explanation = text(bag_of_words(), "a film with wonderful actors and dreadful music")
    assert explanation.label == "marked"
    weights = {word.text: word.weight for word in explanation.words}
    assert list(weights) == "a film with wonderful actors and dreadful music".split()
    assert weights.pop("wonderful") == pytest.approx(4 / 8, abs=1e-5)
    assert weights.pop("dreadful") == pytest.approx(-1 / 8, abs=1e-5)
    assert max(map(abs, weights.values())) < 1e-6
    assert abs(explanation.delta) < 1e-5 and explanation.steps == 32


def deep(name: str) -> tuple[Predictor, Backbone]:
    """A network over bytes under a head of random weights."""
    backbone = catalog.load_backbone(f"seeded:{name}")
    modality = catalog.modality("text").fitted(backbone)
    weights = np.random.default_rng(0).normal(size=(2, backbone.feature_dim)).tolist()
    model = Model.of(backbone, head(weights))
    reader, task = Reader(modality, backbone.preprocess), catalog.task("text-classification")
    return Predictor(model, task, reader, LABELS, _CPU), backbone


@pytest.mark.parametrize("name", ["bag", "text-encoder"])
@pytest.mark.parametrize("given_text", ["plain words", "été à Paris, 3 times", "x"])
def test_integrated_gradients_are_complete(name: str, given_text: str) -> None:
    predictor, _ = deep(name)
    explanation = text(predictor, given_text)
    outputs = predictor.outputs(predictor.find([given_text])[1])[0]
    assert explanation.output.value == pytest.approx(outputs.max(), abs=1e-5)
    assert abs(explanation.delta) <= 0.01 * abs(explanation.difference)
    assert [word.text for word in explanation.words] == given_text.split()
    assert len(explanation.pieces) == len(given_text.encode())


def test_special_tokens_of_an_encoder_weigh_nothing(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from encoders import small_encoder

    backbone = catalog.load_backbone(f"hf:{small_encoder(tmp_path / 'bert')}")
    modality = catalog.modality("text").fitted(backbone)
    weights = np.random.default_rng(0).normal(size=(2, backbone.feature_dim)).tolist()
    model = Model.of(backbone, head(weights))
    reader, task = Reader(modality, backbone.preprocess), catalog.task("text-classification")
    explanation = text(Predictor(model, task, reader, LABELS, _CPU), "w5 w6 w7")
    names = [piece.text for piece in explanation.pieces]
    assert names == ["[CLS]", "w5", "w6", "w7", "[SEP]"]
    assert [explanation.pieces[place].weight for place in (0, -1)] == [0, 0]
    assert [word.text for word in explanation.words] == ["w5", "w6", "w7"]
    assert abs(explanation.delta) <= 0.01 * abs(explanation.difference) or explanation.steps == 512


BYTES = deep("bag")[0].reader.modality


@given(st.text(min_size=1, max_size=15).filter(lambda text: text.strip()))
def test_pieces_joined_are_the_words_as_they_are_written(given_text: str) -> None:
    plain = given_text.replace("\x1e", " ")
    words: dict[int, str] = {}
    for piece, number in BYTES.pieces(plain.encode("utf-8", "ignore")):
        words[number] = words.get(number, "") + piece
    item = plain.encode("utf-8", "ignore").decode()
    assert [word.strip() for word in words.values() if word.strip()] == item.split()
    pair = BYTES.pieces(b"one two\x1eone")
    assert len({number for _, number in pair}) == 3
    assert "".join(piece for piece, _ in pair) == "one twoone"


def test_items_that_can_not_be_explained_are_told(tmp_path: Path) -> None:
    predictor = bag_of_words()
    whole = nn.Sequential(*predictor.model.stages)
    predictor.model = Model({"whole": whole}, predictor.model.head)
    with pytest.raises(HeadstartError, match="no embeddings of its words"):
        explain(predictor, ["a film"])


def run(*arguments: str | Path) -> Any:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_predict_writes_heat_maps_beside_the_pictures_or_in_a_folder(
    fitted: Fitted, tmp_path: Path
) -> None:
    source = sorted((fitted.pictures / "ants").iterdir())[0]
    one, other = tmp_path / "one" / "a.png", tmp_path / "other" / "a.png"
    for path in (one, other):
        path.parent.mkdir()
        shutil.copy(source, path)
    done = run("predict", fitted.folder, one, "--explain", "--json")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)["predictions"]
    assert row["overlay"] == str(tmp_path / "one" / "a.png.explained.png")
    with Image.open(row["overlay"]) as overlay:
        assert overlay.size == (224, 224)
    why = row["explanation"]
    assert np.array(why["heat"]).shape == (16, 16) and why["label"] == row["label"]
    assert why["method"].startswith("Grad-CAM on")

    done = run("predict", fitted.folder, one, other, "--explain", "--out", tmp_path / "maps")
    assert done.exit_code == 0, done.stderr
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    assert names == {"a.png.explained.png", "a.png.explained-2.png"}
    assert f"Heat map in {tmp_path / 'maps' / 'a.png.explained.png'}" in done.stdout
    done = run("predict", fitted.folder, one, "--explain", "--out", source)
    assert done.exit_code == 2 and "is a file" in done.stderr


def test_words_are_printed_with_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.pipeline.several import opening

    monkeypatch.setattr(opening, "load", lambda folder: bag_of_words())
    done = run("predict", "model", "a film with wonderful [b]actors", "--explain")
    assert done.exit_code == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("wonderful")]
    assert line.split()[1:] == ["+0.500", "+" * 12]
    assert "[" in done.stdout and "\x1b" not in done.stdout
    assert "a text of padding" in done.stdout


class Missing:
    """Finds Captum missing, as a machine without it does."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "captum":
            raise ModuleNotFoundError("No module named 'captum'", name=name)


def test_without_captum_the_extra_is_named(marked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("captum")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    predictor = sees({"redness": Redness(), "pool": Pool()}, [[0.0, 0.1], [9.0, 0.0]])
    with pytest.raises(ModuleNotFoundError) as raised:
        explain(predictor, [marked])
    code, message = answers.failure(raised.value)
    assert code == answers.USERS and "pip install 'headstart[explain]'" in message

"""Answers averaged over other looks at a picture: mirrored, and enlarged."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_pictures
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil
from torch import nn

import headstart as hs
from headstart import catalog, defaults
from headstart.errors import HeadstartError
from headstart.features.engine import Averaged, TorchEngine
from headstart.modalities.image import Image

CPU = torch.device("cpu")


def mirrored(folder: Path, out: Path) -> list[Path]:
    """The same pictures, mirrored."""
    out.mkdir()
    results = []
    for file in sorted(folder.glob("*.png")):
        with pil.open(file) as opened:
            opened.transpose(pil.Transpose.FLIP_LEFT_RIGHT).save(out / file.name)
        results.append(out / file.name)
    return results


@given(side=st.integers(8, 400), seed=st.integers(0, 9))
def test_looks_of_pictures(side: int, seed: int) -> None:
    inputs = torch.from_numpy(np.random.default_rng(seed).random((2, 3, side, 9), np.float32))
    flipped = Image().look(inputs, "flip")
    assert flipped is not None and torch.equal(flipped.flip(-1), inputs)
    larger = Image().look(inputs, "scales")
    assert larger is not None
    assert side < larger.shape[2] <= round(1.15 * side)
    assert larger.shape[2] % 32 == 0 or int(1.15 * side) // 32 * 32 <= side
    assert float(larger.mean()) == pytest.approx(float(inputs.mean()), abs=0.1)
    assert Image().look(inputs, "sideways") is None


def test_a_linear_head_gives_the_mean_of_its_outputs() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU())
    head = nn.Linear(5, 3)
    engine = TorchEngine(body, CPU)
    inputs = torch.randn(4, 3, 2, 2)
    run_result = Averaged({"": engine, "flip": engine}, head, Image().look).run(inputs)
    with torch.inference_mode():
        outputs = [head(body(each)).numpy() for each in (inputs, inputs.flip(-1))]
    assert run_result == pytest.approx(np.mean(outputs, axis=0), abs=1e-6)


def test_the_words_of_the_setting() -> None:
    assert [defaults.looks(tta) for tta in defaults.CHOICES["tta"]] == [
        (),
        ("flip",),
        ("scales",),
        ("flip", "scales"),
    ]
    with pytest.raises(HeadstartError, match="tta 'twice' is not known"):
        defaults.check(hs.Settings(tta="twice"))


Fit = Callable[[str, str], tuple[hs.Result, Path]]


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """What a strategy makes of pictures with other looks, made once, and the pictures."""

    @cache
    def fit(strategy: str, tta: str) -> tuple[hs.Result, Path]:
        place = tmp_path_factory.mktemp("looks")
        data = write_pictures(place / "data", {"ants": 24, "bees": 24})
        settings = hs.Settings(tta=tta, scratch=False, evidence="quick", epochs=1, device="cpu")
        result = hs.fit(data, "seeded:convnet", place / "out", strategy=strategy, settings=settings)
        return result, data

    return fit


@pytest.mark.parametrize(
    ("strategy", "tta"),
    [("feature-extraction", "flip+scales"), ("feature-extraction?head=knn", "flip"),
     ("last-stages", "flip")],
)  # fmt: skip
def test_a_mirrored_picture_gets_the_same_answer_here_and_when_opened_again(
    strategy: str, tta: str, fit: Fit, tmp_path: Path
) -> None:
    result, data = fit(strategy, tta)
    assert result.evidence.checks["equal in a fresh process"]
    assert json.loads((result.folder / "headstart.json").read_text())["settings"]["tta"] == tta
    model = hs.load(result.folder)
    assert model.reader.looks == ("", *tta.split("+"))
    plain = sorted((data / "ants").glob("*.png"))
    answers = [
        [answer.probabilities["ants"] for answer in model.predict(files)]
        for files in (plain, mirrored(data / "ants", tmp_path / "mirrored"))
    ]
    if tta == "flip":
        assert answers[1] == pytest.approx(answers[0], abs=1e-4)
    arm = result.evidence.arms["chosen"]
    values = hs.evaluate(result.folder, data)
    assert 0 <= values.score.value <= 1
    body = model.model.body()
    item = model.find([plain[0]])[1]
    (inputs,) = model.reader.batches(item, [np.arange(1)])
    looks = [inputs, *(Image().look(inputs, name) for name in tta.split("+"))]
    with torch.inference_mode():
        features = torch.stack([body.eval()(look) for look in looks]).mean(dim=0)
        outputs = model.model.head(features).numpy()
    assert model.outputs(item) == pytest.approx(outputs, abs=1e-4)
    assert model.features(item) == pytest.approx(features.numpy(), abs=1e-4)
    assert arm.outputs["test"].shape[1] == 2


def test_the_record_is_that_of_the_averaged_answers(fit: Fit) -> None:
    strategy = "feature-extraction?head=knn"  # whose outputs no temperature changes
    result, data = fit(strategy, "flip")
    dataset = hs.data.load(data, catalog.modality("image"))
    model = hs.load(result.folder)
    head = result.evidence.arms["chosen"]
    if head.strategy == strategy:
        actual = model.outputs(dataset.split("test"))
        assert actual == pytest.approx(head.outputs["test"], abs=1e-3)


def test_what_has_no_other_look_is_refused_before_any_work(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("text,label\n" + "\n".join(f"a {n},{'xy'[n % 2]}" for n in range(20)))
    settings = hs.Settings(tta="flip", device="cpu")
    with pytest.raises(HeadstartError, match="--tta flip can't be: text has no other looks"):
        hs.fit(table, "seeded:bag", tmp_path / "out", settings=settings)
    assert not (tmp_path / "out").exists()

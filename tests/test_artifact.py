"""The saved folder: what it holds, what it refuses, and that timm alone can open it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from conftest import Fitted, write_pictures
from huggingface_hub import ModelCard
from PIL import Image
from safetensors import safe_open
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

import headstart as hs
from headstart import artifact
from headstart.data import FileSource, Item
from headstart.data.sources import InlineSource
from headstart.loading import record, weights
from headstart.pipeline import checking

TIMM = "timm:test_resnet?pretrained=false&size=32&mean=0.4&std=0.3"


@pytest.fixture
def copy(fitted: Fitted, tmp_path: Path) -> Path:
    """A saved model that a test may spoil."""
    return Path(shutil.copytree(fitted.folder, tmp_path / "copy"))


def items(folder: Path) -> list[Item]:
    """The raw files of a folder as items."""
    return [Item(str(path), "", None, FileSource(path)) for path in sorted(folder.iterdir())]


def forge(folder: Path, **values: Any) -> None:
    """Set entries of the record, as someone does who knows about its hash."""
    record.write(folder, record.read(folder) | values)


def test_it_holds_nothing_that_runs(fitted: Fitted) -> None:
    files = {path.name: path for path in fitted.folder.iterdir()}
    assert files.keys() == {
        *(
            "README.md",
            "engine",
            "evidence.json",
            "headstart.json",
            "model.safetensors",
            "plan.json",
            "reference.safetensors",
            "report.html",
        )
    }
    inside = {path.name for path in files.pop("engine").iterdir()}
    assert inside == {"body.xml", "head.xml", "constants.bin"}
    for name, path in files.items():
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                own = {"model.safetensors": {"head.weight", "head.bias"}}
                assert set(file.keys()) >= own.get(name, {"features", "outputs", "targets"})
        else:
            assert name in ("README.md", "report.html")
            path.read_text(encoding="utf-8")


def test_the_record_says_where_everything_came_from(fitted: Fitted) -> None:
    content = artifact.read(fitted.folder)
    state = weights.read(fitted.folder / "model.safetensors").state
    assert content.weights_sha256 == weights.digest(state)
    assert (content.task, content.modality) == ("image-classification", "image")
    assert content.labels == ("ants", "bees")
    assert content.architecture == "seeded:convnet?pretrained=false"
    assert content.origin["reference"] == "seeded:convnet"
    assert content.origin["licence"] == "Apache-2.0"
    assert content.origin["weights_hash"].startswith("sha256:")
    assert content.settings["epochs"] == 2
    assert content.data["fingerprint"] == fitted.result.evidence.data["fingerprint"]
    assert content.versions["torch"] == str(torch.__version__).partition("+")[0]
    assert content.versions["python"] == sys.version.split()[0]
    splits = json.loads((fitted.folder / "plan.json").read_text())["splits"]
    counts = {name: sum(by.values()) for name, by in content.data["splits"].items()}
    assert {name: len(digests) for name, digests in splits.items()} == counts


def test_the_model_card_is_one(fitted: Fitted) -> None:
    text = (fitted.folder / "README.md").read_text(encoding="utf-8")
    card: Any = ModelCard(text, ignore_metadata_errors=False).data
    assert card.license == "apache-2.0"
    assert card.library_name == "headstart"
    assert card.pipeline_tag == "image-classification"
    assert card.metrics == ["accuracy"]
    assert "transfer-learning" in card.tags
    content = artifact.read(fitted.folder)
    for message in (
        "| backbone | `seeded:convnet` |",
        "| licence of the weights | Apache-2.0 |",
        f"| hash of this model | `{content.weights_sha256}` |",
        f"| weights' hash | `{content.origin['weights_hash']}` |",
        str(fitted.result).splitlines()[0],
        content.data["split_rule"],
    ):
        assert message in text
    assert "timm" not in text.partition("## Origin")[0]


def test_it_answers_the_same_when_opened_again(fitted: Fitted, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(fitted.folder, tmp_path / "elsewhere"))
    files = items(fitted.pictures / "ants")
    one, other = hs.load(fitted.folder), hs.load(moved)
    assert one.labels == other.labels
    assert np.array_equal(one.outputs(files), other.outputs(files))
    alone = np.concatenate([one.outputs([file]) for file in files[:3]])
    assert np.allclose(alone, one.outputs(files)[:3], atol=1e-5)


def test_changed_weights_are_refused(copy: Path) -> None:
    path = copy / "model.safetensors"
    state = weights.read(path).state
    state["head.bias"][0] += 1e-3
    weights.save(state, path, {"format": "pt"})
    with pytest.raises(hs.WeightsError, match=r"model\.safetensors has changed since it was saved"):
        hs.load(copy)


@pytest.mark.parametrize("remaining", [0, 4, 100, -1])
def test_torn_weights_are_refused(copy: Path, remaining: int) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:remaining])
    with pytest.raises(hs.WeightsError, match="is not a whole safetensors file"):
        hs.load(copy)


def test_missing_weights_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(hs.WeightsError, match=r"model\.safetensors is not a file"):
        hs.load(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"labels": 3}', '{"labels": ["a"]}'])
def test_a_torn_record_is_refused(copy: Path, text: str) -> None:
    (copy / "headstart.json").write_text(text)
    with pytest.raises(hs.HeadstartError, match=r"headstart\.json can't be read"):
        hs.load(copy)


def test_a_record_cut_anywhere_is_refused(copy: Path) -> None:
    whole = (copy / "headstart.json").read_bytes()
    for count in range(1, len(whole) - 1, 97):
        (copy / "headstart.json").write_bytes(whole[:count])
        with pytest.raises(hs.HeadstartError):
            hs.load(copy)


@pytest.mark.parametrize(
    "values",
    [
        {"unheard": 1},
        {"labels": ["ants"]},
        {"labels": "ab"},
        {"labels": ["ants", 3]},
        {"preprocess": {}},
        {"task_settings": {"wights": [1]}},
        {"weights_sha256": None},
        {"files": {"../../etc/passwd": "0"}},
        {"architecture": "seeded:convnet?width=16"},
        {"architecture": "timn:x"},
        {"modality": "smell"},
        {"task": "guessing"},
    ],
)
def test_a_record_of_something_else_is_refused(copy: Path, values: dict[str, Any]) -> None:
    forge(copy, **values)
    with pytest.raises(hs.HeadstartError):
        hs.load(copy)


def test_without_a_plan_no_overlap_is_claimed(fitted: Fitted, copy: Path) -> None:
    (copy / "plan.json").unlink()
    values = hs.evaluate(copy, fitted.pictures)
    assert values.overlap is None and values.to_json()["overlap"] is None
    assert "Warning: what the model was trained on is not recorded." in str(values)


def test_a_fresh_process_is_compared_answer_by_answer(
    fitted: Fitted, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = items(fitted.pictures / "bees")[:2]
    predictions = hs.load(fitted.folder).predict([file.id for file in files])
    expected = [prediction.answer for prediction in predictions]
    checking.verify(fitted.folder, files, expected, ".png")

    path = copy / "model.safetensors"
    state = weights.read(path).state
    state["head.bias"][0] += 0.5
    weights.save(state, path, {"format": "pt"})
    with pytest.raises(hs.HeadstartError, match="has changed since it was saved"):
        checking.verify(copy, files, expected, ".png")
    forge(copy, weights_sha256=weights.digest(state))
    with pytest.raises(hs.HeadstartError, match=r"answers otherwise .* for .*bees/000\.png"):
        checking.verify(copy, files, expected, ".png")
    unreadable = [Item("broken", "", None, InlineSource(b"no picture"))]
    with pytest.raises(hs.HeadstartError, match=r"in a fresh process: .*000.*can't be used: it is"):
        checking.verify(fitted.folder, unreadable, expected[:1], ".png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    place = tmp_path / "evidence.json"
    place.symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        artifact.write_evidence(tmp_path, {"metric": "accuracy"})
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(place))


def test_timm_alone_opens_it(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 12, "bees": 12}, size=40)
    settings = hs.Settings(epochs=1, scratch=False)
    result = hs.fit(
        data, TIMM, tmp_path / "model", strategy="last-stages?count=1", settings=settings
    )
    assert "config.json" in os.listdir(result.folder)
    card: Any = ModelCard((result.folder / "README.md").read_text(encoding="utf-8")).data
    assert card.library_name == "timm"

    network = timm.create_model(f"local-dir:{result.folder}", pretrained=True).eval()
    transform: Any = create_transform(**resolve_model_data_config(network))
    predictor = hs.load(result.folder)
    files = items(data / "ants")[:4]
    with torch.no_grad():
        ours = next(iter(predictor.reader.batches(files, [np.arange(4)])))
        theirs = torch.stack([transform(Image.open(file.id).convert("RGB")) for file in files])
        assert torch.allclose(ours, theirs, atol=2e-2)  # a grey level is 1 / 76 after 1 / std
        assert torch.equal(network(ours), predictor.model.cpu().eval()(ours))
        answers = torch.softmax(network(theirs), 1).numpy()
    predictions = predictor.predict([file.id for file in files])
    for row, prediction in zip(answers, predictions, strict=True):
        assert row == pytest.approx(list(prediction.probabilities.values()), abs=0.01)

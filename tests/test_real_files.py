"""Real weights of every hub that has some at hand: what they know, and what they transfer."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import headstart as hs
from headstart import catalog
from headstart.contracts.model import Model

pytestmark = pytest.mark.slow

CIFAR = Path(__file__).parents[1] / "benchmarks" / "cifar_resnet.py"
RESNET = f"file:{CIFAR}:{{}}@weights/{{}}?size=32&trust=true"
SOURCES = {  # by name: the reference below the research data, what is known of CIFAR-10
    "resnet20": (RESNET.format("resnet20", "cifar10_resnet20-12fca82f.th"), 0.80),
    "resnet32": (RESNET.format("resnet32", "cifar10_resnet32-d509ac18.th"), 0.81),
    "keras resnet8": ("keras:weights/keras_resnet8_cifar10.h5", 0.74),
}
PHOTOS = {  # what frozen features reach on ants and bees
    "tflite mobilenet v2": ("graph:weights/mobilenet_v2_1.0_224_quant.tflite", 0.93),
    "tflite mobilenet v1 0.25": ("graph:weights/mobilenet_v1_0.25_128_quant.tflite", 0.80),
    "squeezenet": ("torchvision:squeezenet1_1@weights/squeezenet1_1.imagenet.safetensors", 0.93),
}


@pytest.mark.parametrize("name", SOURCES)
def test_small_pictures_are_known(
    name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shared_data)
    reference, least = SOURCES[name]
    backbone = catalog.load_backbone(reference)
    assert backbone.head is not None
    table = pq.read_table("images/cifar10_test.parquet").slice(0, 2000)
    image = catalog.modality("image")
    rows = table.to_pylist()
    items = [image.decode(row["image"]["bytes"], backbone.preprocess) for row in rows]
    with torch.inference_mode():
        model = Model.of(backbone, backbone.head).eval()
        answers = model(image.collate(items, backbone.preprocess)).argmax(1).numpy()
    names = sorted({row["label"] for row in rows})
    result = float((answers == [names.index(row["label"]) for row in rows]).mean())
    print(f"\n{name}: {result:.3f} of {len(rows)} pictures of CIFAR-10")
    assert result >= least


@pytest.mark.parametrize("name", SOURCES)
def test_small_networks_help_with_digits(
    name: str, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shared_data)
    data = tmp_path / "digits"
    data.mkdir()
    test = pq.read_table("images/usps_test.parquet").slice(0, 600)
    train = pq.read_table("images/usps_train.parquet").to_pylist()
    few = {n: [row for row in train if row["label"] == str(n)][:30] for n in range(10)}
    pq.write_table(test, data / "test.parquet")
    for split, part in (("train", slice(0, 20)), ("val", slice(20, 30))):
        rows = [row for own in few.values() for row in own[part]]
        pq.write_table(pa.Table.from_pylist(rows), data / f"{split}.parquet")
    settings = hs.Settings(evidence="none")
    result = hs.fit(data, SOURCES[name][0], tmp_path / "model", strategy="lp-ft", settings=settings)
    print(f"\n{name}: {result}")
    arms = result.to_json()["arms"]
    assert arms["chosen"]["value"] > 0.75 > 3 * arms["naive"]["value"]


@pytest.mark.parametrize("name", PHOTOS)
def test_frozen_features_tell_ants_from_bees(
    name: str, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shared_data)
    reference, least = PHOTOS[name]
    settings = hs.Settings(scratch=False, evidence="none")
    out = tmp_path / "model"
    result = hs.fit(
        "images/hymenoptera", reference, out, strategy="feature-extraction", settings=settings
    )
    value = result.to_json()["arms"]["chosen"]["value"]
    print(f"\n{name}: {value:.3f} of 153 photos of ants and bees")
    assert value >= least

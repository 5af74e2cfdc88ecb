"""The frozen prefix: run once an item, and its outputs kept apart by what they depend on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.data import load
from headstart.features import extract as extraction
from headstart.features.engine import TorchEngine, to_device
from headstart.features.extract import Prefix, extract, fits_on_disk
from headstart.features.reading import Reader
from headstart.features.store import FeatureStore
from headstart.progress import Silent

CPU = torch.device("cpu")


def test_each_part_of_a_key_has_rows_of_its_own(tmp_path: Path) -> None:
    backbone = tiny.backbone()
    changed = {
        "weights": replace(backbone, origin=replace(backbone.origin, weights_hash="other")),
        "preprocess": replace(backbone, preprocess={**backbone.preprocess, "crop": 0.5}),
        "architecture": replace(
            backbone, architecture=backbone.architecture.with_options(pad_type="same")
        ),
    }
    prefixes = [Prefix(backbone, 2, CPU), Prefix(backbone, 3, CPU)]
    prefixes += [Prefix(other, 2, CPU) for other in changed.values()]
    folders = {FeatureStore(prefix.key(), (2, 3), tmp_path).folder for prefix in prefixes}
    assert len(folders) == 5
    again = Prefix(tiny.backbone(), 2, torch.device("cpu"))
    assert FeatureStore(again.key(), (2, 3), tmp_path).folder in folders


@final
class Counting(nn.Module):
    """Counts the items that pass through it."""

    def __init__(self) -> None:
        super().__init__()
        self.items = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.items += len(inputs)
        return inputs


def counting_backbone() -> tuple[Backbone, Counting]:
    counter, found = Counting(), tiny.backbone()
    return replace(found, stages={"counter": counter, **found.stages}), counter


def test_only_what_is_not_stored_yet_is_computed(pictures: Path) -> None:
    modality = catalog.modality("image")
    items = load(pictures, modality).items
    backbone, counter = counting_backbone()
    reader, prefix = Reader(modality, backbone.preprocess), Prefix(backbone, 3, CPU)
    for asked, computed in ((items[:50], 50), (items[:50], 0), (items, 30), (items[::-1], 0)):
        before, progress = counter.items, tiny.Recording()
        found = extract(prefix, asked, reader, progress)
        assert counter.items - before == computed + 1  # one shows the shape
        assert progress.steps == computed
        inputs = next(reader.batches(asked, [np.arange(len(asked))]))
        with torch.inference_mode():
            expected = prefix.network().eval()(inputs).numpy()
        np.testing.assert_allclose(found.all(), expected, rtol=1e-4, atol=1e-5)
        counter.items -= len(asked)


def test_identical_files_are_computed_once(pictures: Path) -> None:
    modality = catalog.modality("image")
    items = load(pictures, modality).items[:2]
    backbone, counter = counting_backbone()
    reader = Reader(modality, backbone.preprocess)
    found = extract(Prefix(backbone, 2, CPU), [*items, *items], reader, Silent())
    assert counter.items == 3
    np.testing.assert_array_equal(found.all()[:2], found.all()[2:])


def test_an_interrupted_extraction_keeps_what_it_had(pictures: Path) -> None:
    modality = catalog.modality("image")
    items = load(pictures, modality).items
    backbone, counter = counting_backbone()
    reader = Reader(modality, backbone.preprocess)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    prefix = Prefix(backbone, 2, CPU)
    with pytest.raises(KeyboardInterrupt):
        extract(prefix, items, reader, tiny.Recording(stop))
    done = counter.items - 1
    assert 0 < done < len(items)
    extract(prefix, items, reader, Silent())
    assert counter.items == len(items) + 2


def test_room_on_the_disk_is_looked_at_first(
    pictures: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modality, backbone = catalog.modality("image"), tiny.backbone()
    items = load(pictures, modality).items
    reader, prefix = Reader(modality, backbone.preprocess), Prefix(backbone, 2, CPU)
    needed = int(np.prod(prefix.shape(items[0], reader))) * 4 * len(items)
    free = shutil.disk_usage(own_cache.parent).free
    for room, fits in ((1.5 * needed, True), (0.5 * needed, False)):
        monkeypatch.setattr(extraction, "DISK_SHARE", room / free)
        assert fits_on_disk(prefix, items, reader) == fits
    assert not own_cache.exists()


@pytest.mark.parametrize("training", [True, False])
def test_the_engine_leaves_statistics_alone(training: bool) -> None:
    network = nn.Sequential(*tiny.backbone().stages.values()).train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    outputs = TorchEngine(network, CPU).run(tiny.feed(4).inputs)
    assert outputs.dtype == np.float32
    assert len(outputs) == 4
    assert outputs.flags.c_contiguous
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_inputs_of_any_nesting_reach_the_device() -> None:
    images = torch.zeros(1, 3, 4, 4)
    moved = to_device({"pixels": images, "more": {"mask": torch.ones(1, 2)}}, CPU)
    assert moved["pixels"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(moved["more"]["mask"], torch.ones(1, 2))
    with pytest.raises(TypeError, match="list"):
        to_device([images], CPU)

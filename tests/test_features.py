"""The frozen prefix: run once an item, and its outputs kept apart by what they depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.data import load
from headstart.errors import DataError, OutOfTimeError
from headstart.features.engine import TorchEngine, to_device
from headstart.features.extract import BATCH, Prefix, extract, is_stored
from headstart.features.loaders import CachedLoader
from headstart.features.reading import Reader, View
from headstart.features.store import FeatureStore, Rows
from headstart.runtime import machine
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Silent

CPU = torch.device("cpu")


def reader_for(backbone: Backbone) -> Reader:
    return Reader(catalog.modality("image"), backbone.preprocess)


def test_each_part_of_a_key_has_rows_of_its_own() -> None:
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
    keys = [prefix.key(reader_for(prefix.backbone), "fp32") for prefix in prefixes]
    keys += [prefixes[0].key(reader_for(backbone), "bf16")]
    assert len({str(key) for key in keys}) == 6
    again = Prefix(tiny.backbone(), 2, torch.device("cpu"), engine="torch", precision="fp32")
    assert again.key(reader_for(again.backbone), "fp32") == keys[0]


def test_activations_are_stored_as_computed_and_features_in_full() -> None:
    backbone = tiny.backbone()
    middle, whole = (Prefix(backbone, n, CPU) for n in (2, len(backbone.stages)))
    assert [middle.stored_as("bf16"), middle.stored_as("fp32")] == ["bf16", "fp32"]
    assert whole.stored_as("bf16") == "fp32"


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
    counter, backbone = Counting(), tiny.backbone()
    return replace(backbone, stages={"counter": counter, **backbone.stages}), counter


def test_a_budget_ends_an_extraction_and_keeps_what_is_done(pictures: Path) -> None:
    modality = catalog.modality("image")
    items = load(pictures, modality).items
    backbone, counter = counting_backbone()
    reader, prefix = Reader(modality, backbone.preprocess), Prefix(backbone, 3, CPU)
    text = f"features of {BATCH} of {len(items)} items were computed; the rest would take about"
    with pytest.raises(OutOfTimeError, match=text):
        extract(prefix, items, reader, Silent(), until=Budget(0.0))
    counter.items = 0
    assert extract(prefix, items, reader, Silent()).computed == len(items) - BATCH
    assert counter.items >= len(items) - BATCH
    assert extract(prefix, items, reader, Silent(), until=Budget(0.0)).computed == 0
    few = Prefix(backbone, 2, CPU)  # all are done in the first batch, so that nothing is lacking
    assert extract(few, items[:5], reader, Silent(), until=Budget(0.0)).computed == 5


def test_only_what_is_not_stored_yet_is_computed(pictures: Path) -> None:
    modality = catalog.modality("image")
    items = load(pictures, modality).items
    backbone, counter = counting_backbone()
    reader, prefix = Reader(modality, backbone.preprocess), Prefix(backbone, 3, CPU)
    assert not is_stored(prefix, items[:1], reader)
    for part, computed in ((items[:50], 50), (items[:50], 0), (items, 30), (items[::-1], 0)):
        before, progress = counter.items, tiny.Recording()
        extraction = extract(prefix, part, reader, progress)
        assert (extraction.computed, bool(extraction.engine)) == (computed, computed > 0)
        assert is_stored(prefix, part, reader)
        timed = 8 if computed else 0  # the first few show how long plain torch takes
        assert counter.items - before == computed + timed
        assert progress.steps == computed
        inputs = next(reader.batches(part, [np.arange(len(part))]))
        with torch.inference_mode():
            expected = prefix.network().eval()(inputs).numpy()
        np.testing.assert_allclose(extraction.features(), expected, rtol=1e-4, atol=1e-5)
        counter.items -= len(part)


def test_an_engine_that_is_kept_serves_the_next_extraction(pictures: Path) -> None:
    backbone = tiny.backbone()
    engines: dict[str, Any] = {}
    whole = len(backbone.stages)
    prefix = Prefix(backbone, whole, CPU, engine="torch", precision="fp32", engines=engines)
    items, reader = load(pictures, catalog.modality("image")).items, reader_for(backbone)
    first = extract(prefix, items[:3], reader, Silent())
    fp32 = engines["fp32"]
    more = extract(prefix, items[:5], reader, Silent())
    assert engines == {"fp32": fp32} and (first.computed, more.computed) == (3, 2)
    alone = extract(replace(prefix, engines=None), items[:5], reader, Silent())
    np.testing.assert_array_equal(alone.features(), more.features())


def test_identical_files_are_computed_once(pictures: Path) -> None:
    modality = catalog.modality("image")
    items = load(pictures, modality).items[:2]
    backbone, counter = counting_backbone()
    reader = Reader(modality, backbone.preprocess)
    extraction = extract(Prefix(backbone, 2, CPU), [*items, *items], reader, Silent())
    assert counter.items == 2 + 2  # the timing saw both, too
    np.testing.assert_array_equal(extraction.features()[:2], extraction.features()[2:])


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
    done = counter.items - 8
    assert 0 < done < len(items)
    computed = extract(prefix, items, reader, Silent()).computed
    assert computed == len(items) - 32  # the first batch was written


def test_rows_go_on_in_the_precision_that_holds_most(pictures: Path) -> None:
    items, backbone = load(pictures, catalog.modality("image")).items, tiny.backbone()
    reader = reader_for(backbone)
    narrow = Prefix(backbone, 2, CPU, engine="torch", precision="bf16")
    if not machine.has_bf16(CPU):
        pytest.skip("this machine multiplies in fp32 alone")
    extract(narrow, items[:60], reader, Silent())
    extract(Prefix(backbone, 2, CPU, precision="fp32"), items[:10], reader, Silent())
    extraction = extract(Prefix(backbone, 2, CPU), items, reader, Silent())
    assert (extraction.computed, extraction.engine[-4:]) == (len(items) - 60, "bf16")
    assert isinstance(extraction.rows, Rows)
    assert extraction.rows.tensor(np.arange(2)).dtype == torch.bfloat16


def test_an_engine_may_be_forced(pictures: Path) -> None:
    items, backbone = load(pictures, catalog.modality("image")).items, tiny.backbone()
    reader = reader_for(backbone)
    plain = extract(Prefix(backbone, 2, CPU, "torch", "fp32"), items[:9], reader, Silent())
    assert plain.engine == "torch fp32"
    FeatureStore(Prefix(backbone, 2, CPU).key(reader, "fp32"), (1,)).folder.rename(
        pictures.parent / "aside"
    )
    other = extract(Prefix(backbone, 2, CPU, "openvino", "fp32"), items[:9], reader, Silent())
    assert other.engine == "openvino fp32"
    np.testing.assert_allclose(other.features(), plain.features(), rtol=1e-3, atol=1e-5)


def test_stored_views_augment_a_frozen_front(pictures: Path) -> None:
    dataset, backbone = load(pictures, catalog.modality("image")), tiny.backbone()
    items, reader = dataset.split("train"), reader_for(backbone)
    prefix = Prefix(backbone, 2, CPU)
    rows = extract(prefix, items, reader, Silent()).rows
    views = [extract(prefix, items, reader, Silent(), View(7, n)) for n in range(2)]
    assert [view.computed for view in views] == [len(items)] * 2
    assert extract(prefix, items, reader, Silent(), View(7, 1)).computed == 0
    targets = dataset.targets("train")
    feed = CachedLoader(rows, np.arange(len(items)), targets, 2, [view.rows for view in views])

    def inputs(view: View | None) -> Tensor:
        (batch,) = feed.batches(np.arange(5), 5, view)
        return torch.as_tensor(batch.inputs)

    assert torch.equal(inputs(None), rows.inputs(np.arange(5)))
    assert torch.equal(inputs(View(7, 4)), views[0].rows.inputs(np.arange(5)))
    assert torch.equal(inputs(View(7, 5)), views[1].rows.inputs(np.arange(5)))
    with torch.inference_mode():
        (visited,) = reader.batches(items, [np.arange(5)], View(7, 1))
        expected = prefix.network().eval()(visited)
    torch.testing.assert_close(inputs(View(7, 1)), expected, rtol=1e-4, atol=1e-5)
    assert not torch.equal(inputs(View(7, 0)), inputs(View(7, 1)))


@pytest.mark.parametrize("training", [True, False])
def test_the_engine_leaves_statistics_alone(training: bool) -> None:
    network = nn.Sequential(*tiny.backbone().prefix()).train(training)
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


def test_content_that_changed_since_its_check_is_never_stored(
    pictures: Path, tmp_path: Path
) -> None:
    backbone, image = tiny.backbone(), catalog.modality("image")
    reader = reader_for(backbone)
    prefix = Prefix(backbone, len(backbone.stages), CPU, engine="torch", precision="fp32")
    items = load(pictures, image).items
    last = pictures / items[-1].id
    content = last.read_bytes()
    last.write_bytes((pictures / items[0].id).read_bytes())
    with pytest.raises(DataError, match=f"{items[-1].id} has changed since it was checked"):
        extract(prefix, items, reader, Silent())
    last.write_bytes(content)
    features = extract(prefix, items, reader, Silent()).features()
    network = prefix.network().eval()
    with torch.inference_mode():
        inputs = image.collate([reader.decode(item) for item in items], backbone.preprocess)
        expected = network(inputs).numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)

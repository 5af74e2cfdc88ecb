"""What stages hand over may be several named arrays: stored, trained on, resumed and saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scales
import tiny
import torch
from conftest import Fitted
from torch import Tensor, nn

from headstart import artifact, catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.contracts.references import Reference
from headstart.data import Dataset, load
from headstart.errors import HeadstartError
from headstart.features.engine import TorchEngine
from headstart.features.engine.agreement import error
from headstart.features.engine.openvino import OpenVinoEngine
from headstart.features.extract import Prefix, extract
from headstart.features.legality import cacheable_stages
from headstart.features.loaders import CachedLoader, RawLoader
from headstart.features.plan import Work, measure
from headstart.features.reading import Reader
from headstart.features.store import FeatureStore, Rows, Shape
from headstart.runtime import machine
from headstart.runtime.progress import Silent
from headstart.training import Splits, Training, loop, predict, train

CPU = torch.device("cpu")
TASK = catalog.task("image-classification")
NAMES = ["bright", "p3", "p4"]
BETWEEN = (2, 3)  # boundaries at which two scales are handed over


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.HUBS, "scales", "scales:TwoScales")


def backbone() -> Backbone:
    return catalog.load_backbone("scales:net")


def batch(items: int = 6) -> Tensor:
    return tiny.feed(items, seed=3).inputs


def front(boundary: int) -> nn.Sequential:
    return nn.Sequential(*backbone().prefix(boundary)).eval()


def same(actual: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Whether two mappings hold the same arrays, of the same types."""
    assert sorted(actual) == sorted(expected) == NAMES
    for name, values in expected.items():
        array = np.asarray(values)
        assert np.asarray(actual[name]).dtype == array.dtype
        np.testing.assert_allclose(actual[name], array, atol=tolerance)


@pytest.mark.parametrize("boundary", BETWEEN)
def test_every_engine_gives_the_named_arrays(boundary: int) -> None:
    network, inputs = front(boundary), batch()
    with torch.no_grad():
        expected = network(inputs)
    same(TorchEngine(network, CPU).run(inputs), expected, 1e-6)
    engine = OpenVinoEngine(network, inputs, "fp32", {"boundary": boundary})
    same(engine.run(inputs), expected, 1e-5)
    again = OpenVinoEngine(network, inputs, "fp32", {"boundary": boundary})  # from disk
    for result in again.stream([inputs[:2], inputs]):
        same(result, {n: t[: len(result["p3"])] for n, t in expected.items()}, 1e-5)


def test_an_engine_takes_named_arrays_in() -> None:
    with torch.no_grad():
        inputs = front(2)(batch())
        middle = nn.Sequential(*backbone().prefix()[2:]).eval()
        expected = middle(inputs).numpy()
    outputs = OpenVinoEngine(middle, inputs, "fp32", None).run(inputs)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_one_array_that_is_off_is_an_error_of_all() -> None:
    expected = {"a": np.ones((4, 3), np.float32), "b": np.full((4, 1), 1e-2, np.float32)}
    assert error(expected, expected) == 0
    off = {**expected, "b": np.full((4, 1), 2e-2, np.float32)}
    assert error(off, expected) == pytest.approx(1.0)
    assert error({"a": expected["a"]}, expected) == float("inf")
    assert error(expected["a"], expected) == float("inf")


def stored(pictures: Path, boundary: int, precision: str = "fp32") -> tuple[Dataset, Reader, Any]:
    network = backbone()
    modality = catalog.modality("image")
    dataset, reader = load(pictures, modality), Reader(modality, network.preprocess)
    prefix = Prefix(network, boundary, CPU, engine="torch", precision=precision)
    return dataset, reader, extract(prefix, dataset.items, reader, Silent())


def test_a_row_holds_all_of_them_and_is_read_as_the_same_mapping(pictures: Path) -> None:
    dataset, reader, result = stored(pictures, 2)
    (inputs,) = reader.batches(dataset.items, [np.arange(9)])
    with torch.no_grad():
        expected = front(2)(inputs)
    content = result.rows.inputs(np.arange(9))
    same(content, expected, 1e-6)
    assert content["bright"].dtype == torch.bool and 0 < int(content["bright"].sum()) < 9 * 64
    again = stored(pictures, 2)[2]
    assert (result.computed, again.computed) == (len(dataset.items), 0)
    same(again.rows[np.arange(9)], {name: tensor.numpy() for name, tensor in content.items()})
    with pytest.raises(TypeError):
        result.pooled()


@pytest.mark.skipif(not machine.has_bf16(torch.device("cpu")), reason="multiplies in fp32 alone")
def test_bf16_halves_all_and_keeps_truth_values(pictures: Path) -> None:
    exact, rounded = (stored(pictures, 2, each)[2].rows[np.arange(20)] for each in ("fp32", "bf16"))
    for name in ("p3", "p4"):
        np.testing.assert_allclose(rounded[name], exact[name], rtol=0.1, atol=0.05)
    assert rounded["bright"].dtype == np.bool_


def test_whole_numbers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    counts = {"count": np.array([[3], [257]]), "map": np.ones((2, 4), np.float32)}
    shape, digests = Shape.of(counts), ["00" * 16, "11" * 16]
    with FeatureStore({"a": 1}, shape, tmp_path) as store:
        store.append(digests, counts)
        np.testing.assert_array_equal(store.rows(digests)[np.arange(2)]["count"], [[3], [257]])
    assert FeatureStore.shape_of({"a": 1}, tmp_path) == shape
    with pytest.raises(HeadstartError, match=r"'count' are whole numbers.*--precision fp32"):
        FeatureStore({"a": 1}, shape, tmp_path, dtype="bf16").append(digests, counts)
    with pytest.raises(ValueError, match="called"):
        FeatureStore({"a": 1}, shape, tmp_path).append(digests, {"map": counts["map"]})


def test_a_row_of_several_arrays_that_was_damaged_is_computed_again(tmp_path: Path) -> None:
    values = {"a": np.ones((2, 3), np.float32), "b": np.zeros((2, 2), np.float32)}
    digests = ["00" * 16, "11" * 16]
    store = FeatureStore({"a": 1}, Shape.of(values), tmp_path)
    store.append(digests, values)
    content = bytearray((store.folder / "rows.bin").read_bytes())
    content[-1] ^= 1  # the last number of "b"
    (store.folder / "rows.bin").write_bytes(content)
    assert FeatureStore({"a": 1}, Shape.of(values), tmp_path).missing(digests) == [1]


@pytest.mark.parametrize("content", [{}, {"a": 3}, {"a": {"shape": [0], "type": "float32"}}])
def test_a_damaged_description_is_no_shape(tmp_path: Path, content: Any) -> None:
    values = {"a": np.ones((1, 3), np.float32)}
    store = FeatureStore({"a": 1}, Shape.of(values), tmp_path)
    store.append(["00" * 16], values)
    meta = json.loads((store.folder / "meta.json").read_text())
    (store.folder / "meta.json").write_text(json.dumps({**meta, "shape": content}))
    assert FeatureStore.shape_of({"a": 1}, tmp_path) is None


def test_a_cut_between_them_is_priced_by_their_bytes_in_all() -> None:
    cuts = measure(backbone(), batch(4), (4, []), Work(10, 8, 3), "fp32")
    shapes = {"p3": (4, 8, 8), "p4": (8, 4, 4), "bright": (8, 8)}
    for cut in cuts[1:3]:
        assert cut.shape == shapes
        assert cut.size == 4 * (4 * 64 + 8 * 16 + 64)
        assert cut.to_json(Work(10, 8, 3))["shape"]["p3"] == [4, 8, 8]
        assert "p3 4×8×8" in cut.dimensions
    assert (cuts[0].shape, cuts[3].shape) == ((4, 8, 8), (8,))


def trained(
    pictures: Path, from_store: bool, told: tiny.SessionOptions | None = None, epochs: int = 2
) -> tuple[Model, Training, Backbone, Dataset]:
    """The last two stages trained, whose input are two scales, stored or computed anew."""
    network, strategy = backbone(), catalog.strategy("last-stages?probe=false")
    boundary = cacheable_stages(strategy, epochs, len(network.stages), augmented=False)
    assert boundary == 2
    dataset, reader, result = stored(pictures, boundary)

    def feed(split: str) -> CachedLoader | RawLoader:
        targets = dataset.targets(split)
        if not from_store:
            return RawLoader(dataset.split(split), targets, reader, augmented=False)
        positions = np.flatnonzero([item.split == split for item in dataset.items])
        return CachedLoader(result.rows, positions, targets, boundary)

    session = tiny.session(options=told)
    model = Model.of(network, TASK.head(network.feature_dim, dataset.labels))
    splits = Splits(feed("train"), feed("validation"))
    training = train(model, TASK, strategy, splits, tiny.recipe(epochs, rate=1e-3), session)
    return model, training, network, dataset


def test_training_on_stored_scales_equals_training_the_whole(pictures: Path) -> None:
    (whole, one, *_), (suffix, two, *_) = (trained(pictures, each) for each in (False, True))
    losses = [[row["loss"] for row in each.history] for each in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(tensor, suffix.state_dict()[name], rtol=1e-3, atol=1e-5)


def test_a_killed_training_on_stored_scales_goes_on_as_if_it_had_not_been(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    unbroken = trained(pictures, from_store=True)[0]
    path, steps = tmp_path / "run.checkpoint", tiny.Recording()
    trained(pictures, from_store=True, told=tiny.SessionOptions(progress=steps), epochs=1)
    killed = tiny.SessionOptions(progress=tiny.dies_at(steps.steps + 1), checkpoint=path)
    with pytest.raises(tiny.Killed):
        trained(pictures, from_store=True, told=killed)
    again = tiny.Recording()
    session = tiny.SessionOptions(progress=again, checkpoint=path)
    assert tiny.same_tensors(trained(pictures, from_store=True, told=session)[0], unbroken)
    assert again.steps == steps.steps


def test_the_saved_network_is_the_trained_one_and_the_uncut_one(
    pictures: Path, tmp_path: Path, fitted: Fitted
) -> None:
    model, _, network, dataset = trained(pictures, from_store=True)
    record = artifact.Record(
        task="image-classification",
        modality="image",
        architecture=artifact.portable(network),
        labels=tuple(dataset.labels),
        preprocess=network.preprocess,
        origin={},
        strategy="last-stages",
        settings={},
        data={},
        weights_sha256="",
        versions={},
    )
    artifact.save(tmp_path / "saved", model, network, record, artifact.read_evidence(fitted.folder))
    artifact.read(tmp_path / "saved")
    again = catalog.load_backbone(Reference("checkpoint", str(tmp_path / "saved")))
    assert again.head is not None
    uncut = scales.whole()
    uncut.load_state_dict(model.backbone_state())
    with torch.no_grad():
        expected = model.eval()(batch())
        torch.testing.assert_close(Model.of(again, again.head).eval()(batch()), expected)
        torch.testing.assert_close(model.head(uncut.eval()(batch())), expected)
    assert not torch.equal(
        next(uncut.joined.parameters()), next(scales.whole().joined.parameters())
    )
    feed = RawLoader(
        dataset.split("test"),
        dataset.targets("test"),
        Reader(catalog.modality("image"), again.preprocess),
        augmented=False,
    )
    accelerator = tiny.session().accelerator
    answers = [
        predict(each, feed, accelerator) for each in (model, Model.of(again, again.head).eval())
    ]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)


def test_features_are_pooled_unless_maps_are_wanted() -> None:
    model = Model.of(backbone(), nn.Identity()).eval()
    with torch.no_grad():
        maps, rows = model.features(batch(), pooled=False), model.features(batch())
        assert maps.shape == (6, 8, 4, 4)
        torch.testing.assert_close(maps.mean((2, 3)), rows)
        assert torch.equal(rows, scales.whole()(batch()))
        between = model.features(batch(), stop=2)
        assert torch.equal(model.features(between, start=2, pooled=False), maps)
        assert torch.equal(model.features(rows, start=4), rows)
        assert torch.equal(model.features(batch(), stop=4), rows)
        with pytest.raises(ValueError, match="pooled"):
            model.features(rows, start=4, pooled=False)


def test_rows_of_pooled_features_stay_one_array(pictures: Path) -> None:
    _, reader, result = stored(pictures, 4)
    assert isinstance(result.rows, Rows)
    assert result.features().shape[1] == 8
    assert reader.preprocess["height"] == scales.SIDE

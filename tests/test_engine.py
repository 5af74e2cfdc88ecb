"""Engines: each computes what plain torch computes, in order, for any batch size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from headstart.features.engine import Engine, EngineError, TorchEngine, openvino
from headstart.features.engine.agreement import TOLERANCE, engine_error, error
from headstart.features.engine.openvino import STREAMS, OpenVinoEngine
from headstart.runtime import machine

CPU = torch.device("cpu")
NETWORKS = ("convnet", "residual", "vit")
BF16 = machine.has_bf16(CPU)
ENGINES = ["torch fp32", "openvino fp32", *(["torch bf16", "openvino bf16"] if BF16 else [])]


def prefix(network: str, boundary: int | None = None) -> nn.Sequential:
    """The first stages of a seeded network, all of them where no boundary is given."""
    return nn.Sequential(*tiny.backbone(f"seeded:{network}").prefix(boundary))


def built(name: str, stages: nn.Module, sample: Tensor, **key: object) -> Engine:
    """An engine by its name."""
    engine, precision = name.split()
    if engine == "torch":
        return TorchEngine(stages, CPU, precision)
    return OpenVinoEngine(stages, sample, precision, key)


def pixels(count: int, seed: int = 5) -> Tensor:
    """Pictures (count, 3, 16, 16)."""
    return tiny.feed(count, seed).inputs


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("boundary", [None, 2])
def test_engines_agree_with_torch(network: str, boundary: int | None) -> None:
    stages, batches = prefix(network, boundary), [pixels(count, count) for count in (8, 3, 1, 8, 5)]
    with torch.inference_mode():
        expected = [stages.eval()(batch).numpy() for batch in batches]
    for name in ENGINES:
        engine = built(name, stages, batches[1])
        assert (engine.name, engine.precision) == (name, name.split()[1])
        for result in ([engine.run(batch) for batch in batches], list(engine.stream(batches))):
            for mine, plain in zip(result, expected, strict=True):
                assert mine.dtype == np.float32
                assert mine.flags.c_contiguous
                assert (
                    error(mine, plain) <= TOLERANCE[engine.precision] / 4
                )  # deeper ones differ more
            if engine.precision == "bf16":
                assert error(result[0], expected[0]) > 1e-5  # it did compute in bf16


@pytest.mark.parametrize("name", ENGINES)
def test_engines_leave_the_stages_as_they_are(name: str) -> None:
    stages = prefix("residual", 2)
    before = {key: tensor.clone() for key, tensor in stages.state_dict().items()}
    built(name, stages, pixels(4)).run(pixels(4))
    after = stages.state_dict()
    assert all(after[key].dtype == tensor.dtype for key, tensor in before.items())
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    stages.train()(pixels(4)).sum().backward()  # and they can still be trained


@pytest.mark.parametrize("name", ENGINES)
def test_results_are_the_callers_own(name: str) -> None:
    engine = built(name, prefix("convnet", 1), pixels(4))
    stream = engine.stream([pixels(4, 1), pixels(4, 2), pixels(4, 3)])
    first = next(stream)
    copy = first.copy()
    assert len(list(stream)) == 2
    engine.run(pixels(4, 4))
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize("name", ENGINES)
def test_a_stream_reads_no_further_ahead_than_it_has_streams(name: str) -> None:
    batch_count = 0

    def batches() -> Iterator[Tensor]:
        nonlocal batch_count
        for seed in range(8):
            batch_count += 1
            yield pixels(2, seed)

    engine = built(name, prefix("convnet", 1), pixels(2))
    stream = engine.stream(batches())
    for count in range(1, 6):
        next(stream)
        assert batch_count <= count + STREAMS
    del stream
    assert engine.run(pixels(2)).shape[0] == 2  # nothing is left in flight


@pytest.mark.parametrize("name", ENGINES)
def test_what_breaks_a_batch_breaks_the_stream(name: str) -> None:
    def batches() -> Iterator[Tensor]:
        yield pixels(2)
        raise OSError("the disk went away")

    engine = built(name, prefix("convnet", 1), pixels(2))
    with pytest.raises(OSError, match="went away"):
        list(engine.stream(batches()))
    assert len(engine.run(pixels(2))) == 2


def converted(cache: Path) -> list[Path]:
    return sorted((cache / "engines").glob("*/model.bin"))


@final
class Tracing(nn.Module):
    """Counts how often it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        return inputs


def test_a_network_is_converted_once_for_each_key(own_cache: Path) -> None:
    counter = Tracing()
    stages, sample = nn.Sequential(counter, *prefix("convnet", 1)), pixels(4)
    first = built("openvino fp32", stages, sample, weights="a").run(sample)
    looked = counter.calls
    again = built("openvino fp32", stages, sample, weights="a").run(sample)
    assert looked > 0
    built("openvino fp32", stages, sample, weights="a", precision="auto")  # compiled otherwise
    assert counter.calls == looked
    assert len(converted(own_cache)) == 1
    np.testing.assert_array_equal(first, again)
    built("openvino fp32", stages, sample, weights="b")
    built("openvino fp32", stages, torch.zeros(1, 3, 32, 32), weights="a")
    assert len(converted(own_cache)) == 3
    assert not [path for path in (own_cache / "engines").iterdir() if path.name.startswith(".")]


def test_a_damaged_file_is_converted_anew(own_cache: Path) -> None:
    stages, sample = prefix("convnet", 1), pixels(4)
    expected = built("openvino fp32", stages, sample).run(sample)
    (path,) = converted(own_cache)
    for damaged in (path, path.with_suffix(".xml")):
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[: len(whole) // 2])
        outputs = built("openvino fp32", stages, sample).run(sample)
        np.testing.assert_array_equal(outputs, expected)
        assert len(damaged.read_bytes()) > len(whole) * 0.9


def test_the_longest_unused_networks_go_first(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages, sample = prefix("convnet", 1), pixels(4)
    for number, weights in enumerate("abc"):
        built("openvino fp32", stages, sample, weights=weights)
        newest = max(converted(own_cache), key=lambda path: path.stat().st_mtime_ns).parent
        os.utime(newest, (number, number))
    built("openvino fp32", stages, sample, weights="a")  # used: now b is the oldest
    size = sum(file.stat().st_size for file in newest.iterdir())
    monkeypatch.setattr(openvino, "KEPT", 3 * size + size // 2)
    before = {path.parent for path in converted(own_cache)}
    (oldest,) = [path for path in before if path.stat().st_mtime == 1]
    built("openvino fp32", stages, sample, weights="d")
    after = {path.parent for path in converted(own_cache)}
    assert before - after == {oldest}
    assert len(after) == 3


def test_where_nothing_can_be_written_it_runs_all_the_same(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    stages, sample = prefix("convnet", 1), pixels(4)
    outputs = built("openvino fp32", stages, sample).run(sample)
    np.testing.assert_allclose(outputs, TorchEngine(stages, CPU).run(sample), rtol=1e-4, atol=1e-5)


@final
class Pair(nn.Module):
    """Gives two tensors, which no boundary has."""

    def forward(self, inputs: Tensor) -> Any:
        """Maps a tensor to two."""
        return inputs, inputs * 2


def test_what_cannot_be_converted_says_why() -> None:
    with pytest.raises(EngineError, match="more than one"):
        built("openvino fp32", nn.Sequential(Pair()), pixels(2))


def test_importing_it_opens_no_socket_and_leaves_no_traces(tmp_path: Path) -> None:
    code = """
import json, socket, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event.startswith("socket.") else None)
import torch
from headstart import catalog
from headstart.features.engine.openvino import OpenVinoEngine
stages = torch.nn.Sequential(*catalog.load_backbone("seeded:convnet").prefix())
OpenVinoEngine(stages, torch.zeros(2, 3, 16, 16), "fp32", {}).run(torch.zeros(2, 3, 16, 16))
print(json.dumps([opened, [name for name in sys.modules if name.startswith("openvino_tele")]]))
"""
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(home), "CI": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [[], []]
    assert not list(home.rglob("*openvino*"))


def test_an_error_is_relative_to_each_item_and_never_hides_nonsense() -> None:
    expected = np.array([[3.0, 4.0], [300.0, 400.0]], np.float32)
    result = expected + np.array([[0.5, 0.0], [0.0, 5.0]], np.float32)
    assert error(result, expected) == pytest.approx(0.1)
    assert error(expected[:1], expected) == np.inf
    assert error(np.full_like(expected, np.nan), expected) == np.inf
    assert error(expected, np.full_like(expected, np.nan)) == np.inf
    dead = np.zeros((2, 2), np.float32)
    assert error(dead, dead) == 0
    assert error(dead + 1e-9, dead) < 0.01
    assert error(dead + 1, dead) > 1e5


@final
class Confused(Engine):
    """Right for batches of more than one item."""

    name, precision = "confused fp32", "fp32"

    def run(self, inputs: Any) -> np.ndarray:
        """Doubles a batch, but forgets to where it holds one item only."""
        return np.asarray(inputs if len(inputs) == 1 else inputs * 2)


@final
class Careless(Engine):
    """Right where something is, and of any value where nothing is."""

    name, precision = "careless fp32", "fp32"

    def run(self, inputs: Any) -> np.ndarray:
        """Doubles what is there."""
        there = inputs["mask"][:, :, None] > 0
        return np.asarray(torch.where(there, 2 * inputs["hidden"], torch.nan))


def test_padding_is_not_checked() -> None:
    """It is stored nowhere; an error in what is there counts as before."""
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    sample = {"hidden": torch.ones(2, 3, 4), "mask": mask}
    right = np.full((2, 3, 4), 2.0, np.float32)
    assert engine_error(Careless(), sample, right) == 0
    right[0, 1] = 4.0
    assert engine_error(Careless(), sample, right) == pytest.approx((16 / 80) ** 0.5)


def test_a_batch_of_one_is_checked_too() -> None:
    sample = torch.ones(3, 2)
    assert error(Confused().run(sample), 2 * sample.numpy()) == 0
    assert engine_error(Confused(), sample, 2 * sample.numpy()) == pytest.approx(0.5)


@final
class Dimmed(nn.Module):
    """Pictures by half the mean of their first channel, which OpenVINO gets wrong as converted."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, C, H, W) to pictures."""
        return pictures * (pictures[:, 0].mean((1, 2), keepdim=True) / 2)[:, None]


@pytest.mark.parametrize("key", [None, {"weights": "none"}])
def test_each_row_has_a_divided_mean_of_its_own(
    key: dict[str, object] | None, own_cache: Path
) -> None:
    pictures = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    stages = nn.Sequential(Dimmed()).eval()
    engine = OpenVinoEngine(stages, pictures, "fp32", key)
    np.testing.assert_allclose(engine.run(pictures), stages(pictures).numpy(), atol=1e-6)

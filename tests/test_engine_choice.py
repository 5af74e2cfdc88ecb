"""The choice of an engine: measured once, remembered, and checked in every run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import tiny
import torch
from test_engine import BF16, CPU, NETWORKS, pixels, prefix
from torch import Tensor, nn

from headstart.errors import HeadstartError
from headstart.features.engine import (
    Engine,
    EngineError,
    TorchEngine,
    choice,
    facts,
    fastest,
    memory,
)
from headstart.features.engine.agreement import error
from headstart.features.engine.candidates import Candidate, Job
from headstart.features.engine.choice import Trial
from headstart.runtime import known

KEY = {"weights": "sha256:1", "architecture": "seeded:convnet", "boundary": 4}
needs_bf16 = pytest.mark.skipif(not BF16, reason="this CPU has no bf16 products")


def chosen(progress: tiny.Recording, stages: nn.Module | None = None, **wish: Any) -> Engine:
    """The engine for a whole seeded network, unless other stages are given."""
    stages, key = stages or prefix("convnet"), wish.pop("key", KEY)
    return fastest(stages, wish.pop("sample", pixels(8)), CPU, key=key, progress=progress, **wish)


@final
class Fake(Engine):
    """Takes a while and multiplies by a factor what it is given."""

    def __init__(self, name: str, factor: float = 1.0, delay: float = 0.0) -> None:
        self.name, self.precision = name, name.split()[1]
        self.factor, self.delay, self.runs = factor, delay, 0

    def run(self, inputs: Any) -> np.ndarray:
        """Maps inputs to their multiples."""
        self.runs += 1
        time.sleep(self.delay)
        return np.asarray(inputs * self.factor, dtype=np.float32)


def job(sample: Tensor) -> Job:
    return Job(nn.Identity(), sample, CPU, None)


def options(engines: Iterable[Engine]) -> list[Candidate]:
    return [Candidate(engine.name, partial(_itself, engine)) for engine in engines]


def _itself(engine: Engine) -> Engine:
    return engine


@pytest.mark.parametrize("network", NETWORKS)
def test_the_choice_agrees_with_torch_and_is_told(network: str) -> None:
    progress, stages = tiny.Recording(), prefix(network)
    engine = chosen(progress, stages)
    plain = TorchEngine(stages, CPU).run(pixels(8))
    assert error(engine.run(pixels(8)), plain) < 0.05
    assert progress.warned == []
    assert engine.name in progress.said[-1]


def test_a_remembered_choice_is_not_measured_again(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = chosen(tiny.Recording())
    (entry,) = json.loads((own_cache / "engines.json").read_text()).values()
    assert entry["engine"] == first.name
    assert entry["items_per_second"][first.name] == max(entry["items_per_second"].values())
    others = {"openvino fp32", "torch fp32"} - {first.name}
    for name in sorted(others):  # whatever stands there is believed, also for other weights
        content = json.loads((own_cache / "engines.json").read_text())
        for entry in content.values():
            entry["engine"] = name
        (own_cache / "engines.json").write_text(json.dumps(content))
        progress = tiny.Recording()
        assert chosen(progress, key={**KEY, "weights": "sha256:2"}).name == name
        assert progress.said == []
    chosen(tiny.Recording(), key={**KEY, "boundary": 3}, stages=prefix("convnet", 3))
    assert len(json.loads((own_cache / "engines.json").read_text())) == 2


@needs_bf16
def test_the_winner_of_all_precisions_wins_in_its_own(own_cache: Path) -> None:
    content = {"engine": "torch bf16", "items_per_second": {"torch bf16": 9.0}}
    chosen(tiny.Recording(), precision="auto", key={**KEY, "precision": "auto"})
    (entry,) = json.loads((own_cache / "engines.json").read_text())
    (own_cache / "engines.json").write_text(json.dumps({entry: content}))
    progress = tiny.Recording()
    narrowed = chosen(progress, precision="bf16", key={**KEY, "precision": "bf16"})
    assert (narrowed.name, progress.said) == ("torch bf16", [])
    assert chosen(progress, precision="fp32").precision == "fp32"
    assert len(json.loads((own_cache / "engines.json").read_text())) == 2  # fp32 was measured


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"x": 3}', "\x00\x01"])
def test_a_damaged_memory_starts_anew(own_cache: Path, content: str) -> None:
    own_cache.mkdir()
    (own_cache / "engines.json").write_text(content)
    name = chosen(tiny.Recording(), precision="fp32").name
    record = json.loads((own_cache / "engines.json").read_text())
    assert name in [entry["engine"] for entry in record.values() if isinstance(entry, dict)]


def test_a_memory_that_cannot_be_written_is_done_without(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    memory.remember("entry", "torch fp32", {})
    assert memory.recall("entry") is None


def test_few_items_are_no_measure(own_cache: Path) -> None:
    chosen(tiny.Recording(), sample=pixels(3), precision="fp32")
    assert not (own_cache / "engines.json").exists()


@pytest.mark.parametrize("expected", ["torch", "openvino"])
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])
def test_a_wish_is_kept(expected: str, precision: str) -> None:
    engine = chosen(tiny.Recording(), engine=expected, precision=precision)
    assert engine.name == f"{expected} {precision}"


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"engine": "onnx"}, "Engine 'onnx' is not known. Give auto or torch or openvino."),
        ({"precision": "fp8"}, "Precision 'fp8' is not known."),
    ],
)
def test_an_unknown_wish_is_refused(wish: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadstartError, match=message):
        chosen(tiny.Recording(), **wish)


def test_openvino_is_for_cpus() -> None:
    with pytest.raises(HeadstartError, match=r"does not run on meta\. Give device cpu"):
        fastest(
            prefix("convnet"),
            pixels(2),
            torch.device("meta"),
            engine="openvino",
            key=KEY,
            progress=tiny.Recording(),
        )


def test_without_openvino_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    progress = tiny.Recording()
    assert chosen(progress).name.startswith("torch")
    assert "torch alone: OpenVINO can't be imported" in progress.said[0]
    assert chosen(tiny.Recording(), precision="fp32").name == "torch fp32"
    with pytest.raises(HeadstartError, match="Install openvino, or give engine auto"):
        chosen(progress, engine="openvino")


@final
class Moody(nn.Module):
    """Python that a converter can't follow."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps pictures to themselves."""
        if torch._C._get_tracing_state() is not None:
            raise ValueError("not while you look\nat me")
        return inputs.clone()


def test_what_openvino_cannot_convert_runs_on_torch() -> None:
    progress, stages = tiny.Recording(), nn.Sequential(Moody(), *prefix("convnet"))
    assert chosen(progress, stages).name.startswith("torch")
    assert "Engine openvino fp32 is left out" in " ".join(progress.said)
    with pytest.raises(HeadstartError, match="engine openvino, precision auto"):
        chosen(progress, stages, engine="openvino")


@final
class Cancelling(nn.Module):
    """What is left of two sums that are nearly equal: bf16 has too few digits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(512, 16, bias=False)
        with torch.no_grad():
            self.mix.weight[:, 1::2] = -self.mix.weight[:, ::2]

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (N, 3, 16, 16) to (N, 16)."""
        flat = inputs.flatten(1)[:, :256] * 1e-3
        large = torch.stack((flat + 1, torch.ones_like(flat)), 2).flatten(1)
        mixed: Tensor = self.mix(large)
        return mixed


@needs_bf16
def test_bf16_that_is_off_gives_way_with_a_warning() -> None:
    progress = tiny.Recording()
    torch.manual_seed(0)
    stages = nn.Sequential(Cancelling())
    assert chosen(progress, stages).precision == "fp32"
    assert progress.warned
    assert all("bf16 is off by" in sentence for sentence in progress.warned)
    with pytest.raises(HeadstartError, match=r"precision bf16.*is off by"):
        chosen(progress, stages, precision="bf16")


@needs_bf16
def test_a_remembered_engine_is_checked_again() -> None:
    first = prefix("convnet")
    assert chosen(tiny.Recording(), first, engine="torch").name.startswith("torch")
    path = memory.file()
    path.write_text(path.read_text().replace('"torch fp32",', '"torch bf16",'))
    progress = tiny.Recording()
    torch.manual_seed(0)
    other = {**KEY, "weights": "sha256:2"}
    assert (
        chosen(progress, nn.Sequential(Cancelling()), engine="torch", key=other).name
        == "torch fp32"
    )
    assert len(progress.warned) == 1


def refuse(*_: object) -> Trial:
    """In the place of a trial that there should be none of."""
    raise AssertionError("plain torch ran")


@pytest.mark.parametrize("precision", ["fp32", pytest.param("auto", marks=needs_bf16)])
def test_what_agreed_is_not_compared_again(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = chosen(tiny.Recording(), engine="openvino", precision=precision)
    answers = first.run(pixels(8))
    monkeypatch.setattr(Trial, "of", refuse)
    progress = tiny.Recording()
    again = chosen(progress, engine="openvino", precision=precision)
    assert (again.name, progress.said) == (first.name, [])
    assert error(again.run(pixels(8)), answers) == 0


def test_an_agreement_ends_with_what_it_was_on(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish: dict[str, Any] = {"engine": "openvino", "precision": "fp32"}
    plain = TorchEngine(prefix("convnet"), CPU).run(pixels(8))

    def compared(**more: Any) -> bool:
        calls: list[Trial] = []
        with monkeypatch.context() as patch:
            real = Trial.of

            def of(*parts: Any) -> Trial:
                calls.append(real(*parts))
                return calls[-1]

            patch.setattr(Trial, "of", of)
            engine = chosen(tiny.Recording(), **wish, **more)
        assert error(engine.run(pixels(8)), plain) < 1e-3
        return bool(calls)

    assert compared()
    assert not compared()
    assert compared(key={**KEY, "weights": "sha256:2"})
    assert not compared(key={**KEY, "weights": "sha256:2"})
    for name, value in (("versions", lambda: {"headstart": "0"}), ("processor", lambda: "other")):
        with monkeypatch.context() as patch:
            patch.setattr(known, name, value)
            assert compared(), name
    for place in (0.3, 0.5, 0.7):  # may be next to nothing, or all
        for file in (own_cache / "engines").glob("*/model.bin"):
            content = bytearray(file.read_bytes())
            content[int(place * len(content))] ^= 0x40
            file.write_bytes(content)
        compared()  # what is damaged is converted anew, and answers as before
        assert any(_is_whole(folder) for folder in (own_cache / "engines").iterdir())


def _is_whole(folder: Path) -> bool:
    try:
        return bool(facts.types(folder))
    except ValueError:
        return False


@pytest.mark.parametrize("content", ["", "{", "[]", '{"form": 3}'])
def test_a_damaged_agreement_is_made_anew(own_cache: Path, content: str) -> None:
    chosen(tiny.Recording(), engine="openvino", precision="fp32")
    (file,) = (own_cache / known.FOLDER).glob("agreement-*")
    whole = file.read_text()
    file.write_text(content)
    chosen(tiny.Recording(), engine="openvino", precision="fp32")
    assert file.read_text() == whole


def test_few_items_run_on_plain_torch(own_cache: Path) -> None:
    assert chosen(tiny.Recording(), items=9).name == "torch fp32"
    assert not (own_cache / "engines").exists()
    assert chosen(tiny.Recording(), items=9, engine="openvino").name.startswith("openvino")


def test_an_engine_that_is_off_or_breaks_is_passed_over() -> None:
    progress = tiny.Recording()
    plain = Fake("torch fp32")
    trial = Trial.of(plain, job(torch.ones(12, 3)), progress)

    def broken() -> Engine:
        raise EngineError("its hinge is loose")

    good = Fake("good bf16", 1.03)
    engines = [Fake("wild bf16", np.inf), Fake("off fp32", 1.03), good]
    items = list(trial.agreeing([Candidate("broken fp32", broken), *options(engines)]))
    assert items == [good]
    assert progress.said == ["Engine broken fp32 is left out: its hinge is loose."]
    assert [sentence.split(" from ")[0] for sentence in progress.warned] == [
        "Engine wild bf16 is off beyond measure",
        "Engine off fp32 is off by 3.00%",
    ]


def test_the_fastest_wins_and_the_hopeless_are_not_measured() -> None:
    plain, slow = Fake("torch fp32", delay=0.2), Fake("slow fp32", delay=0.05)
    fast = Fake("fast fp32", delay=0.002)
    trial = Trial.of(plain, job(torch.ones(16, 3)), tiny.Recording())
    assert choice._measured(options([slow, fast, plain]), trial, "entry") is fast
    assert memory.recall("entry") == "fast fp32"
    assert plain.runs == 1
    assert slow.runs == 3


def test_what_is_nearly_as_fast_is_measured() -> None:
    one, other = (Fake(f"{name} fp32", delay=0.02) for name in ("one", "other"))
    plain = Fake("torch fp32", delay=0.2)
    trial = Trial.of(plain, job(torch.ones(16, 3)), tiny.Recording())
    assert choice._measured(options([one, other, plain]), trial, "entry") in (one, other)
    assert min(one.runs, other.runs) > 3


def test_a_decided_gain_spares_torch_in_bf16() -> None:
    fast, spared = Fake("openvino bf16", delay=0.002), Fake("torch bf16", delay=0.001)
    plain = Fake("torch fp32", delay=0.2)
    trial = Trial.of(plain, job(torch.ones(16, 3)), tiny.Recording())
    assert choice._measured(options([fast, spared, plain]), trial, "entry") is fast
    assert spared.runs == 0


def test_several_runs_may_remember_at_once(own_cache: Path) -> None:
    entries = [f"entry {number}" for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(partial(memory.remember, engine="torch fp32", speeds={}), entries))
    assert [memory.recall(entry) for entry in entries] == ["torch fp32"] * 24
    assert [path.name for path in own_cache.iterdir() if path.name.startswith(".")] == []

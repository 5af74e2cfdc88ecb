"""A saved model answers without torch: the same answers, from files that are what they were."""

from __future__ import annotations

import html
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Fitted
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL.Image import fromarray
from torch import nn
from torch.nn import functional

import headstart as hs
from headstart import artifact, catalog
from headstart.contracts.head import Shape, TrainingSet
from headstart.contracts.model import Model
from headstart.errors import WeightsError
from headstart.features.engine import EngineError
from headstart.features.engine.converting import as_graph
from headstart.features.engine.graphs import placed
from headstart.loading import arrays, engine_form, record, weights
from headstart.loading.engine_form import EngineForm, UnusableError
from headstart.modalities.image import Image
from headstart.modalities.image.resizing import resized
from headstart.modalities.text import Text, Tokens

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    *("torch", "torchvision", "timm", "transformers", "accelerate", "peft", "captum"),
    *("sklearn", "scipy", "pandas", "pyarrow", "plotly", "openvino.tools.ovc.convert"),
}


def form_of(model: Model, width: int, sample: Any, folder: Path) -> EngineForm:
    """A model's weights in a file, and what answers from them without torch."""
    state = model.backbone_state()
    weights.save(state, folder / artifact.WEIGHTS, {})
    weights.save(model.head.state_dict(), folder / artifact.HEAD, {})
    tensors = [arrays.read(folder / name) for name in (artifact.WEIGHTS, artifact.HEAD)]
    head = as_graph(nn.Sequential(model.head), torch.zeros(2, width))
    graphs = {engine_form.BODY: as_graph(model.body(), sample), engine_form.HEAD: head}
    files = placed(graphs, tensors)
    return EngineForm.of(files, [each.content for each in tensors])


def heads(width: int) -> dict[str, nn.Module]:
    """A head of every kind for every encoding of targets, fitted to a few rows."""
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (40, width)).astype(np.float32)
    networks: dict[str, nn.Module] = {}
    for kind, targets in (
        ("classes", rng.integers(0, 3, 40)),
        ("label sets", rng.integers(0, 2, (40, 3)).astype(np.float32)),
        ("numbers", rng.normal(0, 1, (40, 3)).astype(np.float32)),
    ):
        shape = Shape(catalog.targets(kind).encoding, width, 3)
        training = TrainingSet(features, targets, np.ones(40), shape)
        for name in catalog.HEADS:
            fitter = catalog.head(name)
            if (
                fitter.stands_alone() and name != "xgboost"
            ):  # whose trees are kept as scikit-learn's
                networks[f"{name}, {kind}"] = next(iter(fitter.candidates(training)))
    return networks


def test_every_head_answers_as_in_torch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU()).eval()
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    inputs = torch.rand(4, 3, 9, 9)
    for name, head in heads(5).items():
        folder = tmp_path / name
        folder.mkdir()
        model = Model({"only": body}, head.eval(), pool).eval()
        form = form_of(model, 5, inputs, folder)
        rows = form.features(inputs.permute(0, 2, 3, 1).numpy())
        with torch.inference_mode():
            expected = model.features(inputs)
            answers = model.head(expected).numpy()
        assert form.width == 5
        np.testing.assert_allclose(rows, expected.numpy(), atol=1e-5)
        outputs = form.outputs(expected.numpy())
        np.testing.assert_allclose(outputs, answers, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("processors", [1, 3])
def test_a_batch_in_pieces_is_answered_as_item_by_item(
    processors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU()).eval()
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = Model({"only": body}, nn.Linear(5, 2), pool).eval()
    rows = np.random.default_rng(0).random((17, 9, 9, 3), dtype=np.float32)
    with engine_form.in_streams():
        form = form_of(model, 5, torch.rand(4, 3, 9, 9), tmp_path)
    assert form.streams == processors
    single = np.concatenate([form.features(rows[place : place + 1]) for place in range(17)])
    with torch.inference_mode():
        expected = model.features(torch.from_numpy(rows).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(single, expected, atol=1e-5)
    for count in range(1, 18):
        np.testing.assert_allclose(form.features(rows[:count]), single[:count], atol=1e-6)
    with pytest.raises(RuntimeError):  # of another number of channels
        form.features(rows[:6, :, :, :2])
    with ThreadPoolExecutor(4) as pool_of_threads:
        each = list(pool_of_threads.map(form.features, [rows[n:] for n in range(16)]))
    for start, result in enumerate(each):
        np.testing.assert_allclose(result, single[start:], atol=1e-6)
    assert form_of(model, 5, torch.rand(4, 3, 9, 9), tmp_path).streams == 1


@pytest.mark.parametrize("reference", ["seeded:convnet", "seeded:bag", "seeded:text-encoder"])
def test_pictures_and_texts_of_any_length_are_answered_as_in_torch(
    reference: str, tmp_path: Path
) -> None:
    backbone = catalog.load_backbone(reference)
    model = Model.of(backbone, nn.Linear(backbone.feature_dim, 2)).eval()
    modality, fed = catalog.modality(backbone.modality).fitted(backbone), backbone.preprocess
    rng = np.random.default_rng(0)
    items: list[Any]
    if isinstance(modality, Text):
        items = [modality.decode(text, fed) for text in (b"one", b"two words, or three", b"")]
    else:
        shape = int(fed["channels"]), int(fed["height"]), int(fed["width"])
        items = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(3)]
    sample = modality.collate(items, fed)
    form = form_of(model, backbone.feature_dim, sample, tmp_path)
    for some in (items, items[:1], items[1:]):
        with torch.inference_mode():
            expected = model.features(modality.collate(some, fed)).numpy()
        rows = form.features(modality.arrays(some, fed))
        np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)


def test_weights_are_there_once(fitted: Fitted) -> None:
    content = artifact.read(fitted.folder)
    assert set(content.engine) == engine_form.NAMES | {engine_form.BELONGS}
    constants = (fitted.folder / engine_form.FOLDER / engine_form.CONSTANTS).stat().st_size
    assert constants < (fitted.folder / artifact.WEIGHTS).stat().st_size / 10


def test_answers_are_those_of_the_network(fitted: Fitted) -> None:
    files = sorted((fitted.pictures / "bees").iterdir())[:5]
    model = hs.load(fitted.folder, device="cpu")
    before = model.predict_proba(files), model.embed(files)
    assert isinstance(model.module, nn.Module)  # from here on torch answers
    after = model.predict_proba(files), model.embed(files)
    for fast, plain in zip(before, after, strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-4)


def test_a_predictor_is_copied_and_pickled(fitted: Fitted) -> None:
    model = hs.load(fitted.folder, device="cpu")
    picture = sorted((fitted.pictures / "ants").iterdir())[0]
    expected = model.predict_proba([picture])
    for other in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_allclose(other.predict_proba([picture]), expected, rtol=1e-4, atol=1e-6)


def modules(*arguments: str | Path, of: str = "headstart") -> set[str]:
    """Everything that a command imports, or another module at work."""
    command = [sys.executable, "-X", "importtime", "-m", of, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))


def test_commands_import_what_they_need(fitted: Fitted) -> None:
    picture = sorted((fitted.pictures / "ants").iterdir())[0]
    assert not modules("--help") & (HEAVY | {"numpy", "openvino._pyopenvino"})
    imported = modules("predict", fitted.folder, picture, "--json")
    assert "openvino._pyopenvino" in imported
    assert not imported & HEAVY
    checked = modules(fitted.folder, picture, of="headstart.pipeline.reopening")
    assert "openvino._pyopenvino" in checked
    assert not checked & (HEAVY | {"headstart.cli", "jinja2", "rich", "typer"})
    scored = modules("evaluate", fitted.folder, fitted.pictures)
    assert not scored & (HEAVY - {"sklearn", "scipy", "pandas", "pyarrow"})
    assert "torch" not in modules("report", fitted.folder)


@pytest.fixture
def copy(fitted: Fitted, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted.folder, tmp_path / "copy"))


def torch_answers(folder: Path, fitted: Fitted) -> None:
    """The model in a folder has no form that can be used, and answers all the same."""
    files = sorted((fitted.pictures / "bees").iterdir())[:3]
    expected = hs.load(fitted.folder, device="cpu").predict_proba(files)
    model = hs.load(folder, device="cpu")
    assert type(model._running).__name__ == "InTorch"
    np.testing.assert_allclose(model.predict_proba(files), expected, rtol=1e-4, atol=1e-4)


def test_a_changed_file_is_found(copy: Path) -> None:
    for name in sorted(engine_form.NAMES):
        path = copy / engine_form.FOLDER / name
        whole = path.read_bytes()
        path.write_bytes(whole + b" ")
        with pytest.raises(WeightsError, match=f"{name} has changed since it was saved"):
            hs.load(copy)
        path.write_bytes(whole)


def test_models_without_the_form_answer_through_torch(copy: Path, fitted: Fitted) -> None:
    table = artifact.read(copy)
    content = asdict(table)
    del content["engine"]  # as earlier versions wrote them
    record.write(copy, content)
    torch_answers(copy, fitted)
    record.write(copy, asdict(table))
    (copy / engine_form.FOLDER / engine_form.HEAD).unlink()
    torch_answers(copy, fitted)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"<!DOCTYPE net [<!ENTITY a 'b'>]>" + text,
        lambda text: text[: len(text) // 2],
        lambda text: re.sub(rb'offset="\d+"', b'offset="99999999999"', text),
        lambda text: b"",
    ],
)
def test_a_forged_graph_is_not_run(
    copy: Path, fitted: Fitted, change: Callable[[bytes], bytes]
) -> None:
    path = copy / engine_form.FOLDER / engine_form.BODY
    path.write_bytes(change(path.read_bytes()))
    content = artifact.read(copy)
    stated = {**content.engine, **engine_form.hashes({engine_form.BODY: path.read_bytes()})}
    record.write(copy, asdict(replace(content, engine=stated)))
    torch_answers(copy, fitted)


def layer(kind: str, version: str) -> bytes:
    """An operation that stands in a graph without any part in it."""
    return f'<layer id="9999" name="more" type="{kind}" version="{version}"></layer>'.encode()


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("Loop", "opset5"),
        ("TensorIterator", "opset1"),
        ("If", "opset8"),
        ("ReadValue", "opset6"),
        ("Assign", "opset6"),
        ("RandomUniform", "opset8"),
        ("StringTensorUnpack", "opset15"),
        ("FrameworkNode", "util"),
        ("Add", "extension"),
        ("&#76;oop", "opset5"),
        ("Anything", "opset1"),
    ],
)
def test_operations_that_no_saved_model_has_are_refused(
    copy: Path, kind: str, version: str
) -> None:
    path = copy / engine_form.FOLDER / engine_form.HEAD
    forged = path.read_bytes().replace(b"<layers>", b"<layers>" + layer(kind, version))
    path.write_bytes(forged)
    content = artifact.read(copy)
    stated = {**content.engine, **engine_form.hashes({engine_form.HEAD: forged})}
    record.write(copy, asdict(replace(content, engine=stated)))
    name = f"{version}.{html.unescape(kind)}"
    with pytest.raises(WeightsError, match=re.escape(f"holds the operation '{name}'")) as refused:
        hs.load(copy, device="cpu")
    assert "which no saved model has. Give a folder that Headstart saved." in str(refused.value)


def test_a_form_leads_nowhere_else(copy: Path, tmp_path: Path) -> None:
    content = artifact.read(copy)
    (tmp_path / "secret").write_text("secret")
    for name in ("../secret", "../../secret", str(tmp_path / "secret"), "more.xml"):
        record.write(copy, asdict(replace(content, engine={**content.engine, name: "0" * 64})))
        with pytest.raises(WeightsError, match="is no file of a saved model"):
            hs.load(copy)


@pytest.mark.parametrize(
    "entry",
    [{"width": 10**9}, {"crop": 1e-9}, {"interpolation": "?"}, {"mean": [0.5]}, {"channels": 2}],
)
def test_inputs_prepared_as_no_network_wants_them_are_refused(
    copy: Path, entry: dict[str, Any]
) -> None:
    saved_record, contents = artifact.read_whole(copy)
    forged = replace(saved_record, preprocess={**saved_record.preprocess, **entry})
    belongs = {engine_form.BELONGS: artifact.belonging(forged, contents)}
    for engine in (saved_record.engine, {**saved_record.engine, **belongs}):
        record.write(copy, asdict(replace(forged, engine=engine)))
        with pytest.raises(hs.HeadstartError, match="inputs are prepared"):
            hs.load(copy, device="cpu")


def test_what_openvino_can_not_run_is_said(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            inverse: torch.Tensor = torch.linalg.pinv(inputs.mean(dim=1))
            return inverse

    model = Model({"first": nn.Conv2d(3, 3, 1), "odd": Odd()}, nn.Linear(4, 2))
    with pytest.raises((EngineError, UnusableError)):
        form_of(model, 4, torch.rand(2, 3, 4, 4), tmp_path)


KINDS = (
    *(torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32),
    *(torch.uint8, torch.int8, torch.bool),
)


@given(
    shapes=st.lists(st.lists(st.integers(0, 3), max_size=3), min_size=1, max_size=4),
    kinds=st.lists(st.sampled_from(KINDS), min_size=4, max_size=4),
    bad=st.sampled_from([None, float("nan"), float("inf")]),
)
@settings(max_examples=30)
def test_tensors_have_one_hash_with_torch_and_without(
    shapes: list[list[int]], kinds: list[torch.dtype], bad: float | None, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("tensors") / "model.safetensors"
    state = {
        f"t{place}": (torch.randn(shape) * 3).to(kind)
        for place, (shape, kind) in enumerate(zip(shapes, kinds, strict=False))
    }
    first = state["t0"]
    spoilt = False
    if bad is not None and first.is_floating_point() and first.numel() > 0:
        first.view(-1)[0], spoilt = bad, True
    weights.save(state, path, {"format": "pt"})
    content = arrays.read(path)
    assert content.digest() == weights.digest(state)
    assert content.not_finite() == ("t0" if spoilt else None)


def test_a_damaged_file_of_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    weights.save({"a": torch.zeros(4)}, path, {})
    whole = path.read_bytes()
    for content in (b"", whole[:5], whole[:-1], b"\xff" * 64, whole[:8] + b"[" + whole[9:]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="is not a whole safetensors file"):
            arrays.read(path)
    with pytest.raises(WeightsError, match="is not a file"):
        arrays.read(tmp_path)


@given(
    sides=st.tuples(*[st.integers(1, 60)] * 4),
    grey=st.booleans(),
    mode=st.sampled_from(["bilinear", "bicubic"]),
    inside=st.floats(0, 0.9),
    seed=st.integers(0, 99),
)
@example(sides=(700, 1100, 64, 90), grey=False, mode="bilinear", inside=0.5, seed=0)
@example(sides=(90, 1400, 200, 64), grey=True, mode="bicubic", inside=0.0, seed=1)
def test_pictures_are_resized_as_torch_resizes_them(
    sides: tuple[int, int, int, int], grey: bool, mode: str, inside: float, seed: int
) -> None:
    high, wide, height, width = sides
    shape = (high, wide) if grey else (high, wide, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    scale = (wide - inside) / width, (high - inside) / height
    planes = torch.from_numpy(pixels).view(1, high, wide, -1).permute(0, 3, 1, 2)
    factors = (1 / scale[1] + 1e-6 / high, 1 / scale[0] + 1e-6 / wide)
    theirs = functional.interpolate(
        planes, scale_factor=factors, mode=mode, antialias=True, recompute_scale_factor=False
    )[0, :, :height, :width].permute(1, 2, 0)
    old = 1 / factors[1], 1 / factors[0]
    picture = fromarray(pixels)
    ours = resized(picture, (width, height), old, mode).reshape(height, width, -1)
    assert np.array_equal(ours, theirs.numpy())
    middle = 1 + seed % width, 1 + seed % height
    part = resized(picture, (width, height), old, mode, middle).reshape(height, width, -1)
    for whole in (math.floor, math.ceil):
        left, top = (
            whole((all_of - some) / 2) for all_of, some in zip((width, height), middle, strict=True)
        )
        here = np.s_[top : top + middle[1], left : left + middle[0]]
        assert np.array_equal(part[here], ours[here])


@given(side=st.integers(2, 100), name=st.sampled_from(["flip", "scales", "sideways"]))
@settings(max_examples=20)
def test_looks_at_arrays_are_those_at_tensors(side: int, name: str) -> None:
    batch = np.random.default_rng(side).random((2, side, 7, 3), np.float32)
    theirs = Image().look(torch.from_numpy(batch).permute(0, 3, 1, 2), name)
    ours = Image().look(batch, name)
    if theirs is None or ours is None:
        assert ours is theirs
    else:
        np.testing.assert_allclose(ours, theirs.permute(0, 2, 3, 1).numpy(), atol=1e-5)


def test_texts_become_the_same_batch() -> None:
    fed = {"pad": 7, "types": True}
    items = [
        Tokens(np.arange(n, dtype=np.int32), np.ones(n, np.int32), False, 1, 0) for n in (3, 1)
    ]
    plain, tensors = Text().arrays(items, fed), Text().collate(items, fed)
    assert plain.keys() == tensors.keys()
    assert all(np.array_equal(plain[name], tensors[name].numpy()) for name in plain)


def test_weights_that_lie_otherwise_are_read_by_torch(copy: Path, fitted: Fitted) -> None:
    path = copy / artifact.WEIGHTS
    state = weights.read(path).state
    weights.save(state, path, {"format": "pt", "more": "than before"})
    torch_answers(copy, fitted)

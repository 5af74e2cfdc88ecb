"""A saved model in other forms: the same answers in their own runtimes, from raw files."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Fitted, write_pictures
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import headstart as hs
from headstart import catalog, forms
from headstart.cli import app
from headstart.contracts import Encoding
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.forms import quantising
from headstart.forms.description import Described
from headstart.forms.form import Leaving
from headstart.forms.inputs import example
from headstart.forms.network import Linked, Whole
from headstart.loading import openvino_runtime, record
from headstart.pipeline import exporting
from headstart.pipeline.exporting import checking
from headstart.pipeline.opening import load
from headstart.sklearn import exported_head

ROOT = Path(__file__).resolve().parents[1]
pytest.importorskip("onnxruntime", reason="needs the extra export")


@pytest.fixture(scope="module")
def exported(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model in every form, compared on all of its pictures."""
    root, before = tmp_path_factory.mktemp("exported"), contents(fitted.folder)
    folders = {}
    for name in ("onnx", "openvino", "sklearn", "torch"):
        result = hs.export(fitted.folder, name, root / name, check=fitted.pictures)
        assert (result.changed, result.items) == (0, 80) and result.largest < 1e-4
        folders[name] = root / name
    assert contents(fitted.folder) == before
    return folders


def contents(folder: Path) -> dict[str, str]:
    """The hash of each file."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def levels(folder: Path, count: int = 5) -> np.ndarray:
    """Pictures as whoever knows nothing of Headstart reads them: (N, C, H, W) uint8."""
    files = sorted(folder.iterdir())[:count]
    return np.stack([np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files])


def expected(fitted: Fitted, count: int = 5) -> np.ndarray:
    """What the saved model says of the same."""
    files = sorted((fitted.pictures / "ants").iterdir())[:count]
    return hs.load(fitted.folder).predict_proba(files)


@pytest.mark.parametrize("count", [1, 5])
def test_onnx_answers_pixels_without_headstart(
    exported: dict[str, Path], fitted: Fitted, count: int
) -> None:
    import onnxruntime

    place = exported["onnx"] / "model.onnx"
    session = onnxruntime.InferenceSession(place, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    assert names == ["features", "outputs", "probabilities"]
    answers = session.run(names, {"pixels": levels(fitted.pictures / "ants", count)})
    assert np.allclose(answers[2], expected(fitted, count), atol=1e-5)
    facts = json.loads(session.get_modelmeta().custom_metadata_map["headstart"])
    assert facts["labels"] == ["ants", "bees"] and facts["preprocess"]["height"] == 16


@pytest.mark.parametrize("count", [1, 5])
def test_openvino_answers_pixels_without_headstart(
    exported: dict[str, Path], fitted: Fitted, count: int
) -> None:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    model = core.read_model(str(exported["openvino"] / "model.xml"))
    network = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = network({"pixels": levels(fitted.pictures / "ants", count)})
    assert np.allclose(answers["probabilities"], expected(fitted, count), atol=1e-5)
    assert answers["features"].shape == (
        count,
        hs.load(fitted.folder).embed(sorted((fitted.pictures / "ants").iterdir())[0]).shape[1],
    )


def test_torch_answers_pixels_without_headstart(exported: dict[str, Path], fitted: Fitted) -> None:
    network = torch.export.load(exported["torch"] / "model.pt2").module()
    _, _, shares = network(torch.from_numpy(levels(fitted.pictures / "ants")))
    assert np.allclose(shares.numpy(), expected(fitted), atol=1e-5)


def test_scikit_learn_answers_features(exported: dict[str, Path], fitted: Fitted) -> None:
    head, model = exported_head(exported["sklearn"]), hs.load(fitted.folder)
    files = sorted((fitted.pictures / "bees").iterdir())
    assert type(head).__name__ == "LogisticRegression"
    features = model.embed(files)
    assert head.predict(features).tolist() == [each.label for each in model.predict(files)]
    assert np.allclose(head.predict_proba(features), model.predict_proba(files), atol=1e-5)


def test_a_folder_holds_what_it_says_and_no_pickle(exported: dict[str, Path]) -> None:
    for name, folder in exported.items():
        facts = json.loads((folder / "model.json").read_text())
        names = {path.name for path in folder.iterdir()}
        assert names == {"README.md", "check.json", "model.json", *facts["files"]}
        assert facts["form"] == name and facts["labels"] == ["ants", "bees"]
        check = json.loads((folder / "check.json").read_text())
        assert check["changed"] == 0 and check["exported"]["size"] > 0
        assert "0 of 80" in (folder / "README.md").read_text()
        assert str(folder.parent) not in (folder / "check.json").read_text()
        whole = b"".join(path.read_bytes() for path in folder.iterdir())
        assert b"site-packages" not in whole and str(ROOT).encode() not in whole


def test_a_changed_file_is_refused(exported: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported["onnx"], tmp_path / "onnx"))
    assert Described.of(folder).facts["form"] == "onnx"
    with (folder / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(WeightsError, match=r"model\.onnx has changed"):
        Described.of(folder)
    (folder / "model.json").write_text("[]")
    with pytest.raises(HeadstartError, match=r"model\.json can't be read"):
        Described.of(folder)


def test_what_cannot_be_written_leaves_nothing(fitted: Fitted, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"tflite: litert-torch.*needs torch below"):
        hs.export(fitted.folder, "tflite", tmp_path / "out", check=fitted.pictures)
    with pytest.raises(UnknownNameError, match="onnx"):
        hs.export(fitted.folder, "onxx", tmp_path / "out")
    with pytest.raises(HeadstartError, match="NNCF makes whole numbers of ONNX"):
        hs.export(fitted.folder, "sklearn", tmp_path / "out", int8=True, check=fitted.pictures)
    assert not [path for path in tmp_path.iterdir() if path.name != "cache"]


def test_earlier_files_stay(fitted: Fitted, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    done = CliRunner().invoke(
        app, ["export", str(fitted.folder), "--to", "onnx", "-o", str(tmp_path / "out")]
    )
    assert done.exit_code == 2 and "is there already" in done.stderr
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_a_form_that_answers_otherwise_is_refused_with_the_number(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Whole.of.__func__  # type: ignore[attr-defined]

    def wrong(*arguments: Any) -> Whole:
        whole: Whole = right(Whole, *arguments)
        with torch.no_grad():
            whole.answers.head.get_parameter("bias").add_(torch.tensor([100.0, -100.0]))
        return whole

    monkeypatch.setattr(Whole, "of", staticmethod(wrong))
    with pytest.raises(HeadstartError, match=r"\d+ of 80 held-out items are answered otherwise"):
        hs.export(fitted.folder, "sklearn", tmp_path / "out", check=fitted.pictures)
    assert not [path for path in tmp_path.iterdir() if path.name != "cache"]


def test_data_that_are_gone_are_asked_for(fitted: Fitted, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(fitted.folder, tmp_path / "model"))
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(plan | {"data": str(tmp_path / "gone")}))
    with pytest.raises(HeadstartError, match=r"gone.*--check"):
        hs.export(folder, "onnx", tmp_path / "out")
    (folder / "plan.json").unlink()
    with pytest.raises(HeadstartError, match=r"plan\.json does not exist.*--check"):
        hs.export(folder, "onnx", tmp_path / "out")
    with pytest.raises(HeadstartError, match="can't be made"):
        hs.export(folder, "onnx", folder / "headstart.json" / "out")


def test_names_of_strangers_are_values_alone(fitted: Fitted, tmp_path: Path) -> None:
    labels = ["<script>alert(1)</script>", "| ../../up `x`"]
    folder = Path(shutil.copytree(fitted.folder, tmp_path / "model"))
    (folder / "evil.py").write_text("print('ran')")
    files = {"evil.py": hashlib.sha256((folder / "evil.py").read_bytes()).hexdigest()}
    record.write(folder, record.read(folder) | {"labels": labels, "files": files, "engine": {}})
    pictures = write_pictures(tmp_path / "pictures", {"ants": 3, "bees": 3})
    rows = ["image,label"]
    for number, kind in enumerate(("ants", "bees")):
        rows += [f'{kind}/{n:03}.png,"{labels[number]}"' for n in range(3)]
    (pictures / "all.csv").write_text("\n".join(rows))
    export = hs.export(folder, "sklearn", tmp_path / "out", check=pictures / "all.csv")
    assert export.changed == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("README.md", "check.json", "model.json", "estimator.json", "estimator.safetensors")
    }
    assert "<script>" not in (tmp_path / "out" / "README.md").read_text()
    assert exported_head(tmp_path / "out").classes_.tolist() == labels
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {"model", "out", "pictures"}


@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [
        ("image-classification", {}, "softmax"),
        ("text-multi-label", {}, "sigmoid"),
        ("table-regression", {"mean": (3.0, -1.0), "scale": (2.0, 0.0)}, "affine"),
    ],
)
def test_a_task_is_known_by_what_it_answers(name: str, settings: dict[str, Any], kind: str) -> None:
    task = catalog.task(name, **settings)
    link = Linked.of(task, 2)
    assert link is not None and link.kind == kind
    rows = np.random.default_rng(1).normal(0, 5, (40, 2)).astype(np.float32)
    answers = link(torch.from_numpy(rows)).numpy()
    assert np.allclose(answers, task.predictions(rows), atol=1e-5, rtol=1e-5)


ROWS = st.integers(1, 6).flatmap(
    lambda n: st.lists(
        st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), min_size=n, max_size=n
    )
)


@given(rows=ROWS, encoding=st.sampled_from(list(Encoding)))
def test_the_same_answers_have_not_changed(rows: list[list[float]], encoding: Encoding) -> None:
    answers = np.array(rows)
    assert checking.changed(answers, answers, encoding) == 0
    assert checking.changed(answers + 5e-5, answers, encoding) == 0
    broken = answers.copy()
    broken[0, 0] = np.nan
    assert checking.changed(broken, answers, encoding) == 1


def test_changes_are_counted_by_what_a_user_is_told() -> None:
    before = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    after = np.array([[0.4, 0.6], [0.3, 0.7], [0.6, 0.6]])
    assert checking.changed(after, before, Encoding.INDEX) == 1
    assert checking.changed(after, before, Encoding.MARKS) == 2
    assert checking.changed(after, before, Encoding.AMOUNTS) == 3
    numbers = np.array([[1.0], [2.0], [3.0]])
    assert checking.changed(numbers + 0.05, numbers, Encoding.AMOUNTS) == 3
    assert checking.changed(numbers + 0.05, numbers, Encoding.AMOUNTS, whole=True) == 0
    assert checking.changed(numbers + 0.1, numbers, Encoding.AMOUNTS, whole=True) == 3


@pytest.mark.parametrize(
    ("changed", "int8", "right"),
    [(0, False, True), (1, False, False), (1, True, True), (2, True, False)],
)
def test_how_many_answers_may_change(changed: int, int8: bool, right: bool) -> None:
    facts = {"changed": changed, "items": 200}
    if right:
        return checking.demand_same(facts, Path("birds"), "onnx", int8)
    with pytest.raises(HeadstartError, match=f"{changed} of 200"):
        checking.demand_same(facts, Path("birds"), "onnx", int8)


def test_ranges_are_not_of_the_items_that_are_compared_on(fitted: Fitted, tmp_path: Path) -> None:
    model = load(fitted.folder)
    with_plan = checking.held_out(fitted.folder, model, None, {}, hs.Silent())
    assert with_plan.seen == 0 and len(with_plan.items) == len(
        json.loads((fitted.folder / "plan.json").read_text())["splits"]["test"]
    )
    ranges, items = exporting.calibration_items(fitted.folder, model, None, with_plan)
    apart = {item.read() for item in items.items}
    assert len(ranges) == 80 - len(items.items) and not apart & {i.read() for i in ranges}
    every = checking.held_out(fitted.folder, model, fitted.pictures, {}, hs.Silent())
    ranges, items = exporting.calibration_items(fitted.folder, model, None, every)
    apart = {item.read() for item in items.items}
    assert len(ranges) + len(items.items) == 80 and not apart & {i.read() for i in ranges}
    with pytest.raises(HeadstartError, match="--calibration"):
        exporting.calibration_items(fitted.folder, model, fitted.pictures, every)
    moved = shutil.copytree(fitted.folder, tmp_path / "moved")
    plan = json.loads((moved / "plan.json").read_text()) | {"data": str(tmp_path / "gone")}
    (moved / "plan.json").write_text(json.dumps(plan))
    ranges, items = exporting.calibration_items(moved, model, None, every)
    assert len(ranges) == 27 and len(items.items) == 53  # a third, as the others are gone
    with pytest.raises(HeadstartError, match=r"gone.* with --check"):
        checking.held_out(moved, model, None, {}, hs.Silent())


def test_an_example_holds_nothing_of_anybody(fitted: Fitted) -> None:
    batch = {"hidden": np.full((1, 1, 4), 7.0, np.float32), "mask": np.full((1, 1), 1)}
    results = example(batch)
    assert results["hidden"].shape == (2, 2, 4) and not results["hidden"].any()
    assert results["mask"].tolist() == [[1, 1], [1, 1]]


def test_what_lies_between_features_and_answers() -> None:
    makers = {"d": ["c", "w"], "c": ["b"], "b": ["a"], "a": [], "w": []}
    assert quantising.before(["d"], {"b"}, lambda name: makers[name]) == {"d", "c", "w"}
    assert quantising.before(["d"], {"d"}, lambda name: makers[name]) == set()


def test_every_form_is_known_and_says_what_it_is() -> None:
    for name in forms.FORMS:
        form = forms.form(name)
        assert form.file and (type(form).__doc__ or "").strip()


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the system refuse larger files while the block lasts, as a full disk does."""
    limits = pytest.importorskip("resource")
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    limits.setrlimit(limits.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_a_file_without_room_is_the_systems_refusal_and_no_fault_of_the_network(
    form: str, fitted: Fitted, tmp_path: Path
) -> None:
    predictor = load(fitted.folder)
    sample = {"pixels": np.zeros((2, 3, 16, 16), np.uint8)}
    whole = Whole.of(predictor.model, predictor.task, predictor.reader, 600, sample)
    facts = json.dumps({"inputs": {"pixels": {}}, "outputs": {}})
    with files_at_most(4096), pytest.raises(OSError) as refusal:
        forms.form(form).write(Leaving(whole, facts, tmp_path))
    assert refusal.value.errno == errno.EFBIG


def test_a_network_of_openvinos_without_room_is_the_systems_refusal(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    operations = openvino.opset13
    source = operations.parameter([1, 64], np.float32)
    weights = operations.constant(np.ones((64, 64), np.float32))
    network = openvino.Model([operations.matmul(source, weights, False, False)], [source])
    with files_at_most(8192), pytest.raises(OSError) as refusal:
        openvino_runtime.save(network, tmp_path / "model.xml")
    assert refusal.value.errno == errno.EFBIG and not (tmp_path / "model.bin").exists()
    openvino_runtime.save(network, tmp_path / "model.xml")
    assert (tmp_path / "model.bin").stat().st_size == 4 * 64 * 64


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_whole_numbers_are_smaller_and_answer_alike(
    to: str, fitted: Fitted, tmp_path: Path
) -> None:
    pytest.importorskip("nncf", reason="needs the extra export")
    full = hs.export(fitted.folder, to, tmp_path / "full", check=fitted.pictures)
    small = hs.export(fitted.folder, to, tmp_path / "small", int8=True, check=fitted.pictures)
    assert small.changed < 0.01 * small.items and small.exported.size < 0.8 * full.exported.size
    assert json.loads((tmp_path / "small" / "model.json").read_text())["precision"] == "int8"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["texts", "sounds"])
def test_texts_and_sounds_leave_in_whole_numbers(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="needs the extra export")
    if kind == "texts":
        words = {"bad": "poor dull broken", "good": "fine lovely great"}
        rows = [f"{words[k]} {n},{k}" for n in range(60) for k in words]
        data, backbone = tmp_path / "texts.csv", "seeded:text-encoder?seed=1"
        data.write_text("\n".join(["review,verdict", *rows]))
    else:
        pytest.importorskip("soundfile", reason="needs the extra audio")
        from sounds import tones

        data, backbone = tones(tmp_path / "tones", 60), "seeded:audio?window=0.5"
    strategy = "feature-extraction"
    hs.fit(data, backbone, tmp_path / "model", strategy=strategy, scratch=False, evidence="none")
    result = hs.export(tmp_path / "model", "onnx", tmp_path / "out", int8=True)
    assert result.changed < checking.ALLOWED * result.items
    assert result.items <= 80 and result.form == "onnx int8"  # the others told the ranges
    assert json.loads((tmp_path / "out" / "model.json").read_text())["precision"] == "int8"
    assert hs.export(tmp_path / "model", "sklearn", tmp_path / "head").changed == 0

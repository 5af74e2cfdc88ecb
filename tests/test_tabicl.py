"""TabICL as a head: its package's own network, of random weights, by a checkpoint file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart as hs
from headstart import catalog
from headstart.contracts.head import Shape, TrainingSet
from headstart.contracts.targets import Encoding
from headstart.errors import HeadstartError, WeightsError

SMALL = {
    "embed_dim": 16,
    "col_num_blocks": 1,
    "col_nhead": 2,
    "col_num_inds": 4,
    "row_num_blocks": 1,
    "row_nhead": 2,
    "row_num_cls": 2,
    "icl_num_blocks": 1,
    "icl_nhead": 2,
    "zero_init": False,
}


def checkpoint(path: Path, **more: int) -> Path:
    """A small network of random weights, saved as the package saves its own."""
    network = pytest.importorskip("tabicl._model.tabicl", reason="needs the package tabicl")
    torch.manual_seed(0)
    config = {**SMALL, "max_classes": 4, "num_quantiles": 9, **more}
    torch.save({"config": config, "state_dict": network.TabICL(**config).state_dict()}, path)
    return path


def training(encoding: Encoding, labels: int) -> TrainingSet:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 5)).astype(np.float32)
    targets = np.arange(30) % labels if encoding is Encoding.INDEX else features[:, :1]
    return TrainingSet(features, targets, np.ones(30), Shape(encoding, 5, labels))


@pytest.mark.parametrize(("encoding", "labels"), [(Encoding.INDEX, 3), (Encoding.AMOUNTS, 1)])
def test_it_reads_rows_and_is_saved(tmp_path: Path, encoding: Encoding, labels: int) -> None:
    more = {} if encoding is Encoding.INDEX else {"max_classes": 0}
    head = catalog.head(f"tabicl@{checkpoint(tmp_path / 'small.ckpt', **more)}")
    head.demand()
    rows = training(encoding, labels)
    (fitted,) = head.candidates(rows)
    questions = torch.from_numpy(rows.features[:7] + 0.1)
    with torch.no_grad():
        answers = fitted(questions)
        alone = fitted(questions[:1])
    assert answers.shape == (7, labels) and bool(torch.isfinite(answers).all())
    torch.testing.assert_close(alone, answers[:1], rtol=1e-4, atol=1e-5)
    assert not torch.equal(answers, answers.bfloat16().float())  # of its 8 bits
    assert answers.std(dim=0).max() > 1e-6  # it looks at the questions
    again = catalog.head("tabicl").restored(fitted.state_dict(), rows.shape)
    with torch.no_grad():
        torch.testing.assert_close(again(questions), answers)


def test_what_it_cannot_take_is_said_before_it_runs(tmp_path: Path) -> None:
    head = catalog.head(f"tabicl@{checkpoint(tmp_path / 'small.ckpt')}")
    for shape, items, words in (
        (Shape(Encoding.INDEX, 5, 5), 30, "at most 4 classes, and there are 5"),
        (Shape(Encoding.INDEX, 501, 2), 30, "at most 500 columns"),
        (Shape(Encoding.INDEX, 5, 2), 100_001, "at most 100000 rows"),
        (Shape(Encoding.AMOUNTS, 5, 1), 30, "answers with classes"),
    ):
        with pytest.raises(HeadstartError, match=words):
            head.demand_shape(shape, items)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tabicl", reason="needs the package tabicl")
    with pytest.raises(HeadstartError, match="needs its checkpoint"):
        catalog.head("tabicl").demand()
    with pytest.raises(WeightsError, match="is not there"):
        catalog.head(f"tabicl@{tmp_path / 'none.ckpt'}").demand()
    (tmp_path / "broken.ckpt").write_bytes(b"PK nothing")
    with pytest.raises(WeightsError, match="can't be read as a checkpoint"):
        catalog.head(f"tabicl@{tmp_path / 'broken.ckpt'}").demand()
    torch.save({"weights": torch.ones(2)}, tmp_path / "other.ckpt")
    with pytest.raises(WeightsError, match="holds no network of TabICL"):
        catalog.head(f"tabicl@{tmp_path / 'other.ckpt'}").demand()


def test_a_damaged_head_is_refused(tmp_path: Path) -> None:
    rows = training(Encoding.INDEX, 3)
    (fitted,) = catalog.head(f"tabicl@{checkpoint(tmp_path / 'a.ckpt')}").candidates(rows)
    state = fitted.state_dict()
    huge = torch.frombuffer(bytearray(b'{"embed_dim": 1000000000}'), dtype=torch.uint8)
    for change in ({"config": huge}, {"features": torch.ones(2, 2)}):
        with pytest.raises(WeightsError):
            catalog.head("tabicl").restored({**state, **change}, rows.shape)


def test_the_package_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.heads.tabicl.find_spec", lambda name: None)
    with pytest.raises(HeadstartError, match="pip install tabicl"):
        catalog.head("tabicl@any.ckpt").demand()


def test_other_heads_have_no_weights() -> None:
    with pytest.raises(HeadstartError, match="no pretrained weights"):
        catalog.head("knn@file.ckpt")


@pytest.mark.slow
def test_a_table_is_fitted_and_answered_by_it(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "small.ckpt")
    rng = np.random.default_rng(0)
    area = rng.uniform(20, 200, 60).round(1)
    rows = {
        "area": area,
        "other": rng.normal(size=60).round(3),
        "kind": np.where(area > 99, "a", "b"),
    }
    spec = f"feature-extraction?head=tabicl@{path}"
    settings: dict[str, Any] = {"evidence": "none", "scratch": False, "label": "kind"}
    hs.fit(rows, "table:columns", tmp_path / "model", strategy=spec, **settings)
    path.unlink()  # the model holds it
    (answer,) = hs.load(tmp_path / "model").predict({"area": 150.0, "other": 0.1})
    assert answer.label in ("a", "b")
    many = {"area": area, "kind": [f"k{n % 5}" for n in range(60)]}
    checkpoint(path)
    with pytest.raises(HeadstartError, match="at most 4 classes"):
        hs.fit(many, "table:columns", tmp_path / "other", strategy=spec, **settings)

"""Features as files for other tools: every layout says the same, whole or not at all."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

import headstart as hs
from headstart import catalog
from headstart.cli import app
from headstart.data import load
from headstart.errors import DataError, HeadstartError
from headstart.features import export

REFERENCE = "seeded:convnet"
PLAIN = hs.Settings(device="cpu", engine="torch")


def written(data: Path, out: Path, **chosen: Any) -> dict[str, np.ndarray]:
    """What a file of features holds: features, ids, splits and labels."""
    hs.export_features(
        data, REFERENCE, out, settings=hs.Settings(device="cpu", engine="torch", **chosen)
    )
    if out.suffix == ".npz":
        with np.load(out) as file:
            return dict(file)
    if out.suffix == ".npy":
        beside = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
        return {"features": np.load(out)} | {name: np.array(v) for name, v in beside.items()}
    read = pyarrow.csv.read_csv if out.suffix == ".csv" else pyarrow.parquet.read_table
    table = read(out)
    assert table.column_names[:4] == ["id", "split", "label", "f0"]
    features = [table[f"f{n}"].to_numpy() for n in range(len(table.column_names) - 3)]
    names = {"ids": "id", "splits": "split", "labels": "label"}
    return {"features": np.stack(features, axis=1)} | {
        name: np.array(table[column].to_pylist()) for name, column in names.items()
    }


def test_every_layout_holds_the_same(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_CHUNK_BYTES", 1000)  # some items at a time
    values = {kind: written(pictures, tmp_path / f"out/a.{kind}") for kind in ("parquet", "csv")}
    values |= {kind: written(pictures, tmp_path / f"out/a.{kind}") for kind in ("npy", "npz")}
    items = load(pictures, catalog.modality("image")).items
    for kind, result in values.items():
        assert result["ids"].tolist() == [item.id for item in items], kind
        assert result["labels"].tolist() == [item.label for item in items], kind
        assert result["splits"].tolist() == [item.split for item in items], kind
        same = result["features"].astype(np.float32)  # what CSV writes comes back to the last bit
        np.testing.assert_array_equal(same, values["npz"]["features"], kind)
        if kind != "csv":
            assert result["features"].dtype == np.float32
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.csv", "a.json", "a.npy", "a.npz", "a.parquet"]


def test_features_are_those_of_the_network(pictures: Path, tmp_path: Path) -> None:
    import torch

    content = written(pictures, tmp_path / "a.npz")
    backbone, modality = catalog.load_backbone(REFERENCE), catalog.modality("image")
    items = [
        modality.decode((pictures / i).read_bytes(), backbone.preprocess) for i in content["ids"]
    ]
    inputs = modality.collate(items, backbone.preprocess)
    with torch.inference_mode():
        for stage in backbone.prefix():
            inputs = stage.eval()(inputs)
    np.testing.assert_allclose(content["features"], inputs.numpy(), rtol=1e-4, atol=1e-5)


def test_one_number_is_written_as_one(pictures: Path, tmp_path: Path) -> None:
    files = sorted((pictures / "ants").iterdir())
    lines = [f"ants/{file.name},{place + 0.25}" for place, file in enumerate(files)]
    (pictures / "list.csv").write_text("\n".join(["path,label", *lines]))
    for kind in ("parquet", "csv", "npz"):
        content = written(pictures / "list.csv", tmp_path / f"a.{kind}")
        assert content["labels"].dtype == np.float64
        assert sorted(content["labels"]) == [place + 0.25 for place in range(40)]


def test_pictures_without_labels_are_taken(pictures: Path, tmp_path: Path) -> None:
    (pictures / "ants" / "broken.png").write_bytes(b"no picture")
    content = written(pictures / "ants", tmp_path / "a.parquet")
    assert content["ids"].tolist() == [f"{number:03}.png" for number in range(40)]
    assert set(content["labels"]) == set(content["splits"]) == {""}
    whole = written(pictures, tmp_path / "b.npz")
    features = whole["features"][whole["labels"] == "ants"]
    np.testing.assert_array_equal(content["features"], features)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_manifest_without_labels_is_taken(pictures: Path, tmp_path: Path, suffix: str) -> None:
    columns = {
        "path": ["ants/000.png", "bees/001.png", "ants/002.png"],
        "split": ["train", "test", "train"],
    }
    table, file = pyarrow.table(columns), pictures / f"list{suffix}"
    if suffix == ".csv":
        pyarrow.csv.write_csv(table, file)
    else:
        pyarrow.parquet.write_table(table, file)
    content = written(file, tmp_path / "a.npz")
    assert content["ids"].tolist() == columns["path"]
    assert content["splits"].tolist() == columns["split"]
    assert set(content["labels"]) == {""}
    with pytest.raises(DataError):
        hs.fit(file, REFERENCE, tmp_path / "model")


def test_labels_that_are_not_understood_are_told(pictures: Path, tmp_path: Path) -> None:
    shutil.rmtree(pictures / "bees")
    with pytest.raises(DataError, match="only one class, 'ants'"):
        hs.export_features(pictures, REFERENCE, tmp_path / "a.csv", settings=PLAIN)
    with pytest.raises(DataError, match="does not exist"):
        hs.export_features(pictures / "nowhere", REFERENCE, tmp_path / "a.csv", settings=PLAIN)
    assert not list(tmp_path.glob("*.csv"))


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.csv.gz"])
def test_another_suffix_is_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"ends in \.parquet, \.csv, \.npy, \.npz\.$"):
        hs.export_features(tmp_path / "missing", "nowhere:x", tmp_path / name)


@pytest.mark.parametrize(("there", "name"), [("a.csv", "a.csv"), ("a.json", "a.npy")])
def test_nothing_is_written_over(there: str, name: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(HeadstartError, match=f"{there} already exists. Name a new file"):
        hs.export_features(tmp_path / "missing", "nowhere:x", tmp_path / name)
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize("kind", ["parquet", "csv", "npy", "npz"])
def test_a_writing_that_fails_leaves_nothing(kind: str, tmp_path: Path) -> None:
    class Failing:
        """Rows of which the second chunk can't be read."""

        def __len__(self) -> int:
            return 10**6

        def __getitem__(self, positions: np.ndarray) -> np.ndarray:
            if len(positions) and positions[-1] > 10**5:
                raise HeadstartError("2 stored activations are damaged.")
            return np.zeros((len(positions), 64), np.float32)

    beside = np.full(10**6, "x")
    with pytest.raises(HeadstartError, match="are damaged"):
        export.write(tmp_path / f"a.{kind}", Failing(), export.Columns(beside, beside, beside))
    assert [path.name for path in tmp_path.iterdir()] == []


def test_the_command_says_what_it_wrote(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "er" / "a.parquet"
    run = CliRunner().invoke(
        app, ["export-features", str(pictures), "-b", REFERENCE, "-o", str(out), "--json"]
    )
    assert run.exit_code == 0, run.output
    record = json.loads(run.stdout)
    assert (record["path"], record["items"], record["dimensions"]) == (str(out), 80, 32)
    assert sum(record["splits"].values()) == 80
    again = CliRunner().invoke(
        app, ["export-features", str(pictures), "-b", REFERENCE, "-o", str(out)]
    )
    assert again.exit_code == 2
    assert "already exists" in again.output


def test_what_was_extracted_before_is_not_computed_again(pictures: Path, tmp_path: Path) -> None:
    settings = hs.Settings(device="cpu", engine="torch", precision="fp32")
    hs.cache_features(pictures, REFERENCE, settings=settings)
    assert (
        hs.export_features(pictures, REFERENCE, tmp_path / "a.npy", settings=settings).engine == ""
    )


READ = """
found <- read.csv(commandArgs(trailingOnly = TRUE)[1])
features <- as.matrix(found[, grepl("^f[0-9]+$", names(found))])
cat(nrow(features), ncol(features), length(unique(found$label)), format(sum(features), digits = 9))
"""


def test_r_reads_what_was_written(pictures: Path, tmp_path: Path) -> None:
    reader = shutil.which("Rscript")
    if reader is None:
        pytest.skip("needs R, whose Rscript is not on this machine")
    features = written(pictures, tmp_path / "a.csv")["features"]
    (tmp_path / "read.R").write_text(READ)
    done = subprocess.run(
        [reader, "--vanilla", str(tmp_path / "read.R"), str(tmp_path / "a.csv")],
        capture_output=True,
        text=True,
        check=True,
    )
    items, width, labels, total = done.stdout.split()
    assert (int(items), int(width), int(labels)) == (*features.shape, 2)
    assert float(total) == pytest.approx(float(features.astype(np.float64).sum()), rel=1e-6)

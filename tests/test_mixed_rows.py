"""Rows of tables whose cells are texts and pictures: read, stored, joined, saved and answered."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoders import small_encoder
from PIL import Image

import headstart as hs
from headstart import catalog
from headstart.data import Schema, load
from headstart.errors import DataError, HeadstartError, WeightsError
from headstart.features.cells import RowParts
from headstart.features.extract import Prefix, extract
from headstart.features.reading import Reader
from headstart.forms.description import _inside
from headstart.modalities.table.columns import kind_as
from headstart.pipeline.rows import fitted_to_rows
from headstart.runtime.progress import Silent
from headstart.server.body import Body
from headstart.server.intake import inputs_in

QUICK: dict[str, Any] = {"evidence": "none", "progress": False}
BOTH = "table:columns?text=seeded:text-encoder&image=seeded:convnet"
REMARKS = [f"a remark of several words, number {n} of them" for n in range(25)]


def sale(number: int) -> dict[str, Any]:
    """One row; its picture, of four there are, says most of its price."""
    rng = np.random.default_rng(number)
    area, photo = int(rng.integers(60, 300)), int(rng.integers(4))
    return {
        "area": area,
        "town": str(rng.choice(["Alton", "Byton"])),
        "notes": "" if number % 9 == 0 else REMARKS[number % 25],
        "photo": "" if number % 7 == 0 else f"pictures/{photo}.png",
        "price": 1000 * area + 80_000 * photo,
    }


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def make(root: Path) -> Path:
    (root / "pictures").mkdir(parents=True)
    for number in range(4):
        pixels = np.full((32, 32, 3), 60 * number, np.uint8)
        pixels[::2, : 8 * number + 4] = 250
        Image.fromarray(pixels).save(root / "pictures" / f"{number}.png")
    return write(root / "sales.csv", [sale(n) for n in range(48)])


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def ran(sales: Path) -> hs.Result:
    """A fit of both kinds of cells beside the columns."""
    out = sales.parent / "model"
    return hs.fit(sales, BOTH, out, label="price", evidence="quick", progress=False)


@pytest.fixture(scope="module")
def model(ran: hs.Result) -> Path:
    return Path(ran.folder)


def test_kinds_are_told_and_said(sales: Path) -> None:
    backbone = catalog.load_backbone(BOTH)
    modality = catalog.modality("table").fitted(backbone)
    text = " ".join(load(sales, modality, Schema(label="price")).report.remarks)
    assert "numbers `area`; categories `town`; texts `notes`; pictures `photo`" in text


def test_without_a_backbone_for_them_they_are_left_out_with_advice(sales: Path) -> None:
    text = " ".join(load(sales, catalog.modality("table"), Schema(label="price")).report.remarks)
    assert "`notes`, which holds free text (-b 'table:columns?text=REF' has it read)" in text
    assert "`photo`, which names pictures (-b 'table:columns?image=REF' has them seen)" in text


def test_each_distinct_cell_goes_through_its_network_once(sales: Path) -> None:
    backbone = catalog.load_backbone(BOTH)
    modality = catalog.modality("table").fitted(backbone)
    items = load(sales, modality, Schema(label="price")).items
    prefix = Prefix(backbone, 1, "cpu", precision="fp32")
    fitted = fitted_to_rows(backbone, modality, items, prefix, Silent())
    reader = Reader(modality.fitted(fitted), fitted.preprocess)
    parts = RowParts.of(fitted, items, reader).parts
    assert {kind: len(part.items) for kind, part in parts.items()} == {"text": 25, "image": 4}
    whole = Prefix(fitted, 1, "cpu", precision="fp32")
    again = extract(whole, items, reader, Silent())
    assert again.computed == 0 and again.features().shape == (48, fitted.feature_dim)


def test_missing_cells_count_as_what_is_usual(sales: Path) -> None:
    backbone = catalog.load_backbone(BOTH)
    modality = catalog.modality("table").fitted(backbone)
    items = load(sales, modality, Schema(label="price")).items
    prefix = Prefix(backbone, 1, "cpu", precision="fp32")
    fitted = fitted_to_rows(backbone, modality, items, prefix, Silent())
    reader = Reader(modality.fitted(fitted), fitted.preprocess)
    rows = extract(Prefix(fitted, 1, "cpu"), items, reader, Silent()).features()
    wide = [spec for spec in fitted.preprocess["columns"] if "width" in spec]
    start = fitted.feature_dim - sum(spec["width"] for spec in wide)
    for spec in wide:
        block = rows[:, start : start + spec["width"]]
        missing = np.array([spec["name"] not in _cells(item, reader) for item in items])
        assert missing.any() and not block[missing].any()
        assert np.abs(block[~missing].mean(axis=0)).max() < 1e-4
        assert block[~missing].var(axis=0).sum() == pytest.approx(1.0, rel=1e-3)
        start += spec["width"]


def _cells(item: Any, reader: Reader) -> Mapping[str, bytes]:
    return reader.modality.apart(item.read(), reader.preprocess)[1]


def test_a_model_answers_tables_rows_pictures_and_gaps_alike(model: Path, sales: Path) -> None:
    predictor = hs.load(model)
    row = {"area": 100, "town": "Alton", "notes": REMARKS[3]}
    path = sales.parent / "pictures/2.png"
    answers = [
        predictor.predict({**row, "photo": photo})[0].answer["value"]
        for photo in (path, Image.open(path), path.read_bytes())
    ]
    table = write(sales.parent / "new.csv", [{**row, "photo": "pictures/2.png"}])
    answers.append(predictor.predict(table)[0].answer["value"])
    assert answers == pytest.approx([answers[0]] * 4, rel=1e-5)
    assert predictor.predict({**row, "photo": None, "notes": ""})[0].answer["value"] > 0
    assert hs.evaluate(model, sales).score.value > 0.9


def test_the_saved_model_answers_from_its_own_folder(tmp_path: Path) -> None:
    sales, encoder = make(tmp_path / "data"), tmp_path / "encoder"
    small_encoder(encoder)
    hs.fit(sales, f"table:columns?text=hf:{encoder}", tmp_path / "model", label="price", **QUICK)
    row = {"area": 100, "town": "Alton", "notes": "a remark of several words"}
    before = hs.load(tmp_path / "model").predict(row)[0].answer
    shutil.rmtree(encoder)
    shutil.rmtree(tmp_path / "data")
    shutil.move(tmp_path / "model", tmp_path / "moved")
    assert hs.load(tmp_path / "moved").predict(row)[0].answer == before
    assert str(tmp_path) not in (tmp_path / "moved" / "columns.json").read_text()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("../secret.png", "lies outside the data set's folder"),
        ("/etc/passwd", "lies outside the data set's folder"),
    ],
)
def test_paths_stay_in_the_tables_folder(
    model: Path, sales: Path, value: str, message: str
) -> None:
    row = {"area": 100, "town": "Alton", "notes": "", "photo": value}
    with pytest.raises(DataError, match=message):
        hs.load(model).predict(write(sales.parent / "bad.csv", [row]))


def test_a_row_whose_file_is_not_there_is_named(model: Path, sales: Path) -> None:
    row = {"area": 100, "town": "Alton", "notes": "", "photo": "gone.png"}
    table = write(sales.parent / "gone.csv", [row, {**row, "photo": ""}])
    first, second = hs.load(model).predict(table)
    assert "its 'photo' names no file here: gone.png" in first.error and not second.error


def test_a_broken_picture_leaves_its_row_out(tmp_path: Path) -> None:
    sales = make(tmp_path / "data")
    (sales.parent / "pictures" / "0.png").write_bytes(b"no picture")
    modality = catalog.modality("table").fitted(catalog.load_backbone(BOTH))
    skipped = load(sales, modality, Schema(label="price")).report.skipped
    assert skipped and all("its 'photo'" in reason for _, reason in skipped)


def test_a_column_is_what_the_user_says(tmp_path: Path) -> None:
    rows = [{**sale(n), "code": 100 + n % 3, "notes": ["old", "new"][n % 2]} for n in range(30)]
    table = write(make(tmp_path / "data").parent / "few.csv", rows)
    backbone = catalog.load_backbone(f"{BOTH}&kinds=code:category,notes:text")
    modality = catalog.modality("table").fitted(backbone)
    text = " ".join(load(table, modality, Schema(label="price")).report.remarks)
    assert "categories `town`, `code`; texts `notes`" in text


@pytest.mark.parametrize("kind", ["number", "date", "boolean"])
def test_a_column_that_is_not_of_the_kind_is_refused(kind: str) -> None:
    with pytest.raises(DataError, match=f"'town' was named one of kind {kind}, and 'Alton' is non"):
        kind_as("town", ["Alton", "Byton"], kind)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("table:columns?text=seeded:convnet", "is made for image, not for text"),
        ("table:columns?picture=seeded:convnet", "has no option 'picture'"),
        ("table:columns?kinds=notes:text", "which is no column with its kind"),
        ("table:columns?kinds=notes", "which is no column with its kind"),
    ],
)
def test_wrong_options_are_refused(reference: str, message: str) -> None:
    with pytest.raises(HeadstartError, match=message):
        catalog.load_backbone(reference)


def test_a_strangers_part_lies_in_its_folder_or_nowhere(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    path = tmp_path / "model" / "columns.json"
    content = json.loads(path.read_text())
    content["parts"]["text"]["architecture"] = "hf:/somewhere/else"
    path.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match="does not lie in the folder"):
        catalog.load_backbone(f"table:{tmp_path / 'model'}")
    with pytest.raises(WeightsError, match="has changed since it was saved"):
        hs.load(tmp_path / "model")


def test_plain_columns_are_the_yardstick_and_are_ranked_beside(sales: Path, ran: hs.Result) -> None:
    evidence = ran.to_json()
    assert evidence["alone"] == "columns"
    assert "without texts and pictures" in evidence["arms"]["scratch"]["note"]
    assert evidence["gain"]["value"] > 0 and "lain columns alone" in str(ran)
    ranking = hs.rank(sales, ["table:columns", BOTH], label="price", progress=False)
    assert ranking.rows[0].backbone == BOTH


def test_other_tables_are_refused_beside_them(sales: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match="reads texts or files in cells, and other tables"):
        hs.fit(sales, BOTH, tmp_path / "out", label="price", sources=[str(sales)], **QUICK)


def test_a_data_frame_holds_pictures(sales: Path, tmp_path: Path) -> None:
    rows = [sale(n) for n in range(30)]
    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in rows[0]}
    columns["photo"] = [
        Image.open(sales.parent / path) if path else None for path in columns["photo"]
    ]
    hs.fit(columns, BOTH, tmp_path / "out", label="price", **QUICK)
    assert hs.load(tmp_path / "out").predict({n: v[3] for n, v in columns.items()})[0].answer


@pytest.mark.parametrize("written", ["/mnt/elsewhere/pictures/{}.png", "PICTURES/{}.PNG"])
def test_paths_count_as_those_of_pictures_alone_do(tmp_path: Path, written: str) -> None:
    sales = make(tmp_path)
    rows = [{**sale(n), "photo": written.format(n % 4)} for n in range(48)]
    modality = catalog.modality("table").fitted(catalog.load_backbone(BOTH))
    report = load(write(sales, rows), modality, Schema(label="price")).report
    assert not report.skipped
    assert "4 paths are not there as written" in " ".join(report.remarks)


def test_a_name_longer_than_any_file_has_is_of_none(tmp_path: Path) -> None:
    sales = make(tmp_path)
    rows = [{**sale(n), "photo": "a" * 5000 + ".png" if n == 3 else ""} for n in range(48)]
    modality = catalog.modality("table").fitted(catalog.load_backbone(BOTH))
    ((name, reason),) = load(write(sales, rows), modality, Schema(label="price")).report.skipped
    assert name == "sales.csv#5" and reason.startswith("its 'photo' names no file here: aaa")


def test_where_no_picture_is_there_the_advice_is_on_files(tmp_path: Path) -> None:
    sales = make(tmp_path)
    rows = [{**sale(n), "photo": f"gone{n}.png"} for n in range(48)]
    modality = catalog.modality("table").fitted(catalog.load_backbone(BOTH))
    with pytest.raises(DataError, match=r"names no file here: gone0\.png\. Give files that can be"):
        load(write(sales, rows), modality, Schema(label="price"))


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ("noets:text", "kinds= names 'noets', which is no column .* 'area', 'town', 'notes'"),
        ("price:number", "kinds= names 'price', which is no column that is learned from"),
        ("notes:text,notes:category", "having one already"),
        ("notes:txt,town:category", "has 'notes:txt', which is no column with its kind"),
    ],
)
def test_kinds_of_columns_that_are_not_there_are_refused(
    sales: Path, kinds: str, message: str
) -> None:
    with pytest.raises(HeadstartError, match=message):
        modality = catalog.modality("table").fitted(catalog.load_backbone(f"{BOTH}&kinds={kinds}"))
        load(sales, modality, Schema(label="price"))


def test_a_column_with_a_comma_in_its_name_has_a_kind(tmp_path: Path) -> None:
    sales = make(tmp_path)
    rows = [{"size, m": n % 5, **sale(n)} for n in range(48)]
    backbone = catalog.load_backbone(f"{BOTH}&kinds=town:category,size, m:category")
    modality = catalog.modality("table").fitted(backbone)
    text = " ".join(load(write(sales, rows), modality, Schema(label="price")).report.remarks)
    assert "categories `size, m`, `town`" in text


def test_several_tasks_of_mixed_rows_have_no_label_as_an_input(tmp_path: Path) -> None:
    sales = make(tmp_path / "data")
    rows = [{**sale(n), "garden": ["yes", "no"][n % 2]} for n in range(48)]
    out = tmp_path / "model"
    hs.fit(write(sales, rows), BOTH, out, label="price,garden", **QUICK)
    for task in ("price", "garden"):
        columns = json.loads((out / task / "columns.json").read_text())["columns"]
        assert [each["name"] for each in columns] == ["area", "town", "notes", "photo"]
    row = {"area": 100, "town": "Alton", "notes": REMARKS[3], "photo": ""}
    assert set(hs.load(out).predict(row)[0].answer["tasks"]) == {"price", "garden"}


def test_rows_with_networks_of_their_own_leave_as_no_single_file(
    model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra export")
    with pytest.raises(HeadstartError, match=r"read the .*text.* cells .* Try --to sklearn"):
        hs.export(model, "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert hs.export(model, "sklearn", tmp_path / "head").changed == 0  # as the sentence says


@pytest.mark.parametrize(
    ("name", "remaining"),
    [
        ("tokenizer.json", "tokenizer.json"),
        ("text/tokenizer.json", "text/tokenizer.json"),
        ("/etc/passwd", "etc/passwd"),
        ("/passwd", "passwd"),
        ("../../etc/../passwd", "passwd"),
        ("a/b/../../../c", "c"),
    ],
)
def test_names_of_strangers_stay_in_the_folder(name: str, remaining: str) -> None:
    assert _inside(name) == remaining


def test_a_row_that_was_sent_opens_no_file_of_the_server(sales: Path, model: Path) -> None:
    predictor = hs.load(model)
    photo = next(sales.parent.rglob("*.png"))
    row = {name: value for name, value in sale(3).items() if name != "price"}
    content = base64.b64encode(photo.read_bytes()).decode()
    rows = [row | {"photo": each} for each in (content, str(photo), None)]
    body = Body("application/json", json.dumps({"inputs": rows}).encode())
    sent, path, absent = inputs_in(body, predictor, 9)
    (own,) = predictor.inputs([row | {"photo": photo}])
    assert sent.source is not None and own.source is not None
    assert sent.source.read() == own.source.read() and absent.source is not None
    assert path.source is None and path.problem == "its 'photo' is not written in base64"

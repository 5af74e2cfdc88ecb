"""How data lie: every layout of docs/data.md, and what has no place in its table."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import final

import competitions
import layouts
import published
import pytest
from conftest import write_pictures
from document_tables import Form, check_names, check_row, outcome

import headstart as hs
from headstart import artifact
from headstart.contracts import Modality
from headstart.data import Schema, load, load_labelled, recognise, trees
from headstart.data.items import find
from headstart.data.names import split_of
from headstart.errors import DataError
from headstart.loading import record
from headstart.modalities.image import Image
from headstart.modalities.text import Text
from headstart.runtime.progress import Silent
from headstart.runtime.workspace import Workspace

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
PICTURES = [*layouts.PICTURES, *competitions.PICTURES, *published.PICTURES]
TEXTS = [*layouts.TEXTS, *competitions.TEXTS, *published.TEXTS]
ROWS = [(form, Image()) for form in PICTURES] + [(form, Text()) for form in TEXTS]
_SMALL = (
    "Classes with",
    "Classes of",
    "1 item moved",
    "items moved",
)  # what these small sets are warned of


@final
class Heard(Silent):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def read(path: Path, modality: Modality) -> str:
    data = load(path, modality, Schema())
    report, names = data.report, ", ".join(data.labels)
    warnings = [w for w in report.warnings if not any(word in w for word in _SMALL)]
    parts = [names, f"{report.items} items", report.split_rule, *report.remarks, *warnings]
    return f"read: {'; '.join(parts)}"


@pytest.mark.parametrize(("form", "modality"), ROWS, ids=lambda value: getattr(value, "name", ""))
def test_a_layout_is_read_or_refused_as_the_page_says(
    form: Form, modality: Modality, tmp_path: Path
) -> None:
    message = outcome(form, tmp_path / "data", lambda path: read(path, modality))
    check_row(PAGE, "layouts", form, message)


def test_the_page_has_every_layout() -> None:
    check_names(PAGE, "layouts", [form for form, _ in ROWS])


@pytest.mark.parametrize(
    ("level", "labels"),
    [(1, ("london", "paris")), (2, ("2019", "2020")), (3, ("healthy", "sick"))],
)
def test_the_level_that_is_named_has_the_classes(
    tmp_path: Path, level: int, labels: tuple[str, ...]
) -> None:
    folders = [f"{site}/{year}" for site in ("london", "paris") for year in ("2019", "2020")]
    layouts.classes(*folders, names=("healthy", "sick"))(tmp_path)
    assert load(tmp_path, Image(), Schema(class_level=level)).labels == labels
    with pytest.raises(DataError, match=r"no folders of level 4\. Give --class-level 1 to 3\."):
        load(tmp_path, Image(), Schema(class_level=4))


def test_the_level_counts_from_the_splits(tmp_path: Path) -> None:
    layouts.classes("train/a", "train/b", "test/a", "test/b", names=("sick", "well"))(tmp_path)
    assert load(tmp_path, Image(), Schema(class_level=1)).labels == ("a", "b")
    assert load(tmp_path, Image(), Schema(class_level=2)).labels == ("sick", "well")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *[(name, "train") for name in ("train", "Train2", "trainset", "train_images", "TRAIN")],
        *[(name, "train") for name in ("training_set", "seg_train", "ILSVRC2012_img_train")],
        *[(name, "validation") for name in ("val2017", "valid", "dev", "Validation_Data")],
        *[(name, "test") for name in ("Testing", "test1", "test_set", "testImages", "holdout")],
        *[(name, "unlabelled") for name in ("seg_pred", "unlabeled", "unsup")],
        *[(name, None) for name in ("train_station", "test_tube", "trainer", "images", "cat", "")],
    ],
)
def test_what_a_folder_is_called_after(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_two_columns_of_paths_and_the_one_that_is_named(tmp_path: Path) -> None:
    layouts.flat("scans", "masks")(tmp_path)
    rows = [(f"masks/{n}.bmp", f"scans/{n}.bmp", "ab"[n % 2]) for n in range(20)]
    layouts.table(tmp_path / "all.csv", "image,where,label", rows)
    first = load(tmp_path, Image()).items[0]
    assert first.id == "masks/0.bmp"
    item = load(tmp_path, Image(), Schema(files="where")).items[0]
    assert item.id == "scans/0.bmp"
    images = {"text": Text(), "image": Image()}
    assert recognise(tmp_path / "all.csv", images, Schema(files="where")) == "image"
    with pytest.raises(DataError, match="read as texts, and 'where' was named"):
        load(tmp_path / "all.csv", Text(), Schema(files="where"))


@pytest.mark.parametrize("column", ["filename", "filepath", "Image_Path", "img_name", "foto", "ID"])
def test_a_column_of_paths_may_be_called_anything(tmp_path: Path, column: str) -> None:
    layouts.flat("")(tmp_path)
    rows = [(n, f"{n}.bmp", "ab"[n % 2]) for n in range(20)]
    layouts.table(tmp_path / "all.csv", f"age,{column},kind", rows)
    data = load(tmp_path, Image(), Schema(label="kind"))
    assert {item.id for item in data.items} == {f"{n}.bmp" for n in range(20)}


def test_an_id_that_several_files_have_is_no_path(tmp_path: Path) -> None:
    layouts.flat("a", "b")(tmp_path)
    rows = [(f"a/{n}.bmp", "xy"[n % 2]) for n in range(20)]
    layouts.table(tmp_path / "all.csv", "image,label", [*rows, ("3", "x")])
    skipped = dict(load(tmp_path, Image()).report.skipped)
    assert skipped == {"3": "names 2 files, such as a/3.bmp and b/3.bmp"}


@pytest.mark.parametrize(
    "value",
    ["/etc/passwd", r"..\..\secret.bmp", r"C:\secret.bmp", r"\\host\share\a.bmp", "a/../../b"],
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, value: str) -> None:
    layouts.flat("")(tmp_path)
    layouts.table(tmp_path / "all.csv", "image,label", [("0.bmp", "a"), (value, "b")])
    with pytest.raises(DataError, match=r"line 3 names .* outside the data set's folder"):
        load(tmp_path, Image())


def test_a_manifest_below_the_folder_may_name_files_beside_its_own_folder(tmp_path: Path) -> None:
    layouts.pictures(tmp_path / "images")
    rows = [(f"../images/{n}.bmp", "ab"[n % 2]) for n in range(20)]
    layouts.table(tmp_path / "data" / "train.csv", "image,label", rows)
    assert load(tmp_path, Image()).items[0].id == "images/0.bmp"
    with pytest.raises(DataError, match="outside"):
        load(tmp_path / "data" / "train.csv", Image())


@pytest.mark.parametrize("place", [".", "inner", "inner/train.csv", "./inner/../inner"])
def test_a_place_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    layouts.pictures(Path("inner/train"))
    rows = [(n, "ab"[n % 2]) for n in range(20)]
    layouts.table(Path("inner/train.csv"), "id,label", rows)
    assert load(place, Image()).report.items == 20


def test_links_of_a_planted_kind(tmp_path: Path) -> None:
    """Another data set's blobs, folders elsewhere and pipes are not opened."""
    snapshot = layouts.hugging_face_cache(tmp_path / "one")
    layouts.hugging_face_cache(tmp_path / "two")
    other = next((tmp_path / "two" / "blobs").iterdir())
    (snapshot / "x.bmp").symlink_to(other)
    (snapshot / "two").symlink_to(tmp_path / "two" / "blobs")
    for value in ("x.bmp", f"two/{other.name}"):
        layouts.table(snapshot / "metadata.csv", "file_name,label", [("0.bmp", "a"), (value, "b")])
        with pytest.raises(DataError, match=r"a link to .*two.blobs.* which lies outside"):
            load(snapshot, Image())


def test_the_whole_folder_of_the_hugging_face_cache(tmp_path: Path) -> None:
    layouts.hugging_face_cache(tmp_path)
    data = load(tmp_path, Image())
    assert len(data.items) == 40 and data.labels == ("cat", "dog")


def test_a_link_back_to_the_start_is_no_class(tmp_path: Path) -> None:
    layouts.classes("")(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    assert load(tmp_path, Image()).labels == ("cat", "dog")


def test_a_pipe_is_skipped(tmp_path: Path) -> None:
    layouts.classes("")(tmp_path)
    os.mkfifo(tmp_path / "cat" / "x.bmp")
    skipped = load(tmp_path, Image()).report.skipped
    assert skipped == (("cat/x.bmp", "can't be read: not a regular file"),)


def test_class_names_composed_otherwise_are_one_class(tmp_path: Path) -> None:
    layouts.classes("", names=("caf\u00e9", "cafe\u0301", "tea"))(tmp_path)
    data = load(tmp_path, Image())
    assert data.labels == ("caf\u00e9", "tea")
    assert any("are one class" in warning for warning in data.report.warnings)


def test_labels_that_differ_in_case_alone_are_said(tmp_path: Path) -> None:
    rows = [(f"text {n}", ("Cat", "cat", "dog")[n % 3]) for n in range(60)]
    layouts.table(tmp_path / "all.csv", "text,label", rows)
    data = load(tmp_path, Text())
    assert data.labels == ("Cat", "cat", "dog")
    assert any(
        "'Cat' and 'cat' differ in case alone" in warning for warning in data.report.warnings
    )


def test_a_label_column_of_the_training_table_is_that_of_all(tmp_path: Path) -> None:
    rows = [(n, f"text {n}", n % 2) for n in range(60)]
    layouts.table(tmp_path / "train.csv", "id,text,sentiment", rows)
    layouts.table(
        tmp_path / "test.csv",
        "id,text,source,sentiment",
        [(n, f"t {n}", n, n % 2) for n in range(20)],
    )
    data = load(tmp_path, Text())
    assert data.labels == ("0", "1") and len(data.split("test")) == 20


def test_evaluation_passes_over_a_split_without_labels(tmp_path: Path) -> None:
    layouts.hidden(tmp_path, "-1")
    data = load_labelled(tmp_path, Text(), ["0", "1"])
    assert {item.id.split("#")[0] for item in data.items} == {"validation.csv"}
    assert data.report.split_rule == "`test` has no labels; only the held-out `validation` is used"


def test_minus_one_is_a_label_where_the_training_split_has_it(tmp_path: Path) -> None:
    for split, count in (("train", 40), ("test", 10)):
        rows = [(f"{split} {n}", -1 if split == "test" else (-1, 1)[n % 2]) for n in range(count)]
        layouts.table(tmp_path / f"{split}.csv", "text,label", rows)
    assert len(load(tmp_path, Text()).split("test")) == 10


def test_results_are_no_data(tmp_path: Path) -> None:
    assert {record.FILE, artifact.EVIDENCE} <= trees.OURS
    assert Workspace(tmp_path / "m").folder.name.endswith(trees.UNFINISHED)


def test_a_model_inside_its_data_is_said_and_left_out(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 20, "bees": 20})
    quick = hs.Settings(scratch=False, evidence="none")
    for name in ("m", "n"):
        progress = Heard()
        result = hs.fit(data, "seeded:convnet", data / name, settings=quick, progress=progress)
        assert any(f"{data / name} lies inside {data}" in message for message in progress.warnings)
        assert result.evidence.data["items"] == 40


def test_the_data_are_looked_at_before_a_backbone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        hs.fit(tmp_path / "nowhere", "seeded:no-such-network", tmp_path / "m")


@pytest.mark.slow
@pytest.mark.parametrize("count", [20_000, 100_000])
def test_many_files_are_found_in_bounded_memory(tmp_path: Path, count: int) -> None:
    for number in range(count):
        folder = tmp_path / f"class {number % 50}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.bmp").touch()
    layouts.table(
        tmp_path / "labels.csv", "id,label", ((number, number % 7) for number in range(count))
    )
    tracemalloc.start()
    contents = find(tmp_path, Image(), Schema())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(contents.rows) == count and {row.value for row in contents.rows} == set("0123456")
    assert most < 4_000 * count

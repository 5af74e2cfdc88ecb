"""Data sets that a program holds: the same evidence as the same data in files, or one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from conftest import write_pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import untimed
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset

import headstart as hs
from headstart.data import Dataset, Schema, data_of, load
from headstart.data.inputs.pictures import encoded
from headstart.errors import DataError, HeadstartError
from headstart.modalities.image import Image as Pictures
from headstart.modalities.text import Text
from headstart.plan import read as read_plan

PICTURES, TEXTS = Pictures(), Text()
BACKBONE = "seeded:convnet?width=4"
CLASSES = ("ants", "bees")
WORDS = [f"a {'small' if n % 2 else 'large'} thing number {n}" for n in range(40)]
SIZES = ["small" if n % 2 else "large" for n in range(40)]
NUMBERS = [n % 7 + 0.25 for n in range(40)]


class Pairs(TorchDataset[Any]):
    """Inputs and targets as torch's loaders take them."""

    def __init__(self, inputs: Sequence[Any], targets: Sequence[Any]) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        return self.inputs[row], self.targets[row]


class Restless(Pairs):
    """A data set that shifts its pictures by chance, as augmentation does."""

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        picture, target = super().__getitem__(row)
        return np.roll(np.asarray(picture), int(torch.randint(1, 15, ())), axis=1), target


class Named(Pairs):
    """A data set with names for its classes, as torchvision's have."""

    classes = CLASSES


class Stream(IterableDataset[Any]):
    """A data set that only goes on."""

    def __iter__(self) -> Iterator[Any]:
        yield 0, 0


class Held:
    """The same pictures in files and in memory, in one order."""

    def __init__(self, root: Path, count: int = 20) -> None:
        self.root = write_pictures(root, dict.fromkeys(CLASSES, count))
        self.files = sorted(self.root.rglob("*.png"))
        for file in self.files:  # as they are encoded in memory
            file.write_bytes(encoded(Image.open(file)))
        self.names = [str(file) for file in self.files]
        self.labels = [file.parent.name for file in self.files]
        self.codes = [CLASSES.index(label) for label in self.labels]
        self.images = [Image.open(file) for file in self.files]
        self.bytes = [file.read_bytes() for file in self.files]
        self.pixels = np.stack([np.asarray(image) for image in self.images])


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    """Twenty pictures of each of two classes."""
    return Held(tmp_path_factory.mktemp("held") / "pictures")


def read(data: Any, modality: Any = PICTURES) -> Dataset:
    return load(data_of(data), modality)


def contents(dataset: Dataset) -> list[tuple[str, str, str | None]]:
    """What a data set holds, whatever its items are called."""
    return sorted((item.digest, item.label, item.split) for item in dataset.items)


KINDS: dict[str, Callable[[Held], Any]] = {
    "paths": lambda held: (held.names, held.labels),
    "pathlib's": lambda held: (tuple(held.files), held.labels),
    "an array of paths": lambda held: (np.array(held.names), np.array(held.labels)),
    "pictures": lambda held: (held.images, held.labels),
    "bytes": lambda held: (held.bytes, held.labels),
    "arrays": lambda held: (list(held.pixels), held.labels),
    "one array": lambda held: (held.pixels, np.array(held.labels, dtype=object)),
    "fractions": lambda held: (held.pixels / 255, held.labels),
    "a tensor": lambda held: (torch.tensor(held.pixels).permute(0, 3, 1, 2), held.labels),
    "mixed": lambda held: ([*held.names[:9], *held.images[9:19], *held.bytes[19:]], held.labels),
    "an Arrow table of paths": lambda held: pa.table({"file": held.names, "label": held.labels}),
    "an Arrow table of bytes": lambda held: pa.table({"image": held.bytes, "label": held.labels}),
    "columns": lambda held: {"image": held.images, "label": held.labels},
    "a column of any name": lambda held: {"scan": held.images, "finding": held.labels},
    "torch": lambda held: Pairs(held.images, held.labels),
    "torch with classes": lambda held: Named(list(held.pixels), list(torch.tensor(held.codes))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_in_memory_are_the_same_data_as_files(held: Held, kind: str) -> None:
    expected = read(held.root)
    content = read(KINDS[kind](held))
    assert content.labels == CLASSES
    assert contents(content) == contents(expected)
    assert content.fingerprint == expected.fingerprint
    assert content.report.sizes == expected.report.sizes


def test_evidence_is_that_of_the_same_files(held: Held, tmp_path: Path) -> None:
    def made(data: Any, name: str) -> dict[str, Any]:
        result = hs.fit(
            data,
            BACKBONE,
            tmp_path / name,
            strategy="last-stages",
            epochs=1,
            evidence="quick",
        )
        return dict(untimed(result.to_json()))

    files = made(held.root, "files")
    memory = made((held.images, held.labels), "memory")
    assert memory["data"]["fingerprint"] == files["data"]["fingerprint"]
    for part in ("arms", "gain", "verdict", "metric", "held_out"):
        assert memory[part] == files[part], part
    plan = read_plan(tmp_path / "memory")
    assert plan.data == "data in memory"
    command = hs.reported(tmp_path / "memory").evidence["made"]["command"]
    assert command.startswith(f"hs.fit(data, '{BACKBONE}'")


def test_a_plan_is_reproduced_with_the_same_data_alone(held: Held, tmp_path: Path) -> None:
    pair = (held.images, held.labels)
    quick: hs.Options = {"scratch": False, "evidence": "none", "seed": 3}
    hs.fit(pair, BACKBONE, tmp_path / "a", strategy="feature-extraction", **quick)
    with pytest.raises(HeadstartError, match=r"made with data in memory.*Give the same again"):
        hs.reproduce(tmp_path / "a", tmp_path / "b")
    with pytest.raises(DataError, match=r"\(X, y\) is not what the plan was made with"):
        hs.reproduce(tmp_path / "a", tmp_path / "b", data=(held.images[3:], held.labels[3:]))
    hs.reproduce(tmp_path / "a", tmp_path / "b", data=pair)
    one, other = (hs.load(tmp_path / name).predict_proba(held.names) for name in "ab")
    np.testing.assert_array_equal(one, other)
    evaluated = hs.evaluate(tmp_path / "b", pair)
    assert evaluated.overlap == 34  # of 40 the model never saw 6
    assert evaluated.to_json() == hs.evaluate(tmp_path / "b", held.root).to_json() | {
        "data": evaluated.data
    }
    assert hs.report_on(tmp_path / "b", pair, tmp_path / "report").page.exists()
    assert "kept" not in hs.prove(tmp_path / "b", pair, epochs=1, evidence="none").evidence.checks


def test_what_ranks_and_what_exports_take_the_same(held: Held, tmp_path: Path) -> None:
    pair = (held.pixels, held.labels)
    ranked = hs.rank(pair, [BACKBONE, "seeded:convnet?width=8"])
    assert len(ranked.rows) == 2
    assert repr(ranked).startswith("<Ranking: ")
    hs.export_features(pair, BACKBONE, tmp_path / "a.npz")
    hs.export_features(held.root, BACKBONE, tmp_path / "b.npz")
    hs.export_features(held.images, BACKBONE, tmp_path / "c.npz")  # which need no labels
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        with np.load(tmp_path / "c.npz") as c:
            assert list(a["ids"][:2]) == ["item 0", "item 1"]
            order = [sorted(held.names).index(str(held.root / name)) for name in b["ids"]]
            np.testing.assert_array_equal(a["features"][order], b["features"])
            np.testing.assert_array_equal(a["features"], c["features"])


def test_texts_in_memory_are_the_same_data_as_a_manifest(tmp_path: Path) -> None:
    rows = "\n".join(f"{text},{size}" for text, size in zip(WORDS, SIZES, strict=True))
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}\n")
    expected = read(tmp_path / "a.csv", TEXTS)
    for data in (
        (WORDS, SIZES),
        (np.array(WORDS), SIZES),
        {"text": WORDS, "label": SIZES},
        pa.table({"text": WORDS, "label": SIZES}),
        Pairs(WORDS, SIZES),
        [(WORDS, SIZES)][0],
    ):
        content = read(data, TEXTS)
        assert contents(content) == contents(expected)


def test_pairs_of_texts(tmp_path: Path) -> None:
    pairs = [(text, text[::-1]) for text in WORDS]
    rows = "\n".join(f"{a},{b},{size}" for (a, b), size in zip(pairs, SIZES, strict=True))
    (tmp_path / "a.csv").write_text(f"one,two,label\n{rows}\n")
    schema = Schema(content=("one", "two"))
    expected = load(tmp_path / "a.csv", TEXTS, schema)
    assert contents(read((pairs, SIZES), TEXTS)) == contents(expected)


@pytest.mark.parametrize(
    ("targets", "kind", "labels"),
    [
        (SIZES, "classes", ("large", "small")),
        (np.arange(40) % 2, "classes", ("0", "1")),
        (torch.arange(40) % 2, "classes", ("0", "1")),
        ([n % 2 == 0 for n in range(40)], "classes", ("False", "True")),
        (NUMBERS, "numbers", ("label",)),
        (np.array(NUMBERS, dtype=np.float32), "numbers", ("label",)),
        (np.array([NUMBERS, NUMBERS[::-1]]).T, "numbers", ("label 1", "label 2")),
        ([{"a", "b"} if n % 2 else {"a"} for n in range(40)], "label sets", ("a", "b")),
        ([("b",) if n % 2 else ["a", "b"] for n in range(40)], "label sets", ("a", "b")),
        ({"x": NUMBERS, "y": NUMBERS[::-1]}, "numbers", ("x", "y")),
    ],
)
def test_every_kind_of_target(targets: Any, kind: str, labels: tuple[str, ...]) -> None:
    if isinstance(targets, dict):
        targets = pa.table(targets)
    content = read((WORDS, targets), TEXTS)
    assert (content.kind, content.labels) == (kind, labels)


def test_splits_by_name(held: Held) -> None:
    even, odd = slice(0, None, 2), slice(1, None, 2)
    content = read(
        {
            "test": Pairs(held.images[odd], held.labels[odd]),
            "train": (held.images[even], held.labels[even]),
            "unsupervised": (held.images[:2], held.labels[:2]),
        }
    )
    tested = {item.digest for item in content.split("test")}
    assert tested == {item.digest for item in read((held.bytes[odd], held.labels[odd])).items}
    assert "`test` is the held-out test" in content.report.split_rule
    assert "Split 'unsupervised' is not used." in content.report.warnings
    assert content.split("train")[0].id.startswith("train item ")


def test_a_column_of_splits_and_one_of_groups(held: Held) -> None:
    splits = ["test" if n % 4 == 0 else "train" for n in range(40)]
    table = {"image": held.images, "label": held.labels, "split": splits, "farm": splits}
    dataset = load(data_of(table), PICTURES, Schema(group="farm"))
    assert len(dataset.split("test")) == 10
    assert {item.group for item in dataset.split("test")} == {"test"}


def test_a_broken_picture_is_left_out_as_a_broken_file_is(held: Held, tmp_path: Path) -> None:
    files = [*held.names, str(tmp_path / "gone.png")]
    content = read((files, [*held.labels, "ants"]))
    assert content.report.skipped == ((str(tmp_path / "gone.png"), "it does not exist"),)
    images = [*held.images, np.zeros((3, 3, 7), np.uint8), None]
    content = read((images, [*held.labels, "ants", "bees"]))
    assert [name for name, _ in content.report.skipped] == ["item 41", "item 40"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda h: (h.names, h.labels[:-1]), r"X has 40 items and y 39, and one belongs to each\."),
        (lambda h: ([], []), r"\(X, y\) is empty\. Give items with their labels\."),
        (lambda h: (h.names, None), r"y of \(X, y\) is of type NoneType, which is no list"),
        (lambda h: h.names, r"Data of type list name no labels\. Give a path, a table"),
        (lambda h: 3, r"Data of type int name no labels"),
        (lambda h: ("photos", h.labels), r"X of \(X, y\) is of type str, which is no list"),
        (lambda h: (h.names, "ants"), r"y of \(X, y\) is of type str, which is no list"),
        (lambda h: (list(range(40)), h.labels), r"Item 0 is of type int, which is no picture"),
        (lambda h: (np.zeros((40, 4)), h.labels), r"is a table of numbers without pictures"),
        (lambda h: (h.pixels - 300.0, h.labels), r"fractions of a picture go from 0 to 1"),
        (lambda h: (h.images, [None] * 40), r"no usable item among 40.*the row has no label"),
        (lambda h: (h.images, ["ants"] * 40), r"\(X, y\) has only one class, 'ants'"),
        (lambda h: (h.images, [[1, "a"]] * 39 + [3]), r"\. "),
        (lambda h: {"image": h.images}, r"dict has no column 'label'"),
        (lambda h: {"a": (h.names, h.labels)}, r"has the splits 'a', none of which is called"),
        (lambda h: {"n": list(range(40)), "label": h.labels}, r"dict is a table of numbers"),
        (
            lambda h: Pairs(h.images, [0] * 39),
            r"Pairs can't be used, as row 39 can't be read \(IndexError",
        ),
        (lambda h: Restless(h.images, h.codes), r"gives item 0 otherwise each time, as random"),
        (lambda h: Stream(), r"Stream can't be split, as its items are not known beforehand"),
    ],
)
def test_wrong_data_is_one_sentence(held: Held, data: Callable[[Held], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(data(held))


def test_a_data_set_of_no_pairs() -> None:
    class Alone(TorchDataset[Any]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, row: int) -> int:
            return row

    with pytest.raises(
        DataError, match=r"Alone can't be used, as item 0 is of type int and no pair"
    ):
        read(Alone())


def test_names_that_data_lack_are_refused(held: Held) -> None:
    schema = Schema(label="species")
    with pytest.raises(DataError, match=r"\(X, y\) has no column 'species'"):
        load(data_of((held.images, held.labels)), PICTURES, schema)
    with pytest.raises(DataError, match=r"dict has no column 'species'; its columns: 'a', 'label'"):
        load(data_of({"a": held.images, "label": held.labels}), PICTURES, schema)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from("ab")), min_size=12, unique=True))
def test_texts_are_hashed_by_content_whatever_holds_them(rows: list[tuple[str, str]]) -> None:
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    try:
        first = read((texts, labels), TEXTS)
    except DataError as error:
        with pytest.raises(DataError) as again:
            read({"text": texts, "label": labels}, TEXTS)
        assert (
            str(again.value).replace("dict", "(X, y)").split(": ")[0] == str(error).split(": ")[0]
        )
        return
    assert contents(first) == contents(read({"text": texts, "label": labels}, TEXTS))
    backwards = read((texts[::-1], labels[::-1]), TEXTS)
    assert contents(backwards) == contents(first)


def test_frames_of_pandas(held: Held) -> None:
    pd = pytest.importorskip("pandas")
    expected = contents(read(held.root))
    frame = pd.DataFrame({"scan": held.images, "label": pd.Categorical(held.labels)})
    content = read(frame)
    assert contents(content) == expected
    assert content.items[0].id == "row 0"
    named_frame = frame.set_index(pd.Index([f"animal {n}" for n in range(40)]))
    assert read(named_frame).items[0].id == "animal 0"
    twice = frame.set_index(pd.Index(["same"] * 40))
    assert read(twice).items[0].id == "row 0"
    inputs, targets = named_frame[["scan"]], named_frame["label"]
    assert read((inputs, targets)).items[0].id == "animal 0"
    assert contents(read((named_frame["scan"], targets))) == expected
    assert read((WORDS, pd.DataFrame({"x": NUMBERS, "y": NUMBERS})), TEXTS).labels == ("x", "y")
    with pytest.raises(DataError, match=r"DataFrame has no column 'lbl'; its columns: 'scan'"):
        load(data_of(frame), PICTURES, Schema(label="lbl"))
    with pytest.raises(DataError, match=r"X has a column 'label', and y is called so too"):
        read((frame, targets))


def test_frames_of_polars(held: Held) -> None:
    pl = pytest.importorskip("polars")
    expected = contents(read(held.root))
    assert contents(read(pl.DataFrame({"file": held.names, "label": held.labels}))) == expected
    assert contents(read(pl.DataFrame({"image": held.bytes, "label": held.labels}))) == expected
    assert contents(read((pl.Series(held.names), pl.Series(held.labels)))) == expected
    texts = pl.DataFrame({"text": WORDS, "label": SIZES})
    assert contents(read(texts, TEXTS)) == contents(read((WORDS, SIZES), TEXTS))


def test_data_sets_of_hugging_face(held: Held) -> None:
    datasets = pytest.importorskip("datasets")
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))}
    columns = {
        "image": [{"bytes": raw, "path": None} for raw in held.bytes],
        "label": held.codes,
    }
    whole = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
    expected = contents(read(held.root))
    content = read(whole)
    assert (contents(content), content.labels) == (expected, CLASSES)
    assert contents(read(whole.shuffle(seed=0))) == expected
    splits = datasets.DatasetDict(
        {"train": whole.select(range(8, 40)), "test": whole.select(range(8))}
    )
    assert len(read(splits).split("test")) == 8
    with pytest.raises(DataError, match=r"IterableDataset can't be split, as its rows are not"):
        read(whole.to_iterable_dataset())

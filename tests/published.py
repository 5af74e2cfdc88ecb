"""Data sets in the forms that they were published in: pictures as numbers, lines with classes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from annotations import via_region
from document_tables import Form
from layouts import CUT, HELD, pictures, table, texts
from scipy.io import savemat

NAMES = ("cat", "dog")
TEST = rf"`test` is the held-out test; {HELD}"


def bright(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Numbers of pixels (count, size) from 0 to 255, brighter from row to row as pictures are."""
    return np.sort(np.random.default_rng(seed).integers(0, 256, (count, size), dtype=np.uint8))


def lines(path: Path, every: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(every) + "\n", encoding="utf-8")
    return path


def fer(root: Path) -> None:
    """Grey values in one cell, and a column of splits."""
    usage = ("Training", "PublicTest", "PrivateTest")
    rows = enumerate(bright(60, 64))
    cells = ((n % 2, " ".join(map(str, row)), usage[n // 20]) for n, row in rows)
    table(root / "fer2013.csv", "emotion,pixels,Usage", cells)


def columns(root: Path, header: bool = True) -> None:
    """A column for each pixel."""
    names = ["label", *(f"pixel{n}" for n in range(64))] if header else [0, *bright(1, 64, 9)[0]]
    for split, count in (("train", 40), ("test", 20)):
        rows = [(n % 2, *row) for n, row in enumerate(bright(count, 64, count))]
        table(root / f"mnist_{split}.csv", ",".join(map(str, names)), rows)


def idx(root: Path, suffix: str = "") -> None:
    """MNIST's files, perhaps packed: big-endian sizes, then bytes."""
    for split, count in (("train", 40), ("t10k", 20)):
        header = np.array([2051, count, 8, 8], ">i4").tobytes()
        numbers = np.array([2049, count], ">i4").tobytes() + bytes(n % 2 for n in range(count))
        for kind, content in (
            ("images-idx3", header + bright(count, 64, count).tobytes()),
            ("labels-idx1", numbers),
        ):
            packed = gzip.compress(content) if suffix else content
            (root / f"{split}-{kind}-ubyte{suffix}").write_bytes(packed)


def cifar(root: Path, finer: bool = False) -> None:
    """Records of one label, or a coarse and a fine one, and three planes."""
    batches = ("train", "test") if finer else ("data_batch_1", "data_batch_2", "test_batch")
    for seed, batch in enumerate(batches):
        fine = (np.arange(20) % 2).astype(np.uint8)[:, None]
        coarse = np.zeros((20, 1 if finer else 0), np.uint8)
        records = np.hstack([coarse, fine, bright(20, 3072, seed)])
        (root / f"{batch}.bin").write_bytes(records.tobytes())
    names = "fine_label_names.txt" if finer else "batches.meta.txt"
    lines(root / names, [*NAMES, ""])


def stl(root: Path) -> None:
    """Three planes column by column, classes from 1, and pictures without labels."""
    for split, count in (("train", 20), ("test", 10)):
        (root / f"{split}_X.bin").write_bytes(bright(count, 27648, count).tobytes())
        (root / f"{split}_y.bin").write_bytes(bytes(1 + n % 2 for n in range(count)))
    (root / "unlabeled_X.bin").write_bytes(bright(1, 27648).tobytes())
    lines(root / "class_names.txt", NAMES)
    lines(root / "fold_indices.txt", ["0 1 2"])


def svhn(root: Path) -> None:
    """Pictures one behind the other in the last axis, and digits of which 10 is 0."""
    for split, count in (("train", 20), ("test", 10)):
        shape = (32, 32, 3, count)
        digits = np.array([(10, 4)[n % 2] for n in range(count)], np.uint8)[:, None]
        content = {"X": bright(count, 3072, count).reshape(shape), "y": digits}
        savemat(root / f"{split}_32x32.mat", content, do_compression=True)


def medmnist(root: Path, columns: int = 1) -> None:
    """Arrays of pictures and of labels (N, 1) for each split."""
    arrays: dict[str, Any] = {}
    for split, count in (("train", 20), ("val", 12), ("test", 10)):
        arrays[f"{split}_images"] = bright(count, 192, count).reshape(count, 8, 8, 3)
        arrays[f"{split}_labels"] = (np.arange(count * columns) % 2).reshape(count, columns)
    np.savez_compressed(root / "pathmnist.npz", **arrays)


def keras(root: Path) -> Path:
    arrays: dict[str, Any] = {}
    for split, count in (("train", 20), ("test", 10)):
        arrays[f"x_{split}"] = bright(count, 64, count).reshape(count, 8, 8)
        arrays[f"y_{split}"] = (np.arange(count) % 2).astype(np.uint8)
    np.savez(root / "mnist.npz", **arrays)
    return root / "mnist.npz"


def dtd(root: Path) -> None:
    """Several splits of the same files, by number."""
    pictures(root / "images", NAMES)
    names = [f"{kind}/{n}.bmp" for n in range(20) for kind in NAMES]
    for number in range(1, 11):
        for place, split in enumerate(("train", "val", "test")):
            own = names[(place + number) % 3 :: 3]
            lines(root / "labels" / f"{split}{number}.txt", own)
    lines(root / "labels/labels_joint_anno.txt", [f"{name} {name[:3]}" for name in names])


def trec(root: Path, encoding: str = "utf-8") -> None:
    for name, count in (("train_5500", 40), ("TREC_10", 20)):
        every = [f"{('HUM:ind', 'LOC:city')[n % 2]} Is {name} café {n} ?\n" for n in range(count)]
        (root / f"{name}.label").write_bytes("".join(every).encode(encoding))


def sst(root: Path) -> None:
    for split in ("train", "dev", "test"):
        trees = [f"({n % 5} (2 Its) (3 ({n % 2} {split}{n}) (2 -LRB-)))" for n in range(50)]
        lines(root / "trees" / f"{split}.txt", trees)


def fast_text(root: Path, several: bool = False) -> None:
    for split, count in (("train", 40), ("test", 20)):
        marks = [
            f"__label__{1 + n % 2}" + " __label__x" * (several and n % 3 == 0) for n in range(count)
        ]
        lines(root / f"{split}.ft.txt", [f"{m} {split} {n}: so good" for n, m in enumerate(marks)])


def news(root: Path) -> None:
    texts(root, ("20news-bydate-train", "20news-bydate-test"), ("alt.atheism", "sci.med"), "")


def headless(root: Path, form: str) -> None:
    """Tables by split without a header."""
    for split, count in (("train", 40), ("test", 20)):
        lines(root / f"{split}.csv", (form.format(s=split, n=n, c=1 + n % 4) for n in range(count)))


def cola(root: Path) -> None:
    rows = (f"gj{n % 3}\t{n % 2}\t{'*' * (n % 2)}\tThe cat number {n} sat." for n in range(40))
    lines(root / "in_domain_train.tsv", rows)


def tweets(root: Path) -> Path:
    form = '"{c}","14{n}","Mon Apr 06 22:{n}","NO_QUERY","user{n}","caf\xe9 number {n} is so bad"\n'
    rows = (form.format(c=4 * (n % 2), n=n) for n in range(40))
    path = root / "training.1600000.processed.noemoticon.csv"
    path.write_text("".join(rows), "latin-1")
    return path


def inaturalist(root: Path) -> None:
    """COCO's form without boxes: a category for each picture."""
    files = [p.relative_to(root).as_posix() for p in pictures(root / "train_val", ("a/0", "b/1"))]
    document = {
        "images": [{"id": n, "file_name": file} for n, file in enumerate(files)],
        "annotations": [{"id": n, "image_id": n, "category_id": n % 2} for n in range(40)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(NAMES)],
    }
    (root / "train2017.json").write_text(json.dumps(document))


def _files(folder: Path) -> Iterable[tuple[int, str]]:
    for n, path in enumerate(pictures(folder)):
        yield n, path.name


def kitti(root: Path) -> None:
    for n, _ in _files(root / "training/image_2"):
        box = f"{NAMES[n % 2]} 0 0 -1.5 1 1 3 3 2.8 2.6 12.3 0.4 1.4 69.4 -1.5"
        lines(root / f"training/label_2/{n}.txt", [box])


def labelme(root: Path) -> None:
    for n, file in _files(root):
        shape = {"label": NAMES[n % 2], "points": [[1, 1], [3, 3]], "shape_type": "rectangle"}
        document: dict[str, Any] = {"version": "5.4", "shapes": [shape], "imagePath": file}
        document |= {"imageWidth": 4, "imageHeight": 4, "imageData": None}
        (root / f"{n}.json").write_text(json.dumps(document))


def via(root: Path) -> None:
    shape = {"name": "rect", "x": 1, "y": 1, "width": 2, "height": 2}
    regions: dict[str, Any] = {
        file: {
            "filename": file,
            "regions": [via_region(shape, {"class": NAMES[n % 2]})],
        }
        for n, file in _files(root)
    }
    project = {"_via_settings": {}, "_via_img_metadata": regions}
    (root / "via_project.json").write_text(json.dumps(project))


BOXES = r"read: cat, dog; 20 items; .*20 boxes in 20 pictures, read as {}.*"
PICTURES = [
    Form(
        "a table with pixels in one column and splits in another (FER2013)",
        fer,
        r"read: 0, 1; 60 items; `Training`, `PublicTest` and `PrivateTest` are the splits .*; the "
        r"numbers in `pixels` are the pixels of pictures \(.*\); `pixels` is the content, .*",
    ),
    Form(
        "a table with a column for each pixel (MNIST as CSV)",
        columns,
        rf"read: 0, 1; 60 items; {TEST}; the numbers in `pixel0` to `pixel63` are .*",
    ),
    Form(
        "the same without a header",
        lambda root: columns(root, header=False),
        rf"read: 0, 1; 61 items; {TEST}; .*the numbers in `column 2` to `column 65` are .*",
    ),
    Form(
        "`train-images-idx3-ubyte`, `train-labels-idx1-ubyte` (MNIST)",
        idx,
        r"read: 0, 1; 60 items; `t10k` is the held-out test; .*",
    ),
    Form(
        "`train-images-idx3-ubyte.gz`, …",
        lambda root: idx(root, ".gz"),
        r"read: 0, 1; 60 items; `t10k` is the held-out test; .*",
    ),
    Form(
        "`data_batch_1.bin`, `test_batch.bin` (CIFAR-10)",
        cifar,
        rf"read: cat, dog; 60 items; {TEST}; .*",
    ),
    Form(
        "`train.bin`, `test.bin` (CIFAR-100, of which the fine classes are read)",
        lambda root: cifar(root, finer=True),
        rf"read: cat, dog; 40 items; {TEST}; .*",
    ),
    Form("`train_X.bin`, `train_y.bin` (STL-10)", stl, rf"read: cat, dog; 30 items; {TEST}; .*"),
    Form("`train_32x32.mat`, `test_32x32.mat` (SVHN)", svhn, rf"read: 0, 4; 30 items; {TEST}; .*"),
    Form(
        "`pathmnist.npz` with `train_images`, `train_labels`, … (MedMNIST)",
        medmnist,
        r"read: 0, 1; 42 items; `train`, `val` and `test` are the splits as named; .*",
    ),
    Form(
        "`mnist.npz` with `x_train`, `y_train`, … (Keras)",
        keras,
        rf"read: 0, 1; 30 items; {TEST}; .*",
    ),
    Form(
        "`images/<class>`, `labels/train1.txt`, … `labels/test10.txt` (DTD)",
        dtd,
        r"read: cat, dog; 40 items; `train1\.txt`, `val1\.txt` and `test1\.txt` are the splits .* "
        r"\(the first of 10 such splits\)",
    ),
    Form(
        "`train_val/…`, `train2017.json` with a category for each picture (iNaturalist)",
        inaturalist,
        r"read: cat, dog; 40 items; .*`file_name` is the content, `label` the label",
    ),
    Form("`training/image_2/`, `training/label_2/*.txt` (KITTI)", kitti, BOXES.format("KITTI")),
    Form("`1.jpg` and `1.json` (LabelMe)", labelme, BOXES.format("LabelMe")),
    Form("`via_project.json` (VGG Image Annotator)", via, BOXES.format("VIA")),
]
TEXTS = [
    Form(
        "`train_5500.label`, `TREC_10.label` with `LOC:city` before each question (TREC)",
        trec,
        rf"read: HUM, LOC; 60 items; `TREC_10\.label` is the held-out test; {HELD}.*",
    ),
    Form(
        "the same in Latin-1, as it is published",
        lambda root: trec(root, "latin-1"),
        r"refused: .* `iconv .*` where Windows wrote it, and put that in its place\.",
    ),
    Form(
        "`trees/train.txt`, `dev.txt`, `test.txt` of `(3 (2 A) (4 gem))` (SST)",
        sst,
        r"read: 0, 1, 2, 3, 4; 150 items; `train`, `dev` and `test` are the splits as named; .*",
    ),
    Form(
        "`train.ft.txt`, `test.ft.txt` with `__label__` (fastText, Amazon's reviews)",
        fast_text,
        rf"read: 1, 2; 60 items; {TEST}; .*",
    ),
    Form(
        "texts whose files are called by numbers (20 Newsgroups)",
        news,
        r"read: alt\.atheism, sci\.med; 80 items; `20news-bydate-test` is .*",
    ),
    Form(
        "`SMSSpamCollection`, without suffix and header",
        lambda root: (
            lines(
                root / "SMSSpamCollection", (f"{('ham', 'spam')[n % 2]}\tOk {n}" for n in range(40))
            ).parent
        ),
        rf"read: ham, spam; 40 items; {CUT}; each line holds a class, a tab, and a text, .*",
    ),
    Form(
        "class, title and text without a header (AG News, DBpedia)",
        lambda root: headless(root, '"{c}","Title of {s} {n}","A longer text of {s}, number {n}"'),
        rf"read: 1, 2, 3, 4; 60 items; {TEST}; .*`column 3` is the text, `column 1` the label; "
        r"`column 2` holds words, too, .*",
    ),
    Form(
        "class and text without a header (Yelp)",
        lambda root: headless(root, '"{c}","The ""{s}"" number {n} was good"'),
        rf"read: 1, 2, 3, 4; 60 items; {TEST}; .*`column 2` is the text, `column 1` the label; .*",
    ),
    Form(
        "source, class, mark and text without a header (CoLA)",
        cola,
        r"refused: .* has no column 'label'; its columns: 'column 1', .* the label \(--label, .*",
    ),
    Form(
        "six columns without a header in Latin-1 (Sentiment140)",
        tweets,
        r"refused: .* `iconv .*` where Windows wrote it, and put that in its place\.",
    ),
]

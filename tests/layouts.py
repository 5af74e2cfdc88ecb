"""How people's data lie: each layout written into a folder, and what must come of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from document_tables import Form
from PIL import Image as pil

COUNT = 20  # pictures of a class
_drawn = iter(range(10**9))


def picture(path: Path) -> Path:
    """One small picture unlike all others, as bytes that no library's version changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(next(_drawn)).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    pil.fromarray(pixels).save(path, "BMP")
    return path


def pictures(folder: Path, names: Iterable[str] = ("",), count: int = COUNT) -> list[Path]:
    """Pictures `0.bmp`, `1.bmp` … in folders of these names."""
    return [picture(folder / name / f"{n}.bmp") for name in names for n in range(count)]


def table(path: Path, header: str, rows: Iterable[tuple[object, ...]]) -> None:
    """A table parted by commas."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def alternate(
    names: Iterable[str], labels: tuple[str, str] = ("cat", "dog")
) -> list[tuple[str, str]]:
    """Each name with a label, by turns."""
    return [(name, labels[place % 2]) for place, name in enumerate(names)]


def classes(*folders: str, names: tuple[str, ...] = ("cat", "dog")) -> Callable[[Path], None]:
    """Class folders in each of these folders."""

    def write(root: Path) -> None:
        for folder in folders:
            pictures(root / folder, names)

    return write


def both(*writers: Callable[[Path], object]) -> Callable[[Path], None]:
    """One after the other, into the same folder."""

    def write(root: Path) -> None:
        for writer in writers:
            writer(root)

    return write


def flat(*folders: str) -> Callable[[Path], None]:
    """Pictures right in each of these folders."""
    return both(*(lambda root, own=folder: pictures(root / own) for folder in folders))


def listed(name: str, header: str, ways: Callable[[int], str]) -> Callable[[Path], None]:
    """A table of 40 rows with labels by turns."""
    return lambda root: table(root / name, header, alternate(ways(n) for n in range(40)))


def hugging_face_cache(root: Path) -> Path:
    """A snapshot of links to blobs; the snapshot is what is given."""
    snapshot = root / "snapshots" / "3f2a"
    snapshot.mkdir(parents=True)
    for n in range(40):
        picture(root / "blobs" / f"{n:032x}")
        (snapshot / f"{n}.bmp").symlink_to(f"../../blobs/{n:032x}")
    table(snapshot / "metadata.csv", "file_name,label", alternate(f"{n}.bmp" for n in range(40)))
    return snapshot


def leaving_link(root: Path) -> Path:
    picture(root.parent / "elsewhere.bmp")
    (root / "x.bmp").symlink_to(root.parent / "elsewhere.bmp")
    flat("")(root)
    table(root / "labels.csv", "image,label", [("x.bmp", "cat"), ("1.bmp", "dog")])
    return root / "labels.csv"


def composed(root: Path) -> None:
    """Names as macOS writes them on the disk, and as the manifest has them."""
    for n in range(40):
        picture(root / unicodedata.normalize("NFD", f"café{n}.bmp"))
    listed("labels.csv", "image,label", lambda n: unicodedata.normalize("NFC", f"café{n}.bmp"))(
        root
    )


def upper_case(root: Path) -> None:
    for n in range(40):
        picture(root / f"IMG{n}.BMP")
    listed("labels.csv", "image,label", lambda n: f"img{n}.bmp")(root)


def texts(root: Path, splits: Iterable[str], names: Iterable[str], suffix: str = ".txt") -> None:
    for split in splits:
        for name in names:
            for n in range(COUNT):
                path = root / split / name / f"{n}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{split} {name} number {n}")


def kaggle_table(root: Path) -> None:
    texts_of = [(n, f"text number {n}", f"{n % 7}.5") for n in range(60)]
    table(root / "train.csv", "id,text,target", texts_of)
    table(root / "test.csv", "id,text", [(n, f"other text {n}") for n in range(20)])
    table(root / "sample_submission.csv", "id,target", [(n, 0) for n in range(20)])


def hidden(root: Path, label: str) -> None:
    for split, count in (("train", 60), ("validation", 20), ("test", 20)):
        rows = [(f"{split} text {n}", label if split == "test" else n % 2) for n in range(count)]
        table(root / f"{split}.csv", "sentence,label", rows)


CUT = r"train, validation and test \(70/15/15\) are cut by content hash"
HELD = r"validation \(20 %\) is cut from `\w+` by content hash"
_SITES = [f"{site}/{year}" for site in ("london", "paris") for year in ("2019", "2020")]

PICTURES = [
    Form("`<class>/1.jpg`", classes(""), rf"read: cat, dog; 40 items; {CUT}"),
    Form(
        "`train/<class>`, `val/<class>`, `test/<class>`",
        classes("train", "val", "test"),
        r"read: cat, dog; 120 items; `train`, `val` and `test` are the splits as named",
    ),
    Form(
        "`Training/<class>`, `Testing/<class>`",
        classes("Training", "Testing"),
        rf"read: cat, dog; 80 items; `Testing` is the held-out test; {HELD}",
    ),
    Form(
        "`train/<class>`, `valid/<class>`, flat `test/`",
        both(classes("train", "valid"), flat("test")),
        r"read: cat, dog; 80 items; `test` has no labels; `valid` is the validation; "
        r"test \(20 %\) is cut from `train` by content hash; "
        r"Folder 'test' holds 20 files without labels and is not used\.",
    ),
    Form(
        "`train/<class>`, flat `test/`",
        both(classes("train"), flat("test")),
        rf"read: cat, dog; 40 items; `test` has no labels; {CUT}; Folder 'test' .* is not used\.",
    ),
    Form(
        "flat `train/` and `test/` alone",
        flat("train", "test"),
        r"refused: data parts its files into 'test' and 'train' but names no class\. .*",
    ),
    Form(
        "`training_set/training_set/<class>`, `test_set/test_set/<class>`",
        classes("training_set/training_set", "test_set/test_set"),
        rf"read: cat, dog; 80 items; `test_set` is the held-out test; {HELD}; "
        r"the folders of level 2 are the classes: 'cat', 'dog'",
    ),
    Form(
        "`seg_train/seg_train/<class>`, `seg_test/…`, flat `seg_pred/seg_pred`",
        both(classes("seg_train/seg_train", "seg_test/seg_test"), flat("seg_pred/seg_pred")),
        rf"read: cat, dog; 80 items; `seg_test` is the held-out test; {HELD}; .*"
        r"Folder 'seg_pred' holds 20 files without labels and is not used\.",
    ),
    Form(
        "`train_images/<class>`, `val2017/<class>`",
        classes("train_images", "val2017"),
        rf"read: cat, dog; 80 items; `val2017` is the held-out test; {HELD}",
    ),
    Form(
        "`images/train/<class>`, `images/val/<class>`",
        classes("images/train", "images/val"),
        rf"read: cat, dog; 80 items; `val` is the held-out test; {HELD}; "
        "the data set lies in the folder `images`",
    ),
    Form(
        "`ILSVRC/Data/CLS-LOC/train/<class>`, flat `val/` and `test/`",
        both(
            classes("ILSVRC/Data/CLS-LOC/train", names=("n01440764", "n02102040")),
            flat("ILSVRC/Data/CLS-LOC/val", "ILSVRC/Data/CLS-LOC/test"),
        ),
        rf"read: n01440764, n02102040; 40 items; `test` .*`val` has no labels; {CUT}; "
        r"the data set lies in the folder `ILSVRC/Data/CLS-LOC`; .*",
    ),
    Form(
        "`<class>/train/`, `<class>/test/`",
        classes("cat", "dog", names=("train", "test")),
        rf"read: cat, dog; 80 items; `test` is the held-out test; {HELD}; .* level 1 .*",
    ),
    Form(
        "`data/data/<class>`",
        classes("data"),
        rf"read: cat, dog; 40 items; {CUT}; the data set lies in the folder `data`",
    ),
    Form(
        "`<site>/<year>/<class>`",
        classes(*_SITES, names=("healthy", "sick")),
        rf"read: healthy, sick; 160 items; {CUT}; the folders of level 3 are the classes: "
        r"'healthy', 'sick'; --class-level 1 takes 'london', 'paris'; --class-level 2 takes .*",
    ),
    Form(
        "`<class>/<subject>`",
        classes("cat", "dog", names=("subject_1", "subject_2")),
        rf"read: cat, dog; 80 items; {CUT}; the folders of level 1 are the classes: 'cat', 'dog'; "
        r"--class-level 2 takes 'subject_1', 'subject_2'; Folders are called `subject_1`, "
        r"`subject_2` .* Have each reported by itself with --group folder:2\.",
    ),
    Form(
        "`part_1/`, `part_2/` without a manifest",
        flat("part_1", "part_2"),
        r"refused: data has folders that only part the data \('part_1', 'part_2'\), .*",
    ),
    Form(
        "`<class>/` and `unsorted/` with one file",
        both(classes(""), lambda root: picture(root / "unsorted" / "x.bmp")),
        rf"read: cat, dog; 40 items; {CUT}; Class 'unsorted' has only one usable item and is left "
        r"out\.",
    ),
    Form(
        "`<class>/` and files beside them",
        both(classes(""), flat("")),
        rf"read: cat, dog; 40 items; {CUT}; 20 files lie in no class and are not used\.",
    ),
    Form(
        "`Cat/` and `cat/`",
        classes("", names=("Cat", "cat", "dog")),
        r"read: Cat, dog; 60 items; .*; Folders 'Cat' and 'cat' differ .* are one class, 'Cat'\.",
    ),
    Form(
        "`labels.csv` with paths, `train/` and `test/` flat",
        both(
            flat("train", "test"),
            lambda root: pictures(root / "train", count=40),
            listed("labels.csv", "image,breed", lambda n: f"train/{n}.bmp"),
        ),
        rf"read: cat, dog; 40 items; {CUT}; .*; 20 files that no row lists are not used\.",
    ),
    Form(
        "`labels.csv` with ids (`id,breed`), files in `train/`",
        both(
            lambda root: [picture(root / "train" / f"{n:08x}.bmp") for n in range(40)],
            listed("labels.csv", "id,breed", lambda n: f"{n:08x}"),
        ),
        rf"read: cat, dog; 40 items; {CUT}; `id` is the content, `breed` the label; 40 paths are "
        r"not there as written, and found as `train/00000000.bmp` is for `00000000`",
    ),
    Form(
        "`metadata.csv` beside `part_1/`, `part_2/`",
        both(
            flat("part_1", "part_2"),
            listed("metadata.csv", "image,dx", lambda n: f"part_{1 + n % 2}/{n // 2}.bmp"),
        ),
        rf"read: cat, dog; 40 items; {CUT}; `image` is the content, `dx` the label",
    ),
    Form(
        "`metadata.csv` whose paths start with `train/`, `test/`",
        both(
            flat("train", "test"),
            listed(
                "metadata.csv", "file,kind", lambda n: f"{('train', 'test')[n // 20]}/{n % 20}.bmp"
            ),
        ),
        rf"read: cat, dog; 40 items; `test` is the held-out test; {HELD}; .*",
    ),
    Form(
        "`train/metadata.csv`, `test/metadata.csv`",
        both(
            flat("train", "test"),
            *(
                lambda root, split=split: table(
                    root / split / "metadata.csv",
                    "file_name,label",
                    alternate(f"{n}.bmp" for n in range(20)),
                )
                for split in ("train", "test")
            ),
        ),
        rf"read: cat, dog; 40 items; `test` is the held-out test; {HELD}; `file_name` is .*",
    ),
    Form(
        "`train.csv` with ids and labels, `test.csv` with ids, `train/`, `test/` (Kaggle)",
        both(
            flat("test"),
            lambda root: pictures(root / "train", count=40),
            listed("train.csv", "image_id,species", str),
            lambda root: table(root / "test.csv", "image_id", [(n,) for n in range(20)]),
            lambda root: table(root / "sample_submission.csv", "image_id,species", [(0, "cat")]),
        ),
        rf"read: cat, dog; 40 items; `test` has no labels; {CUT}; .*",
    ),
    Form(
        "`<class>/` and a manifest that says otherwise",
        both(
            classes("", names=("a", "b")),
            listed("labels.csv", "image,label", lambda n: f"{'ab'[n // 20]}/{n % 20}.bmp"),
        ),
        rf"read: cat, dog; 40 items; {CUT}; `labels.csv` says the labels, and folders' names do "
        "not",
    ),
    Form(
        "`<class>/` and a table of other things",
        both(classes(""), lambda root: table(root / "history.csv", "epoch,loss", [(1, 0.5)])),
        rf"read: cat, dog; 40 items; {CUT}; history\.csv lists no item that is here and is not "
        r"used\.",
    ),
    Form(
        "two manifests of the same files",
        both(
            flat(""), *(listed(f"{n}.csv", "image,label", lambda i: f"{i % 20}.bmp") for n in "ab")
        ),
        r"refused: data holds more than one manifest \(a\.csv and b\.csv\)\. Give the path .*",
    ),
    Form(
        r"a manifest with `train\a.jpg` (Windows)",
        both(
            lambda root: pictures(root / "train", count=40),
            listed("labels.csv", "image,label", lambda n: f"train\\{n}.bmp"),
        ),
        rf"read: cat, dog; 40 items; {CUT}",
    ),
    Form("names composed otherwise (NFC, NFD)", composed, rf"read: cat, dog; 40 items; {CUT}; .*"),
    Form("`IMG.JPG` listed as `img.jpg`", upper_case, rf"read: cat, dog; 40 items; {CUT}; .*"),
    Form(
        "a manifest with `../../etc/passwd`",
        lambda root: table(root / "labels.csv", "image,label", [("../../etc/passwd", "cat")]),
        r"refused: data/labels\.csv line 2 names '\.\./\.\./etc/passwd', which lies outside .*",
    ),
    Form(
        "links as the Hugging Face cache keeps them",
        hugging_face_cache,
        rf"read: cat, dog; 40 items; {CUT}.*",
    ),
    Form(
        "a listed link that leaves the folder",
        leaving_link,
        r"refused: data/labels\.csv line 2 names 'x\.bmp', a link to elsewhere\.bmp, which lies .*",
    ),
    Form(
        "`train/_annotations.coco.json` (Roboflow, detection)",
        both(flat("train", "valid"), lambda root: (root / "train/_annotations.coco.json").touch()),
        r"refused: data is a data set for detection \(train/_annotations\.coco\.json\).*",
    ),
    Form(
        "`train/images/`, `train/labels/*.txt` (YOLO)",
        both(flat("train/images"), lambda root: texts(root, ["train"], ["labels"])),
        r"refused: data is a data set for detection \(train/labels\).*",
    ),
    Form(
        "a saved model beside the classes",
        both(classes("", "model/artifact"), lambda root: (root / "model/headstart.json").touch()),
        rf"read: cat, dog; 40 items; {CUT}",
    ),
]
TEXTS = [
    Form(
        "`train/pos/1.txt`, `train/neg/`, `train/unsup/`, `test/…`",
        both(
            lambda root: texts(root, ("train", "test"), ("pos", "neg")),
            lambda root: texts(root, ("train",), ("unsup",)),
        ),
        rf"read: neg, pos; 80 items; `test` is the held-out test; {HELD}; "
        r"Folder 'unsup' holds items without labels and is not used\.",
    ),
    Form(
        "`train.csv` with a target, `test.csv` without",
        kaggle_table,
        rf"read: target; 60 items; `test` has no labels; {CUT}; .*",
    ),
    Form(
        "`test.csv` whose labels are all -1 (GLUE)",
        lambda root: hidden(root, "-1"),
        r"read: 0, 1; 80 items; `test` has no labels; `validation` is the validation; "
        r"test \(20 %\) is cut from `train` by content hash; .*",
    ),
    Form(
        "`test.csv` whose labels are all empty",
        lambda root: hidden(root, ""),
        r"read: 0, 1; 80 items; `test` has no labels; `validation` is the validation; "
        r"test \(20 %\) is cut from `train` by content hash; .*",
    ),
    Form(
        "folders of texts and a manifest of texts",
        both(
            lambda root: texts(root, ("",), ("pos", "neg")),
            listed("reviews.csv", "text,label", lambda n: f"text {n}"),
        ),
        r"refused: data holds folders of texts and the manifest reviews\.csv, .* Give .*",
    ),
]

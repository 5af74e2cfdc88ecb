"""Layouts of well-known data sets and competitions, as they come out of their archives."""

from __future__ import annotations

from pathlib import Path

from document_tables import Form
from layouts import (
    CUT,
    HELD,
    alternate,
    both,
    classes,
    flat,
    listed,
    picture,
    pictures,
    table,
    texts,
)


def _names_twice(root: Path) -> None:
    """Pictures called by numbers that both folders have, as of CIFAR-10."""
    for split, count in (("train", 40), ("test", 60)):
        pictures(root / split, count=count)
    listed("trainLabels.csv", "id,label", str)(root)
    table(root / "sampleSubmission.csv", "id,label", [(n, "cat") for n in range(60)])


def _celeba(root: Path, suffix: str = ".csv") -> None:
    """Attributes as 1 and -1, and numbers of splits; as text below a count of the files."""
    pictures(root / "img_align_celeba", count=40)
    signs = [(f"{n}.bmp", 1 if n % 2 else -1, 1 if n % 3 else -1) for n in range(40)]
    parts = [(f"{n}.bmp", n // 28 + n // 34) for n in range(40)]
    if suffix == ".csv":
        table(root / "list_attr_celeba.csv", "image_id,Male,Young", signs)
        table(root / "list_eval_partition.csv", "image_id,partition", parts)
        return
    lines = ["40", "Male Young ", *(f"{file} {one:2d} {other:2d}" for file, one, other in signs)]
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    parted = "".join(f"{file} {part}\n" for file, part in parts)
    (root / "list_eval_partition.txt").write_text(parted)


def _tiny_imagenet(root: Path) -> None:
    """Class folders in one split, a list of the other's files with their classes and boxes."""
    for name in ("n01", "n02"):
        pictures(root / "train" / name / "images")
    files = [path.name for path in pictures(root / "val" / "images")]
    lines = [f"{file}\tn0{1 + n % 2}\t0\t0\t3\t3\n" for n, file in enumerate(files)]
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    pictures(root / "test" / "images")


def _roboflow(root: Path) -> None:
    """One column of 0 and 1 a class; the test split's are all 0."""
    for split in ("train", "valid", "test"):
        pictures(root / split)
        ones = (0, 0) if split == "test" else (1, 0)
        rows = [(f"{n}.bmp", *(ones if n % 2 else ones[::-1])) for n in range(20)]
        table(root / split / "_classes.csv", "filename, cat, dog", rows)


def _imdb(root: Path) -> None:
    texts(root / "aclImdb", ("train", "test"), ("pos", "neg"))
    texts(root / "aclImdb", ("train",), ("unsup",))
    for name in ("imdbEr.txt", "train/urls_pos.txt", "train/urls_neg.txt", "README", "imdb.vocab"):
        (root / "aclImdb" / name).write_text("http://example.org")


def _glue(root: Path) -> None:
    for split in ("train", "dev"):
        rows = [(f"{split} text {n}", n % 2) for n in range(40)]
        table(root / "SST-2" / f"{split}.csv", "sentence,label", rows)
    table(root / "SST-2/test.csv", "index,sentence", [(n, f"test text {n}") for n in range(20)])
    texts(root / "SST-2", ("original",), ("",))


def _toxic(root: Path) -> None:
    rows = [(n, f"comment {n}", n % 2, int(n % 3 == 0)) for n in range(60)]
    table(root / "train.csv", "id,text,toxic,insult", rows)
    table(root / "test.csv", "id,text", [(n, f"other {n}") for n in range(20)])
    table(root / "test_labels.csv", "id,toxic,insult", [(n, -1, -1) for n in range(20)])


def _elsewhere(root: Path) -> None:
    pictures(root / "im", count=40)
    listed("labels.csv", "path,label", lambda n: f"/kaggle/input/pets/im/{n}.bmp")(root)


def _folds(root: Path) -> None:
    rows = alternate(f"text {n}" for n in range(40))
    table(root / "train.csv", "text,label", rows)
    table(root / "train_folds.csv", "text,label,fold", [(*row, 1) for row in rows])


def _systems(root: Path) -> None:
    classes("")(root)
    for name in ("$RECYCLE.BIN", "@eaDir", "__MACOSX", ".ipynb_checkpoints"):
        picture(root / name / "x.bmp")
    (root / "lost+found").mkdir()


def _listed_apart(root: Path) -> None:
    """Lists of what is held out beside the class folders, as of Speech Commands."""
    classes("")(root)
    for name, numbers in (("validation_list", (0, 1)), ("testing_list", (2, 3, 4))):
        lines = [f"{kind}/{n}.bmp\n" for kind in ("cat", "dog") for n in numbers]
        (root / f"{name}.txt").write_text("".join(lines))


def _meta(root: Path) -> None:
    """Lists of both splits without suffixes in a folder of their own, as of Food-101."""
    classes("images")(root)
    (root / "meta").mkdir()
    for split, numbers in (("train", range(15)), ("test", range(15, 20))):
        lines = [f"{kind}/{n}\n" for kind in ("cat", "dog") for n in numbers]
        (root / "meta" / f"{split}.txt").write_text("".join(lines))
    (root / "meta/classes.txt").write_text("cat\ndog\n")


def _ones(root: Path) -> None:
    pictures(root / "Training_Input", count=40)
    rows = [(n, float(n % 2), float(n % 2 == 0)) for n in range(40)]
    table(root / "Training_GroundTruth/truth.csv", "image,MEL,NV", rows)


def _masked(root: Path) -> None:
    classes("")(root)
    for kind in ("cat", "dog"):
        for n in range(20):
            picture(root / kind / f"{n}_mask.bmp")


def _by_name(root: Path) -> None:
    for n in range(40):
        picture(root / "train" / f"{('cat', 'dog')[n % 2]}.{n}.bmp")
    pictures(root / "test1", count=10)


PICTURES = [
    Form(
        "`<class>/`, `validation_list.txt`, `testing_list.txt` (Speech Commands)",
        _listed_apart,
        r"read: cat, dog; 40 items; `the other files`, `validation_list\.txt` and "
        r"`testing_list\.txt` are the splits as named; .*",
    ),
    Form(
        "`images/<class>`, `meta/train.txt`, `meta/test.txt` (Food-101)",
        _meta,
        r"read: cat, dog; 40 items; `test\.txt` is the held-out test; validation \(20 %\) is cut "
        r"from `train\.txt` by content hash; .*",
    ),
    Form(
        "flat folder, `meta/esc50.csv` with the file names (ESC-50)",
        both(flat("audio"), listed("meta/esc50.csv", "filename,category", lambda n: f"{n}.bmp")),
        r"read: cat, dog; .*`filename` is the content, `category` the label; .*",
    ),
    Form(
        "flat folder, a table of 0 and 1 in a folder of its own (ISIC)",
        _ones,
        r"read: MEL, NV; 40 items; .*70/15/15.*the label columns of 0 and 1 are MEL, NV",
    ),
    Form(
        "`<class>/1.jpg` and `<class>/1_mask.jpg` (BUSI)",
        _masked,
        rf"read: cat, dog; 40 items; {CUT}; 40 files are masks of others and are not used\.",
    ),
    Form(
        "`images/<class>`, `masks/<class>`",
        classes("images", "masks"),
        r"read: cat, dog; 40 items; .*; Folder 'masks' holds files that belong to items and .*",
    ),
    Form(
        "flat `images/` and `annotations/trimaps/` (Oxford Pets)",
        both(flat("images", "annotations/trimaps")),
        r"refused: data has its files in one folder, 'images', which names no class\. .*",
    ),
    Form(
        "flat `train/cat.0.jpg`, `test1/1.jpg` (Dogs vs. Cats)",
        _by_name,
        r"refused: data parts its files into 'test1' and 'train' but names no class\. .*"
        r"by --label name:0, which say 'cat', 'dog'\.",
    ),
    Form(
        "`asl_train/asl_train/<class>`, flat `asl_test/asl_test`",
        both(classes("asl_train/asl_train"), flat("asl_test/asl_test")),
        rf"read: cat, dog; 40 items; `asl_test` has no labels; {CUT}; .*'asl_test' holds 20 .*",
    ),
    Form(
        "`<class>/` and a copy of them in a folder (`all/<class>`)",
        classes("", "tumor_dataset"),
        rf"read: cat, dog; 40 items; {CUT}; Folder 'tumor_dataset' lies beside the classes, .*",
    ),
    Form(
        "`<class>/` and folders of systems (`@eaDir`, `lost+found`, …)",
        _systems,
        rf"read: cat, dog; 40 items; {CUT}",
    ),
    Form(
        "`trainLabels.csv` with ids that `train/` and `test/` both have",
        _names_twice,
        r"read: cat, dog; 40 items; .*found as `train/0\.bmp` is for `0`",
    ),
    Form(
        "tables of attributes and of splits (CelebA)",
        _celeba,
        r"read: Male, Young; 40 items; `train`, `validation` and `test` are the splits as named; "
        r".*`list_eval_partition\.csv` says which split a file is in; .*",
    ),
    Form(
        "the same as text, below a count of the files",
        lambda root: _celeba(root, ".txt"),
        r"read: Male, Young; 40 items; `train`, `validation` and `test` are the splits as named; "
        r"`file` is the content, .*`list_eval_partition\.txt` says .*",
    ),
    Form(
        "several lists of the same files (CelebA's attributes and people)",
        both(
            lambda root: _celeba(root, ".txt"),
            lambda root: (root / "identity_CelebA.txt").write_text(
                "".join(f"{n}.bmp {n % 9}\n" for n in range(40))
            ),
        ),
        r"refused: data holds 2 lists of its files, such as identity_CelebA\.txt and "
        r"list_attr_celeba\.txt\. Give the path of the one with the labels .* by --label\.",
    ),
    Form(
        "a list of the files of `val/` with their classes (Tiny ImageNet)",
        _tiny_imagenet,
        r"read: n01, n02; 60 items; `test` has no labels; `val` is the validation; test .*",
    ),
    Form(
        "pictures in one folder, labels in a `.mat` beside it (Oxford's flowers)",
        both(flat("jpg"), lambda root: (root / "imagelabels.mat").write_bytes(b"MATLAB 5.0")),
        r"refused: .* 'jpg', which names no class\. .* or save what imagelabels\.mat says as .*",
    ),
    Form(
        "`_classes.csv` in each split, 0 throughout in `test/`",
        _roboflow,
        r"read: cat, dog; 40 items; `test` has no labels; `valid` is the validation; test .*",
    ),
    Form(
        "a manifest with the paths of another machine",
        _elsewhere,
        rf"read: cat, dog; 40 items; {CUT}; .*; 40 paths are not there as written, and found as "
        r"`im/0\.bmp` is for `/kaggle/input/pets/im/0\.bmp`",
    ),
    Form(
        "`train2017/`, `annotations/instances_….json` (COCO)",
        both(
            flat("train2017"),
            lambda root: (root / "annotations").mkdir(),
            lambda root: (root / "annotations/instances_train2017.json").touch(),
        ),
        r"refused: data is a data set for detection \(annotations/instances_train2017\.json\).*",
    ),
]
TEXTS = [
    Form(
        "`aclImdb/train/pos/1.txt`, lists beside the classes (IMDB)",
        _imdb,
        rf"read: neg, pos; 80 items; `test` is the held-out test; {HELD}; .*`aclImdb`.*'unsup'.*",
    ),
    Form(
        "texts in files without a suffix",
        lambda root: texts(root, ("news",), ("a", "b"), suffix="th"),
        r"refused: data holds no items \(.*\)\. Rename texts to end in \.txt, .*",
    ),
    Form(
        "tables by split and a folder of other texts (GLUE's SST-2)",
        _glue,
        r"read: 0, 1; 80 items; `test` has no labels; `dev` is the validation; .*",
    ),
    Form(
        "`test.csv` and `test_labels.csv` (Toxic Comments)",
        _toxic,
        r"read: insult, toxic; 60 items; .*; test_labels\.csv holds no texts and is not used\..*",
    ),
    Form(
        "`train.csv` and `train_folds.csv` of the same texts",
        _folds,
        r"refused: data holds more than one table of 'train' \(train\.csv and train_folds\.csv\).*",
    ),
    Form(
        "`train.csv` and another table",
        both(
            listed("train.csv", "text,label", lambda n: f"text {n}"),
            listed("other.csv", "text,label", lambda n: f"other {n}"),
        ),
        r"read: cat, dog; 40 items; .*; other\.csv is of no split and is not used\.",
    ),
    Form(
        "tables in several folders, one a data set",
        both(*(listed(f"{n}/train.csv", "text,label", lambda i: f"text {i}") for n in "ab")),
        r"refused: data holds tables in several folders, such as 'a' and 'b', .* such as data/a\.",
    ),
]

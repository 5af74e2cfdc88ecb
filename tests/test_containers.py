"""Data sets that came packed: archives, saved data sets, shards, and tables in several files."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from document_tables import Form, check_names, check_row, outcome
from PIL import Image as pil

from headstart.data import Dataset, load
from headstart.data.containers import ARCHIVES
from headstart.errors import DataError
from headstart.features.cache import entries
from headstart.modalities.image import Image
from headstart.modalities.text import Text

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
COUNT = 40
LABELS = ("ants", "bees")


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    pil.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def tree() -> dict[str, bytes]:
    return {f"{LABELS[n % 2]}/{n}.png": picture(n) for n in range(COUNT)}


def samples(first: int = 0, count: int = COUNT, told: str = "cls") -> dict[str, bytes]:
    """The files of WebDataset samples."""
    files: dict[str, bytes] = {}
    for n in range(first, first + count):
        label = json.dumps({"label": LABELS[n % 2]}) if told == "json" else LABELS[n % 2]
        files |= {f"{n:03}.png": picture(n), f"{n:03}.{told}": label.encode()}
    return files


def packed(name: str, files: Mapping[str, bytes]) -> Callable[[Path], Path]:
    """What writes an archive of these files into a folder."""

    def write(folder: Path) -> Path:
        path = folder / name
        if name.endswith(".zip"):
            with zipfile.ZipFile(path, "w") as archive:
                for inner, content in files.items():
                    archive.writestr(inner, content)
            return path
        mode: Any = "w:" + {"tgz": "gz", "tbz2": "bz2", "txz": "xz"}.get(
            path.suffix[1:], path.suffix[1:].replace("tar", "")
        )
        with tarfile.open(path, mode) as archive:
            for inner, content in files.items():
                member = tarfile.TarInfo(inner)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return path

    return write


def columns(first: int, count: int) -> pa.Table:
    """Pictures as datasets 5.2 keeps them."""
    numbers = range(first, first + count)
    image = [{"bytes": picture(n), "path": f"{n}.png"} for n in numbers]
    kinds = {"image": {"_type": "Image"}, "label": {"names": LABELS, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": kinds}})}
    return pa.table({"image": image, "label": [n % 2 for n in numbers]}).replace_schema_metadata(
        metadata
    )


def saved(folder: Path, first: int = 0, count: int = COUNT, split: str | None = None) -> None:
    """A folder as `Dataset.save_to_disk` of datasets 5.2 writes it, in two files."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-0000{n}-of-00002.arrow" for n in range(2)]
    for n, name in enumerate(names):
        part = columns(first + n * count // 2, count // 2)
        with (
            pa.OSFile(str(folder / name), "wb") as file,
            pa.ipc.new_stream(file, part.schema) as out,
        ):
            out.write_table(part, max_chunksize=7)
    state = {"_data_files": [{"filename": name} for name in names], "_split": split}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")


def saved_by_split(folder: Path) -> None:
    for n, split in enumerate(("train", "test")):
        saved(folder / split, n * COUNT // 2, COUNT // 2, split)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))


def parts(pattern: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for n in range(4):
            path = folder / pattern.format(n)
            path.parent.mkdir(exist_ok=True)
            pq.write_table(columns(10 * n, 10), path)

    return write


def shard_folder(*names: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        each = COUNT // len(names)
        for n, name in enumerate(names):
            packed(name, samples(n * each, each))(folder)

    return write


def paths_alone(folder: Path) -> None:
    """What `to_parquet` of datasets 5.2 writes of pictures in files."""
    image = [{"bytes": None, "path": f"/home/me/pictures/{n}.png"} for n in range(COUNT)]
    pq.write_table(pa.table({"image": image, "label": [0, 1] * 20}), folder / "train.parquet")


def summary(path: Path) -> str:
    data = load(path, Image())
    return f"read: {len(data.labels)} classes, {data.report.items} pictures"


READ = "read: 2 classes, 40 pictures"
FORMS = [
    *(
        Form(f"`{kind}` of a folder of classes", packed(f"a{kind}", tree()), READ)
        for kind in ARCHIVES
    ),
    Form("`.tar`, a WebDataset shard with `.cls`", packed("a.tar", samples()), READ),
    Form("`.tar`, a WebDataset shard with `.json`", packed("a.tar", samples(told="json")), READ),
    Form("a folder of WebDataset shards", shard_folder("s-000.tar", "s-001.tar"), READ),
    Form("WebDataset shards by split", shard_folder("train-0.tar", "test-0.tar"), READ),
    Form("`Dataset.save_to_disk`", saved, READ),
    Form("`DatasetDict.save_to_disk`", saved_by_split, READ),
    Form("`part-0.parquet`, `part-1.parquet`, …", parts("part-{}.parquet"), READ),
    Form("`part-00000-of-00004.parquet`, …", parts("part-0000{}-of-00004.parquet"), READ),
    Form("`data/0000.parquet`, …", parts("data/000{}.parquet"), READ),
    Form(
        "`to_parquet` of datasets, of pictures in files",
        paths_alone,
        r"refused: Column 'image' .* names files elsewhere, .* Save the data set by .*",
    ),
    Form(
        "a damaged archive",
        lambda folder: (folder / "a.zip").write_bytes(b"PK\x03\x04") and folder / "a.zip",
        r"refused: data/a\.zip can't be unpacked .* Fetch it again\.",
    ),
    Form(
        "an archive that leads outside itself",
        packed("a.tar", {"../a.png": b""}),
        r"refused: data/a\.tar holds '\.\./a\.png', which leads outside it, .*",
    ),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_forms_of_containers(form: Form, tmp_path: Path) -> None:
    check_row(PAGE, "containers", form, outcome(form, tmp_path / "data", summary))


def test_the_page_names_every_form() -> None:
    check_names(PAGE, "containers", FORMS)


@pytest.mark.parametrize("form", [f for f in FORMS if f.expected == READ], ids=lambda f: f.name)
def test_every_form_holds_the_same_pictures_and_labels(form: Form, tmp_path: Path) -> None:
    path = form.write(tmp_path)
    data = load(path if isinstance(path, Path) else tmp_path, Image())
    values = {item.read(): item.label for item in data.items}
    assert values == {picture(n): LABELS[n % 2] for n in range(COUNT)}
    assert len({item.id for item in data.items}) == COUNT


@pytest.mark.parametrize("write", [saved_by_split, shard_folder("train-0.tar", "test-0.tar")])
def test_splits_are_those_that_are_named(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path)
    data = load(tmp_path, Image())
    assert {item.read() for item in data.split("test")} == {picture(n) for n in range(20, 40)}


def test_an_archive_is_unpacked_once(tmp_path: Path, cache: Path) -> None:
    path = packed("a.tgz", {f"photos/{name}": content for name, content in tree().items()})(
        tmp_path
    )
    first = load(path, Image())
    times = {file: file.stat().st_mtime_ns for file in cache.rglob("*.png")}
    assert len(times) == COUNT
    assert [entry.in_use for entry in entries(cache) if "unpacked" in entry.name] == [True]
    assert load(path, Image()).fingerprint == first.fingerprint
    assert {file: file.stat().st_mtime_ns for file in cache.rglob("*.png")} == times
    packed("a.tgz", dict(list(tree().items())[:20]))(tmp_path)
    assert load(path, Image()).report.items == 20


def test_texts_in_a_shard(tmp_path: Path) -> None:
    files = {f"{n}.txt": f" text {n}\n".encode() for n in range(COUNT)}
    files |= {f"{n}.cls": str(n % 2).encode() for n in range(COUNT)}
    data = load(packed("a.tar", files)(tmp_path), Text())
    assert {item.read().decode(): item.label for item in data.items} == {
        f"text {n}": str(n % 2) for n in range(COUNT)
    }


def test_the_advice_for_an_archive_works(tmp_path: Path) -> None:
    write = packed("my photos.tar", tree() | {"ants/../../a.png": b""})
    with pytest.raises(DataError) as raised:
        load(write(tmp_path), Image())
    command = re.search(r"`(tar .*?)`", str(raised.value))
    assert command
    folder = tmp_path / "unpacked"
    folder.mkdir()
    subprocess.run(command[1], shell=True, cwd=folder, capture_output=True)  # says what it drops
    assert load(folder, Image()).report.items == COUNT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_data_files": [{"filename": "../a.arrow"}]}, r"names '\.\./a\.arrow', which is not in"),
        ({"_data_files": [{"filename": "gone.arrow"}]}, r"names 'gone\.arrow', which is not in it"),
        ({"_data_files": [{}]}, "names None, which is not in it"),
        ({"_indices_data_files": [{"filename": "i"}]}, r"flatten_indices\(\)\.save_to_disk"),
    ],
)
def test_a_saved_data_set_that_is_not_whole(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    saved(tmp_path / "a")
    state = json.loads((tmp_path / "a" / "state.json").read_text()) | change
    (tmp_path / "a" / "state.json").write_text(json.dumps(state))
    with pytest.raises(DataError, match=message):
        load(tmp_path / "a", Image())


def test_numbered_parts_are_told_from_other_tables(tmp_path: Path) -> None:
    parts("part-{}.parquet")(tmp_path)
    data: Dataset = load(tmp_path, Image())
    assert "4 files from part-0.parquet to part-3.parquet are joined" in data.report.remarks
    (tmp_path / "other.csv").write_text("image,label\n")
    with pytest.raises(DataError):
        load(tmp_path, Image())

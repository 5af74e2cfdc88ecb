"""The report before any work: broken files, identical files, small and unequal classes."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import open_to_all, write_pictures
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil

from headstart.data import FileSource, Item, load, load_labelled
from headstart.data.check import drop_conflicts, drop_leaks, identical
from headstart.errors import DataError
from headstart.modalities.image import Image
from headstart.runtime.progress import Advance, Silent


def picture(seed: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    pil.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_broken_files_are_skipped_and_listed(pictures: Path) -> None:
    put(pictures / "ants" / "empty.jpg", b"")
    put(pictures / "ants" / "text.jpg", b"I am no picture.")
    put(pictures / "bees" / "cut.jpg", picture(1, "JPEG")[:-300])
    put(pictures / "bees" / "cut.png", picture(1)[:-300])
    (pictures / "bees" / "gone.png").symlink_to(pictures / "nowhere.png")
    report = load(pictures, Image()).report
    assert report.items == 80
    assert dict(report.skipped).keys() == {
        "ants/empty.jpg",
        "ants/text.jpg",
        "bees/cut.jpg",
        "bees/cut.png",
        "bees/gone.png",
    }
    reasons = dict(report.skipped)
    assert reasons["ants/empty.jpg"] == "it is empty"
    assert reasons["ants/text.jpg"] == "it is not a picture"
    assert "truncated" in reasons["bees/cut.jpg"]
    assert "no such file" in reasons["bees/gone.png"]
    assert report.to_json()["skipped"] == 5
    assert "ants/empty.jpg: it is empty" in str(report)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try on another user's rights")
def test_a_file_without_permission_is_listed(pictures: Path) -> None:
    open_to_all(pictures)
    (pictures / "bees" / "007.png").chmod(0o600)
    os.seteuid(65534)
    try:
        report = load(pictures, Image()).report
        with pytest.raises(DataError, match=r"007\.png can't be read: permission denied"):
            Item("", "", None, FileSource(pictures / "bees" / "007.png")).read()
    finally:
        os.seteuid(0)
    assert report.skipped == (("bees/007.png", "can't be read: permission denied"),)


def test_nothing_usable(tmp_path: Path) -> None:
    put(tmp_path / "ants" / "a.jpg", b"")
    put(tmp_path / "bees" / "b.jpg", b"no")
    with pytest.raises(
        DataError, match=r"no usable item among 2; the first, ants/a\.jpg: it is em"
    ):
        load(tmp_path, Image())
    with pytest.raises(DataError, match="no usable item among 2"):
        load_labelled(tmp_path, Image(), ["ants", "bees"])


def test_peculiar_files_are_counted_and_used(pictures: Path) -> None:
    put(pictures / "ants" / "cmyk.jpg", picture(1, "JPEG", "CMYK"))
    put(pictures / "ants" / "palette.png", picture(2, "PNG", "P"))
    put(pictures / "bees" / "alpha.png", picture(3, "PNG", "RGBA"))
    put(pictures / "bees" / "grey.png", picture(4, "PNG", "L"))
    put(pictures / "bees" / "readme.md", b"# Bees")
    report = load(pictures, Image()).report
    assert report.items == 84
    kinds = {"CMYK": 1, "alpha": 1, "greyscale": 1, "palette": 1, "other file": 1}
    assert report.notes == kinds


def test_identical_files_stay_together_and_are_told(pictures: Path) -> None:
    for number in range(40):
        put(
            pictures / "ants" / f"copy{number}.png",
            (pictures / "ants" / f"{number:03}.png").read_bytes(),
        )
    data = load(pictures, Image())
    assert len(data.report.duplicates) == 40
    assert data.report.to_json()["duplicates"] == 40
    split_of = {item.id: item.split for item in data.items}
    for number in range(40):
        assert split_of[f"ants/copy{number}.png"] == split_of[f"ants/{number:03}.png"]


def test_conflicting_labels_are_left_out(pictures: Path) -> None:
    put(pictures / "bees" / "odd.png", (pictures / "ants" / "003.png").read_bytes())
    data = load(pictures, Image())
    assert data.report.conflicts == ((("ants/003.png", "ants"), ("bees/odd.png", "bees")),)
    assert data.report.items == 79
    assert not {"ants/003.png", "bees/odd.png"} & {item.id for item in data.items}
    assert load_labelled(pictures, Image(), ["ants", "bees"]).report.items == 79


def test_a_class_of_conflicts_only(pictures: Path) -> None:
    for number in range(2):
        put(
            pictures / "wasps" / f"{number}.png",
            (pictures / "ants" / f"{number:03}.png").read_bytes(),
        )
    with pytest.raises(DataError, match=r"Class 'wasps' .* all repeat other labels' content"):
        load(pictures, Image())


def test_copies_of_held_out_items_leave_the_training_side(tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "val", "test")):
        write_pictures(tmp_path / split, {"ants": 12, "bees": 12}, seed=seed)
    test, val = tmp_path / "test" / "ants" / "000.png", tmp_path / "val" / "bees" / "000.png"
    put(tmp_path / "train" / "ants" / "leak.png", test.read_bytes())
    put(tmp_path / "val" / "ants" / "leak.png", test.read_bytes())
    put(tmp_path / "train" / "bees" / "leak.png", val.read_bytes())
    data = load(tmp_path, Image())
    assert data.report.leaks == (
        ("train/ants/leak.png", "test/ants/000.png"),
        ("train/bees/leak.png", "val/bees/000.png"),
        ("val/ants/leak.png", "test/ants/000.png"),
    )
    assert data.report.to_json()["leaks"] == 3
    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [24, 24, 24]
    assert "left out, because held-out data holds the same: 3" in str(data.report)


def test_small_and_unequal_classes_are_warned_of(tmp_path: Path) -> None:
    data = load(write_pictures(tmp_path, {"ants": 60, "bees": 9}), Image())
    few, unequal = data.report.warnings[0], data.report.warnings[1]
    assert few.startswith("Classes with fewer than 10 training items: 'bees'")
    assert "times the items of the smallest" in unequal
    assert data.report.imbalance > 3
    assert all(sentence in str(data.report) for sentence in data.report.warnings)


def test_equal_classes_are_not(pictures: Path) -> None:
    report = load(pictures, Image()).report
    assert report.warnings == ()
    assert 1 <= report.imbalance < 3


def test_classes_without_held_out_items_are_warned_of(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", {"ants": 30, "bees": 30})
    write_pictures(tmp_path / "test", {"ants": 5}, seed=1)
    assert "Classes with nothing in test: 'bees'." in load(tmp_path, Image()).report.warnings


def test_the_report_as_json(pictures: Path) -> None:
    put(pictures / "ants" / "empty.jpg", b"")
    record = json.loads(json.dumps(load(pictures, Image()).report.to_json()))
    assert record["items"] == 80
    assert record["skipped_items"] == [["ants/empty.jpg", "it is empty"]]
    assert sum(sum(counts.values()) for counts in record["splits"].values()) == 80
    numbers = ("items", "skipped", "duplicates", "conflicts", "leaks")
    assert all(isinstance(record[key], int) for key in numbers)
    assert isinstance(record["split_rule"], str) and record["warnings"] == []


def test_long_lists_are_cut_in_print_only(pictures: Path) -> None:
    for number in range(9):
        put(pictures / "ants" / f"empty{number}.jpg", b"")
    report = load(pictures, Image()).report
    assert str(report).count("it is empty") == 5
    assert "and 4 more" in str(report)
    assert len(report.to_json()["skipped_items"]) == 9


def test_progress_counts_every_item(pictures: Path) -> None:
    class Counting(Silent):
        """Adds up what was tracked."""

        def __init__(self) -> None:
            self.total = 0
            self.done = 0

        @contextmanager
        def track(self, what: str, total: int) -> Iterator[Advance]:
            self.total += total

            def advance(count: int) -> None:
                self.done += count

            yield advance

    progress = Counting()
    put(pictures / "ants" / "empty.jpg", b"")
    load(pictures, Image(), progress=progress)
    assert (progress.total, progress.done) == (81, 81)


def test_the_identity_is_the_digest_where_none_is_given() -> None:
    assert Item("a", "b", None, FileSource(Path()), "0f").identity == "0f"
    assert Item("a", "b", None, FileSource(Path()), "0f", "1e").identity == "1e"


items = st.lists(
    st.tuples(
        st.sampled_from("wxyz"),
        st.sampled_from("ab"),
        st.sampled_from(["train", "validation", "test"]),
    ),
    max_size=12,
).map(
    lambda rows: [
        Item(str(number), label, split, FileSource(Path()), f"{identity}{number % 3}", identity)
        for number, (identity, label, split) in enumerate(rows)
    ]
)


@given(items)
def test_every_item_is_kept_or_listed_once(items: list[Item]) -> None:
    sound, conflicts = drop_conflicts(items)
    remaining, leaks = drop_leaks(sound)
    listed = [item for group in conflicts for item in group] + [item for item, _ in leaks]
    assert sorted(i.id for i in remaining + listed) == sorted(i.id for i in items)


@given(items)
def test_what_is_kept_has_one_label_and_one_split(items: list[Item]) -> None:
    remaining, _ = drop_leaks(drop_conflicts(items)[0])
    for identity in {item.identity for item in remaining}:
        same = [item for item in remaining if item.identity == identity]
        assert len({item.label for item in same}) == 1
        assert len({item.split for item in same}) == 1


@given(items)
def test_held_out_items_stay(items: list[Item]) -> None:
    sound, _ = drop_conflicts(items)
    remaining, leaks = drop_leaks(sound)
    assert [i for i in sound if i.split == "test"] == [i for i in remaining if i.split == "test"]
    assert all(rest.identity == other.identity and other in remaining for rest, other in leaks)


@given(items)
def test_identical_groups_hold_all_copies(items: list[Item]) -> None:
    groups = identical(items)
    inside = {name for group in groups for name in group}
    for item in items:
        copies = sum(other.identity == item.identity for other in items)
        assert (item.id in inside) == (copies > 1)

"""Near copies and groups: found at the check, said in the report, never parted by a cut."""

from __future__ import annotations

import csv
import io
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil
from PIL import ImageDraw

from headstart.data import Schema, load
from headstart.data.check import Findings
from headstart.data.clusters import near_copies
from headstart.modalities.image import Image
from headstart.modalities.text import Text

words = st.integers(0, 2**256 - 1)


def photo(seed: int, size: tuple[int, int] = (320, 240)) -> pil.Image:
    """Something like a photo: soft shapes of all sizes in colour."""
    rng = np.random.default_rng(seed)
    whole = np.full((size[1], size[0], 3), 128.0)
    for cells in (3, 6, 12, 24):
        coarse = pil.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        soft = np.asarray(coarse.resize(size, pil.Resampling.BICUBIC), np.float64) - 128
        whole += soft * 2 / cells**0.5
    return pil.fromarray(np.clip(whole, 0, 255).astype(np.uint8))


def saved(picture: pil.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def distance(one: bytes, other: bytes) -> int:
    sketches = [Image().check(raw).sketch for raw in (one, other)]
    return (int(sketches[0], 16) ^ int(sketches[1], 16)).bit_count()


def linked(pairs: np.ndarray, count: int) -> list[set[int]]:
    """What pairs join, by walking from each in turn."""
    near: defaultdict[int, set[int]] = defaultdict(set)
    for one, other in pairs.tolist():
        near[one].add(other)
        near[other].add(one)
    found, seen = [], set[int]()
    for start in range(count):
        own, due = set[int](), {start}
        while due:
            own |= due
            due = set().union(*(near[place] for place in due)) - own
        if not own & seen:
            found.append(own)
            seen |= own
    return found


@given(
    st.lists(words, min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.sets(st.integers(0, 255), max_size=12)), max_size=30),
)
def test_what_differs_in_ten_bits_is_linked(
    bases: list[int], flips: list[tuple[int, set[int]]]
) -> None:
    every = [*bases]
    every += [bases[n % len(bases)] ^ sum(1 << bit for bit in bits) for n, bits in flips]
    sketches = [f"{word:064x}" for word in every] + [""]
    near = [
        (a, b)
        for b in range(len(every))
        for a in range(b)
        if (every[a] ^ every[b]).bit_count() <= 10
    ]
    pairs = near_copies(sketches)
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} <= set(near)
    assert linked(pairs, len(every)) == linked(np.array(near).reshape(-1, 2), len(every))


def test_a_bucket_of_thousands_takes_no_pair_of_all() -> None:
    rng = random.Random(0)
    tail = [f"{rng.getrandbits(200):050x}" for _ in range(20_000)]
    assert len(near_copies(["0" * 14 + end for end in tail])) == 0
    assert len(near_copies(["f" * 64] * 5_000)) == 4_999


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_photo_are_near(seed: int) -> None:
    whole = photo(seed)
    first = saved(whole, "JPEG", quality=92)
    turned = whole.transpose(pil.Transpose.ROTATE_90)
    exif = pil.Exif()
    exif[0x0112] = 6
    copies = [
        saved(whole, "JPEG", quality=30),
        saved(whole.resize((160, 120)), "JPEG", quality=85),
        saved(whole.resize((107, 80)), "WEBP", quality=80),
        saved(whole.resize((640, 480)), "JPEG", quality=85),
        saved(whole.resize((224, 224)), "PNG"),
        saved(whole.convert("L"), "JPEG", quality=85),
        saved(turned, "JPEG", quality=90, exif=exif),
    ]
    assert [distance(first, copy) <= 10 for copy in copies] == [True] * len(copies)
    assert distance(first, saved(photo(seed + 100))) > 60
    assert distance(first, saved(turned, "JPEG", quality=90)) > 60


def test_drawings_are_told_apart_by_shape_and_hue() -> None:
    def drawing(shape: str, colour: str) -> bytes:
        picture = pil.new("RGB", (200, 200), "white")
        pen = ImageDraw.Draw(picture)
        getattr(pen, shape)((60, 60, 140, 140), fill=colour)
        return saved(picture)

    colours = ("red", "blue", "green", "orange")
    every = [drawing(shape, c) for shape in ("rectangle", "ellipse") for c in colours]
    sketches = [Image().check(raw).sketch for raw in every]
    assert len(near_copies(sketches)) == 0


@pytest.mark.parametrize("colour", ["white", "black", "red"])
def test_a_picture_without_contrast_is_near_none(colour: str) -> None:
    assert Image().check(saved(pil.new("RGB", (50, 50), colour))).sketch == ""


def test_digits_and_small_photos_are_not_joined(shared_data: Path) -> None:
    import pyarrow.parquet as pq

    for name in ("mnist_test", "usps_test", "cifar10_test"):
        table = pq.read_table(shared_data / "images" / f"{name}.parquet").slice(0, 2000)
        column = next(name for name in table.column_names if "im" in name)
        raws = [cell["bytes"] for cell in table[column].to_pylist()]
        assert len(near_copies([Image().check(raw).sketch for raw in raws])) <= 2, name


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("The card has not arrived!", "the card,  has not arrived", True),
        ("Where's my card of 2020?", "Where s my card of 2021", False),
        (
            "Dear customer, on 3 May 2021 you were charged 10.50 for the transfer of money abroad.",
            "Dear customer, on 14 June you were charged 9 for the transfer of money abroad.",
            False,
        ),
        (
            "Dear customer, on 3 May 2021 you were charged 10.50 for the transfer of money abroad.",
            "Dear customer, on 14 May 2022 you were charged 9 for the transfer of money abroad.",
            True,
        ),
        ("What a great film this was 😀", "What a great film this was 😡", False),
        ("नमस्ते दुनिया कैसे हो तुम सब", "नमस्तु दुनिया कैसे हो तुम सब", False),
        ("a question\x1ea long answer", "a question a\x1elong answer", False),
    ],
)
def test_texts_are_near_but_for_punctuation_and_numbers(one: str, other: str, near: bool) -> None:
    found = [Text().check(text.encode()) for text in (one, other)]
    assert found[0].identity != found[1].identity and found[0].sketch
    assert (found[0].sketch == found[1].sketch) == near


def test_short_texts_are_near_none() -> None:
    assert {Text().check(text.encode()).sketch for text in ("12:30", "?!", "iPhone 4", "C++")} == {
        ""
    }


def photos(root: Path, classes: str = "ab", count: int = 16) -> Path:
    """Different photos in folders of classes."""
    for place, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for n in range(count):
            (root / name / f"{n:02}.png").write_bytes(saved(photo(1000 * place + n, (96, 64))))
    return root


def test_near_copies_stay_in_one_split_and_are_said(tmp_path: Path) -> None:
    root = photos(tmp_path / "data")
    for n in range(5):
        copy = photo(n, (96, 64)).resize((80, 60)).convert("L")
        (root / "a" / f"copy{n}.jpg").write_bytes(saved(copy, "JPEG", quality=80))
    for _ in range(2):  # once from the files, once from what was kept of them
        data = load(root, Image())
        found = {item.id: item for item in data.items}
        for n in range(5):
            one, other = found[f"a/{n:02}.png"], found[f"a/copy{n}.jpg"]
            assert one.cluster == other.cluster and one.identity != other.identity
            assert one.split == other.split
        assert found["a/07.png"].cluster == found["a/07.png"].identity
        assert len(data.report.near) == data.report.to_json()["near_copies"] == 5
        assert ["a/00.png", "a/copy0.jpg"] in data.report.to_json()["near_copy_items"]
        assert "near copies, never parted by a cut: 5" in str(data.report)
        assert data.report.warnings == ()


def test_near_copies_of_different_labels_are_kept_with_a_warning(tmp_path: Path) -> None:
    root = photos(tmp_path / "data")
    (root / "b" / "odd.jpg").write_bytes(saved(photo(3, (96, 64)), "JPEG"))
    data = load(root, Image())
    assert len(data.items) == 33
    assert (
        "Near copies have different labels, such as 'a/03.png' (a) and 'b/odd.jpg' (b). "
        "Correct the wrong ones."
    ) in data.report.warnings


def test_near_copies_across_named_splits_are_kept_with_a_warning(tmp_path: Path) -> None:
    photos(tmp_path / "train")
    root = photos(tmp_path / "test", count=3).parent
    for path in root.joinpath("test").rglob("*.png"):
        path.unlink()
    for n in range(3):
        for place, name in enumerate("ab"):
            new = photo(5000 + 10 * n + place, (96, 64))
            (root / "test" / name / f"{n}.png").write_bytes(saved(new))
    (root / "test" / "a" / "copy.jpg").write_bytes(saved(photo(2, (96, 64)), "JPEG"))
    data = load(root, Image())
    assert {item.split for item in data.items if item.id == "test/a/copy.jpg"} == {"test"}
    (told,) = [each for each in data.report.warnings if "near copy" in each]
    assert told.startswith(
        "1 item is a near copy of one held out from it, such as 'train/a/02.png'"
    )
    assert "of 'test/a/copy.jpg' in test" in told


def test_pictures_that_all_look_alike_are_no_copies(tmp_path: Path) -> None:
    root, scene = tmp_path / "data", photo(0, (96, 64))
    for n in range(40):
        frame = scene.copy()
        frame.putpixel((n, n), (255, 0, 0))
        path = root / "ab"[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(frame))
    data = load(root, Image())
    assert len({item.cluster for item in data.items}) == 40 and data.report.near == ()
    assert data.report.warnings[0].startswith("40 items look so alike, such as ")


def rows(root: Path, groups: int, label: Any, split: bool = False) -> Path:
    """A manifest of texts, six of each group."""
    with (root / "all.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label", "patient", *(["split"] if split else [])])
        for n in range(groups * 6):
            part = ["train", "test"][n % 7 == 0]
            text = f"{'abcdefghij'[n % 10]} sentence of the patient number {n}"
            table.writerow([text, label(n), f"p{n // 6}", *([part] if split else [])])
    return root / "all.csv"


@pytest.mark.parametrize(
    "label",
    [
        lambda n: "yes" if n % 3 else "no",
        lambda n: n * 0.37 + 0.1,
        lambda n: '["a", "b"]' if n % 2 else '["b"]',
    ],
    ids=["classes", "numbers", "label sets"],
)
def test_items_of_a_group_stay_in_one_split(tmp_path: Path, label: Any) -> None:
    data = load(rows(tmp_path, 20, label), Text(), Schema(label="label", group="patient"))
    splits: defaultdict[str, set[str | None]] = defaultdict(set)
    for item in data.items:
        splits[item.group].add(item.split)
    assert len(splits) == 20 and all(len(own) == 1 for own in splits.values())
    assert [data.report.sizes[name] for name in ("train", "validation", "test")] == [84, 18, 18]
    assert "items of one of the 20 groups of `patient` are never parted by a cut" in str(
        data.report
    )


def test_a_few_groups_only_part_the_report(tmp_path: Path) -> None:
    path = rows(tmp_path, 3, lambda n: "yes" if n % 3 else "no")
    data = load(path, Text(), Schema(group="patient"))
    assert {item.group for item in data.split("train")} == {"p0", "p1", "p2"}
    (told,) = [each for each in data.report.warnings if "`patient`" in each]
    assert told.startswith(
        "`patient` has 3 groups, too few to keep each in one split: with 4 or more"
    )


def test_groups_across_named_splits_are_kept_with_a_warning(tmp_path: Path) -> None:
    path = rows(tmp_path, 20, lambda n: "yes" if n % 3 else "no", split=True)
    data = load(path, Text(), Schema(group="patient"))
    assert len(data.split("test")) == 18
    (told,) = [each for each in data.report.warnings if "groups of" in each]
    assert told.startswith(
        "18 of 20 groups of `patient` are in more than one of the splits as named"
    )


def test_lines_of_checks_without_a_sketch_are_passed_over(tmp_path: Path) -> None:
    root = photos(tmp_path / "data", count=4)
    load(root, Image())
    (file,) = (tmp_path / "cache" / "checks").iterdir()
    lines = file.read_text().splitlines()
    old = [line[: line.rindex(",")] + "]" for line in lines if line]
    file.write_text("\n".join([*old[:4], *lines[5:], '["aa", null, [], "", "zz"]']))
    kept = Findings(Image())
    assert len(kept._checks) == len([line for line in lines[5:] if line])
    assert load(root, Image()).report.items == 8

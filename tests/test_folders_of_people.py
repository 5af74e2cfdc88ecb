"""Folders that name no class: of people, sittings and places, and those set apart by name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import layouts
import pytest

from headstart.data import Schema, load, recognise
from headstart.data.names import numbers_people
from headstart.errors import DataError
from headstart.modalities.audio import Audio
from headstart.modalities.image import Image
from headstart.modalities.text import Text


def actors(root: Path, form: str = "Actor_{:02d}") -> None:
    """Three pictures of each of four moods by each of four actors, as RAVDESS calls its files."""
    for actor in range(1, 5):
        for mood in range(1, 5):
            for take in range(1, 4):
                name = f"03-{mood:02d}-{take:02d}-{actor:02d}.bmp"
                layouts.picture(root / form.format(actor) / name)


@pytest.mark.parametrize(
    "form", ["Actor_{:02d}", "speaker_{}", "S{:02d}", "patient{}", "test-subject-{}", "Session {}"]
)
def test_folders_of_people_are_refused_with_advice_that_works(tmp_path: Path, form: str) -> None:
    root = tmp_path / "data"
    actors(root, form)
    first = form.format(1)
    with pytest.raises(DataError) as caught:
        load(root, Image(), Schema())
    message = str(caught.value)
    assert f"folders that number people, sittings or places ({first!r}, " in message
    assert "the part that says '01', '02', '03', '04' by --label name:2 (--group name:4 " in message
    assert message.endswith("Where these are the classes, give --class-level 1.")
    data = load(root, Image(), Schema(label="name:2", group="name:4"))
    assert Counter(item.label for item in data.items) == dict.fromkeys(("01", "02", "03", "04"), 12)
    assert {(item.group, item.id.split("/")[0]) for item in data.items} == {
        (f"{n:02d}", form.format(n)) for n in range(1, 5)
    }
    of_people = load(root, Image(), Schema(class_level=1))
    assert of_people.labels == tuple(form.format(n) for n in range(1, 5))


def test_folders_beside_the_label_are_proposed_as_groups_and_taken(tmp_path: Path) -> None:
    actors(tmp_path / "data")
    warnings = load(tmp_path / "data", Image(), Schema(label="name:2")).report.warnings
    (sentence,) = [each for each in warnings if "group" in each]
    assert "`Actor_01`, `Actor_02`" in sentence
    assert sentence.endswith("Keep each on one side with --group folder:1.")
    data = load(tmp_path / "data", Image(), Schema(label="name:2", group="folder:1"))
    assert not [each for each in data.report.warnings if "group" in each]
    assert {item.group == item.id.split("/")[0] for item in data.items} == {True}
    assert len({(item.group, item.split) for item in data.items}) == 4
    with pytest.raises(DataError, match="has no folder 2 above, as --group folder:2 says"):
        load(tmp_path / "data", Image(), Schema(label="name:2", group="folder:2"))


def test_folders_of_people_in_splits_and_of_texts_are_refused(tmp_path: Path) -> None:
    layouts.classes("train", "test", names=("F01", "M01", "M02"))(tmp_path / "a")
    with pytest.raises(DataError, match=r"number people.*\('F01', 'M01', 'M02'\)"):
        load(tmp_path / "a", Image(), Schema())
    layouts.texts(tmp_path / "b", ("speaker_1", "speaker_2"), ("session1", "session2"))
    with pytest.raises(DataError, match=r"number people.*give --class-level 2\."):
        load(tmp_path / "b", Text(), Schema())
    assert load(tmp_path / "b", Text(), Schema(class_level=1)).labels == ("speaker_1", "speaker_2")


def test_classes_under_or_over_people_are_read(tmp_path: Path) -> None:
    layouts.classes("cat", "dog", names=("F01", "M01"))(tmp_path / "a")
    assert load(tmp_path / "a", Image(), Schema()).labels == ("cat", "dog")
    layouts.classes("F01", "M01")(tmp_path / "b")
    assert load(tmp_path / "b", Image(), Schema()).labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("names", "people"),
    [
        (("Actor_01", "Actor_02"), True),
        (("user 3", "user 12"), True),
        (("M01", "F12"), True),
        (("S1", "S2"), False),
        (("0", "1"), False),
        (("grade_1", "grade_2"), False),
        (("speaker", "amplifier"), False),
        (("Actor_01", "Actor_02", "nobody"), False),
    ],
)
def test_what_numbers_people(names: tuple[str, ...], people: bool) -> None:
    assert numbers_people(names) is people


def test_a_folder_set_apart_by_an_underscore_is_no_class(tmp_path: Path) -> None:
    layouts.classes("", names=("yes", "no", "_background_noise_"))(tmp_path)
    (tmp_path / "_empty").mkdir()
    data = load(tmp_path, Image(), Schema())
    assert (data.labels, len(data.items)) == (("no", "yes"), 40)
    said = "Folder '_background_noise_' begins with an underscore, names no class and is not used."
    assert said in data.report.warnings


def test_underscores_that_all_or_half_have_set_nothing_apart(tmp_path: Path) -> None:
    layouts.classes("", names=("_cat", "_dog"))(tmp_path / "a")
    assert load(tmp_path / "a", Image(), Schema()).labels == ("_cat", "_dog")
    layouts.classes("", names=("_off", "on"))(tmp_path / "b")
    assert load(tmp_path / "b", Image(), Schema()).labels == ("_off", "on")


def test_what_is_wrong_with_the_files_there_is_said_before_other_kinds_of_files(
    tmp_path: Path,
) -> None:
    actors(tmp_path)
    kinds = {"audio": Audio(), "image": Image(), "text": Text()}
    with pytest.raises(DataError, match="folders that number people"):
        recognise(tmp_path, kinds, Schema())

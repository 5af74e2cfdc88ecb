"""The listing of all hubs: its index, what makes it anew, its filters, and no torch for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import Recording
from typer.testing import CliRunner

import headstart as hs
from headstart import catalog, listing
from headstart.cli import app
from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.listing.filters import CardFilter, chosen, count
from headstart.runtime.progress import Silent

ROOT = Path(__file__).resolve().parents[1]
COUNTING = """
import sys
from headstart.cli import app
try:
    app({arguments!r})
except SystemExit as end:
    assert not end.code, end.code
print(sorted({{"torch", "timm", "numpy"}} & set(sys.modules)), file=sys.stderr)
"""


@final
class Shelf(Hub):
    """A hub of two backbones that tells how often it was asked."""

    asked: ClassVar[int] = 0
    depends: ClassVar[Sequence[str] | None] = ()
    missing: ClassVar[str] = ""
    place: ClassVar[str] = ""

    def cards(self, pattern: str) -> Iterable[Card]:
        """Two, of which one has a file."""
        type(self).asked += 1
        if self.missing:
            raise ModuleNotFoundError(f"No module named {self.missing!r}", name=self.missing)
        shown = ("image", 5_000_000, "3x8x8", "Apache-2.0", "Fish")
        yield Card("shelf:Small.a", *shown, False, 70.0, 2020, self.place or None)
        yield Card("shelf:large@tag", "text", None, "", None, None, True)

    def cards_depend_on(self) -> Sequence[str] | None:
        """What the test says."""
        return self.depends

    def load(self, reference: Reference) -> Backbone:
        """Nothing."""
        raise NotImplementedError


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Shelf]:
    """The hub, fresh and in the catalog, seen from an empty folder."""
    monkeypatch.setitem(catalog.HUBS, "shelf", f"{__name__}:Shelf")
    monkeypatch.setattr(Shelf, "asked", 0)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Shelf


def names(pattern: str = "shelf:*", **wanted: Any) -> list[str]:
    """What is listed."""
    return [card.reference for card in hs.backbones(pattern, CardFilter(**wanted))]


def run(*arguments: str) -> Any:
    """Run the command line in this process."""
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("name", sorted(catalog.HUBS))
def test_every_hub_says_what_its_cards_depend_on(name: str) -> None:
    depends = catalog.hub(name).cards_depend_on()
    assert depends is not None, "the listing asks such a hub, and so imports torch, every time"
    assert all(isinstance(each, str) and each for each in depends)


def test_a_fresh_index_answers_without_torch(own_cache: Path) -> None:
    first = [card.reference for card in hs.backbones("seeded:*")]
    code = COUNTING.format(arguments=["backbones", "seeded:*", "--json"])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "[]"
    assert [card["reference"] for card in json.loads(done.stdout)["backbones"]] == first


@pytest.mark.slow
def test_the_whole_listing_needs_no_torch_the_second_time(tmp_path: Path) -> None:
    code = COUNTING.format(arguments=["backbones", "--limit", "3"])
    for expected in ("torch", "[]"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert expected in done.stderr
    assert len(done.stdout.splitlines()) == 4


def test_a_hub_is_asked_once_and_weights_are_looked_for_each_time(
    shelf: type[Shelf], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "place", str(tmp_path / "weights" / "*.bin"))
    assert names(at_hand=True) == ["shelf:large@tag"]
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "small.bin").write_bytes(b"1")
    assert names(at_hand=True) == ["shelf:Small.a", "shelf:large@tag"]
    (tmp_path / "weights" / "small.bin").unlink()
    assert names(at_hand=True) == ["shelf:large@tag"]
    assert shelf.asked == 1


def test_what_the_cards_depend_on_makes_them_anew(
    shelf: type[Shelf], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "depends", ("shelf-library", "$SHELF_HOME", "./*.shelf"))
    monkeypatch.syspath_prepend(tmp_path)

    def asked() -> int:
        for _ in range(2):
            names()
        return shelf.asked

    assert asked() == 1
    about = tmp_path / "shelf_library-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf-library\nVersion: 1.0\n")
    assert asked() == 2
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf-library\nVersion: 1.1\n")
    assert asked() == 3
    monkeypatch.setenv("SHELF_HOME", "elsewhere")
    assert asked() == 4
    Path("own.shelf").write_text("a")
    assert asked() == 5
    Path("own.shelf").write_text("ab")
    assert asked() == 6
    Path("own.shelf").unlink()
    assert asked() == 6  # as it was before, which is remembered
    monkeypatch.setattr(shelf, "depends", None)
    monkeypatch.delenv("SHELF_HOME")
    monkeypatch.setenv("SHELF_HOME", "nowhere")
    assert asked() == 8  # a hub that doesn't say what it depends on is asked each time


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"listings"', '"lists"'),
        lambda text: text.replace('"cards": [[', '"cards": [["more", '),
        lambda text: text.replace('"fields": [', '"fields": ["colour", '),
        lambda text: json.dumps(json.loads(text) | {"hubs": {"shelf": 7}}),
    ],
)
def test_a_damaged_index_is_made_anew(shelf: type[Shelf], own_cache: Path, damage: Any) -> None:
    before = names()
    place = own_cache / "backbones.json"
    whole = place.read_text()
    assert damage(whole) != whole
    place.write_text(damage(whole))
    assert names() == before
    assert (shelf.asked, json.loads(place.read_text())) == (2, json.loads(whole))
    assert names() == before
    assert shelf.asked == 2


def test_a_cache_that_cannot_be_written_is_no_failure(
    shelf: type[Shelf], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file" / "cache"))
    assert names() == names()
    assert shelf.asked == 2


def test_a_hub_without_its_library_is_left_out_until_it_is_installed(
    shelf: type[Shelf], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hub in set(catalog.HUBS) - {"seeded", "shelf"}:
        monkeypatch.delitem(catalog.HUBS, hub)
    monkeypatch.setattr(shelf, "missing", "shelf_library")
    monkeypatch.syspath_prepend(tmp_path)
    for _ in range(2):
        progress = Recording()
        cards = listing.backbones("*", progress=progress)
        assert cards and all(card.reference.startswith("seeded:") for card in cards)
        assert progress.said == [
            "shelf is left out: The package shelf_library is not installed. "
            "Install it to use shelf."
        ]
    with pytest.raises(HeadstartError, match="shelf_library is not installed"):
        listing.backbones("shelf:*")
    assert shelf.asked == 1
    monkeypatch.setattr(shelf, "missing", "")
    (tmp_path / "shelf_library-1.0.dist-info").mkdir()
    assert len(names()) == 2


def test_names_match_in_any_case_whole_or_in_part(shelf: type[Shelf]) -> None:
    assert names("shelf:small*") == names("shelf:small") == names("shelf:small.A")
    assert names("shelf:large") == ["shelf:large@tag"]
    assert names("*", hub="shelf") == ["shelf:Small.a", "shelf:large@tag"]
    assert set(names("small*", hub="shelf")) == {"shelf:Small.a"}
    with pytest.raises(HeadstartError, match=r"'shelve' is not known\. Did you mean 'shelf'"):
        names("*", hub="shelve")


def test_hubs_know_names_that_their_cards_do_not_show() -> None:
    (card,) = hs.backbones("torchvision:resnet50@IMAGENET1K_V2")
    assert card.reference == "torchvision:resnet50"
    assert len(hs.backbones("torchvision:resnet50@*")) == 2
    assert hs.backbones("timm:resnet18")[0].reference == "timm:resnet18.a1_in1k"  # timm's default


CARDS = st.lists(
    st.builds(
        Card,
        st.text("ab:", min_size=1),
        st.sampled_from(["image", "text"]),
        st.none() | st.integers(0, 9),
        st.just(""),
        st.none() | st.sampled_from(["MIT", "apache-2.0", "Apache-2.0"]),
        st.none(),
        st.booleans(),
        st.none() | st.integers(0, 9).map(float),
    ),
    max_size=8,
)


@given(
    CARDS,
    st.builds(
        CardFilter,
        modality=st.none() | st.just("text"),
        licence=st.none() | st.sampled_from(["APACHE*", "mit"]),
        min_parameters=st.none() | st.integers(0, 9),
        max_parameters=st.none() | st.integers(0, 9),
        min_accuracy=st.none() | st.integers(0, 9).map(float),
        at_hand=st.booleans(),
        order=st.none() | st.sampled_from(["parameters", "accuracy", "name"]),
        limit=st.integers(0, 3),
    ),
)
def test_what_is_chosen_is_what_is_wanted(cards: list[Card], wanted: CardFilter) -> None:
    def suits(card: Card) -> bool:
        least, most, size = wanted.min_parameters, wanted.max_parameters, card.parameters
        least_right, right = wanted.min_accuracy, card.accuracy
        start = "" if wanted.licence is None else wanted.licence.rstrip("*").lower()
        return (
            wanted.modality in (None, card.modality)
            and card.at_hand >= wanted.at_hand
            and (wanted.licence is None or (card.licence or "").lower().startswith(start))
            and (least is None or (size is not None and size >= least))
            and (most is None or (size is not None and size <= most))
            and (least_right is None or (right is not None and right >= least_right))
        )

    expected = [card for card in cards if suits(card)]
    if not expected:
        with pytest.raises(HeadstartError, match=f"None of {len(cards)} backbones"):
            chosen(cards, wanted, Silent())
        return
    result = chosen(cards, wanted, Silent())
    assert len(result) == min(len(expected), wanted.limit or len(expected))
    keys = {
        "parameters": lambda card: float("inf") if card.parameters is None else card.parameters,
        "accuracy": lambda card: 1.0 if card.accuracy is None else -card.accuracy,
        "name": lambda card: card.reference.partition(":")[2],
    }
    ordered = sorted(expected, key=keys[wanted.order]) if wanted.order else expected
    assert result == ordered[: wanted.limit or None]


@given(st.integers(0, 10**7))
def test_numbers_of_parameters_are_read(number: int) -> None:
    assert count(str(number)) == count(f"{number:_}") == number
    assert count(f"{number}k") * 1000 == count(f"{number}M") == number * 10**6
    assert count("1.5B") == 1_500_000_000


@pytest.mark.parametrize("text", ["", "many", "-3", "3 G", "1e6", "M"])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(HeadstartError, match="is not a number of parameters"):
        count(text)


def test_the_command_filters_sorts_and_counts(shelf: type[Shelf]) -> None:
    def told(*flags: str) -> list[dict[str, Any]]:
        cards: list[dict[str, Any]] = json.loads(run("backbones", *flags, "--json").stdout)[
            "backbones"
        ]
        return cards

    (card,) = told("shelf:*", "--max-parameters", "30M", "--licence", "apache*")
    assert (card["reference"], "path" in card) == ("shelf:Small.a", False)
    assert len(told("shelf:*", "--modality", "text", "--at-hand")) == 1
    assert [c["reference"] for c in told("shelf:*", "--sort", "accuracy")] == names()
    ended = run("backbones", "shelf:*", "--min-accuracy", "60")
    assert "Some are left out; of 1 it is not known." in ended.stderr
    assert len(ended.stdout.splitlines()) == 2
    for wrong, message in (
        (["--sort", "size"], "Order 'size' is not known"),
        (["--max-parameters", "big"], "'big' is not a number of parameters"),
        (["--min-parameters", "0", "--licence", "none"], "is licence none, min parameters 0"),
        (["--min-accuracy", "99"], "None of 2 backbones is min accuracy 99.0; of 1 it is not"),
    ):
        done = run("backbones", "shelf:*", *wrong)
        assert (done.exit_code, done.stdout) == (2, "")
        assert message in done.stderr

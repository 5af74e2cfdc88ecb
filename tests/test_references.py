"""References read and write the same, and options become what the constructor wants."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.contracts.references import Reference, build, literal, parse, parse_named
from headstart.errors import HeadstartError

words = st.text("abcxyz0189_-./", min_size=1, max_size=12)
values = st.text(max_size=12)


@given(words, words, st.none() | words, st.dictionaries(words, values))
def test_what_is_written_reads_the_same(
    hub: str, name: str, weights: str | None, options: dict[str, str]
) -> None:
    reference = Reference(hub, name, weights, options)
    again = parse(str(reference))
    assert again == reference
    assert hash(again) == hash(reference)


def test_a_reference_in_full() -> None:
    parts = parse("timm:mobilenetv2_100@a/b.safetensors?pad_type=same&mean=0.5,0.5")
    assert (parts.hub, parts.name, parts.weights) == (
        "timm",
        "mobilenetv2_100",
        "a/b.safetensors",
    )
    assert parts.options == {"pad_type": "same", "mean": "0.5,0.5"}


@pytest.mark.parametrize(
    "text", ["", "resnet50", ":resnet50", "timm:", "timm:@file", "timm:a@", "timm:a?b", "timm:a?=1"]
)
def test_wrong_forms_are_refused(text: str) -> None:
    with pytest.raises(HeadstartError, match="Write "):
        parse(text)


def test_a_missing_hub_is_suggested() -> None:
    with pytest.raises(HeadstartError, match="'timm:resnet50'"):
        parse("resnet50?pretrained=false")


def test_options_are_set_and_dropped_without_changing_the_original() -> None:
    reference = parse("timm:a?b=1&c=2")
    changed = reference.with_options(b=None, d="3")
    assert changed.options == {"c": "2", "d": "3"}
    assert reference.options == {"b": "1", "c": "2"}


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("Yes", True), ("1", True), ("off", False), ("0", False)]
)
def test_yes_and_no(text: str, value: bool) -> None:
    reference = Reference("timm", "a", options={"pretrained": text})
    assert reference.option("pretrained", not value) is value
    assert reference.option("other", value) is value


def test_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(HeadstartError, match=r"pretrained='maybe' is neither"):
        Reference("timm", "a", options={"pretrained": "maybe"}).option("pretrained", True)


@dataclass(frozen=True)
class Part:
    """Settings of every kind."""

    count: int = 1
    rate: float = 0.5
    limit: float | None = None
    kind: str = "plain"
    loud: bool = False


def test_options_take_the_types_of_the_defaults() -> None:
    name, options = parse_named("part?count=3&rate=1&limit=2&kind=4&loud=yes")
    result = build(Part, options, name)
    assert result == Part(3, 1.0, 2.0, "4", True)
    assert [type(value) for value in vars(result).values()] == [int, float, float, str, bool]
    assert build(Part, {}, "part") == Part()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cuont": "1"}, "part has no option 'cuont'. Its options: count, rate, limit, kind, loud"),
        ({"count": "1.5"}, "count='1.5' is not a number"),
        ({"limit": "much"}, "limit='much' is not a number"),
        ({"loud": "2"}, "loud='2' is neither true nor false"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(HeadstartError) as caught:
        build(Part, options, "part")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("True", True), ("false", False), ("3", 3), ("0.5", 0.5), ("same", "same"), ("", "")],
)
def test_words_stand_for_what_they_look_like(text: str, value: object) -> None:
    result = literal(text)
    assert (result, type(result)) == (value, type(value))

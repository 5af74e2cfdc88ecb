"""What the flow relies on in any modality, whatever its inputs are."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart import catalog
from headstart.contracts import Check, Modality

every_modality = pytest.mark.parametrize("name", sorted(catalog.names("modalities")))


@every_modality
def test_it_is_documented_and_made_without_settings(name: str) -> None:
    modality = catalog.modality(name)
    assert isinstance(modality, Modality)
    assert inspect.getdoc(type(modality))


@every_modality
def test_it_says_which_files_and_columns_it_reads(name: str) -> None:
    modality = catalog.modality(name)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in modality.suffixes)
    assert modality.columns
    assert len(set(modality.columns)) == len(modality.columns)


@every_modality
def test_empty_content_is_a_problem(name: str) -> None:
    assert catalog.modality(name).check(b"").problem


@every_modality
@given(raw=st.binary(max_size=200))
def test_a_check_answers_whatever_the_bytes(name: str, raw: bytes) -> None:
    modality = catalog.modality(name)
    found = modality.check(raw)
    assert isinstance(found, Check)
    assert found == modality.check(raw)
    assert found.problem is None or (found.problem and "\n" not in found.problem)


@every_modality
@given(raw=st.binary(max_size=200))
def test_words_are_text_whatever_the_bytes(name: str, raw: bytes) -> None:
    words = catalog.modality(name).text(raw)
    assert words is None or isinstance(words, str)


@every_modality
def test_content_in_a_manifest_is_text(name: str) -> None:
    modality = catalog.modality(name)
    found = modality.check("fünf Wörter, darunter ein 👍".encode())
    assert modality.inline == (found.problem is None)


@every_modality
@given(raw=st.binary(max_size=200))
def test_only_what_is_usable_counts_as_identical(name: str, raw: bytes) -> None:
    found = catalog.modality(name).check(raw)
    assert found.problem is None or not (found.identity or found.sketch)
    assert found.sketch == "" or len(bytes.fromhex(found.sketch)) == 32


@every_modality
def test_items_are_alike_unless_it_is_ragged(name: str) -> None:
    modality = catalog.modality(name)
    assert modality.ragged or modality.size(object()) == 1
    assert modality.remarks([], {}) in ((), [])

"""What the flow relies on in any modality, whatever its inputs are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart import catalog
from headstart.contracts import Modality
from headstart.testing.modalities import CHECKS, check_answers

every_modality = pytest.mark.parametrize("name", sorted(catalog.names("modalities")))


@every_modality
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(check: Callable[[Modality], None], name: str) -> None:
    check(catalog.modality(name))


@every_modality
@given(raw=st.binary(max_size=200))
def test_a_check_answers_whatever_the_bytes(name: str, raw: bytes) -> None:
    check_answers(catalog.modality(name), raw)


@every_modality
@given(raw=st.binary(max_size=200))
def test_words_are_text_whatever_the_bytes(name: str, raw: bytes) -> None:
    words = catalog.modality(name).text(raw)
    assert words is None or isinstance(words, str)

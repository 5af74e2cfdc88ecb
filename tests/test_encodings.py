"""Bytes as text: what is text comes back, and what is not is named with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.runtime.encodings import NotTextError, decoded

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(text=texts, encoding=st.sampled_from(["utf-8", "utf-16"]))
def test_what_is_encoded_comes_back(text: str, encoding: str) -> None:
    assert decoded(text.encode(encoding)) == text.removeprefix("\ufeff")


def test_a_mark_is_not_part_of_the_text() -> None:
    assert decoded("так".encode("utf-8-sig")) == "так"
    assert decoded(b"") == ""


@pytest.mark.parametrize(
    ("raw", "byte", "offset", "line", "encoding"),
    [
        (b"a\nb\xff", 0xFF, 3, 2, "UTF-8"),
        (b"\xef\xbb\xbfa\xe9", 0xE9, 4, 1, "UTF-8"),
        ("a\n".encode("utf-16") + b"\x00", 0x00, 6, 2, "UTF-16"),
    ],
)
def test_a_foreign_byte_is_named_with_its_place(
    raw: bytes, byte: int, offset: int, line: int, encoding: str
) -> None:
    with pytest.raises(NotTextError) as caught:
        decoded(raw)
    value = caught.value
    assert (value.byte, value.offset, value.line, value.encoding) == (byte, offset, line, encoding)

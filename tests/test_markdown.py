"""What comes from data is text in a model card, never markup."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import yaml
from conftest import Fitted
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from headstart import artifact
from headstart.report import markdown

EVIL = "a](javascript:x) ``` <script>x</script> | # --- **b** ~~~\n\n---\n: [c]: d"
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60) | st.text(
    "`|<>[]()#*_~\\-:!&\n ab", min_size=1, max_size=30
)


def parsed(text: str) -> list[tuple[str, str]]:
    """The inline parts of Markdown with tables: kind and content of each."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [(part.type, part.content) for t in tokens for part in t.children or [t]]


@given(texts)
def test_plain_text_stays_text(text: str) -> None:
    kinds = {kind for kind, _ in parsed(f"| {markdown.plain(text)} | b |\n|---|---|\n| c | d |")}
    assert "html_inline" not in kinds and "link_open" not in kinds and "code_inline" not in kinds
    whole = [content for kind, content in parsed(f"a {markdown.plain(text)} b") if kind == "text"]
    shown = " ".join("".join(whole).split())
    assert shown == " ".join(f"a {markdown._line(text)} b".split())
    starting = [kind for kind, _ in parsed(f"before\n{markdown.plain(text)}")]
    assert not {"heading_open", "hr", "bullet_list_open", "ordered_list_open"} & set(starting)


@given(texts)
def test_code_stays_code(text: str) -> None:
    results = [content for kind, content in parsed(f"a {markdown.code(text)} b")]
    kinds = {kind for kind, _ in parsed(f"a {markdown.code(text)} b")}
    if markdown._line(text):
        assert "code_inline" in kinds
        assert markdown._line(text).replace("|", "¦") in "".join(results)
    assert kinds <= {"code_inline", "text", "paragraph_open", "paragraph_close"}


@given(texts)
def test_a_block_ends_where_it_should(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(f"{markdown.block(text)}\nafter\n")
    assert next(token.type for token in tokens) == "fence"
    assert [token.content for token in tokens if token.type == "inline"] == ["after"]


@given(texts)
def test_a_scalar_is_one_string(text: str) -> None:
    assert yaml.safe_load(f"a: {markdown.yaml(text)}\nb: 1") == {"a": markdown._line(text), "b": 1}


def test_a_card_quotes_all_that_comes_from_data(fitted: Fitted, tmp_path: Path) -> None:
    record = artifact.read(fitted.folder)
    origin = dict.fromkeys(("reference", "licence", "trained_on", "weights_hash"), EVIL)
    spoiled = replace(
        record,
        labels=(EVIL, "bees"),
        origin=origin,
        strategy=EVIL,
        data={**record.data, "split_rule": EVIL},
        versions={EVIL: EVIL},
    )
    evidence = artifact.read_evidence(fitted.folder)
    evidence["warnings"] = [f"Classes with nothing: {EVIL}"]
    artifact.describe(tmp_path, spoiled, evidence, "")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    front, page = re.fullmatch(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    entries = yaml.safe_load(front)  # a licence that the Hub doesn't know has a name beside it
    assert entries["license"] == "other"
    assert re.fullmatch(r"[a-z0-9.-]+", entries["license_name"])
    parts = parsed(page)
    assert not {"html_inline", "html_block", "link_open"} & {kind for kind, _ in parts}
    headings = MarkdownIt("commonmark").enable("table").parse(page)
    titles = [
        t.content
        for t, before in zip(headings[1:], headings, strict=False)
        if before.type == "heading_open"
    ]
    assert titles[1:] == ["What the transfer was worth", "Use", "Origin", "Data", "Preprocessing"]

"""The page's section on texts that were written: side by side, with what went wrong in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headstart.report.contents import Section, Table

_EXAMPLES = 3  # answers of either kind as lines
_TITLES = {"worst": "The worst answers", "best": "The best answers"}


def sentences(evidence: Mapping[str, Any]) -> Section | None:
    """Sentences on lengths, languages and placeholders, and tables of answers and references."""
    record = evidence.get("sentences")
    if not record:
        return None
    tables = [(title, _table(record, record[name])) for name, title in _TITLES.items()]
    near = [(row["source"], pair) for row in record["worst"] for pair in row.get("nearest", ())]
    if near:
        rows = [(source, pair["source"], pair["target"]) for source, pair in near]
        columns = ("test item", "training item", "its answer")
        tables.append(("Training pairs nearest to the worst", Table.of(columns, rows)))
    examples = record["placeholders"]["examples"]
    if examples:
        titles = ("source", "answer", "reference", "lost", "added")
        placeholder_rows = [
            (*_texts(row), " ".join(row["lost"]), " ".join(row["added"])) for row in examples
        ]
        tables.append(("Placeholders lost or added", Table.of(titles, placeholder_rows)))
    return Section(
        "sentences", "Answers as texts", tuple(said_of_texts(record)), tables=tuple(tables)
    )


def said_of_texts(record: Mapping[str, Any]) -> Iterator[str]:
    """What is to be said of all answers."""
    count, lengths, language = record["items"], record["lengths"], record["language"]
    yield (
        f"Answers are {lengths['ratio']:.2f} times as long as the references. Of {count}, "
        f"{lengths['empty']} are empty, {lengths['short']} far too short and {lengths['long']} far "
        "too long."
    )
    copies, foreign = language["copies"], language["foreign"]
    copied = "" if copies is None else f", and {copies} copy the source where they should not"
    yield f"{foreign} are in no script that the references have{copied}."
    placeholders = record["placeholders"]
    if placeholders["items"] or placeholders["added"]:
        yield (
            f"{placeholders['items']} items hold placeholders, tags or addresses that are never "
            f"translated: {placeholders['lost']} answers lost some, and "
            f"{placeholders['added']} have some of their own."
        )


def side_by_side(record: Mapping[str, Any]) -> Iterator[str]:
    """The same as lines of text, with a few of the worst and best answers."""
    yield from said_of_texts(record)
    for name, title in _TITLES.items():
        yield f"{title}:"
        for row in record[name][:_EXAMPLES]:
            source, answer, target = (" ".join(text.split()) for text in _texts(row))
            yield f"  {row['score']:.3f}  {source}"
            yield f"         answer     {answer or '(empty)'}"
            yield f"         reference  {target}"


def _table(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("source", "answer", "reference", record["metric"])
    return Table.of(columns, [(*_texts(row), float(row["score"])) for row in rows])


def _texts(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["source"] or row["id"], row["answer"], row["target"]

"""Tables and folders of texts: columns, pairs, encodings, and what counts as the same text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.data import Dataset, Schema, load, load_labelled
from headstart.errors import DataError
from headstart.modalities.image import Image
from headstart.modalities.text import Text

COUNT = 40
LABELS = ("bad", "good")


def rows(count: int = COUNT, first: int = 0, **more: str) -> list[dict[str, str]]:
    """Texts with a comma, a quotation mark and a line break, and one of two labels."""
    numbers = range(first, first + count)
    return [
        {"text": f'a "film", the\n{n}th – фильм', "label": LABELS[n % 2], **more} for n in numbers
    ]


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def as_csv(
    path: Path, records: list[dict[str, str]], comma: str = ",", encoding: str = "utf-8"
) -> Path:
    lines = [records[0], *(record.values() for record in records)]
    text = "\n".join(comma.join(map(quoted, line)) for line in lines)
    path.write_text(text, encoding=encoding)
    return path


def as_jsonl(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def as_parquet(path: Path, records: list[dict[str, Any]], **types: Any) -> Path:
    columns = {name: [record[name] for record in records] for name in records[0]}
    arrays = {
        name: pa.array(own).cast(types.get(name, pa.string())) for name, own in columns.items()
    }
    pq.write_table(pa.table(arrays), path, row_group_size=7)
    return path


def expect(data: Dataset, count: int = COUNT) -> None:
    """The texts and labels of `rows`, whatever they were written in."""
    values = {item.read().decode(): item.label for item in data.items}
    assert values == {row["text"]: row["label"] for row in rows(count)}
    assert data.labels == LABELS
    assert data.kind == "classes"


@pytest.mark.parametrize(
    "write",
    [
        lambda root: as_csv(root / "a.csv", rows()),
        lambda root: as_csv(root / "a.csv", rows(), encoding="utf-8-sig"),
        lambda root: as_csv(root / "a.csv", rows(), encoding="utf-16"),
        lambda root: as_csv(root / "a.TSV", rows(), "\t"),
        lambda root: as_jsonl(root / "a.jsonl", rows()),
        lambda root: as_parquet(root / "a.parquet", rows()),
        lambda root: as_parquet(root / "a.parquet", rows(), text=pa.large_string()),
        lambda root: as_parquet(
            root / "a.parquet",
            rows(),
            text=pa.dictionary(pa.int32(), pa.string()),
            label=pa.dictionary(pa.int8(), pa.large_string()),
        ),
    ],
)
def test_tables_hold_the_texts_themselves(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    data = load(write(tmp_path), Text())
    expect(data)
    assert data.report.remarks == ()


def test_an_item_is_called_by_its_line_or_row(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "a.csv", rows())  # of two lines each, after the header's
    assert [item.id for item in load(path, Text()).items[:2]] == ["a.csv#3", "a.csv#5"]
    path = as_parquet(tmp_path / "a.parquet", rows())
    assert load(path, Text()).items[9].id == "a.parquet#9"


def test_content_not_the_table_says_the_splits(tmp_path: Path) -> None:
    one = load(as_csv(tmp_path / "a.csv", rows()), Text())
    other = load(as_jsonl(tmp_path / "b.jsonl", rows()[::-1]), Text())
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    ("columns", "schema", "answer", "message"),
    [
        ("text,label", Schema(), ("text", "label"), ""),
        ("text,category", Schema(), ("text", "category"), "`text` is the text, `category` the"),
        ("title,text,rating,date,label", Schema(), ("text", "label"), "`text` is the text, `lab"),
        ("idx,sentence,label", Schema(), ("sentence", "label"), "`sentence` is the text, `label`"),
        ("title,text,stars", Schema(), ("text", "stars"), "`text` is the text, `stars` the label"),
        ("id,Review,Labels", Schema(), ("Review", "Labels"), "`Review` is the text, `Labels` the"),
        ("utterances,label", Schema(), ("utterances", "label"), "`utterances` is the text, `labe"),
        ("utterances,intent", Schema(label="intent"), ("utterances", "intent"), "`utterances` is"),
        ("a,b,c", Schema(label="c", content=("a",)), ("a", "c"), ""),
        ("text,label,c", Schema(content=("c",)), ("c", "label"), "`c` is the text, `label` the"),
        ("text,label,c", Schema(label="text"), None, "no column for the content"),
        ("text,label", Schema(label="label", content=("label",)), None, "in one column, 'label'"),
        (
            "text,a,b",
            Schema(),
            None,
            r"no column 'label'; its columns: 'text', 'a', 'b'. .*--label",
        ),
        ("a,b", Schema(), None, r"no column for the content; its columns: 'a', 'b'\. .*--text"),
        ("text,label", Schema(content=("txt",)), None, "no column 'txt'; its columns: 'text', 'l"),
        (
            "a,b,c,label",
            Schema(content=("a", "b", "c")),
            None,
            "by 3 columns. Texts come in at most",
        ),
    ],
)
def test_columns_are_named_or_guessed_or_asked_for(
    tmp_path: Path, columns: str, schema: Schema, answer: tuple[str, str] | None, message: str
) -> None:
    names = columns.split(",")
    records = [{name: f"{name} {n % 2}" for name in names} for n in range(COUNT)]
    for n, record in enumerate(records):
        if answer:
            record[answer[0]] = f"content {n}"
    path = as_csv(tmp_path / "a.csv", records)
    if answer is None:
        with pytest.raises(DataError, match=message):
            load(path, Text(), schema)
        return
    data = load(path, Text(), schema)
    assert data.items[0].read() == b"content 0"
    assert data.labels == (f"{answer[1]} 0", f"{answer[1]} 1")
    assert [sentence[: len(message)] for sentence in data.report.remarks] == (
        [message] if message else []
    )
    assert all(sentence in str(data.report) for sentence in data.report.remarks)


def test_two_columns_make_a_pair(tmp_path: Path) -> None:
    records = [{**row, "title": f"title {n // 2}"} for n, row in enumerate(rows())]
    records[0]["text"] = "odd\x1etext"
    records[1]["title"] = ""
    records += [{"text": "", "label": "good", "title": ""}]
    path = as_csv(tmp_path / "a.csv", records)
    data = load(path, Text(), Schema(content=("title", "text")))
    assert data.items[0].read() == b"title 0\x1eodd text"
    assert data.items[1].read() == b"\x1e" + records[1]["text"].encode()
    assert "`title` and `text` are the text, `label` the label" in data.report.remarks
    assert [why for _, why in data.report.skipped] == ["the row names no content"]


def test_pictures_come_in_one_column(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "a.csv", rows())
    with pytest.raises(DataError, match=r"by 2 columns\. The content is one column"):
        load(path, Image(), Schema(content=("text", "label")))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,label\nfine,a\ncaf\xe9,b\n", r"line 3 holds .* 0xe9 at byte offset 21\)"),
        (
            "a.csv",
            b"\xef\xbb\xbftext,label\nm\xff,b\n",
            r"line 2 .* UTF-8 \(0xff at byte offset 15",
        ),
        ("a.csv", "text,label".encode("utf-16") + b"\n", r"line 1 .* not UTF-16 .*Save .* UTF-8"),
        ("a.csv", b"text,label\nwell, no,a\n", r"line 2 has 3 fields under 2 columns\. Put quot"),
        (
            "a.jsonl",
            b'{"text": 7, "label": "a"}',
            r"line 1 has 7 in column 'text', which is no text",
        ),
        ("a.csv", b'text,label\n"open,a\n', r"line \d is not valid CSV"),
    ],
)
def test_a_broken_table_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message.replace(" .* 0x", " .*0x")) as raised:
        load(tmp_path / name, Text())
    assert str(tmp_path / name) in str(raised.value) and "\n" not in str(raised.value)


def test_a_column_that_holds_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [1, 2], "label": ["a", "b"]}), path)
    with pytest.raises(DataError, match=r"Column 'text' of .* holds int64, no text"):
        load(path, Text())


def test_a_parquet_column_with_a_point_in_its_name(tmp_path: Path) -> None:
    records = [{"text": row["text"], "a.b": row["label"]} for row in rows()]
    expect(load(as_parquet(tmp_path / "a.parquet", records), Text()))


def test_stray_quotation_marks_between_tabs(tmp_path: Path) -> None:
    lines = [f'"open and {n}\t{LABELS[n % 2]}' for n in range(COUNT)]
    (tmp_path / "a.tsv").write_text("\n".join(["text\tlabel", *lines]))
    data = load(tmp_path / "a.tsv", Text())
    assert data.report.items == COUNT
    assert data.items[0].read() == b'"open and 0'


def test_long_texts_are_read(tmp_path: Path) -> None:
    records = [{**row, "text": row["text"] + "long " * 40_000} for row in rows(8)]
    assert load(as_csv(tmp_path / "a.csv", records), Text()).report.items == 8


def test_unusable_texts_are_listed(tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [{"text": " \n", "label": "bad"}, {"text": "", "label": "bad"}]
    odd += [{"text": None, "label": "bad"}, {"text": "half \ud800", "label": "good"}]
    report = load(as_jsonl(tmp_path / "a.jsonl", [*rows(), *odd]), Text()).report
    assert dict(report.skipped) == {
        "a.jsonl#41": "it holds only white space",
        "a.jsonl#42": "the row names no content",
        "a.jsonl#43": "the row names no content",
        "a.jsonl#44": "byte 0xed at offset 5 (line 1) is not UTF-8; save the file as UTF-8",
    }
    assert report.items == COUNT


def test_texts_that_read_alike_never_part(tmp_path: Path) -> None:
    louder = [{**row, "text": row["text"].upper().replace(" ", "  ")} for row in rows()]
    data = load(as_csv(tmp_path / "a.csv", rows() + louder), Text())
    split_of = {item.id: item.split for item in data.items}
    assert len(data.report.duplicates) == COUNT
    assert all(len({split_of[name] for name in group}) == 1 for group in data.report.duplicates)
    assert len({item.digest for item in data.items}) == 2 * COUNT
    assert len({item.identity for item in data.items}) == COUNT
    alone = load(as_csv(tmp_path / "b.csv", rows()), Text())
    before = {item.digest: item.split for item in alone.items}
    assert before.items() <= {item.digest: item.split for item in data.items}.items()


def test_leaks_and_conflicts_are_seen_through_case_and_spacing(tmp_path: Path) -> None:
    leak = {"text": rows()[31]["text"].upper(), "label": rows()[31]["label"]}
    clash = {
        "text": " " + rows()[4]["text"],
        "label": "bad" if rows()[4]["label"] == "good" else "good",
    }
    as_csv(tmp_path / "train.csv", [*rows(30), leak, clash])
    as_csv(tmp_path / "test.csv", rows(10, 30))
    report = load(tmp_path, Text()).report
    assert report.leaks == (("train.csv#63", "test.csv#5"),)
    assert [[name for name, _ in group] for group in report.conflicts] == [
        ["train.csv#11", "train.csv#65"]
    ]


def test_a_folder_with_a_table_a_split(tmp_path: Path) -> None:
    for place, (name, count) in enumerate({"train": 20, "dev": 6, "test": 8}.items()):
        as_csv(tmp_path / f"{name}.tsv", rows(count, 100 * place), "\t")
    data = load(tmp_path, Text())
    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [20, 6, 8]
    assert len(load_labelled(tmp_path, Text(), LABELS).items) == 8


def test_hugging_face_parquet_with_names_of_classes(tmp_path: Path) -> None:
    text = json.dumps({"info": {"features": {"label": {"names": LABELS, "_type": "ClassLabel"}}}})
    (tmp_path / "data").mkdir()
    for place, name in enumerate(("train-00000-of-00001", "test-00000-of-00001")):
        own = rows(20, 20 * place)
        columns = {
            "text": [r["text"] for r in own],
            "label": [LABELS.index(r["label"]) for r in own],
        }
        table = pa.table(columns).replace_schema_metadata({"huggingface": text})
        pq.write_table(table, tmp_path / "data" / f"{name}.parquet")
    (tmp_path / "README.md").write_text("# Films")
    expect(load(tmp_path, Text()))


@pytest.mark.parametrize("word", ["split", "Split"])
@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        (("train", "val", "test"), (20, 10, 10)),
        (("TRAIN", "dev", "Test"), (20, 10, 10)),
        (("train", "train", "test"), (None, None, 10)),
    ],
)
def test_a_column_may_say_the_split(
    tmp_path: Path, word: str, words: tuple[str, ...], sizes: tuple[int | None, ...]
) -> None:
    records = [
        {**row, word: words[0] if n < 20 else words[1] if n < 30 else words[2]}
        for n, row in enumerate(rows())
    ]
    for path in (as_csv(tmp_path / "a.csv", records), as_parquet(tmp_path / "a.parquet", records)):
        data = load(path, Text())
        expect(data)
        for name, size in zip(("train", "validation", "test"), sizes, strict=True):
            assert size in (None, len(data.split(name)))
        assert f"`{word}` says which split a row is in" in data.report.remarks
        assert f"`{words[2]}`" in data.report.split_rule
        held_out = load_labelled(path, Text(), LABELS)
        assert len(held_out.items) == 10


def test_a_split_column_with_gaps_and_mistakes(tmp_path: Path) -> None:
    records = [{**row, "split": "train" if n < 30 else "test"} for n, row in enumerate(rows())]
    odd: list[dict[str, Any]] = [
        {**records[n], "split": ("", None, float("nan"))[n]} for n in range(3)
    ]
    path = as_jsonl(tmp_path / "a.jsonl", odd + records[3:])
    skipped = load(path, Text()).report.skipped
    assert skipped == tuple((f"a.jsonl#{n}", "the row names no split") for n in (1, 2, 3))
    records[5]["split"] = "tset"
    path = as_jsonl(tmp_path / "b.jsonl", records)
    with pytest.raises(DataError, match=r"b\.jsonl line 6 has 'tset' as its split, which is none"):
        load(path, Text())


def test_a_column_of_that_name_without_splits(tmp_path: Path) -> None:
    data = load(as_csv(tmp_path / "a.csv", rows(split="fold")), Text())
    assert "70/15/15" in data.report.split_rule
    assert "`split` names no split and is not used" in data.report.remarks


def test_a_file_that_is_a_split_says_more_than_its_column(tmp_path: Path) -> None:
    as_csv(tmp_path / "train.csv", rows(20, split="test"))
    as_csv(tmp_path / "test.csv", rows(10, 20, split="train"))
    data = load(tmp_path, Text())
    assert {item.id.partition("#")[0] for item in data.split("test")} == {"test.csv"}


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_file_for_each_text(tmp_path: Path) -> None:
    for n, row in enumerate(rows()):
        put(
            tmp_path / row["label"] / f"{n}.txt", row["text"].encode("utf-16" if n % 3 else "utf-8")
        )
    put(tmp_path / "bad" / "broken.txt", b"line\ncaf\xe9")
    put(tmp_path / "bad" / "empty.txt", b"")
    data = load(tmp_path, Text())
    assert data.labels == LABELS and data.report.items == COUNT
    assert dict(data.report.skipped) == {
        "bad/broken.txt": "byte 0xe9 at offset 8 (line 2) is not UTF-8; save the file as UTF-8",
        "bad/empty.txt": "it is empty",
    }
    table = load(as_csv(tmp_path.parent / "same.csv", rows()), Text())
    where = {item.identity: item.split for item in table.items}
    assert {item.identity: item.split for item in data.items} == where


@pytest.mark.parametrize("schema", [Schema(label="kind"), Schema(content=("kind",))])
@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_a_folder_of_classes_has_no_columns(
    tmp_path: Path, schema: Schema, splits: tuple[str, ...]
) -> None:
    for n, row in enumerate(rows()):
        put(
            tmp_path / splits[n % 8 // 6 % len(splits)] / row["label"] / f"{n}.txt",
            row["text"].encode(),
        )
    assert load(tmp_path, Text()).report.items == COUNT
    with pytest.raises(DataError, match="is a folder of classes and has no column 'kind'"):
        load(tmp_path, Text(), schema)


def test_lists_beside_the_class_folders_of_a_split(tmp_path: Path) -> None:
    for n, row in enumerate(rows()):
        put(
            tmp_path / ("train", "test")[n % 8 // 6] / row["label"] / f"{n}.txt",
            row["text"].encode(),
        )
    put(tmp_path / "train" / "urls.txt", b"https://example.org")
    data = load(tmp_path, Text())
    expect(data)
    assert "1 file of 'train' lies in no class and is not used." in data.report.warnings


@pytest.mark.parametrize(
    ("name", "items", "labels"), [("sst2", 9610, 2), ("trec", 5940, 6), ("banking77", 13076, 77)]
)
def test_real_texts(shared_data: Path, name: str, items: int, labels: int) -> None:
    data = load(shared_data / "text" / name, Text())
    assert data.report.items == items
    assert len(data.labels) == labels
    assert "is the held-out test" in data.report.split_rule or name == "sst2"

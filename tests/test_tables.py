"""Tables as people have them: delimiters, encodings, comments, JSON, Excel, Arrow, and refusals."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from document_tables import Form, check_names, check_row, outcome
from hypothesis import given, settings
from hypothesis import strategies as st
from peak_memory import output_of

from headstart.data import Dataset, Schema, load
from headstart.data.tables import read as read_tables
from headstart.data.tables.delimited import read as read_delimited
from headstart.data.tables.interface import TableInMemory
from headstart.errors import DataError
from headstart.modalities.image import Image
from headstart.modalities.text import Text

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
COUNT = 40
LABELS = ("bad", "good")
ROWS = [(f"text {n}, sôme; more", LABELS[n % 2]) for n in range(COUNT)]
RECORDS = [{"text": text, "label": label} for text, label in ROWS]


def lines(delimiter: str, header: str = "text,label", quote: str = '"') -> str:
    """The rows as a table of text."""
    head = header.replace(",", delimiter)
    body = [f"{quote}{text}{quote}{delimiter}{label}" for text, label in ROWS]
    return "\n".join([head, *body]) + "\n"


def put(name: str, content: str | bytes, encoding: str = "utf-8") -> Callable[[Path], Path]:
    """What writes a file of this content into a folder."""

    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def put_json(name: str, document: Any) -> Callable[[Path], Path]:
    return put(name, json.dumps(document))


def put_excel(*sheets: list[tuple[Any, ...]]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        book = openpyxl.Workbook()
        book.remove(book.active)
        for rows in sheets:
            sheet = book.create_sheet()
            for row in rows:
                sheet.append(row)
        book.save(folder / "a.xlsx")
        return folder / "a.xlsx"

    return write


def as_arrow(name: str, footed: bool) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        table = pa.table({"text": [t for t, _ in ROWS], "label": [label for _, label in ROWS]})
        new = pa.ipc.new_file if footed else pa.ipc.new_stream
        with pa.OSFile(str(folder / name), "wb") as file, new(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
        return folder / name

    return write


def summary(path: Path) -> str:
    data = load(path, Text())
    return f"read: {len(data.labels)} classes, {data.report.items} texts"


READ = r"read: 2 classes, 40 texts"
NESTED = {"version": "1", "data": [{"title": "a", "paragraphs": [{"context": "b"}]}]}
COLUMNS = {name: {str(n): row[name] for n, row in enumerate(RECORDS)} for name in RECORDS[0]}
SPLIT = {"columns": ["text", "label"], "index": list(range(COUNT)), "data": ROWS}
FORMS = [
    Form("`.csv`, commas", put("a.csv", lines(",")), READ),
    Form("`.csv`, semicolons", put("a.csv", lines(";")), READ),
    Form("`.csv`, tabs", put("a.csv", lines("\t", quote="")), READ),
    Form("`.csv`, pipes", put("a.csv", lines("|", quote="")), READ),
    Form("`.tsv`", put("a.tsv", lines("\t", quote="")), READ),
    Form("`.txt` with columns", put("a.txt", lines("\t", quote="")), READ),
    Form("`sep=;` above the header", put("a.csv", "sep=;\n" + lines(";")), READ),
    Form("comments above the header", put("a.csv", "# one, two\n#\n" + lines(",")), READ),
    Form("a header behind `#`", put("a.csv", "#" + lines(",")), READ),
    Form("spaces around names", put("a.csv", lines(", ", " text , label ")), READ),
    Form("a title above the header", put("a.csv", "Survey 2023\n\n" + lines(";")), READ),
    Form("a title in a row of its own", put("a.csv", "Survey 2023,\n,\n" + lines(",")), READ),
    Form("empty lines", put("a.csv", "\n\n" + lines(",").replace("\n", "\n\n")), READ),
    Form("rows of delimiters alone", put("a.csv", lines(",") + ",\n,\n"), READ),
    Form("lines that end in CR", put("a.csv", lines(",").replace("\n", "\r")), READ),
    Form("lines that end in CR LF", put("a.csv", lines(",").replace("\n", "\r\n")), READ),
    Form("a byte order mark", put("a.csv", lines(";"), "utf-8-sig"), READ),
    Form("UTF-16 with a byte order mark", put("a.csv", lines("\t"), "utf-16"), READ),
    Form(
        "UTF-16 without one",
        put("a.csv", lines("\t"), "utf-16-le"),
        r"refused: data/a\.csv line 1 holds a NUL character, .* Save it as UTF-8\.",
    ),
    Form(
        "Windows-1252, Latin-1 and other encodings",
        put("a.csv", lines(","), "cp1252"),
        r"refused: .* line 2 holds a byte that is not UTF-8 .* `iconv -f WINDOWS-1252 -t UTF-8 .*",
    ),
    Form(
        "two columns of one name",
        put("a.csv", lines(",", "label, label ")),
        r"refused: .* two columns called 'label', number 1 and 2\. Rename or remove one\.",
    ),
    Form(
        "more fields than columns",
        put("a.csv", lines(",", quote="")),
        r"refused: .* line 2 has 3 fields under 2 columns\. Put quotation marks .*",
    ),
    Form("`.jsonl`", put("a.jsonl", "\n".join(map(json.dumps, RECORDS))), READ),
    Form("`.ndjson`", put("a.ndjson", "\n".join(map(json.dumps, RECORDS))), READ),
    Form("`.json`, an object a line", put("a.json", "\n".join(map(json.dumps, RECORDS))), READ),
    Form("`.json`, a list of records", put_json("a.json", RECORDS), READ),
    Form("`.json`, records under a name", put_json("a.json", {"v": 1, "rows": RECORDS}), READ),
    Form("`.json` of pandas, by columns", put_json("a.json", COLUMNS), READ),
    Form(
        "`.json` of pandas, by rows",
        put_json("a.json", {str(n): row for n, row in enumerate(RECORDS)}),
        READ,
    ),
    Form("`.json` of pandas, split", put_json("a.json", SPLIT), READ),
    Form(
        "`.json`, lists by column",
        put_json("a.json", {"text": [t for t, _ in ROWS], "label": [b for _, b in ROWS]}),
        READ,
    ),
    Form(
        "`.json`, nested as SQuAD's",
        put_json("a.json", NESTED),
        r"refused: .* records within records, in 'paragraphs'\. Write a list of flat .*",
    ),
    Form("`.xlsx`", put_excel([("text", "label"), *ROWS]), READ),
    Form(
        "`.xlsx`, the table on another sheet",
        put_excel([("Notes",), ("by me",)], [("text", "label"), *ROWS]),
        READ,
    ),
    Form("`.arrow`, with a footer", as_arrow("a.arrow", True), READ),
    Form("`.arrow`, a stream", as_arrow("a.arrow", False), READ),
    Form("`.feather`", as_arrow("a.feather", True), READ),
    Form(
        "`.xlsx`, the header in the third row",
        put_excel([("Survey 2023",), (), ("text", "label"), *ROWS]),
        READ,
    ),
    Form(
        "without a header",
        put("a.tsv", lines("\t", quote="").partition("\n")[2]),
        READ,
    ),
    Form(
        "fastText's, with `__label__`",
        put("a.txt", "".join(f"__label__{b} {t}\n" for t, b in ROWS)),
        READ,
    ),
    Form(
        "numbers alone",
        put("a.csv", "width,length,kind\n" + "".join(f"{n},{n / 2},{n % 2}\n" for n in range(40))),
        r"refused: .* a table of numbers without texts, .* by -b table:columns, or give .*",
    ),
    *(
        Form(f"`{kind}`", put(f"a{kind}", b"\0 binary"), rf"refused: data/a\{kind} .+\. .+\.")
        for kind in (".sqlite", ".pkl", ".npz", ".mat", ".xls", ".csv.gz")
    ),
    Form(
        "another file under a table's name",
        put("a.csv", b"PK\x03\x04 and more"),
        r"refused: data/a\.csv is no CSV file by its content\. Rename it to end in \.xlsx\.",
    ),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_forms_of_tables(form: Form, tmp_path: Path) -> None:
    check_row(PAGE, "tables", form, outcome(form, tmp_path / "data", summary))


def test_the_page_names_every_form() -> None:
    check_names(PAGE, "tables", FORMS)


@pytest.mark.parametrize("form", [f for f in FORMS if f.expected == READ], ids=lambda f: f.name)
def test_every_form_holds_the_same_texts_and_labels(form: Form, tmp_path: Path) -> None:
    path = form.write(tmp_path)
    assert isinstance(path, Path)
    expect(load(path, Text()))


def expect(data: Dataset) -> None:
    assert {item.read().decode(): item.label for item in data.items} == dict(ROWS)


def test_the_advice_for_other_encodings_works(tmp_path: Path) -> None:
    path = put("my list.csv", lines(";"), "cp1252")(tmp_path)
    with pytest.raises(DataError) as raised:
        load(path, Text())
    command = re.search(r"`(iconv .*?)`", str(raised.value))
    assert command
    subprocess.run(command[1], shell=True, check=True)
    (other,) = tmp_path.glob("*.utf8.csv")
    expect(load(other, Text()))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("text;price\nfine;1,5\nbad;2,5\n", [["fine", "1,5"], ["bad", "2,5"]]),
        ("text;price, EUR\nfine;1,5\nbad;2,5\n", [["fine", "1,5"], ["bad", "2,5"]]),
        ("text,label\na; b,1\nc; d,2\n", [["a; b", "1"], ["c; d", "2"]]),
        ("text,genres\na,x|y\nb,z\n", [["a", "x|y"], ["b", "z"]]),
        ("text\tlabel\na, b\t1\nc, d\t2\n", [["a, b", "1"], ["c, d", "2"]]),
        ('text,label\n"a\n;b;\n",1\n', [["a\n;b;\n", "1"]]),
        ('text, label\n"a, b", 1\n', [["a, b", "1"]]),
        ("text,label\na\n\nb,2\n", [["a"], ["b", "2"]]),
        ("text,label,,\na,1,,\nb,2,,\n", [["a", "1", "", ""], ["b", "2", "", ""]]),
        ("# rows: 2, columns: 2\ntext,label\na,1\n", [["a", "1"]]),
    ],
)
def test_what_parts_the_columns(tmp_path: Path, content: str, rows: list[list[str]]) -> None:
    (table,) = read_delimited(put("a.csv", content)(tmp_path))
    assert isinstance(table, TableInMemory)
    assert [list(cells) for _, cells in table.rows] == rows
    assert len(table.names) == 2


words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=12)


@given(
    st.lists(st.tuples(words, words, st.sampled_from("ab")), min_size=3, max_size=8),
    st.sampled_from(",;\t|"),
)
@settings(max_examples=60, deadline=None)
def test_quoted_tables_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], delimiter: str
) -> None:
    quoted = [["text", "title", "label"], *rows]
    text = "\n".join(
        delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in quoted
    )
    path = put("a.csv", text)(tmp_path_factory.mktemp("tables"))
    (table,) = read_tables(path)
    assert list(table.names) == ["text", "title", "label"]
    assert list(zip(*map(table.values, table.names), strict=True)) == rows


def test_the_advice_without_a_header_works_and_no_row_is_lost(tmp_path: Path) -> None:
    path = put("a.tsv", lines("\t", quote="").partition("\n")[2])(tmp_path)
    data = load(path, Text(), Schema(content=("column 1",)))
    expect(data)
    assert data.report.remarks[0].startswith("the table has no header")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("0,1\na,1\nb,1\n", ["0", "1"]),  # as pandas counts columns
        (",0,1\n0,a,1\n1,b,1\n", ["Unnamed: 0", "0", "1"]),
        ("text,label\nlabel,label\nb,label\n", ["text", "label"]),
        ("remark,kind\na,x\nb,kind\n", ["remark", "kind"]),
        ("remark\nfine, good\nbad, dull\n", None),
        ("ham,a\nspam,b\nham,c\nham,d\n", ["column 1", "column 2"]),
        ("remark,\na,x\nb,y\n", ["remark", "Unnamed: 1"]),
    ],
)
def test_what_is_a_header(tmp_path: Path, content: str, names: list[str] | None) -> None:
    path = put("a.csv", content)(tmp_path)
    if names is None:
        with pytest.raises(DataError, match="2 fields under 1 columns"):
            read_delimited(path)
    else:
        assert list(read_delimited(path)[0].names) == names


def test_columns_without_a_name_are_no_label(tmp_path: Path) -> None:
    rows = "".join(f"text {n},{LABELS[n % 2]},{'odd' if n == 3 else ''},\n" for n in range(COUNT))
    data = load(put("a.csv", "v2,v1,,\n" + rows)(tmp_path), Text(), Schema(content=("v2",)))
    assert data.labels == LABELS


def test_names_that_differ_in_case_are_two_columns(tmp_path: Path) -> None:
    rows = "".join(f"text {n},x,{LABELS[n % 2]}\n" for n in range(COUNT))
    assert load(put("a.csv", "text,Label,label\n" + rows)(tmp_path), Text()).labels == LABELS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "a", "label": "x", "label": "y"}'),
        ("a.json", '[{"text": "a", "label": "x", "label": "y"}]'),
    ],
)
def test_an_object_with_one_name_twice_is_refused(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(DataError, match="two values called 'label'"):
        load(put(name, content)(tmp_path), Text())


def test_parquet_with_one_name_twice_is_refused(tmp_path: Path) -> None:
    names, values = ["text", "label", "label"], [["a"], ["b"], ["c"]]
    pq.write_table(pa.Table.from_arrays(list(map(pa.array, values)), names), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="two columns called 'label', number 2 and 3"):
        load(tmp_path / "a.parquet", Text())


@pytest.mark.parametrize("column", ["text", "label"])
def test_parquet_that_is_not_utf_8_is_one_sentence(tmp_path: Path, column: str) -> None:
    bad = pa.array([b"fine", b"caf\xe9"]).view(pa.binary()).cast(pa.binary())
    bad = pa.StringArray.from_buffers(2, bad.buffers()[1], bad.buffers()[2])
    columns = {"text": pa.array(["a", "b"]), "label": pa.array(["x", "y"])} | {column: bad}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    message = rf"a\.parquet row 1 holds bytes in column '{column}' that are not UTF-8\."
    with pytest.raises(DataError, match=message):
        load(tmp_path / "a.parquet", Text())


def test_excel_types_digits_as_numbers(tmp_path: Path) -> None:
    rows = [(n, LABELS[n % 2]) for n in range(COUNT)]
    data = load(put_excel([("text", "label"), *rows])(tmp_path), Text())
    assert {item.read().decode() for item in data.items} == set(map(str, range(COUNT)))


def test_excel_without_its_library_names_the_extra(tmp_path: Path) -> None:
    put_excel([("text", "label"), *ROWS])(tmp_path)
    code = (
        "import sys; sys.modules['openpyxl'] = None\n"
        "from pathlib import Path; from headstart.data.tables import read\n"
        "from headstart.errors import DataError\n"
        "try: read(Path('a.xlsx'))\n"
        "except DataError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("a.xlsx needs openpyxl, which isn't installed. ")
    assert "pip install 'headstart[excel]'" in done.stdout


@pytest.mark.parametrize("content", [b"PK\x03\x04 but no more", b"no workbook", b""])
def test_a_broken_workbook_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = put("a.xlsx", content)(tmp_path)
    with pytest.raises(DataError, match=r"a\.xlsx can't be read as an Excel workbook: .+\. Save"):
        load(path, Text())


@pytest.mark.parametrize("content", [b"ARROW1 but no more", b"none", b""])
def test_a_broken_arrow_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.arrow can't be read as Arrow: .+\. Check the file"):
        load(put("a.arrow", content)(tmp_path), Text())


@pytest.mark.slow
def test_many_rows_and_one_long_text_take_little_memory(tmp_path: Path) -> None:
    with open(tmp_path / "a.csv", "w", encoding="utf-8") as file:
        file.write("text,label\n")
        file.writelines(f'"text {n}, {n * 7919 % 1000} words",{n % 5}\n' for n in range(200_000))
        file.write('"' + "long text, " * (50_000_000 // 11) + '",3\n')
    code = (
        "from headstart.data import load\nfrom headstart.modalities.text import Text\n"
        "data = load('a.csv', Text())\nprint(data.report.items, peak())"
    )
    items, kibibytes = map(int, output_of(code, folder=tmp_path).split())
    assert items == 200_001
    assert kibibytes < 2 << 20


def test_pixels_that_make_no_square_are_called_so(tmp_path: Path) -> None:
    cell = " ".join(map(str, range(100, 165)))
    path = tmp_path / "fer.csv"
    path.write_text("emotion,pixels\n" + "".join(f"{n % 2},{cell}\n" for n in range(9)))
    with pytest.raises(DataError, match="holds pixels as numbers in 'pixels', but no square"):
        load(path, Image(), Schema(label="emotion"))

"""Tables that list items or hold them, each read by what their file is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from headstart.data.tables import (
    arrays,
    columnar,
    delimited,
    excel,
    labelled_lines,
    moses,
    records,
    shards,
    svmlight,
    tmx,
)
from headstart.data.tables.interface import ItemTable
from headstart.data.tables.text import sample
from headstart.data.tables.translations import unfolded
from headstart.errors import DataError

_Reader = Callable[[Path], Sequence[ItemTable]]
_LOOSE = (".txt", ".data", ".dat", ".lst")  # which hold other things as well
_BY_SUFFIX: dict[str, _Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv", *_LOOSE), delimited.read),
    **dict.fromkeys((*records.LINES, ".json"), records.read),
    **dict.fromkeys((".parquet", ".arrow", ".feather"), columnar.read),
    ".xlsx": excel.read,
    ".tmx": tmx.read,
}
READ = frozenset(_BY_SUFFIX)  # where a file is named as a table
SUFFIXES = READ - {".json", *_LOOSE}  # where a file may as well be something else

_WRITE = "Write its table as CSV or Parquet where it was made, such as by pandas."
_SAVE = "Save pictures as PNG files, in a folder of each class, and texts as a table."
_REFUSED = {
    (".sqlite", ".sqlite3", ".db"): "is a database. Write the table as CSV, such as by "
    '`sqlite3 -header -csv {file} "select * from TABLE" > table.csv`.',
    (".pkl", ".pickle", ".joblib"): f"is a pickle, and opening one may run code. {_WRITE}",
    (".npz", ".npy", ".mat", ".h5", ".hdf5", ".tfrecord"): f"holds arrays and no table. {_SAVE}",
    (".arff",): "is a table of Weka. Save it as CSV, such as by Weka's own CSVSaver.",
    (".avi", ".mp4", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v"): "is a film, which is not "
    "read. Take pictures out of it, such as by `ffmpeg -i {file} -vf fps=1 frame%05d.png`.",
    (".xls", ".xlsb", ".ods"): "is no .xlsx workbook. Save it as .xlsx or CSV.",
    (".dta", ".sav", ".rds", ".rdata", ".orc", ".avro", ".xml"): f"is not read. {_WRITE}",
    (".po", ".pot"): "is a catalogue of gettext. Write its pairs as TMX, such as by `po2tmx -l "
    "LANGUAGE {file} pairs.tmx` of the Translate Toolkit.",
    (".xlf", ".xliff", ".mxliff", ".sdlxliff"): "is XLIFF. Write its pairs as TMX, such as by "
    "the tool that made it, or by `xliff2po` and `po2tmx` of the Translate Toolkit.",
    (".srt", ".vtt", ".sbv"): "holds subtitles. Write them as a table, a column a language.",
    (".gz",): "is compressed. Unpack it by `gzip -dk {file}` and give what comes out.",
}
_IDX = re.compile(r"idx[1-4]-ubyte")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")  # how one of protocol 2 to 5 begins
_SIGNS = {  # how files begin that may be called otherwise
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"PK\x03\x04": ".xlsx",
    b"SQLite format 3\0": ".sqlite",
    b"\x1f\x8b": ".gz",
}


def read(path: Path) -> Sequence[ItemTable]:
    """The tables in a file: one, or one a sheet. Raises DataError when it can't be read."""
    if path.is_dir():
        return shards.read(path)
    by_lines = labelled_lines.read(path) or svmlight.read(path)
    if by_lines:
        return by_lines
    if path.suffix.lower() not in READ:
        return arrays.read(path) if arrays.is_arrays(path) else moses.read(path)
    with suppress(OSError), open(path, "rb") as file:
        start = file.read(16)
        kind = next((kind for sign, kind in _SIGNS.items() if start.startswith(sign)), "")
        if kind and _BY_SUFFIX.get(kind) is not _BY_SUFFIX[path.suffix.lower()]:
            raise DataError(
                f"{path} is no {path.suffix[1:].upper()} file by its content. "
                f"Rename it to end in {kind}."
            )
    return [unfolded(table) for table in _BY_SUFFIX[path.suffix.lower()](path)]


def refusal(path: Path) -> DataError:
    """Why a file that is none of those in READ is no data set, and what is to be done."""
    sentence = known_refusal(path)
    if sentence:
        return DataError(f"{path} {sentence}")
    if not path.suffix and _is_text(path):
        return DataError(
            f"{path} is a text without a suffix. Where it is a table, rename it to end in .csv."
        )
    kinds = ", ".join(sorted(READ))
    return DataError(f"{path} is no data set. Give a folder of classes or a manifest ({kinds}).")


def known_refusal(path: Path) -> str:
    """What a file is that holds data in no form that is read, and what to do; empty for others."""
    for suffixes, sentence in _REFUSED.items():
        if path.suffix.lower() in suffixes:
            return sentence.format(file=shlex.quote(str(path)))
    if _IDX.search(path.name):
        return f"holds arrays of MNIST's form and no table. {_SAVE}"
    with suppress(OSError):
        if not path.suffix and path.is_file():  # a pipe might never end
            with path.open("rb") as file:
                if _PICKLE.match(file.read(2)):
                    return f"is a pickle, and opening one may run code. {_SAVE}"
    return ""


def _is_text(path: Path) -> bool:
    with suppress(DataError, OSError):
        return bool(sample(path)[0].strip())
    return False

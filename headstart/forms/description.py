"""`model.json`: all that it takes to feed an exported file, and to read its answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from headstart import catalog
from headstart.artifact import Record
from headstart.contracts import Encoding, Modality
from headstart.contracts.backbone import Feeding, Origin
from headstart.contracts.boxes import MOST
from headstart.data.targets import kind_named
from headstart.errors import HeadstartError, WeightsError
from headstart.features.reading import Reader
from headstart.forms.form import BOXES, LABELS, SCORES
from headstart.forms.inputs import PIXELS
from headstart.loading.downloads import file_sha256
from headstart.loading.record import FORMAT

if TYPE_CHECKING:  # so that a form is run without torch
    from headstart.forms.network import Whole

FILE: Final = "model.json"
_READ_AS: Final = {
    Encoding.INDEX: "The label of the largest probability.",
    Encoding.MARKS: "Every label whose probability is above the threshold.",
    Encoding.AMOUNTS: "The numbers as they are, in the units of the data.",
    Encoding.OTHER: "As the task reads its outputs.",
}

_READ_BOXES: Final = (
    "The boxes whose score is at least the threshold, which is the best one of each class, as "
    "scores are scaled by it. Corners times the longer side of the picture are its pixels."
)
_OF_BOXES: Final = {
    BOXES: ("float32", [4], "Left, top, right and bottom, in longer sides of the picture."),
    LABELS: ("int64", [], "The number of each box's label, in the order of labels from 0."),
    SCORES: ("float32", [], "The surest box first, 0 behind the last; suppression is inside."),
}


@final
class _Noting(Mapping[str, bytes]):
    """The files of a saved model, which remembers those that a modality asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> bytes:
        self.names.add(name)
        return self._files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def files_of(folder: Path, record: Record) -> dict[str, bytes]:
    """The files that a saved model's inputs are made with, such as a tokenizer, by name.

    Those are the ones that its kind of input asks for by names of its own, so that no name that a
    stranger wrote becomes a path.
    """
    content = {name: (folder / name).read_bytes() for name in record.files}
    files = _Noting(content)
    feeding = Feeding(record.preprocess, Origin(**record.origin), files)
    catalog.modality(record.modality).fitted(feeding)
    return {name: content[name] for name in sorted(files.names)}


def described(
    record: Record, whole: Whole, reader: Reader, temperature: float | None, precision: str
) -> dict[str, Any]:
    """The description but for the form and the hashes of files, as JSON."""
    encoding = kind_named(catalog.task(record.task, **record.task_settings).kind).encoding
    link = whole.answers.link
    return {
        "format": FORMAT,
        "made_by": f"headstart {version('headstart')}",
        "task": record.task,
        "task_settings": dict(record.task_settings),
        "labels": list(record.labels),
        "modality": record.modality,
        "preprocess": dict(record.preprocess),
        "looks": [name or "as it is" for name in reader.looks],
        "inputs": {name: _input(name, whole) for name in whole.names},
        "outputs": {
            name: _output(name, 1 if whole.single else "N") for name in sorted(whole.answers.names)
        },
        "read_as": _READ_BOXES if whole.finds_boxes else _READ_AS[encoding],
        "threshold": 0.5 if whole.finds_boxes or encoding is Encoding.MARKS else None,
        "link": link.kind if link else None,
        "calibration": None
        if temperature is None
        else {"temperature": temperature, "inside": True},
        "precision": precision,
        "origin": dict(record.origin),
    }


def _input(name: str, whole: Whole) -> dict[str, Any]:
    values = whole.sample[name]
    free = 0 if whole.single else 2 if "mask" in whole.sample else 1
    shape = ["N", "T"][:free] + list(values.shape[free:])
    entry: dict[str, Any] = {"type": str(values.dtype), "shape": shape}
    if name == PIXELS:
        entry |= {"layout": "NCHW", "values": "Levels from 0 to 255; mean and std are inside."}
    return entry


def _output(name: str, items: int | str) -> dict[str, Any]:
    if name in _OF_BOXES:
        kind, sides, sentence = _OF_BOXES[name]
        return {"type": kind, "shape": [items, MOST, *sides], "meaning": sentence}
    meaning = {
        "features": "What the head reads: a vector for each item.",
        "outputs": "What the head answers, before probabilities or units are made of it.",
        "probabilities": "One for each label, in the order of labels.",
        "values": "One number for each label, in the order of labels, in the units of the data.",
    }
    return {"type": "float32", "shape": ["N", "D" if name == "features" else "labels"]} | {
        "meaning": meaning[name]
    }


def write(
    folder: Path, facts: Mapping[str, Any], form: str, names: Sequence[str], reads: Iterable[str]
) -> None:
    """Write the description with the hash of each file; `reads` are those that inputs take."""
    content = {"form": form, **facts, "files_of_inputs": sorted(reads)}
    content["files"] = {name: file_sha256(folder / name) for name in names}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")


@final
@dataclass(frozen=True)
class Described:
    """An exported folder's description, and what decodes items for its file."""

    facts: Mapping[str, Any]
    modality: Modality

    @classmethod
    def of(cls, folder: Path) -> Described:
        """That of a folder. Raises HeadstartError where it holds none or a file has changed."""
        path = folder / FILE
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            stated = {_inside(name): text for name, text in dict(facts["files"]).items()}
            reads = [_inside(name) for name in facts["files_of_inputs"]]
            own = {name: (folder / name).read_bytes() for name in reads}
            changed = [name for name, text in stated.items() if file_sha256(folder / name) != text]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise HeadstartError(
                f"{path} can't be read ({error}). Give a folder that `headstart export` wrote."
            ) from None
        if changed:
            raise WeightsError(f"{folder / changed[0]} has changed. Export the model again.")
        feeding = Feeding(facts["preprocess"], Origin(**facts["origin"]), own)
        return cls(facts, catalog.modality(facts["modality"]).fitted(feeding))


def _inside(name: str) -> str:
    """A stranger's name of a file as one in the folder, or in a folder of that: never elsewhere."""
    own = Path(name)
    return "/".join(part for part in own.parts[-2:] if part not in ("..", own.anchor, own.drive))

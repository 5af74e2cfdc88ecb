"""The saved result: a folder of safetensors and JSON that says where everything in it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.artifact.tensors import WEIGHTS as WEIGHTS
from headstart.artifact.tensors import heads_prefix, tensors_of
from headstart.artifact.tensors import write_folders as write_folders
from headstart.contracts import Backbone, Preprocess
from headstart.contracts.metric import SEQUENCES
from headstart.data.targets import USUAL, known_kind
from headstart.drift import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.loading import arrays, engine_form
from headstart.loading import record as records

if TYPE_CHECKING:  # so that a saved model is read without torch
    import numpy as np

    from headstart.contracts.frozen import Network

HEAD, EVIDENCE, CONFIG = "head.safetensors", "evidence.json", "config.json"
CARD = "README.md"
OWNED, WITHIN = "library", "network."  # of a head that a library knows, and before its names here
OF_TASK = "task"  # what `Record.head` calls one that the task makes itself, and is no linear layer
_SHOWN = 20  # labels in the title of the model card


@dataclass(frozen=True)
class Record:
    """What `headstart.json` says: with the weights beside it, all it takes to predict."""

    task: str
    modality: str
    architecture: str
    labels: tuple[str, ...]
    preprocess: Preprocess
    origin: Mapping[str, Any]
    strategy: str
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    weights_sha256: str
    versions: Mapping[str, str]
    task_settings: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, str] = field(default_factory=dict)  # name and sha256 of one not linear
    files: Mapping[str, str] = field(default_factory=dict)  # sha256 by name, of those it needs
    reference: Mapping[str, str] = field(default_factory=dict)  # sha256 of what it was held to
    engine: Mapping[str, str] = field(default_factory=dict)  # the same of what answers fast

    @classmethod
    def of(cls, entries: Mapping[str, Any]) -> Record:
        """The record with these entries. Raises ValueError or TypeError for others than it has."""
        record = cls(**entries)
        for each in fields(cls):
            value = getattr(record, each.name)
            if each.type == "str":
                right = isinstance(value, str)
            elif each.name == "labels":
                right = isinstance(value, list) and bool(value) and _are_texts(value)
            else:
                right = isinstance(value, dict)
            if not right:
                raise ValueError(f"{each.name} is {str(value)[:40]!r}")
        every = (record.head, record.files, record.reference, record.engine)
        if not all(_are_texts(hashes.values()) for hashes in every):
            raise ValueError("a hash is no text")
        _demand_columns(record.settings, record.data.get("columns", {}))
        return replace(record, labels=tuple(record.labels))


def portable(backbone: Backbone) -> str:
    """The architecture as a saved model keeps it: made from its own files, where it needs any."""
    architecture = backbone.architecture
    return str(replace(architecture, name=".") if backbone.files else architecture)


def save(  # what the folder is made of
    folder: Path,
    model: Network,
    backbone: Backbone,
    record: Record,
    evidence: Mapping[str, Any],
    reference: Reference | None = None,
) -> Record:
    """Write the artifact's files into a folder; answer with the record and its hashes.

    The tensors carry the names of the backbone's own library, so that it can open the folder by
    itself. A head that `record.head` names is none that it knows: it gets a file of its own,
    but for what of a library's own detector that library knows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storing, state, head = tensors_of(model)
    if record.head:
        own_tensors = {
            n: t for n, t in head.items() if OWNED in record.head and n.startswith(WITHIN)
        }
        state |= {name.removeprefix(WITHIN): tensor for name, tensor in own_tensors.items()}
        head = {name: tensor for name, tensor in head.items() if name not in own_tensors}
        storing.save(head, folder / HEAD, {"format": "pt"})
        record = replace(record, head={**record.head, "sha256": storing.digest(head)})
    else:
        prefix = heads_prefix(model, backbone.head_name)
        state |= {f"{prefix}{name}": tensor for name, tensor in head.items()}
    storing.save(state, folder / WEIGHTS, {"format": "pt"})
    write_folders(folder, state, backbone, storing)
    record = replace(record, weights_sha256=storing.digest(state))
    for name, content in backbone.files.items():
        _write_bytes(folder / name, content)
    hashes = {name: _sha256(content) for name, content in backbone.files.items()}
    reference_entry = {} if reference is None else {"sha256": reference.write(folder)}
    record = replace(record, files=hashes, reference=reference_entry)
    if backbone.native:
        _write_json(folder / CONFIG, _native(backbone.native, record))
    describe(folder, record, evidence, backbone.library)
    records.write(folder, asdict(record))
    return record


def add_engine(folder: Path, record: Record, files: Mapping[str, bytes]) -> Record:
    """Write what lets a saved model answer without torch; answer with the record that names it."""
    (folder / engine_form.FOLDER).mkdir(exist_ok=True)
    for name, content in files.items():
        _write_bytes(folder / engine_form.FOLDER / name, content)
    names = (WEIGHTS, *((HEAD,) if record.head else ()))
    contents = [arrays.read(folder / name).content for name in names]
    stated = {engine_form.BELONGS: belonging(record, contents), **engine_form.hashes(files)}
    record = replace(record, engine=stated)
    records.write(folder, asdict(record))
    return record


def belonging(record: Record, contents: Sequence[np.ndarray]) -> str:
    """What an engine form is made for: these files of weights, and what the record says of them."""
    facts = record.architecture, record.modality, dict(record.preprocess), record.task
    return engine_form.belonging(contents, [*facts, record.task_settings, list(record.labels)])


def _native(config: Mapping[str, Any], record: Record) -> dict[str, Any]:
    """A library's own configuration, with what this model answers in its entries for that."""
    labels, kind = record.labels, known_kind(record.data.get("kind", USUAL))
    entries = {
        "num_classes": 0 if record.head else len(labels),
        "label_names": list(labels),
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
        "problem_type": kind.problem_type if kind else None,
    }
    return {name: entries.get(name, value) for name, value in config.items()}


def describe(folder: Path, record: Record, evidence: Mapping[str, Any], library: str) -> None:
    """Write what was measured, and the model's card for its backbone's library."""
    write_evidence(folder, evidence)
    write_card(folder, card(record, evidence, library))


def card(record: Record, evidence: Mapping[str, Any], library: str) -> str:
    """The model's card for its backbone's library, as the Hub reads it, in Markdown."""
    from headstart.report import as_text
    from headstart.report.front_matter import auto_class, front_matter
    from headstart.report.markdown import render

    own = "" if record.head and OWNED not in record.head else library
    return render(
        "model_card.md",
        front=front_matter(record, evidence, own),
        record=record,
        evidence=evidence,
        table=as_text(dict(evidence)),
        library=own,
        auto_class=auto_class(record),
        writes=record.data.get("kind") == SEQUENCES,
        shown=_SHOWN,
    )


def write_card(folder: Path, text: str) -> None:
    """Write a model's card into its folder."""
    _write(folder / CARD, text)


def write_evidence(folder: Path, evidence: Mapping[str, Any]) -> None:
    """Write what was measured."""
    _write_json(folder / EVIDENCE, evidence)


def read_evidence(folder: Path) -> dict[str, Any]:
    """What was measured. Raises HeadstartError where it can't be read."""
    path = folder / EVIDENCE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise HeadstartError(
            f"{path} can't be read ({error}). Copy it again, or make the model again."
        ) from None


@contextmanager
def as_written(folder: Path) -> Iterator[None]:
    """Say so where the evidence turns out to be other than what `fit` writes, by HeadstartError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise HeadstartError(
            f"{folder / EVIDENCE} is not what `fit` writes ({type(error).__name__}: {error}). "
            "Copy it again, or make the model again."
        ) from error


def read(folder: Path) -> Record:
    """Read an artifact's record and check its weights against it.

    Raises HeadstartError where the folder holds no artifact, and WeightsError where the weights
    have changed.
    """
    return read_whole(folder)[0]


def read_whole(folder: Path) -> tuple[Record, list[np.ndarray]]:
    """The same, with the bytes of each file of weights, (B,) uint8. Raises as `read` does."""
    entries = records.read(folder)
    try:
        record = Record.of(entries)
        hashes = {WEIGHTS: record.weights_sha256}
        if record.head:
            hashes[HEAD] = record.head["sha256"]
    except (ValueError, TypeError, KeyError) as error:
        raise HeadstartError(
            f"{folder / records.FILE} can't be read ({error}). "
            "Give a folder that this version of Headstart wrote."
        ) from None
    contents = []
    for name, digest in hashes.items():
        tensors = arrays.read(folder / name)
        if tensors.digest() != digest:
            raise records.changed(folder / name)
        endless = tensors.not_finite()
        if endless is not None:
            raise WeightsError(
                f"{folder / name} has numbers in {endless} that are not finite. "
                "Make the model again."
            )
        contents.append(tensors.content)
    for name, digest in record.files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise WeightsError(
                f"{folder / records.FILE} names {name!r}, which lies elsewhere. "
                "Give a folder that Headstart saved."
            )
        if not (folder / name).is_file() or _sha256((folder / name).read_bytes()) != digest:
            raise records.changed(folder / name)
    return record, contents


def _demand_columns(settings: Mapping[str, Any], columns: Any) -> None:
    """Raise ValueError unless what says how data were read is texts and lists of them."""
    lists = {"text": settings.get("text", []), **(columns if isinstance(columns, dict) else {})}
    right = isinstance(columns, dict) and all(
        isinstance(value, list) and _are_texts(value) for value in lists.values()
    )
    words = [settings.get(name) for name in ("label", "group", "delimiter", "missing", "image")]
    if not right or not _are_texts(word for word in words if word is not None):
        raise ValueError("a column or a delimiter is no text")


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write_json(path: Path, content: Any) -> None:
    _write(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    _write_bytes(path, text.encode("utf-8"))


def _write_bytes(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:  # a full disk shows when the file is flushed, and then without a name
        raise OSError(error.errno, error.strerror, str(path)) from error

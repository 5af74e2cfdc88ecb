"""Rows as they are: columns written as numbers, and beside them features of texts and pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from headstart.contracts import Backbone, Card, Hub, Origin
from headstart.contracts.references import Reference, parse
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.loading import architectures
from headstart.loading.spec import HubOptions, resolve
from headstart.loading.weights import digest, load_with_head, read

if TYPE_CHECKING:
    from headstart.contracts.joined import Joined

_NAME: Final = "columns"
_FILE: Final = "columns.json"
_CONFIG: Final = "config.json"
_HEAD: Final = "head"
_LARGEST: Final = 64 * 2**20  # bytes
_KINDS: Final = ("number", "category", "date", "boolean")
_PAIR: Final = re.compile(r"(.+?):(\w+)(?:,|$)", re.DOTALL)  # a column, which may hold commas
_UNKNOWN: Final[Mapping[str, Any]] = {"columns": [], "width": 0}  # until rows are there


@final
@dataclass(frozen=True)
class TableOptions(HubOptions):
    """Backbones for cells that are texts, pictures or sounds, and kinds of columns, `a:text,b:…`.

    Columns that `kinds` does not name are told by their cells.
    """

    text: str = ""
    image: str = ""
    audio: str = ""
    kinds: str = ""


@final
class Table(Hub):
    """`table:columns`: a row's own columns as its features, fitted to the rows at hand."""

    def __init__(self, loading: Callable[[Reference], Backbone] | None = None) -> None:
        self.loading = loading

    def composed(self, loading: Callable[[Reference], Backbone]) -> Hub:
        """The same that finds backbones for cells."""
        return Table(loading)

    def cards(self, pattern: str) -> Iterable[Card]:
        """The only one, if its name matches the shell pattern."""
        if fnmatchcase(_NAME, pattern):
            yield Card(f"table:{_NAME}", "table", 0, "rows", None, None, at_hand=True)

    def cards_depend_on(self) -> Sequence[str]:
        """Nothing."""
        return ()

    def load(self, reference: Reference) -> Backbone:
        """The columns, with backbones for texts and pictures in them where the reference names any.

        Those of a saved model where its folder is named. Raises UnknownNameError for another name,
        HeadstartError for options that can't be, and WeightsError for columns that can't be read.
        """
        folder = Path(reference.name)
        if reference.name == _NAME:
            return self._new(reference)
        if not (folder / _FILE).is_file():
            raise UnknownNameError("table backbone", reference.name, [_NAME])
        return self._saved(folder, reference)

    def _new(self, reference: Reference) -> Backbone:
        options = resolve(TableOptions, reference)
        references = {"text": options.text, "image": options.image, "audio": options.audio}
        parts = {kind: self._part(kind, parse(own)) for kind, own in references.items() if own}
        preprocess = dict(_UNKNOWN)
        files: dict[str, bytes] = {}
        if options.kinds:
            preprocess["kinds"] = _kinds_in(options.kinds, parts)
        if parts:
            preprocess["parts"] = {kind: _entry(part) for kind, part in parts.items()}
            files = {f"{k}/{n}": each for k, part in parts.items() for n, each in _files(part)}
        origins = [part.origin for part in parts.values()]
        origin = Origin(
            str(reference),
            "; ".join(dict.fromkeys(each.licence for each in origins if each.licence)) or None,
            "; ".join(dict.fromkeys(o.trained_on for o in origins if o.trained_on)) or None,
            "",
            pretrained=any(each.pretrained for each in origins),
        )
        return _backbone(preprocess, parts, files, origin)

    def _saved(self, folder: Path, reference: Reference) -> Backbone:
        content = _read(folder / _FILE)
        preprocess = _parsed(folder, content)
        parts, files = {}, {_FILE: content}
        for kind, entry in preprocess.get("parts", {}).items():
            text = entry.get("architecture") if isinstance(entry, dict) else None
            own = architectures.architecture(text, folder / _FILE)
            if kind not in ("text", "image", "audio") or own.hub == "table":
                raise WeightsError(f"{folder / _FILE} has a part {kind!r}, which no table has.")
            place = str(folder / kind) if own.name == architectures.OWN_FILES else own.name
            parts[kind] = self._part(kind, replace(own, name=place))
            files |= {f"{kind}/{n}": each for n, each in _files(parts[kind])}
        origin = Origin(f"table:{_NAME}", None, None, "", pretrained=False)
        backbone = _backbone(preprocess, parts, files, origin)
        if reference.weights is None:
            return backbone
        network = backbone.stages[_NAME]
        state = read(reference.weights).state
        head = load_with_head(network, state, _HEAD, str(reference.weights))
        origin = replace(origin, weights_hash=digest(network.state_dict()))
        return replace(backbone, head=head, origin=origin)

    def _part(self, kind: str, reference: Reference) -> Backbone:
        if self.loading is None:
            raise HeadstartError("Backbones for cells are found through the catalog. Ask it.")
        part = self.loading(reference)
        if part.modality != kind:
            raise HeadstartError(
                f"table:columns?{kind}={reference} is made for {part.modality}, not for {kind}. "
                f"Give it as {part.modality}=, or name a backbone for {kind}."
            )
        return part


def _backbone(
    preprocess: Mapping[str, Any],
    parts: Mapping[str, Backbone],
    files: Mapping[str, bytes],
    origin: Origin,
) -> Backbone:
    network = _network(preprocess, parts)
    return Backbone(
        stages={_NAME: network},
        feature_dim=int(preprocess["width"]),
        modality="table",
        preprocess=preprocess,
        origin=replace(origin, weights_hash=digest(network.state_dict())),
        architecture=Reference("table", _NAME),
        head_name=_HEAD,
        differentiable=False,
        heads=("gradient-boosting",),
        files=files,
        parts=parts,
    )


def _network(preprocess: Mapping[str, Any], parts: Mapping[str, Backbone]) -> Joined:
    from torch import nn

    from headstart.contracts.joined import Joined

    bodies = {kind: nn.Sequential(*part.prefix()) for kind, part in parts.items()}
    wide = [(s["kind"], s["width"]) for s in preprocess["columns"] if "width" in s]
    return Joined(bodies, wide)


def _entry(part: Backbone) -> dict[str, Any]:
    """What a saved model says of a part."""
    architecture = replace(part.architecture, name=architectures.OWN_FILES)
    own = architecture if any(True for _ in _files(part)) else part.architecture
    return {"architecture": str(own), "preprocess": dict(part.preprocess)}


def _files(part: Backbone) -> Iterable[tuple[str, bytes]]:
    """The files that make a part again, by name; none where its name alone does."""
    if part.files:
        yield from part.files.items()
        if part.native and _CONFIG not in part.files:
            yield _CONFIG, json.dumps(dict(part.native), indent=1, ensure_ascii=False).encode()


def _kinds_in(text: str, parts: Mapping[str, Backbone]) -> dict[str, str]:
    kinds: dict[str, str] = {}
    rest = text
    while rest:
        pair = _PAIR.match(rest)
        if pair is None or pair[2] not in (*_KINDS, *parts) or pair[1] in kinds:
            again = ", having one already" if pair and pair[1] in kinds else ""
            raise HeadstartError(
                f"table:columns?kinds={text} has {(pair[0] if pair else rest).rstrip(',')!r}, "
                f"which is no column with its kind{again}. Write column:kind once for each, with "
                f"commas between; kinds are {', '.join((*_KINDS, *parts))}, and text, image and "
                "audio where a backbone for these is named, such as by text=REF."
            )
        kinds[pair[1]] = pair[2]
        rest = rest[pair.end() :]
    return kinds


def _read(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise WeightsError(f"{path} is too large for columns. Copy the saved model again.")
    return path.read_bytes()


def _parsed(folder: Path, content: bytes) -> Mapping[str, Any]:
    try:
        preprocess = json.loads(content)
    except (ValueError, RecursionError):
        preprocess = None
    parts = preprocess if isinstance(preprocess, dict) else {}
    listed, inner = parts.get("columns"), parts.get("parts", {})
    right = isinstance(listed, list) and all(isinstance(each, dict) for each in listed)
    wide = (
        [each for each in listed if "width" in each] if isinstance(listed, list) and right else []
    )
    right = right and isinstance(parts.get("width"), int) and isinstance(inner, dict)
    right = right and all(e.get("kind") in inner and isinstance(e["width"], int) for e in wide)
    if not right:
        raise WeightsError(f"{folder / _FILE} holds no columns. Copy the saved model again.")
    return parts

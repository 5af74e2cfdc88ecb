"""Items whose text and label together spoil what is learned, as their kind of target tells."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from headstart.contracts import Modality, Targets
from headstart.data.check import Checked
from headstart.data.sources import Contents
from headstart.errors import DataError


@dataclass(frozen=True)
class Screening:
    """What is left of checked items, with what is to be said of them.

    `alike` says which identities stand for the same where the kind of target tells near copies.
    """

    checked: Checked
    contents: Contents
    alike: Mapping[str, str] = field(default_factory=dict)


def screening(
    path: Path, checked: Checked, kind: Targets, modality: Modality, contents: Contents
) -> Screening:
    """Leave out items that spoil what is learned. Raises DataError where none is left."""
    items = checked.items
    texts = (modality.text(item.read()) if modality.inline else None for item in items)
    columns = ", ".join(contents.content), contents.column
    screened = kind.screened(texts, [item.label for item in items], columns)
    if screened is None:
        return Screening(checked, contents)
    faults = zip(items, screened.faults, strict=True)
    left_out = tuple((item.id, fault) for item, fault in faults if fault)
    intact = tuple(i for i, fault in zip(items, screened.faults, strict=True) if not fault)
    if not intact:
        raise DataError(
            f"{path} has no usable item: the first, {left_out[0][0]}, is left out as "
            f"{left_out[0][1]}. Check its columns."
        )
    alike = zip(items, screened.alike, strict=True)
    sketches = {item.identity: _sketch(common) for item, common in alike if common}
    checked = replace(
        checked,
        items=intact,
        skipped=(*checked.skipped, *left_out),
        sketches={**checked.sketches, **sketches},
    )
    remarks = (*contents.remarks, *screened.remarks)
    warnings = (*contents.warnings, *screened.warnings)
    return Screening(checked, replace(contents, remarks=remarks, warnings=warnings), sketches)


def _sketch(common: str) -> str:
    """What near copies have in common, hashed as sketches are."""
    return hashlib.blake2b(common.encode(), digest_size=32).hexdigest()

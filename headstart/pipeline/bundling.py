"""A bundle: a folder of pretrained models that are loaded elsewhere without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from headstart import artifact, catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.contracts.references import Reference, parse
from headstart.errors import WeightsError
from headstart.loading import record, weights
from headstart.loading.downloads import file_sha256
from headstart.report.markdown import render
from headstart.results import Model as Packed
from headstart.runtime import installed

SUMS = "SHA256SUMS"  # in the form that `sha256sum -c` reads


def pack(bundle: Path, backbone: Backbone) -> tuple[str, bool]:
    """Write a backbone into a new folder of the bundle, which `checkpoint:` reads.

    Answers with the folder's name, and whether the pretrained head, if there is one, could be kept.
    What was written is loaded again and must be the same. Raises WeightsError where it is not.
    """
    name = _free(bundle, backbone.origin.reference)
    folder = bundle / name
    if backbone.head is not None:
        head = backbone.head.state_dict()
        _write(folder, backbone, head)
        if _same(folder, backbone, head):
            return name, True
    _write(folder, backbone, {})
    if not _same(folder, backbone, {}):
        raise WeightsError(
            f"{backbone.origin.reference} is another network when it is loaded from a saved "
            "folder. Carry its own files instead."
        )
    return name, backbone.head is None


def describe(bundle: Path, models: Sequence[Packed]) -> None:
    """Write how to use the bundle, and the sums of all its files."""
    text = render("bundle.md", models=models, sums=SUMS)
    (bundle / "README.md").write_text(text, encoding="utf-8")
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    sums = [f"{file_sha256(path)}  {path.relative_to(bundle).as_posix()}\n" for path in files]
    (bundle / SUMS).write_text("".join(sums), encoding="utf-8")


def _write(folder: Path, backbone: Backbone, head: weights.State) -> None:
    folder.mkdir(exist_ok=True)
    state = Model.of(backbone, torch.nn.Identity()).backbone_state()
    state |= {f"{backbone.head_name}.{name}": tensor for name, tensor in head.items()}
    origin = backbone.origin
    terms = {"licence": origin.licence, "trained_on": origin.trained_on}
    header = {name: value for name, value in terms.items() if value}
    weights.save(state, folder / artifact.WEIGHTS, {"format": "pt", **header})
    artifact.write_folders(folder, state, backbone)
    for name, content in backbone.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if backbone.native:
        _write_json(folder / artifact.CONFIG, dict(backbone.native))
    entries = {
        "modality": backbone.modality,
        "architecture": artifact.portable(backbone),
        "preprocess": dict(backbone.preprocess),
        "origin": asdict(origin),
        "weights_sha256": weights.digest(state),
        "versions": installed.versions(),
    }
    record.write(folder, entries)


def _same(folder: Path, backbone: Backbone, head: weights.State) -> bool:
    """Whether the folder holds the same backbone with the same head."""
    try:
        again = catalog.load_backbone(Reference("checkpoint", str(folder)))
    except WeightsError:
        if not head:
            raise
        return False  # some networks take no tensors beside their own
    other_head = {} if again.head is None else again.head.state_dict()
    return (
        again.origin.weights_hash == backbone.origin.weights_hash
        and again.preprocess == backbone.preprocess
        and list(again.stages) == list(backbone.stages)
        and weights.digest(other_head) == weights.digest(head)
    )


def _free(bundle: Path, reference: str) -> str:
    """A folder's name that tells the reference, but no folders of this machine; not taken yet."""
    backbone = parse(reference)
    name = Path(backbone.name).name if Path(backbone.name).exists() else backbone.name
    weights = backbone.weights and Path(backbone.weights).stem
    text = str(replace(backbone, name=name, weights=weights))
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:100]
    names = [plain, *(f"{plain}-{number}" for number in range(2, 1000))]
    return next(name for name in names if not (bundle / name).exists())


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

"""What all saved models of a frozen backbone have in common, kept in the cache for the next one.

Its weights and the graph of its body, as they lie in a saved model: made by the first, compared
with plain torch there, and taken by later ones, which then need no torch. Weights are known by
their hash, the graph by its own; what is damaged or of other versions is as what isn't there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from headstart.contracts import Backbone
from headstart.errors import HeadstartError
from headstart.features.engine import Engine, EngineError
from headstart.features.engine.graphs import Written, placed
from headstart.loading import arrays, engine_form, operations
from headstart.runtime import known
from headstart.runtime.places import cache_folder

FOLDER: Final = "prepared"
KEPT: Final = 4 << 30  # bytes; beyond it the longest unused go
_WEIGHTS, _FACTS = "model.safetensors", "facts.json"
_FILES: Final = (engine_form.BODY, engine_form.CONSTANTS)


@final
@dataclass(frozen=True)
class Prepared:
    """A backbone's tensors under their own names, and the graph of its body, over all of them."""

    weights: arrays.Tensors
    body: Written


def recall(backbone: Backbone) -> Prepared | None:
    """What is kept of a backbone, checked; None where that is nothing."""
    folder = _folder(backbone)
    with suppress(OSError, ValueError, LookupError, TypeError, HeadstartError):
        stated = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        body, constants = (_whole(folder / name, stated[name]) for name in _FILES)
        weights = arrays.read(folder / _WEIGHTS)
        if weights.digest() != backbone.origin.weights_hash or operations.foreign(body.decode()):
            return None
        os.utime(folder)
        content = np.concatenate([weights.content, np.frombuffer(constants, np.uint8)])
        return Prepared(weights, (body.decode(), content))
    return None


def weights(backbone: Backbone) -> dict[str, np.ndarray] | None:
    """The tensors alone, by name."""
    record = recall(backbone)
    return record.weights.arrays() if record else None


def engine(backbone: Backbone) -> Engine | None:
    """What runs a backbone up to its features without torch, in fp32; None where it can't."""
    from headstart.features.engine.openvino import OpenVinoEngine

    record = recall(backbone)
    with suppress(EngineError):
        return OpenVinoEngine.of_form(*record.body) if record else None
    return None


def keep(backbone: Backbone, tensors: Mapping[str, np.ndarray], body: Written) -> None:
    """Keep the tensors and the graph of a body; nothing where the cache can't be written."""
    folder = _folder(backbone)
    if arrays.digest(tensors) != backbone.origin.weights_hash or folder.exists():
        return
    with suppress(OSError, HeadstartError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        try:
            arrays.save(tensors, beside / _WEIGHTS, {"format": "pt"})
            own = arrays.read(beside / _WEIGHTS)
            files = placed({engine_form.BODY: body}, [own])
            for name in _FILES:
                (beside / name).write_bytes(files[name])
            facts = {name: hashlib.sha256(files[name]).hexdigest() for name in _FILES}
            (beside / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
            os.replace(beside, folder)
            known.make_room(folder, KEPT)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _whole(path: Path, digest: str) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{path} has changed")
    return content


def _folder(backbone: Backbone) -> Path:
    key: dict[str, Any] = {
        "weights": backbone.origin.weights_hash,
        "architecture": str(backbone.architecture.ordered()),
        "preprocess": dict(backbone.preprocess),
        "versions": known.versions(),
    }
    return cache_folder() / FOLDER / known.digest(key)

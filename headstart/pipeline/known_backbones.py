"""Backbones by reference: loaded, or known from before without their network.

What a backbone is, all but its network, is kept in the cache for those whose files can be looked
at, and holds as long as these are as they were. The network is then loaded once something trains,
or can't do without.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.backbone import Origin
from headstart.contracts.references import parse
from headstart.errors import HeadstartError
from headstart.runtime import known, sources

_KIND: Final = "backbone-2"  # earlier ones counted the time that other work took
_TRUST: Final = "trust"  # the option of networks that are code of others
_ENVIRONMENT: Final = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HOME")
_PLAIN: Final = (  # fields that JSON holds as they are
    *("feature_dim", "modality", "head_name", "differentiable", "delicate", "library"),
)
_BEYOND_JSON: Final = ("related", "levels", "detector", "summary", "for_task", "parts")
_LARGEST: Final = 16 * 2**20  # bytes of files, such as a tokenizer, that are kept


@dataclass(frozen=True)
class Loaded:
    """A backbone, and the seconds that loading it takes."""

    backbone: Backbone
    seconds: float


def recall(reference: str, load: Callable[[], Backbone]) -> Loaded | None:
    """What is known of a backbone whose files are as they were; None where that is nothing.

    `load` loads it, when its network is needed.
    """
    content = known.recall(_KIND, _key(reference)) or {}

    def make() -> Backbone:
        backbone = load()
        if backbone.origin.weights_hash != origin.weights_hash:
            raise HeadstartError(
                f"The weights of {reference} changed while they were in use. Run it again."
            )
        return backbone

    with suppress(LookupError, TypeError, ValueError, HeadstartError):
        if sources.stamp(content["places"]) != content["stamp"]:
            return None
        facts, seconds = dict(content["facts"]), float(content["seconds"])
        origin = Origin(**facts.pop("origin"))
        files = {name: b64decode(text) for name, text in facts.pop("files").items()}
        architecture = parse(facts.pop("architecture"))
        own: dict[str, Any] = {"origin": origin, "files": files, "architecture": architecture}
        return Loaded(Backbone.late(make, **facts, **own), seconds)
    return None


def remember(reference: str, backbone: Backbone, seconds: float) -> None:
    """Keep what is known of a backbone, where its files can be told from others."""
    if not backbone.origin.pretrained or _TRUST in parse(reference).options:
        return
    places = catalog.sources(reference)
    stamp = sources.stamp(places) if places else None
    large = sum(map(len, backbone.files.values())) > _LARGEST
    if stamp is None or large or any(getattr(backbone, name) for name in _BEYOND_JSON):
        return
    facts: dict[str, Any] = {name: getattr(backbone, name) for name in _PLAIN}
    facts |= {"stages": list(backbone.stages), "parameters": backbone.parameters}
    facts |= {"preprocess": dict(backbone.preprocess), "native": dict(backbone.native)}
    facts |= {"layers": list(backbone.layers), "heads": list(backbone.heads)}
    facts |= {"notes": list(backbone.notes), "folders": dict(backbone.folders)}
    facts |= {"origin": asdict(backbone.origin), "architecture": str(backbone.architecture)}
    facts["files"] = {name: b64encode(own).decode() for name, own in backbone.files.items()}
    content = {"places": [*map(str, places or ())], "stamp": stamp, "facts": facts}
    if _is_same(content):
        known.remember(_KIND, _key(reference), {**content, "seconds": seconds})


def _is_same(content: Mapping[str, Any]) -> bool:
    """Whether JSON keeps all of it; tuples count as lists."""
    with suppress(TypeError, ValueError):
        return bool(json.dumps(content, allow_nan=False))
    return False


def _key(reference: str) -> dict[str, object]:
    """What a reference stands for depends on it, on where relative paths begin, and on caches."""
    parts = parse(reference)
    places = [Path(each) for each in (parts.name, parts.weights) if each]
    is_path = any(each.exists() and not each.is_absolute() for each in places)
    variables = {name: os.environ.get(name) for name in _ENVIRONMENT}
    return {
        "reference": str(parts.ordered()),
        "in": str(Path.cwd()) if is_path else "",
        **variables,
    }

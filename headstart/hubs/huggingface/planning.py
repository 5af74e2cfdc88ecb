"""A reference to a text encoder, with everything settled before the network is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from transformers import CONFIG_MAPPING

from headstart.errors import HeadstartError
from headstart.hubs.huggingface.families import Family, family
from headstart.hubs.huggingface.fetching import Place, locate
from headstart.hubs.huggingface.reading import CONFIG, read_json
from headstart.hubs.huggingface.sentences import Sentences, sentences
from headstart.references import Reference, build
from headstart.weights import TORCH_SUFFIXES

POOLING: Final = ("own", "mean", "cls")
_SUFFIXES: Final = (".safetensors", *TORCH_SUFFIXES)
_LEFT_OUT: Final = (  # of this or that copy of the model, or leading to code that we don't run
    *("auto_map", "_name_or_path", "dtype", "torch_dtype", "num_labels"),
    *("id2label", "label2id", "problem_type", "architectures"),
    *("_attn_implementation", "attn_implementation"),
)


@final
@dataclass(frozen=True)
class Options:
    """The options of a reference; the first two are empty where the model's own way is wanted."""

    pooling: str = ""
    max_length: int = 0
    pretrained: bool = True


@final
@dataclass(frozen=True)
class Plan:
    """A reference with everything settled: which files, which network, pooled in which way."""

    reference: Reference
    options: Options
    place: Place
    raw: Mapping[str, Any]  # config.json without what is only about this copy
    config: Any  # the same as transformers has it
    family: Family
    sentences: Sentences | None  # how the model itself pools, where it says so and may
    file: Path | None  # of weights, named after @

    @property
    def what(self) -> str:
        """How messages call the model."""
        return f"hf:{self.reference.name}"

    @property
    def pretrained(self) -> bool:
        """Whether weights come from somewhere."""
        return self.file is not None or self.options.pretrained


def settle(reference: Reference) -> Plan:
    """Check the options, find or fetch the files, and read what they say of the network.

    Raises HeadstartError for options, folders and kinds of model that can't be used, WeightsError
    where files are missing.
    """
    what = f"hf:{reference.name}"
    options = build(Options, reference.options, what)
    if options.pooling and options.pooling not in POOLING:
        raise HeadstartError(
            f"{what}?pooling={options.pooling!r} is not known. Give one of {', '.join(POOLING)}."
        )
    file = _file(reference)
    weights = file is None and options.pretrained
    place = locate(reference.name, None if file else reference.weights, weights)
    content = read_json(place.folder / CONFIG)
    raw = {name: value for name, value in content.items() if name not in _LEFT_OUT}
    return Plan(
        reference=reference,
        options=options,
        place=place,
        raw=raw,
        family=family(raw, what),
        config=_config(raw, place.folder / CONFIG),
        sentences=None if options.pooling else sentences(place.folder, what),
        file=file,
    )


def _file(reference: Reference) -> Path | None:
    """The local file after @, or None where @ names a revision or is not there."""
    given = reference.weights
    if given is None:
        return None
    named = Path(given).exists() or given.lower().endswith(_SUFFIXES)
    return Path(given) if named or Path(reference.name).expanduser().is_dir() else None


def _config(raw: Mapping[str, Any], path: Path) -> Any:
    try:
        return CONFIG_MAPPING[raw["model_type"]].from_dict(dict(raw))
    except Exception as error:  # each kind checks its values in its own way
        reason = " ".join(str(error).split()).rstrip(".")[:160]
        raise HeadstartError(
            f"{path} can't be used by this version of transformers ({reason}). Give another model."
        ) from error

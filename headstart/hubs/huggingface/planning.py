"""A reference to a text encoder, with everything settled before the network is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from transformers import CONFIG_MAPPING

from headstart.errors import HeadstartError
from headstart.hubs.huggingface.families import Family, family
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.reading import CONFIG
from headstart.hubs.huggingface.sentences import Sentences, sentences
from headstart.loading.spec import HubOptions, LoadSpec, resolve

POOLING: Final = ("own", "mean", "cls")


@final
@dataclass(frozen=True)
class TextOptions(HubOptions):
    """The options of a reference; `pooling` and `max_length` are empty for the model's own way.

    `base` names the model that an adapter is for.
    """

    pooling: str = ""
    max_length: int = 0
    pretrained: bool = True
    base: str = ""


@final
@dataclass(frozen=True)
class TextSpec(LoadSpec[TextOptions]):
    """A reference with everything settled: which files, which network, pooled in which way."""

    layout: Layout
    config: Any  # config.json as transformers has it; None for a vector a token
    family: Family | None
    sentences: Sentences | None  # how the model itself pools, where it says so and may


def settle(layout: Layout) -> TextSpec:
    """Check the options, and read what the files say of the network.

    Raises HeadstartError for options, folders and kinds of model that can't be used.
    """
    what = layout.what
    options = resolve(TextOptions, layout.reference)
    if options.pooling and options.pooling not in POOLING:
        raise HeadstartError(
            f"{what}?pooling={options.pooling!r} is not known. Give one of {', '.join(POOLING)}."
        )
    modules = None if options.pooling and layout.raw else sentences(layout.root, what)
    if modules is not None and modules.static:
        if options.pooling:
            raise HeadstartError(
                f"{what} has a vector for each token and no network, which is pooled in its own "
                "way alone. Leave out pooling=."
            )
        return TextSpec(layout.reference, options, layout, None, None, modules)
    kind = family(layout.raw, what)
    config = library_config(layout.raw, layout.encoder / CONFIG)
    return TextSpec(layout.reference, options, layout, config, kind, modules)


def library_config(raw: Mapping[str, Any], path: Path) -> Any:
    """config.json as transformers has it. Raises HeadstartError where it can't be used."""
    try:
        return CONFIG_MAPPING[raw["model_type"]].from_dict(dict(raw))
    except Exception as error:  # each kind checks its values in its own way
        reason = " ".join(str(error).split()).rstrip(".")[:160]
        raise HeadstartError(
            f"{path} can't be used by this version of transformers ({reason}). Give another model."
        ) from error

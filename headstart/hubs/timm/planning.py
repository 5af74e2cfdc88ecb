"""A reference to a timm model, with everything settled before the network is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart.contracts.references import Reference
from headstart.errors import UnknownNameError
from headstart.hubs.timm import recipe
from headstart.hubs.timm.library import timm
from headstart.loading import refusals
from headstart.loading.preprocess import Recipe, with_options
from headstart.loading.spec import LoadSpec
from headstart.loading.weights import Weights, names_file, read


@final
@dataclass(frozen=True)
class TimmSpec(LoadSpec[Mapping[str, str]]):
    """A reference with everything settled: what to build, from which file, fed with what."""

    config: Mapping[str, Any]  # timm's own, of this name and tag
    own: Recipe  # the preprocessing that it asks for
    preprocess: Recipe
    keywords: dict[str, Any]
    file: Weights | None
    beside: recipe.Saved | None  # timm's own config.json beside that file

    @property
    def pretrained(self) -> bool:
        """Whether weights come from somewhere."""
        return self.file is not None or self.reference.option("pretrained", True)

    @property
    def head_name(self) -> str:
        """The qualified name of the head, where there is exactly one."""
        name = self.config.get("classifier")
        return name if isinstance(name, str) else "head"


def settle(reference: Reference) -> TimmSpec:
    """Look the name up, read the file where one is given, and sort the options.

    Raises UnknownNameError, HeadstartError for bad options, WeightsError for another model's file.
    """
    name = reference.name
    if not timm.is_model(name) or ("." in name and name not in timm.list_pretrained()):
        names = timm.list_pretrained() if "." in name else timm.list_models()
        raise UnknownNameError("timm model", name, names)
    config = timm.get_pretrained_cfg(name)
    details: dict[str, Any] = config.to_dict() if config is not None else {}
    file = _file(reference)
    beside = _beside(reference) if file else None
    options = {
        **(beside.keywords if beside else {}),
        **(_header(file, reference) if file else {}),
        **reference.options,
    }
    own = recipe.configured(details)
    what = f"timm:{name}"
    preprocess = with_options(recipe.configured(beside.config) if beside else own, options, what)
    keywords = recipe.construction(options, own, preprocess, details)
    if "img_size" in options and "size" not in options:
        preprocess = with_options(preprocess, {"size": options["img_size"]}, what)
    return TimmSpec(reference, options, details, own, preprocess, keywords, file, beside)


def _file(reference: Reference) -> Weights | None:
    """The local file after @, or None where @ names a revision or is not there."""
    if reference.weights is None or not names_file(reference.weights):
        return None
    return read(reference.weights, reference.option("ema", True))


def _beside(reference: Reference) -> recipe.Saved | None:
    """What timm wrote beside the weights; of a record that states all itself, nothing.

    Raises WeightsError where it contradicts the reference.
    """
    if not reference.option("pretrained", True):
        return None
    config = recipe.beside(Path(str(reference.weights)))
    if config is not None:
        config.demand(reference)
    return config


def _header(file: Weights, reference: Reference) -> dict[str, str]:
    """The options that a weights file states in its header."""
    stated = file.metadata.get("timm")
    if stated and stated.partition(".")[0] != reference.name.partition(".")[0]:
        raise refusals.other_network(reference.weights, stated, reference)
    return {n: file.metadata[n] for n in recipe.IN_HEADER if n in file.metadata}

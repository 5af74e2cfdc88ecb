"""Where the files of a model lie: in its folder, in that of its first module, or of its base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.huggingface.fetching import ADAPTED, is_adapter, locate
from headstart.hubs.huggingface.reading import (
    ADAPTER,
    CONFIG,
    PROCESSORS,
    TOKENIZER,
    VOCABULARIES,
    read_json,
)
from headstart.hubs.huggingface.sentences import STATIC, first_module
from headstart.loading.weights import names_file
from headstart.loading.weights.sizes import check_sizes

_LEFT_OUT: Final = frozenset(  # of this or that copy of the model, or leading to code we don't run
    """auto_map _name_or_path dtype torch_dtype num_labels id2label label2id problem_type
    architectures _attn_implementation attn_implementation _attn_implementation_internal
    _experts_implementation""".split()
)


@final
@dataclass(frozen=True)
class Layout:
    """A model's folders; all are one where it was saved by transformers.

    `root` is what the reference names, `encoder` holds config.json and weights, `reader` the
    tokenizer or the image processor, `adapter` what is merged into the weights. `raw` is
    config.json without what is only about this copy, empty where there is none.
    """

    reference: Reference
    root: Path
    encoder: Path
    reader: Path
    adapter: Path | None
    commit: str | None
    file: Path | None  # of weights, named after @
    raw: Mapping[str, Any]

    @property
    def what(self) -> str:
        """How messages call the model."""
        return f"hf:{self.reference.name}"

    @property
    def pretrained(self) -> bool:
        """Whether weights come from somewhere."""
        return self.file is not None or self.reference.option("pretrained", True)

    @property
    def kind(self) -> str:
        """transformers' word for the kind of network."""
        return str(self.raw.get("model_type"))


def lay_out(reference: Reference) -> Layout:
    """Find or fetch the files that a reference names.

    Raises HeadstartError for folders that can't be used, WeightsError where files are missing.
    """
    file = _file(reference)
    weights = file is None and reference.option("pretrained", True)
    place = locate(reference.name, None if file else reference.weights, weights)
    first = first_module(place.folder)
    encoder = reader = place.folder / (first.place if first else "")
    adapter: Path | None = None
    if is_adapter(encoder):
        adapter = encoder
        encoder = _base(adapter, reference, weights)
        reads = (adapter / name for name in (TOKENIZER, *VOCABULARIES, *PROCESSORS))
        reader = adapter if any(path.is_file() for path in reads) else encoder
    static = first is not None and first.kind == STATIC
    raw = {} if static else config(encoder / CONFIG)
    return Layout(reference, place.folder, encoder, reader, adapter, place.commit, file, raw)


def config(path: Path) -> dict[str, Any]:
    """config.json without what is only about this copy, its numbers of a sensible size.

    Raises HeadstartError where it can't be read, or describes what can't be.
    """
    raw = _plain(read_json(path))
    check_sizes(raw, path)
    return raw


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _plain(value) if isinstance(value, Mapping) else value
        for name, value in content.items()
        if name not in _LEFT_OUT
    }


def _file(reference: Reference) -> Path | None:
    """The local file after @, or None where @ names a revision or is not there."""
    weights = reference.weights
    if weights is None:
        return None
    file = names_file(weights) or Path(reference.name).expanduser().is_dir()
    return Path(weights) if file else None


def _base(adapter: Path, reference: Reference, weights: bool) -> Path:
    """The folder of the model that an adapter is for, as it says itself or as `base` does."""
    content = read_json(adapter / ADAPTER)
    name = reference.options.get("base") or content.get("base_model_name_or_path")
    revision = None if "base" in reference.options else content.get("revision")
    what = f"hf:{reference.name}"
    if not isinstance(name, str) or not name:
        raise HeadstartError(
            f"{what} is an adapter that names no model that it is for. "
            "Name that model's folder with ?base=FOLDER."
        )
    if weights and not (adapter / ADAPTED).is_file():
        raise WeightsError(f"{what} is an adapter without {ADAPTED}. Copy or download it again.")
    try:
        return locate(name, revision if isinstance(revision, str) else None, weights).folder
    except HeadstartError as error:
        raise WeightsError(
            f"{what} is an adapter for {name}, which is not at hand. "
            "Name that model's folder with ?base=FOLDER, or fetch it first."
        ) from error

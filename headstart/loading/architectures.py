"""The architecture that a saved model names: one that is made from what lies in its own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from headstart.contracts.references import Reference, parse
from headstart.errors import WeightsError
from headstart.loading.weights.sizes import check_options

OWN_FILES: Final = "."  # names one that is made from files in the saved model itself
_MADE_OF_FILES: Final = frozenset(  # hubs that would look for another name on disk or on a network
    {"caffe", "fasttext", "file", "glove", "graph", "hf", "tfhub", "torchhub", "word2vec"}
)


def architecture(text: Any, path: Path) -> Reference:
    """The architecture that `path`, in a saved model, names; nothing elsewhere is meant by it.

    Raises WeightsError where it is none, or does not lie in the folder.
    """
    if not isinstance(text, str):
        raise WeightsError(f"{path} names no architecture. Give a folder that Headstart saved.")
    built = parse(text)
    elsewhere = built.hub in _MADE_OF_FILES and built.name != OWN_FILES
    if built.hub == "checkpoint" or elsewhere or built.weights or set(built.name) & set("/\\:"):
        raise WeightsError(
            f"{path} names the architecture {text!r}, which does not lie in the "
            "folder. Give a folder that Headstart saved."
        )
    check_options(built.options, path)
    return built

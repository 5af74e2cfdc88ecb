"""The small backbone that is taken where none is named and none is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from huggingface_hub import constants

from headstart.errors import HeadstartError
from headstart.pipeline.prepare import RunContext

INSTALL: Final = "pip install 'headstart[weights]'"


@final
@dataclass(frozen=True)
class Recommended:
    """A backbone that a hub has, with what is to be known before it is fetched."""

    reference: str
    megabytes: float
    licence: str
    made_for: str

    def __str__(self) -> str:
        return f"{self.reference} ({self.megabytes:g} MB, {self.licence}, for {self.made_for})"


# The same networks as those that the extra `weights` brings.
RECOMMENDED: Final[Mapping[str, Recommended]] = {
    "image": Recommended("timm:tf_efficientnet_lite0.in1k", 18.8, "apache-2.0", "photos"),
    "text": Recommended("hf:sentence-transformers/all-MiniLM-L6-v2", 91, "apache-2.0", "English"),
}


def recommended(modality: str, around: RunContext) -> str:
    """The reference of a small backbone for this modality, its weights now at hand.

    Size and licence are said before anything is fetched. Raises HeadstartError where there is none
    to recommend, the run is offline, or it can't be had.
    """
    nothing = f"No pretrained {modality} model is at hand on this machine"
    found = RECOMMENDED.get(modality)
    if found is None:
        raise HeadstartError(f"{nothing}. Name one with -b hub:name.")
    if around.settings.offline or constants.HF_HUB_OFFLINE:
        raise HeadstartError(
            f"{nothing}, and offline none is fetched. Run: {INSTALL}, which brings one, name a "
            f"file with -b hub:name@FILE, or go online for {found}."
        )
    around.progress.say(f"{nothing}. Fetching {found}; {INSTALL} brings one too.")
    try:
        around.load(found.reference)
    except HeadstartError as error:
        reason = str(error).partition(". ")[0].rstrip(".")
        raise HeadstartError(
            f"{nothing}, and none could be fetched: {reason}. Run: {INSTALL}, which brings one, or "
            "name a file with -b hub:name@FILE."
        ) from error
    return found.reference

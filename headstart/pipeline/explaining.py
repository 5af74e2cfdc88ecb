"""Why a model errs where it is most confident: a heat map or weights of words, for the page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.explain import Explanation, PictureExplanation, TextExplanation
from headstart.explain.pictures import explain_picture
from headstart.explain.texts import explain_text
from headstart.report.contents import explained
from headstart.report.thumbnails import LARGE, thumbnail
from headstart.runtime.progress import Progress
from headstart.serve import Predictor

COUNT = 6  # mistakes that are explained; each takes up to a second or two
_WORDS = 6  # of a text, those that count most


def explanations(
    predictor: Predictor, items: Sequence[Item], findings: Mapping[str, Any], progress: Progress
) -> dict[str, str]:
    """For the most confident mistakes a picture under its heat, or a line of words, by card's key.

    Empty where Captum is not installed, or the network can't be explained.
    """
    rows = (findings.get("items") or {}).get("mistakes") or []
    known = {item.id: item for item in items}
    one = explain_text if predictor.reader.modality.ragged else explain_picture
    found: dict[str, str] = {}
    predictor.model.eval()
    for row in rows[:COUNT]:
        item = known[row["id"]]
        try:
            found[explained(item.id)] = _shown(one(predictor, item.id, item))
        except (ImportError, HeadstartError, RuntimeError, NotImplementedError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            progress.say(f"The mistakes are shown without an explanation ({reason}).")
            break
    return found


def _shown(explanation: Explanation) -> str:
    if isinstance(explanation, PictureExplanation):
        buffer = io.BytesIO()
        explanation.overlay().save(buffer, "PNG")
        return thumbnail(buffer.getvalue(), LARGE)
    if not isinstance(explanation, TextExplanation):
        raise TypeError(f"{type(explanation).__name__} can't be shown")
    heaviest = sorted(explanation.words, key=lambda word: -abs(word.weight))[:_WORDS]
    return ", ".join(f"{word.text} {word.weight:+.2f}" for word in heaviest)

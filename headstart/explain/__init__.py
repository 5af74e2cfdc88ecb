"""Why a model answers what it answers, for one input at a time: by what is pooled, or Captum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.explain.answers import Explanation, PictureExplanation, TextExplanation, Weight
from headstart.explain.pooled import PooledMap
from headstart.serve import Predictor

__all__ = ["Explanation", "PictureExplanation", "TextExplanation", "Weight", "explain", "explainer"]


def explain(predictor: Predictor, data: Any) -> list[Explanation]:
    """Explain the likeliest label, or the first number, that a model answers for each input.

    Inputs are what `Predictor.predict` takes, and come in its order. Raises DataError for the first
    that can't be read, HeadstartError for boxes and texts, and ModuleNotFoundError where Captum is
    not installed.
    """
    if predictor.task.reads_maps:
        boxes = predictor.task.kind == "boxes"
        why = "as each has a place already" if boxes else "only labels and numbers can"
        more = ", or draw them with --draw" if boxes else ""
        raise HeadstartError(
            f"{predictor.task.kind.capitalize()} can't be explained, {why}. "
            f"Leave --explain out{more}."
        )
    names, items = predictor.find(data)
    one = explainer(predictor)
    return [one(name, item) for name, item in zip(names, items, strict=True)]


def explainer(predictor: Predictor) -> Callable[[str, Item], Explanation]:
    """What explains a model's answer to one item, named so, as its network is fed with it.

    Without torch where its answers come without it, and say themselves what spoke for them.
    """
    ragged, compact = predictor.reader.modality.ragged, predictor.reader.modality.compact
    pooled = None if ragged else PooledMap.of(predictor)

    def explained(name: str, item: Item) -> Explanation:
        own = None if pooled is None else pooled.explain(name, item)
        return own or _through_torch(ragged, compact)(predictor, name, item)

    return explained


def _through_torch(ragged: bool, compact: bool) -> Callable[[Predictor, str, Item], Explanation]:
    from headstart.explain.pictures import explain_picture
    from headstart.explain.sounds import explain_sound
    from headstart.explain.texts import explain_text
    from headstart.features.engine import on_device

    explain_one = explain_picture if not ragged else explain_text if compact else explain_sound

    def explained(predictor: Predictor, name: str, item: Item) -> Explanation:
        on_device(predictor.model.eval(), predictor.device)
        return explain_one(predictor, name, item)

    return explained

"""Why a model answers what it answers, for one input at a time, through Captum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headstart.contracts import Modality
from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.explain.answers import Explanation, PictureExplanation, TextExplanation, Weight
from headstart.explain.pictures import explain_picture
from headstart.explain.sounds import explain_sound
from headstart.explain.texts import explain_text
from headstart.features.engine import on_device
from headstart.serve import Predictor

__all__ = ["Explanation", "PictureExplanation", "TextExplanation", "Weight", "explain", "explainer"]


def explain(predictor: Predictor, data: Any) -> list[Explanation]:
    """Explain the likeliest label, or the first number, that a model answers for each input.

    Inputs are what `Predictor.predict` takes, and come in its order. Raises DataError for the first
    that can't be read, HeadstartError for boxes, and ModuleNotFoundError where Captum is not
    installed.
    """
    if predictor.task.reads_maps:
        raise HeadstartError(
            f"{predictor.task.kind.capitalize()} can't be explained, as each has a place already. "
            "Leave --explain out, or draw them with --draw."
        )
    names, items = predictor.find(data)
    on_device(predictor.model.eval(), predictor.device)
    one = explainer(predictor.reader.modality)
    return [one(predictor, name, item) for name, item in zip(names, items, strict=True)]


def explainer(modality: Modality) -> Callable[[Predictor, str, Item], Explanation]:
    """What explains one item of a modality, as its network is fed with it."""
    if not modality.ragged:
        return explain_picture
    return explain_text if modality.compact else explain_sound

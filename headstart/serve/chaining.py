"""Saved models that translate, one behind another, several answers between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headstart.errors import HeadstartError
from headstart.results.translations import Translated
from headstart.serve.batches import over_items

if TYPE_CHECKING:
    from headstart.serve.predictor import Predictor

BEST: Final = 4  # answers that go through a language between


def translated(
    models: Sequence[Predictor], texts: Sequence[str], count: int = 1, best: int = BEST
) -> list[list[Translated]]:
    """The `count` likeliest translations of each text, through all models in turn.

    Of each language between the `best` likeliest texts go on (n-best pivoting, Utiyama and Isahara
    2007), and the sum of the scores of all steps decides. A text of white space stays nothing.
    Raises HeadstartError for a model that writes no texts.
    """
    rows = [[Translated(text, text, 0.0)] for text in texts]
    for place, model in enumerate(models):
        last = place == len(models) - 1
        distinct_texts = list(
            dict.fromkeys(each.text for row in rows for each in row if each.text.strip())
        )
        most = count if last else best
        answers = dict(zip(distinct_texts, _candidates(model, distinct_texts, most), strict=True))
        rows = [_through(row, answers, place > 0)[:most] for row in rows]
    return rows


def _through(
    row: Sequence[Translated], answers: dict[str, list[tuple[str, float]]], between: bool
) -> list[Translated]:
    """One step further from each of some translations, the likeliest first, each text once."""
    further: dict[str, Translated] = {}
    for each in row:
        passed = (*each.between, each.text) if between else ()
        for text, score in answers.get(each.text, [("", 0.0)]):
            new = Translated(each.source, text, each.score + score, passed)
            if text not in further or further[text].score < new.score:
                further[text] = new
    return sorted(further.values(), key=lambda each: -each.score)


def _candidates(
    model: Predictor, texts: Sequence[str], count: int
) -> list[list[tuple[str, float]]]:
    """The likeliest answers of one model to each of some texts."""
    if not texts:
        return []
    import torch

    from headstart.features.engine import to_device
    from headstart.loading.sequences.writer import Writer

    network = model.model
    writer = network.head
    if not isinstance(writer, Writer):
        raise HeadstartError(
            f"The model answers with {model.task.kind} that translate no texts. "
            "Give one that translates."
        )
    _, items = model.find(list(texts))

    def answered(inputs: Any) -> np.ndarray:
        with torch.inference_mode():
            states = network.eval().features(to_device(inputs, model.device))
            hypotheses = writer.candidates(states, count)
        rows = np.empty(len(hypotheses), dtype=object)
        rows[:] = hypotheses
        return rows

    return list(over_items(answered, items, model.running.reader))

"""Which words of a text speak for an answer, by integrated gradients over its embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.explain.answers import Output, TextExplanation, Weight
from headstart.features.engine import to_device
from headstart.serve import Predictor

_STEPS = (32, 128, 512)  # of the integral: more where fewer leave too large an error
_ENOUGH = 0.01  # of the difference to explain, an error to stop at
_AT_ONCE = 16  # points of the path in a batch


def explain_text(predictor: Predictor, name: str, item: Item) -> TextExplanation:
    """A weight for each piece and word of one text, for the output that `Asked` picks.

    Integrated gradients (Sundararajan et al. 2017) over what the first stage answers, along the
    straight line from a text of padding, in which special tokens stay. A piece's weight is the sum
    over its embedding, a word's that over its pieces: together they are the output minus that for
    padding. Raises HeadstartError for items without words, and networks without gradients.
    """
    reader, model = predictor.reader, predictor.model
    raw = item.read()
    pieces = reader.modality.pieces(raw)
    decoded = reader.modality.decode(raw, reader.preprocess)
    if len(pieces) != reader.modality.size(decoded) or len(model.stages) < 2:
        raise HeadstartError(
            f"{name!r} can't be explained: the model has no embeddings of its words to look at. "
            "Leave --explain out."
        )
    collated = reader.modality.collate([decoded], reader.preprocess)
    inputs = to_device(collated, predictor.device)
    padded = _padded(inputs, [word for _, word in pieces], reader.preprocess["pad"])
    with torch.no_grad():
        text, padding = (model.features(each, stop=1)["hidden"] for each in (inputs, padded))
        outputs = _answer(predictor, text, inputs["mask"])
        plain = _answer(predictor, padding, inputs["mask"])
    output = Output.of(predictor, outputs)
    difference = output.value - float(plain[0, output.place])
    attributions, steps = _integrated(
        predictor, (text, padding), inputs["mask"], output, difference
    )
    weights = attributions.sum(-1)[0].tolist()
    return TextExplanation(
        name,
        output,
        f"Integrated gradients over the stage {model.names[0]}, from a text of padding.",
        _words(pieces, weights),
        tuple(Weight(piece, weight) for (piece, _), weight in zip(pieces, weights, strict=True)),
        difference,
        sum(weights) - difference,
        steps,
    )


def _padded(inputs: Mapping[str, Tensor], words: list[int], pad: int) -> dict[str, Tensor]:
    """The same inputs with padding in the place of every word, seen as if it were one."""
    is_word = torch.tensor([words], device=inputs["input_ids"].device) >= 0
    return {**inputs, "input_ids": inputs["input_ids"].masked_fill(is_word, pad)}


def _answer(predictor: Predictor, hidden: Tensor, mask: Tensor) -> Tensor:
    model = predictor.model
    outputs: Tensor = model.head(model.features({"hidden": hidden, "mask": mask}, start=1))
    return outputs.float()


def _integrated(
    predictor: Predictor,
    ends: tuple[Tensor, Tensor],
    mask: Tensor,
    output: Output,
    difference: float,
) -> tuple[Tensor, int]:
    """Attributions like the hidden states, (1, T, D), and in how many steps they were found.

    Captum's variant for layers wants a layer that answers with a tensor, and stages answer with a
    mapping. So the rest of the network is asked, as a function of what the first stage answers.
    """
    from captum.attr import IntegratedGradients

    text, padding = ends
    method = IntegratedGradients(lambda hidden, own: _answer(predictor, hidden, own))
    weights, steps = torch.zeros_like(text), 0
    for steps in _STEPS:
        try:
            weights = method.attribute(
                text,
                baselines=padding,
                target=output.place,
                additional_forward_args=(mask,),
                n_steps=steps,
                internal_batch_size=_AT_ONCE,
            )
        except RuntimeError as error:
            raise HeadstartError(
                f"The model can't be explained: no gradient comes back through it ({error}). "
                "Leave --explain out."
            ) from error
        if abs(float(weights.sum()) - difference) <= _ENOUGH * abs(difference):
            break
    return weights.detach(), steps


def _words(pieces: Sequence[tuple[str, int]], weights: Sequence[float]) -> tuple[Weight, ...]:
    """Each word with the sum of its pieces' weights, in the order of the text."""
    words: dict[int, Weight] = {}
    for (piece, number), weight in zip(pieces, weights, strict=True):
        if number >= 0:
            before = words.get(number, Weight("", 0.0))
            words[number] = Weight(before.text + piece, before.weight + weight)
    return tuple(Weight(word.text.strip(), word.weight) for word in words.values())

"""A graph that was exported for one item at a time, for any number of them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from headstart.errors import HeadstartError
from headstart.hubs.graph.planning import GraphSpec
from headstart.loading import openvino_graph as graph

_FAINT: Final = 1e-3  # 60 dB below
_REDUCTIONS: Final = {
    "ReduceMax": "reduce_max",
    "ReduceMin": "reduce_min",
    "ReduceMean": "reduce_mean",
    "ReduceSum": "reduce_sum",
}
_AGREE: Final = 1e-2  # relative: sums in another order, rounded to whole numbers


def any_number(spec: GraphSpec, model: Any) -> Any:
    """The same network for any number of pictures, if it computes the same for several."""
    for patches in ((_free_reductions,), (_free_reductions, _free_reshapes), (_free_reshapes,)):
        trial = model.clone()
        for patch in patches:
            patch(trial)
        shape = trial.input(0).get_partial_shape()
        shape[0] = graph.library().Dimension(-1)
        try:
            trial.reshape(shape)
            if trial.output(0).partial_shape[0].is_dynamic and _agrees(trial, model):
                return trial
        except RuntimeError:
            continue
    if model.input(0).partial_shape[0].is_dynamic:
        raise HeadstartError(
            f"{spec.path} does not answer one row for each item. "
            "Name another tensor with output=NAME, or export it again."
        )
    return model


def _free_reshapes(model: Any) -> None:
    """Let shapes that were written for one picture keep the number there is."""
    operations = graph.library().opset13
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Reshape":
            continue
        data, target = node.input_value(0), node.input_value(1).get_node()
        shape = data.get_partial_shape()
        if target.get_type_name() != "Constant" or shape.rank.is_dynamic or not len(shape):
            continue
        pattern = np.array(target.get_data()).astype(np.int64)
        if len(pattern) and pattern[0] == 1 and shape[0] == 1 and (pattern[1:] != 0).all():
            pattern[0] = 0
            freed = operations.reshape(data, pattern, True)
            node.output(0).replace(freed.output(0))


def _free_reductions(model: Any) -> None:
    """Let what is summed up over the one item there was be summed up over each by itself.

    A spectrogram in decibels below its maximum would else hang on what else is in the batch.
    """
    operations = graph.library().opset13
    for node in model.get_ordered_ops():
        make = getattr(operations, _REDUCTIONS.get(node.get_type_name(), ""), None)
        if make is None or node.input_value(1).get_node().get_type_name() != "Constant":
            continue
        shape = node.input_value(0).get_partial_shape()
        rank = len(shape) if shape.rank.is_static else 0
        axes = {int(axis) % rank for axis in node.input_value(1).get_node().get_data().flat if rank}
        if 0 in axes and len(axes) > 1:
            own = make(node.input_value(0), np.array(sorted(axes - {0})), True)
            node.output(0).replace(own.output(0))


def _agrees(trial: Any, model: Any) -> bool:
    """Whether two pictures at once, one of them faint, give what each gives alone."""
    shape = [side.get_length() for side in list(trial.input(0).partial_shape)[1:]]
    pictures = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    pictures[1] *= _FAINT
    both = np.array(graph.compiled(trial)([pictures])[0])
    single = graph.compiled(model)
    alone = np.concatenate([np.array(single([each])[0]) for each in (pictures[:1], pictures[1:])])
    if both.shape != alone.shape:
        return False
    off = np.linalg.norm((both - alone).reshape(2, -1), axis=1)
    sizes = np.linalg.norm(alone.reshape(2, -1), axis=1)
    return bool((off <= _AGREE * np.maximum(sizes, 1e-6)).all())

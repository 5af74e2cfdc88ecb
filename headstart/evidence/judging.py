"""The last word on a model: its outputs for raw held-out items, in fp32, as it will be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from headstart.contracts import Backbone
from headstart.contracts.frozen import FrozenModel, LinearHead, Network, as_model, as_module
from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.evidence.choice import clearly
from headstart.evidence.experiment import Experiment
from headstart.evidence.fitting import answers, full_probe
from headstart.features.engine import Averaged, Engine, TorchEngine, fastest
from headstart.features.reading import alike, in_order
from headstart.runtime.progress import Silent

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

    from headstart.contracts.model import Model

JUDGED = ("validation", "test")
WORTH_CONVERTING = 500  # items; making a faster engine takes as long as plain torch for so many
_BATCH = 32


def judge(experiment: Experiment, model: Model) -> dict[str, np.ndarray]:
    """Head outputs (N, labels) for each judged split, read and decoded anew, nothing stored."""
    splits = {name: experiment.dataset.split(name) for name in JUDGED}
    outputs = _outputs(experiment, model, [item for split in splits.values() for item in split])
    ends = np.cumsum([len(split) for split in splits.values()])
    return dict(zip(splits, np.split(outputs, ends[:-1]), strict=True))


def outputs_of(
    experiment: Experiment, model: Network, backbone: Backbone | None = None
) -> Callable[[Sequence[Item]], np.ndarray]:
    """What answers a model's outputs (N, labels) for items, in bf16 where that is what trains.

    Made for comparing answers of one model to many variants of the same items. Where its stages
    are those of the `backbone` they run on the engine that features were extracted on, which may
    be without torch.
    """
    engines: list[Engine] = []
    rows = backbone if not experiment.task.reads_maps else None
    frozen = rows if rows and _is_frozen(model, rows) else None
    reader = experiment.reader.in_arrays() if frozen else experiment.reader

    def outputs(items: Sequence[Item]) -> np.ndarray:
        groups = alike(np.arange(len(items)), _BATCH, reader.sizes(items))
        if not engines:
            (sample,) = reader.batches(items, groups[:1])
            if frozen:
                engines.append(
                    _extracting(replace(experiment, reader=reader), model.head, frozen, sample)
                )
            else:
                precision = experiment.precision if experiment.precision == "bf16" else None
                own = as_model(model)
                engines.append(_looking(experiment, own, sample, WORTH_CONVERTING, precision))
        return in_order(groups, list(engines[0].stream(reader.batches(items, groups))))

    return outputs


def refit_head(experiment: Experiment, model: Model) -> np.ndarray:
    """Fit the model's head once more, on its trained features, unless the one it has is better.

    Better is judged on validation by heads that have seen the training items alone; what that gives
    is answered, (N, labels). The head that the model then has has learned from validation too, as
    that of frozen features has: with few labels those are worth more than what training moved. In
    folds, which hand nothing over, the model keeps its head.
    """
    from torch import nn

    names = ("train", "validation")
    splits = [experiment.dataset.split(name) for name in names]
    body = model.with_head(nn.Identity())
    features = _outputs(experiment, body, [item for split in splits for item in split])
    parts = np.split(features, [len(splits[0])])
    train, validation = (
        (part, experiment.dataset.targets(name)) for part, name in zip(parts, names, strict=True)
    )
    experiment.progress.say("Fitting a probe on the trained features.")
    task, own = experiment.task, model.head.cpu().eval()
    probe = task.linear_probe(train, validation, experiment.labels)
    ours, other = (answers(head, validation[0]) for head in (own, probe))
    if clearly(task.scores(ours, validation[1]), task.scores(other, validation[1])):
        return ours
    model.head = as_module(full_probe(task, train, validation, experiment.labels))
    return other


def _outputs(experiment: Experiment, network: Model, items: Sequence[Item]) -> np.ndarray:
    groups = alike(np.arange(len(items)), _BATCH, experiment.reader.sizes(items))
    (sample,) = experiment.reader.batches(items, groups[:1])
    engine = _looking(experiment, network, sample, len(items))
    return in_order(groups, list(engine.stream(experiment.reader.batches(items, groups))))


def _is_frozen(model: Network, backbone: Backbone) -> bool:
    """Whether a model is the backbone itself under a head, not a copy that was trained."""
    if isinstance(model, FrozenModel):
        return model.backbone is backbone
    stages = list(backbone.unpooled().values())
    return (
        model.pool is backbone.pool
        and len(stages) == len(model.stages)
        and all(own is stage for own, stage in zip(model.stages, stages, strict=True))
    )


def _extracting(
    experiment: Experiment, head: nn.Module | LinearHead, backbone: Backbone, sample: object
) -> Engine:
    """A head behind the engine that extracts the backbone's features, over all looks."""
    prefix, reader = experiment.prefix(backbone, len(backbone.stages)), experiment.reader
    bodies: dict[str, Engine] = {}
    for name in reader.looks:
        own = replace(reader, look=name)
        inputs = reader.modality.look(sample, name) if name else sample
        bodies[name] = prefix.engine_for(own, inputs, Silent(), prefix.precision, WORTH_CONVERTING)
    return Averaged(bodies, head, reader.modality.look)


def _looking(
    experiment: Experiment, model: Model, sample: object, count: int, precision: str | None = None
) -> Engine:
    """What answers with a model's outputs, over all looks that the reader averages.

    In a precision of its own where one is given, else by what is fastest for so many items.
    """

    def engine(network: nn.Module, views: object) -> Engine:
        if precision is not None:
            return TorchEngine(network, experiment.accelerator.device, precision)
        return _engine(experiment, network, views, count)

    looks, look = experiment.reader.looks, experiment.reader.modality.look
    if len(looks) == 1:
        return engine(model, sample)
    body = model.body()
    views = {name: look(sample, name) if name else sample for name in looks}
    return Averaged({name: engine(body, each) for name, each in views.items()}, model.head, look)


def _engine(experiment: Experiment, network: nn.Module, sample: object, count: int) -> Engine:
    """Plain torch, or for many items on a CPU what computes the same in less time."""
    device = experiment.accelerator.device
    plain = TorchEngine(network, device)
    few = count < WORTH_CONVERTING or experiment.settings.engine == "torch" or device.type != "cpu"
    if few:
        return plain
    try:
        return fastest(
            network,
            sample,
            device,
            engine="openvino",
            precision="fp32",
            key=None,
            progress=Silent(),
        )
    except HeadstartError:  # not installed, or it can't run this network
        return plain

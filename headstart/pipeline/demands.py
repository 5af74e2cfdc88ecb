"""What a strategy needs of a backbone and of the settings, refused before any work."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from headstart import catalog, defaults
from headstart.contracts import Backbone, Strategy, Task
from headstart.contracts.head import Shape
from headstart.data.targets import kind_named
from headstart.errors import HeadstartError
from headstart.evidence import Experiment
from headstart.features.engine import TorchEngine
from headstart.features.legality import cacheable_stages
from headstart.pipeline.strategy_spec import StrategySpec

if TYPE_CHECKING:  # so that frozen features need no torch
    from headstart.contracts.model import Model


def demand_trainable(strategy: StrategySpec, backbone: Backbone) -> None:
    """Raise HeadstartError for a strategy that trains where the backbone can't be trained."""
    if strategy.auto or backbone.differentiable or not strategy.trains:
        return
    training, stages = strategy.build(), len(backbone.stages)
    if cacheable_stages(training, training.epochs(1), stages, augmented=False) == stages:
        return  # the head alone
    onnx = backbone.architecture.name.lower().endswith(".onnx")  # which may become trainable
    advice = "Use -s feature-extraction" + (", or write ?trainable=true" if onnx else "")
    raise HeadstartError(f"{backbone.origin.reference} can't be trained by {strategy}. {advice}.")


def demand_steps(strategy: StrategySpec, experiment: Experiment, backbone: Backbone) -> None:
    """Raise HeadstartError where single items are all there is to train on, and are too few.

    That is where a BatchNorm trains with `--batch-size 1`: by the strategy, or from scratch.
    """
    count, settings = len(experiment.dataset.split("train")), experiment.settings
    if (settings.batch_size or defaults.batch_size(count)) > 1 or not backbone.differentiable:
        return
    from torch import nn

    from headstart.contracts.model import Model
    from headstart.training import needs_several

    model = copy.deepcopy(Model.of(backbone, nn.Identity()))
    if settings.scratch and needs_several(model.train()):
        raise _too_few("the network from scratch", backbone, ", or --no-scratch")
    if strategy.auto or not strategy.trains:
        return
    training = strategy.build()
    epochs = experiment.recipe(training, str(strategy), backbone).epochs
    if _needs_several(model, training, epochs):
        raise _too_few(str(strategy), backbone, "")


def demand_probe(strategy: StrategySpec, experiment: Experiment) -> None:
    """Raise HeadstartError where a strategy needs the probe of a task that has none.

    What goes on without one is said.
    """
    if experiment.task.has_probe:
        return
    task = type(experiment.task).__name__
    if strategy.auto and experiment.task.ladder:
        return
    if strategy.auto or not (strategy.trains or strategy.head):
        raise HeadstartError(
            f"{strategy} begins with a probe on frozen features, and {task} has none. "
            "Name a strategy that trains, such as -s full-fine-tuning."
        )
    head = "a pretrained" if experiment.task.untrained else "an untrained"
    experiment.progress.say(
        f"{task} has no probe: training begins with {head} head, nothing is compared with "
        "frozen features, and held-out items are the judge."
    )


def demand_head(strategy: StrategySpec, experiment: Experiment, backbone: Backbone) -> None:
    """Raise HeadstartError for a head that can't be fitted to so many items, columns or labels."""
    if strategy.head is None:
        return
    encoding = kind_named(experiment.task.kind).encoding
    shape = Shape(encoding, backbone.feature_dim, len(experiment.labels))
    catalog.head(strategy.head).demand_shape(shape, len(experiment.dataset.split("train")))


def demand_features(model: object, task: Task, command: str, advice: str) -> None:
    """Raise HeadstartError where a saved model's head reads no row of features an item."""
    if task.reads_maps:
        raise HeadstartError(
            f"{model} answers {task.kind}, for which it has no row of features an item, as "
            f"headstart {command} needs. {advice}."
        )


def demand_looks(experiment: Experiment, backbone: Backbone) -> None:
    """Raise HeadstartError for looks that the modality, or the network, does not have."""
    reader, tta = experiment.reader, experiment.settings.tta
    if not reader.others:
        return
    from torch import nn

    (inputs,) = reader.batches(experiment.dataset.items[:1], [np.arange(1)])
    engine = TorchEngine(nn.Sequential(*backbone.prefix()), experiment.accelerator.device)
    for name in reader.others:
        if experiment.task.reads_maps:
            raise HeadstartError(
                f"--tta {tta} can't be: {experiment.task.kind} of several looks are not averaged. "
                "Leave it out."
            )
        look = reader.modality.look(inputs, name)
        if look is None:
            raise HeadstartError(
                f"--tta {tta} can't be: {backbone.modality} has no other looks. Leave it out."
            )
        try:
            engine.run(look)
        except Exception as error:  # a network of any author may raise anything
            raise HeadstartError(
                f"--tta {tta} can't be: {backbone.origin.reference} takes inputs of one size only. "
                "Give --tta flip."
            ) from error


def _needs_several(model: Model, strategy: Strategy, epochs: int) -> bool:
    from headstart.training import fixed_in, needs_several, start_epoch

    strategy.on_train_start(model)
    fixed = fixed_in(model)
    for epoch in {0, epochs - 1}:
        start_epoch(model, strategy, epoch, fixed)
        if needs_several(model):
            return True
    return False


def _too_few(what: str, backbone: Backbone, otherwise: str) -> HeadstartError:
    return HeadstartError(
        f"--batch-size 1 leaves {what} nothing to train on, as {backbone.origin.reference} holds a "
        f"BatchNorm that needs several items a step. Give --batch-size 2 or more{otherwise}."
    )

"""What a strategy needs of a backbone and of the settings, refused before any work."""

from __future__ import annotations

import copy

import numpy as np
from torch import nn

from headstart import defaults
from headstart.contracts import Backbone, Strategy
from headstart.contracts.model import Model
from headstart.errors import HeadstartError
from headstart.evidence import Experiment
from headstart.features.engine import TorchEngine
from headstart.pipeline.heads import demand_head, head_of, moves
from headstart.training import needs_several

AUTO = "auto"  # the strategy's name that stands for the policy's ladder


def validate_strategy(name: str | None) -> None:
    """Ask a strategy everything once, so that a bad option is known before any work."""
    if name in (None, AUTO):
        return
    demand_head(str(name))
    strategy = moves(str(name))
    strategy.epochs(1)
    strategy.lr_scale(0, 1)
    strategy.frozen_stages(0, 1)


def trains(name: str | None) -> bool:
    """Whether a strategy moves any weight by gradient; the policy's ladder may."""
    return name in (None, AUTO) or bool(moves(str(name)).epochs(1))


def demand_trainable(name: str | None, backbone: Backbone) -> None:
    """Raise HeadstartError for a strategy that trains where the backbone can't be trained."""
    if name in (None, AUTO) or backbone.differentiable or not trains(name):
        return
    onnx = backbone.architecture.name.lower().endswith(".onnx")  # which may become trainable
    advice = "Use -s feature-extraction" + (", or write ?trainable=true" if onnx else "")
    raise HeadstartError(f"{backbone.origin.reference} can't be trained by {name}. {advice}.")


def demand_steps(name: str | None, experiment: Experiment, backbone: Backbone) -> None:
    """Raise HeadstartError where single items are all there is to train on, and are too few.

    That is where a BatchNorm trains with `--batch-size 1`: by the strategy, or from scratch.
    """
    count, settings = len(experiment.dataset.split("train")), experiment.settings
    if (settings.batch_size or defaults.batch_size(count)) > 1 or not backbone.differentiable:
        return
    model = Model(copy.deepcopy(dict(backbone.stages)), nn.Identity())
    if settings.scratch and needs_several(model.train()):
        raise _too_few("the network from scratch", backbone, ", or --no-scratch")
    if name in (None, AUTO) or not trains(name):
        return
    strategy = moves(str(name))
    if _needs_several(model, strategy, experiment.recipe(strategy, str(name), backbone).epochs):
        raise _too_few(str(name), backbone, "")


def demand_probe(name: str, experiment: Experiment) -> None:
    """Raise HeadstartError where a strategy needs the probe of a task that has none.

    What goes on without one is said.
    """
    if experiment.task.has_probe:
        return
    task = type(experiment.task).__name__
    if name == AUTO or not (trains(name) or head_of(name)):
        raise HeadstartError(
            f"{name} begins with a probe on frozen features, and {task} has none. "
            "Name a strategy that trains, such as -s full-fine-tuning."
        )
    experiment.progress.say(
        f"{task} has no probe: training begins with an untrained head, nothing is compared with "
        "frozen features, and held-out items are the judge."
    )


def demand_looks(experiment: Experiment, backbone: Backbone) -> None:
    """Raise HeadstartError for looks that the modality, or the network, does not have."""
    reader, tta = experiment.reader, experiment.settings.tta
    if not reader.others:
        return
    (inputs,) = reader.batches(experiment.dataset.items[:1], [np.arange(1)])
    engine = TorchEngine(nn.Sequential(*backbone.stages.values()), experiment.accelerator.device)
    for name in reader.others:
        seen = reader.modality.look(inputs, name)
        if seen is None:
            raise HeadstartError(
                f"--tta {tta} can't be: {backbone.modality} has no other looks. Leave it out."
            )
        try:
            engine.run(seen)
        except Exception as error:  # a network of any author may raise anything
            raise HeadstartError(
                f"--tta {tta} can't be: {backbone.origin.reference} takes inputs of one size only. "
                "Give --tta flip."
            ) from error


def _needs_several(model: Model, strategy: Strategy, epochs: int) -> bool:
    strategy.on_train_start(model)
    for epoch in {0, epochs - 1}:
        model.train()
        strategy.on_epoch_start(epoch, model)
        if needs_several(model):
            return True
    return False


def _too_few(what: str, backbone: Backbone, otherwise: str) -> HeadstartError:
    return HeadstartError(
        f"--batch-size 1 leaves {what} nothing to train on, as {backbone.origin.reference} holds a "
        f"BatchNorm that needs several items a step. Give --batch-size 2 or more{otherwise}."
    )

"""What training relies on in a task: its step, its loss, its head."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from headstart.contracts.model import Model
from headstart.testing.demands import demand, demand_shape
from headstart.testing.tasks.sample import WIDTH, Sample, batch_of


def names_its_metric(sample: Sample) -> None:
    """It says what its score is called."""
    demand(sample.task.metric, "names no metric. Set metric.")


def a_step_answers_outputs_loss_features_and_targets(sample: Sample) -> None:
    """One forward pass gives what the head gives, and the mean of `losses`, with its gradient."""
    task, model = sample.task, sample.network()
    nn.init.normal_(next(model.head.parameters()))
    features, targets = sample.clouds(6, seed=0)
    step = task.step(model, batch_of((features, targets)))
    demand_shape("outputs", step.outputs, (6, len(sample.labels)))
    demand_shape("features", step.features, (6, WIDTH))
    demand_shape("a loss", step.loss, ())
    demand(
        torch.equal(step.targets, torch.from_numpy(targets)),
        "gives other targets than those of the batch. Pass them on in Step.",
    )
    demand(
        torch.allclose(step.outputs, model(torch.from_numpy(features)), rtol=1e-5, atol=1e-5),
        "has other outputs in a step than its head answers. Give the head's outputs in Step.",
    )
    mean = float(task.losses(step.outputs.detach().numpy(), targets).mean())
    demand(
        np.isclose(step.loss.item(), mean, rtol=1e-4),
        f"trains towards a loss of {step.loss.item():.6g} where losses has the mean {mean:.6g}. "
        "Compute the same in both.",
    )
    torch.autograd.backward(step.loss)
    idle = [name for name, each in model.named_parameters() if each.grad is None]
    demand(not idle, f"gives {', '.join(idle)} no gradient. Detach nothing in step.")


def a_step_enters_at_the_boundary_of_its_batch(sample: Sample) -> None:
    """Inputs of stage 1 skip stage 0."""
    head = sample.task.head(WIDTH, sample.labels)
    model = Model({"spoils": nn.Linear(1, 1), "all": nn.Identity()}, head)
    batch = batch_of(sample.clouds(3, seed=0), start=1)
    demand(
        torch.equal(sample.task.step(model, batch).features, batch.inputs),
        "runs stages that come before the batch's start. "
        "Call model.features(batch.inputs, batch.start).",
    )


def a_loss_stays_in_full_precision(sample: Sample) -> None:
    """Under autocast too."""
    with torch.autocast("cpu", torch.bfloat16):
        loss = sample.task.step(sample.network(), batch_of(sample.clouds(4, seed=0))).loss
    demand(
        loss.dtype == torch.float32,
        f"computes its loss in {loss.dtype} under autocast. Take the loss of outputs.float().",
    )


def heads_are_seeded_by_torch(sample: Sample) -> None:
    """One seed, one head."""
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(sample.task.head(WIDTH, sample.labels).state_dict())
    demand(
        all(torch.equal(states[0][key], states[1][key]) for key in states[0]),
        "makes another head from the same seed. Draw from torch's global generator only.",
    )

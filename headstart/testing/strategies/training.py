"""What training with a strategy leaves behind: frozen stages, equal runs, a plain network."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import torch
from torch import nn

from headstart.contracts import Strategy
from headstart.contracts.model import Model
from headstart.evidence.arms import unchanged
from headstart.features.legality import cacheable_stages
from headstart.runtime.checkpoints import load_checkpoint
from headstart.testing import tiny
from headstart.testing.demands import demand
from headstart.training import Session, Splits, loop, predict, seed_everything, train

NETWORKS: Final = ("seeded:convnet?width=4", "seeded:residual?width=4")  # both have batch norms
_KILLED_AT = tiny.STEPS + 1  # the first step of the second epoch


def frozen_stages_are_in_eval_mode(strategy: Strategy) -> None:
    """After each `model.train()` and on_epoch_start, frozen stages neither train nor drop out."""
    for network in NETWORKS:
        moves, model = copy.deepcopy(strategy), tiny.model(network)
        moves.on_train_start(model)
        for epoch in range(6):
            model.train()
            moves.on_epoch_start(epoch, model)
            frozen = list(model.stages)[: moves.frozen_stages(epoch, len(model.stages))]
            idle = all(
                not any(part.training for part in stage.modules())
                and not any(parameter.requires_grad for parameter in stage.parameters())
                for stage in frozen
            )
            demand(
                idle,
                f"leaves a frozen stage in training mode in epoch {epoch}. "
                "Call eval() and requires_grad_(False) on it in on_epoch_start.",
            )
            demand(
                model.head.training and any(p.requires_grad for p in model.parameters()),
                f"trains nothing in epoch {epoch}. "
                "Leave the head in training mode, and something with requires_grad.",
            )


def frozen_stages_stay_and_others_move(strategy: Strategy) -> None:
    """Stages frozen in every epoch end bit-identical, buffers too; all others have moved."""
    for network in NETWORKS:
        for epochs in (1, 3):
            _frozen_stay(copy.deepcopy(strategy), network, epochs)


def _frozen_stay(strategy: Strategy, network: str, epochs: int) -> None:
    backbone, model, start = (tiny.backbone(network), tiny.model(network), tiny.model(network))
    fresh = copy.deepcopy(strategy)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.checkpoint"
        session = tiny.session(options=tiny.SessionOptions(checkpoint=path))
        train(model, tiny.TASK, strategy, tiny.splits(), tiny.recipe(epochs), session)
        last = load_checkpoint(path)
    frozen = cacheable_stages(strategy, epochs, len(model.stages), augmented=False)
    demand(
        unchanged(model, backbone, frozen),
        f"changes a stage that it calls frozen ({network}, the first {frozen}). "
        "Leave parameters and buffers of frozen stages alone, or name fewer in frozen_stages.",
    )
    seed_everything(tiny.session().seed)
    fresh.on_train_start(start)
    before, after = start.state_dict(), (last or {})["model"]
    fixed = {key for key, parameter in start.named_parameters() if not parameter.requires_grad}
    demand(
        after.keys() == before.keys() - fixed,
        "changes which parameters are trained after on_train_start. "
        "Set requires_grad there, once for all epochs.",
    )
    for number in range(frozen, len(model.stages)):
        keys = [key for key in after if key.startswith(f"stages.{number}.")]
        demand(
            any(not torch.equal(after[key], before[key]) for key in keys),
            f"leaves stage {number} of {network} as it was, which it does not call frozen. "
            "Count it in frozen_stages, or train something in it.",
        )


def training_lowers_the_loss(strategy: Strategy) -> None:
    """Eight epochs on pictures that are easy to tell apart."""
    for network in NETWORKS:
        model, feed, session = tiny.model(network), tiny.feed(24, noise=0.3), tiny.session()
        before = _loss(model, feed, session)
        recipe, moves = tiny.recipe(8, rate=3e-3), copy.deepcopy(strategy)
        history = train(model, tiny.TASK, moves, Splits(feed, feed), recipe, session).history
        after = _loss(model, feed, session)
        demand(
            after < before and history[-1]["loss"] < history[1]["loss"],
            f"does not learn: the loss of {network} goes from {before:.3f} to {after:.3f}. "
            "Look at its loss, rates and what requires a gradient.",
        )


def _loss(model: Model, feed: tiny.TensorFeed, session: Session) -> float:
    outputs = predict(model, feed, session.accelerator)
    return float(tiny.TASK.losses(outputs, feed.targets).mean())


def two_runs_are_equal(strategy: Strategy) -> None:
    """One seed, one result, bit for bit."""
    models = [_run(copy.deepcopy(strategy)) for _ in range(2)]
    demand(
        tiny.same_tensors(*models),
        "ends with other weights when it is run again with the same seed. "
        "Draw random numbers from torch's global generator only.",
    )


def a_killed_run_goes_on(strategy: Strategy) -> None:
    """A run that is killed and resumed ends like one that was not."""
    with _each_epoch_saved(), TemporaryDirectory() as folder:
        path = Path(folder) / "run.checkpoint"
        killed = tiny.SessionOptions(progress=tiny.dies_at(_KILLED_AT), checkpoint=path)
        with suppress(tiny.Killed):
            _run(copy.deepcopy(strategy), killed)
        torch.rand(7)  # another process may have drawn more by then
        steps = tiny.Recording()
        options = tiny.SessionOptions(progress=steps, checkpoint=path)
        resumed = _run(copy.deepcopy(strategy), options)
        finished = tiny.Recording()
        again = _run(
            copy.deepcopy(strategy), tiny.SessionOptions(progress=finished, checkpoint=path)
        )
    whole = _run(copy.deepcopy(strategy))
    demand(
        tiny.same_tensors(resumed, whole) and tiny.same_tensors(again, whole),
        "ends otherwise when it was killed and resumed than when it was not. "
        "Keep what changes in training in parameters of the model or of its own.",
    )
    demand(
        steps.steps == tiny.STEPS and finished.steps == 0,
        "begins anew where a run was killed. Change the model in on_train_start alike each time.",
    )


def _run(strategy: Strategy, options: tiny.SessionOptions | None = None) -> Model:
    """Two epochs of a tiny training in which chance has its say: shuffling and dropout."""
    session, model = tiny.session(4, options), tiny.model(NETWORKS[1], dropout=0.3)
    train(model, tiny.TASK, strategy, tiny.splits(), tiny.recipe(2), session)
    return model


@contextmanager
def _each_epoch_saved() -> Iterator[None]:
    usual = loop.CHECKPOINT_EVERY
    loop.CHECKPOINT_EVERY = -1.0
    try:
        yield
    finally:
        loop.CHECKPOINT_EVERY = usual


def leaves_a_plain_network(strategy: Strategy) -> None:
    """It starts from the backbone's own answers, and what it adds is merged when it is done."""
    for network in (*NETWORKS, "seeded:vit?width=2"):
        moves, model, inputs = copy.deepcopy(strategy), tiny.model(network), tiny.feed(6).inputs
        nn.init.normal_(model.head.get_parameter("weight"))
        layers = [(place, type(part)) for place, part in model.named_modules()]
        tensors = list(model.backbone_state())
        with torch.no_grad():
            start = model.eval()(inputs)
            moves.on_train_start(model)
            prepared = model.eval()(inputs)
        demand(
            torch.allclose(prepared, start, atol=1e-6, rtol=1e-6),
            f"changes what {network} answers before it is trained. "
            "Let on_train_start add only what answers nothing at first.",
        )
        take_steps(moves, model)
        with torch.no_grad():
            moves.on_train_end(model.eval())
            trained = model.eval()(inputs)
        demand(
            [(place, type(part)) for place, part in model.named_modules()] == layers
            and list(model.backbone_state()) == tensors,
            f"leaves layers in {network} that were not there before. "
            "Merge or remove in on_train_end what on_train_start added.",
        )
        demand(
            torch.isfinite(trained).all() and not torch.allclose(trained, start, atol=1e-3),
            f"leaves {network} as untrained as it was. Keep in on_train_end what training brought.",
        )


def take_steps(strategy: Strategy, model: Model) -> None:
    """Two large steps of plain gradient descent in the first epoch."""
    model.train()
    strategy.on_epoch_start(0, model)
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(moving, lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        (model(tiny.feed(6).inputs) - 1).square().mean().backward()
        optimizer.step()


def leaves_no_trace_on_the_backbone(strategy: Strategy) -> None:
    """The backbone it was given stays as it is, and the model is ready for use."""
    for network in NETWORKS:
        backbone = tiny.backbone(network)
        before = copy.deepcopy(nn.ModuleList(backbone.prefix()))
        head = tiny.TASK.head(backbone.feature_dim, tiny.LABELS)
        model, session = Model.of(copy.deepcopy(backbone), head), tiny.session()
        moves = copy.deepcopy(strategy)
        train(model, tiny.TASK, moves, tiny.splits(), tiny.recipe(1), session)
        demand(
            tiny.same_tensors(before, nn.ModuleList(backbone.prefix())),
            "changes the backbone's own tensors. Change the model's.",
        )
        outputs = predict(model, tiny.feed(3), session.accelerator)
        demand(
            np.isfinite(outputs).all()
            and not model.training
            and all(parameter.requires_grad for parameter in model.parameters()),
            "leaves a model that is frozen, in training mode, or answers no finite numbers. "
            "Undo in on_train_end what no later training should find.",
        )

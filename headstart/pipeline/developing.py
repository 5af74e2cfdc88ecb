"""A source of one's own: a network from random weights, saved if it learned anything."""

from __future__ import annotations

from headstart import defaults, evidence
from headstart.errors import HeadstartError
from headstart.evidence import ArmResult, Experiment
from headstart.pipeline.findings import Proof
from headstart.pipeline.finish import finish
from headstart.pipeline.prepare import Transfer, random_init, scratch_recipe
from headstart.pipeline.proving import Arms
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.results import Result
from headstart.runtime.workspace import Workspace


def pretrained(transfer: Transfer, workspace: Workspace, anyway: bool) -> Result:
    """Train the network from random weights, and save it if it learned anything, or `anyway`."""
    scratch, protocol = from_random(transfer)
    naive = evidence.naive_arm(transfer.experiment, scratch)
    demand_learned(transfer.experiment, scratch, naive, anyway)
    return developed(
        transfer, {"naive": naive, str(transfer.strategy): scratch}, protocol, workspace
    )


def from_random(transfer: Transfer) -> tuple[ArmResult, str]:
    """The network trained from random weights, and a sentence that says how."""
    experiment, backbone = transfer.experiment, transfer.backbone
    recipe = scratch_recipe(experiment, transfer.strategy.build(), backbone)
    rate = experiment.settings.learning_rate
    rates = (rate,) if rate else defaults.scratch_rates(backbone.delicate)
    return evidence.scratch_arm(experiment, random_init(backbone), recipe, rates)


def demand_learned(
    experiment: Experiment, scratch: ArmResult, naive: ArmResult, anyway: bool
) -> None:
    """Raise HeadstartError, or warn `anyway`, where a network does not beat the naive model."""
    ours, theirs = (own.arm.outputs["test"] for own in (scratch, naive))
    lead = evidence.Assessor.of(experiment).gain(ours, theirs)
    if lead.low > 0:
        return
    task = experiment.task
    gain, low, high = evidence.gained(lead, task.metric, task.sign < 0)
    sentence = f"The network does not beat the naive model: {gain}, 95 % interval {low} to {high}."
    if not anyway:
        raise HeadstartError(f"{sentence} Give more data or epochs, or save it with --anyway.")
    experiment.progress.warn(sentence)


def developed(transfer: Transfer, arms: Arms, protocol: str, workspace: Workspace) -> Result:
    """Save a network that was trained from random weights; the last of the arms is it."""
    name = list(arms)[-1]
    search = StrategySearch(
        transfer.experiment, transfer.backbone, transfer.strategy, {name: arms[name]}
    )
    return finish(Proof(search, arms, name, protocol=protocol), workspace)[0]

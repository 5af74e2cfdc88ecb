"""A task's own strategies tried in turn until answers are good enough, each after a rehearsal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from headstart import evidence
from headstart.contracts import Backbone
from headstart.errors import HeadstartError
from headstart.evidence import ArmResult, Experiment
from headstart.evidence.rehearsal import rehearse
from headstart.pipeline.selection.ladder import is_light
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.runtime.budget import Budget

LONG: Final = 180.0  # seconds of a training behind which a dearer one must be needed

if TYPE_CHECKING:
    from headstart.pipeline.selection.strategy_search import StrategySearch


def rehearsed(experiment: Experiment, backbone: Backbone, spec: StrategySpec, last: bool) -> bool:
    """Whether a strategy is worth its time, as ten items show; said where it may not be.

    One that takes long and does not learn even these by heart is left out, or, where it is the
    `last` there is and the user named no epochs, refused: HeadstartError with the cause.
    """
    if not spec.trains or spec.head is not None or experiment.task.rehearsal is None:
        return True
    rehearsal = rehearse(experiment, backbone, spec.build(), str(spec))
    if rehearsal is None or not rehearsal.cause:
        return True
    score = f"{rehearsal.score:.2f} after {rehearsal.steps} steps"
    sentence = f"{spec} does not learn ten items by heart ({score})"
    if not last:
        ending = ", so that more of the network is trained" if rehearsal.is_long else ""
        experiment.progress.say(f"{sentence}{ending}.")
        return not rehearsal.is_long
    if rehearsal.is_long and experiment.settings.epochs is None:
        minutes = max(1, round(rehearsal.seconds / 60))
        raise HeadstartError(
            f"{sentence}. {rehearsal.cause}. Or name --epochs to train all the same, "
            f"which takes some {minutes} min."
        )
    experiment.progress.warn(f"{sentence}. {rehearsal.cause}.")
    return True


def climb_until_enough(search: StrategySearch, features: ArmResult, until: Budget) -> None:
    """Try the task's own strategies in turn, until answers on validation are good enough.

    One on stored activations is tried all the same, unless the one before took long. The whole
    network is trained on an accelerator alone, or where a budget bounds it.
    """
    experiment, backbone = search.experiment, search.backbone
    truth, compared = experiment.dataset.targets("validation"), {}
    every = [StrategySpec.of(name) for name in experiment.task.ladder]
    specs = [each for each in every if each is every[0] or _pays(experiment, backbone, each)]
    for place, spec in enumerate(specs):
        name, last = str(spec), spec is specs[-1]
        if not rehearsed(experiment, backbone, spec, last):
            continue
        slot = until.part(len(specs) - place)
        result = evidence.strategy_arm(experiment, backbone, spec.build(), name, features, slot)
        search.arms[name], compared[name] = result, result.arm
        if experiment.task.enough(result.arm.outputs["validation"], truth):
            if last or result.arm.seconds > LONG or not is_light(specs[place + 1], backbone):
                break
            continue
        reached = f"{result.arm.selection_key[0]:.3f} {experiment.task.metric} on validation"
        if not last:
            experiment.progress.say(
                f"{name} reaches {reached}, which is little, so that more of the network is "
                "trained."
            )
        elif len(specs) < len(every):
            more = str(every[len(specs)])
            experiment.progress.say(
                f"{name} reaches {reached}. {more} might find more, and would take long without an "
                f"accelerator: -s {more!r}, or a --budget, tries it."
            )
    search.compared = compared


def _pays(experiment: Experiment, backbone: Backbone, spec: StrategySpec) -> bool:
    """Whether a strategy reads stored activations, or there is a budget or an accelerator."""
    has_time = experiment.budget.limited or experiment.accelerator.device.type != "cpu"
    return has_time or is_light(spec, backbone)

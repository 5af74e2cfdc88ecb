"""Whether a run has several tasks, and the backbone that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.contracts import Modality
from headstart.data import Data, data_of
from headstart.defaults import GROUPS, Settings, check
from headstart.errors import DataError, HeadstartError
from headstart.pipeline.prepare import RunContext, fitted_modality
from headstart.pipeline.selection.candidates import is_lone, modality_of
from headstart.pipeline.selection.ranking import BackboneRanking
from headstart.pipeline.several.fitting import Together
from headstart.pipeline.several.members import (
    APART,
    Member,
    Tasks,
    demand_several,
    of_labels,
    of_sets,
)
from headstart.pipeline.strategy_spec import FEATURES
from headstart.runtime.progress import Progress, Silent


def members_of(
    data: Any, settings: Settings, progress: Progress, backbones: Sequence[str] = ()
) -> list[Member]:
    """The tasks of a run; none where there is one, which is fitted as ever.

    Raises HeadstartError for `Tasks` that contradict themselves.
    """
    if isinstance(data, Tasks) and isinstance(data.tasks, Mapping):
        if data.of is not None:
            raise HeadstartError(
                "Tasks name their own data sets, and another was given too. Leave it out, or name "
                "its label columns instead."
            )
        return of_sets(data.tasks, settings)
    if isinstance(data, Tasks):
        demand_several(data.tasks)
        settings = replace(settings, label=GROUPS.join(map(str, data.tasks)))
        data = data.of
    if data is None:
        raise HeadstartError("No data set was given. Name a folder of classes or a manifest.")
    if not settings.label or not {",", GROUPS} & set(settings.label):
        return []
    return _labelled(data_of(data), backbones, settings, progress)


def _labelled(
    data: Data, backbones: Sequence[str], settings: Settings, progress: Progress
) -> list[Member]:
    plain = replace(settings, label=settings.label and settings.label.replace(GROUPS, ","))
    if "=" in settings.targets or settings.targets == APART:
        plain = replace(plain, targets="auto")
    if GROUPS in (settings.label or "") or plain.targets != settings.targets:
        return of_labels(data, _modality(data, backbones, plain), settings, progress)
    try:
        modality = _modality(data, backbones, plain)
    except DataError:
        return []  # a run of one task says what is wrong
    return of_labels(data, modality, settings, progress)


def _modality(data: Data, backbones: Sequence[str], settings: Settings) -> Modality:
    """What the lone backbone reads, else what the data set looks like."""
    if not is_lone(backbones):
        return modality_of(data, backbones, settings)[1]
    context = RunContext.of(replace(settings, track=None), Silent())
    return fitted_modality(context.load(backbones[0]), settings)


def demand_alone(settings: Settings) -> None:
    """Raise HeadstartError for what only several tasks can have."""
    if settings.joint != "no":
        raise HeadstartError(
            f"joint {settings.joint!r} is for several tasks, and there is one. Leave it out, or "
            "name more with --task or --label."
        )


def together(
    members: Sequence[Member],
    backbones: Sequence[str],
    out: Path,
    strategy: str | None,
    progress: Progress,
    *,
    download: bool = False,
) -> Together:
    """The tasks with the backbone that is best for all of them. Raises HeadstartError for none."""
    settings = members[0].settings
    check(settings)
    if settings.adapt_to is not None:
        raise HeadstartError(
            "Several tasks can't be adapted to another domain at once. Fit each alone, or leave "
            "out --adapt-to."
        )
    listed = ", ".join(f"{m.name} ({m.kind})" if m.kind else m.name for m in members)
    progress.say(f"{len(members)} tasks: {listed}.")
    if is_lone(backbones):
        backbone = backbones[0]
    else:
        backbone = _best(members, backbones, progress, download)
    return Together(members, backbone, out, strategy or FEATURES, settings, progress)


def _best(
    members: Sequence[Member], backbones: Sequence[str], progress: Progress, download: bool
) -> str:
    """The backbone of the best mean place in the tasks' rankings, of those that all can use."""
    places: dict[str, list[int]] = {}
    for member in members:
        context = RunContext.of(replace(member.settings, track=None), progress)
        ranking = BackboneRanking.at(member.data, backbones, context, download=download)
        for place, each in enumerate(ranking.alive):
            places.setdefault(each.reference, []).append(place)
    shared = {name: own for name, own in places.items() if len(own) == len(members)}
    if not shared:
        raise HeadstartError(
            "No backbone can be used for all of the tasks. Name one with -b, or fit them apart."
        )
    best = min(shared, key=lambda name: sum(shared[name]))
    progress.say(f"{best} is chosen: of {len(shared)} it is the best over the tasks' rankings.")
    return best

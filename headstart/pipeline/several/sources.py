"""A source developed from several data sets: one network from random weights, a head each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart import evidence
from headstart.defaults import Settings
from headstart.pipeline.developing import demand_learned, developed, from_random
from headstart.pipeline.prepare import Transfer
from headstart.pipeline.several.joining import demand_free, put_together
from headstart.pipeline.several.members import Member, folders
from headstart.pipeline.several.merging import Merged
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.results.several import Results
from headstart.runtime import installed
from headstart.runtime.progress import Progress
from headstart.runtime.workspace import Workspace

_STRATEGY = "full-fine-tuning"


def pretrain_several(
    members: Sequence[Member],
    backbone: str,
    out: Path,
    settings: Settings,
    progress: Progress,
    anyway: bool,
) -> Results:
    """Train one network from random weights for all tasks, and save it with a head for each.

    Each is checked on its own held-out items against its own naive model. Losses are divided by the
    naive model's and weigh the same. Raises HeadstartError where it does not beat that on one,
    unless `anyway`.
    """
    demand_free(out)
    tasks = Merged.read(members, backbone, progress)
    each, spec = tasks.each, StrategySpec.of(_STRATEGY, settings)
    joint = Transfer(tasks.joint(progress), tasks.backbone, spec)
    scratch, protocol = from_random(joint)
    arms = tasks.apart(scratch)
    naive = {name: evidence.naive_arm(each[name], own) for name, own in arms.items()}
    for name, own in arms.items():
        demand_learned(each[name], own, naive[name], anyway)
    names = folders(each)
    for name, own in arms.items():
        with Workspace(out / names[name], shares=True) as workspace:
            transfer = Transfer(each[name], tasks.backbone, spec)
            developed(transfer, {"naive": naive[name], str(spec): own}, protocol, workspace)
    record = {"backbone": backbone, "versions": installed.versions()}
    return put_together(out, names, record, tasks.each, progress)

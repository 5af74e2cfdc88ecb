"""Several tasks fitted in one run: features once, a head each, one saved model.

Each task is fitted as it would be alone; what they share is the backbone, the store of features and
the folder. All heads are there before any network is trained from scratch to prove them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts import Backbone
from headstart.data import InMemory, Item
from headstart.defaults import Settings
from headstart.errors import DataError, HeadstartError
from headstart.evidence import words
from headstart.loading import members as listed
from headstart.pipeline.checking import CHECKED
from headstart.pipeline.later import prove
from headstart.pipeline.prepare import RunContext, Transfer, register_run
from headstart.pipeline.proving import proved
from headstart.pipeline.selection.choosing import prepare
from headstart.pipeline.several.joining import check_all, demand_free, keep_once
from headstart.pipeline.several.members import Member, folders
from headstart.pipeline.several.opening import results
from headstart.pipeline.several.task_progress import TaskProgress
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.results.several import Results
from headstart.runtime import installed
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Progress
from headstart.runtime.workspace import Workspace
from headstart.tracking import follow

_FIRST: Final = 2  # times the share of a budget that the first task has, as it extracts features


@final
@dataclass
class Together:
    """A run of several tasks with one backbone, into the folder `out`."""

    members: Sequence[Member]
    backbone: str
    out: Path
    strategy: str
    settings: Settings
    progress: Progress
    backbones: dict[str, Backbone] | None = None  # the backbone, where nothing trains it
    looked_at: list[Item] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)  # seconds that loading the backbone took

    def run(self) -> Results:
        """Fit every task, put them together, check the whole in a fresh process; then prove each.

        Raises HeadstartError where OUT holds anything else, and for what a fit of a task would.
        """
        names = folders(each.name for each in self.members)
        if not self._is_unfinished():
            demand_free(self.out)
        budget, stopped = Budget(self.settings.budget), False
        transfers = {each.name: self._prepared(each) for each in self.members}
        run = self._identity(transfers)
        done = self._claimed(run)
        with words.shared():
            for place, member in enumerate(self.members):
                if member.name not in done:
                    out, seconds = self.out / names[member.name], self._share(budget, place)
                    stopped |= self._fit(member, transfers[member.name], out, seconds)
                listed.write(self.out, {n: names[n] for n in list(names)[: place + 1]}, run)
        keep_once([self.out / name for name in names.values()])
        check_all(self.out, self.looked_at, self.progress)
        if self.settings.scratch and not stopped:
            self.progress.say(
                f"{results(self.out, fresh=True)}\nThe worth of each is being measured against the "
                "same network from scratch; Ctrl-C keeps the model."
            )
            stopped = self._prove(names, budget)
        return results(self.out, fresh=True, stopped=stopped)

    def _prepared(self, member: Member) -> Transfer:
        """One task's data, read and checked, and the backbone: all that can go wrong before work.

        The backbone is loaded once, where the strategy moves none of its weights.
        """
        if not StrategySpec.of(self.strategy, member.settings).trains and self.backbones is None:
            self.backbones = {}
        settings = replace(member.settings, scratch=False, budget=None, track=None)
        context = RunContext.of(settings, TaskProgress(self.progress, member.name))
        context = replace(context, backbones=self.backbones)
        try:
            transfer = prepare(member.data, self.backbone, self.strategy, context)
        except HeadstartError as error:
            error.args = (f"Task {member.name}: {error}",)
            raise
        self.loads += context.loads
        items = transfer.experiment.dataset.split("test") or transfer.experiment.dataset.items
        self.looked_at += items[: max(1, CHECKED // len(self.members))]
        return transfer

    def _identity(self, transfers: Mapping[str, Transfer]) -> dict[str, Any]:
        """What must be equal for a run that was killed to be gone on with."""
        prints = {name: each.experiment.dataset.fingerprint for name, each in transfers.items()}
        first = next(iter(transfers.values()))
        return {
            "data": prints,
            "seed": self.settings.seed,
            "versions": installed.versions(),
            **first.identity,
        }

    def _is_unfinished(self) -> bool:
        """Whether OUT holds some of the tasks of a run that was killed."""
        if not listed.are_in(self.out):
            return False
        return set(listed.run_of(self.out).get("data", ())) > set(listed.read(self.out))

    def _claimed(self, run: Mapping[str, Any]) -> set[str]:
        """The tasks that an unfinished run of the same kind has fitted already."""
        if not self._is_unfinished() or listed.run_of(self.out) != run:
            demand_free(self.out)
            return set()
        self.progress.say("An unfinished run of the same kind is here; going on with it.")
        return set(listed.read(self.out))

    def _share(self, budget: Budget, place: int) -> float | None:
        """The seconds of a budget for the task in this place, of what is left."""
        if not budget.limited:
            return None
        waiting = len(self.members) - place
        more = _FIRST if place == 0 else 1
        return budget.left() * more / (waiting + more - 1)

    def _fit(self, member: Member, transfer: Transfer, out: Path, seconds: float | None) -> bool:
        """Fit one task; answer whether an interrupt ended its proof."""
        task_progress = TaskProgress(self.progress, member.name)
        settings = replace(member.settings, scratch=False, budget=seconds)
        inputs = {"data": str(member.data), "backbone": self.backbone, "strategy": self.strategy}
        with (
            Workspace(out, shares=True) as workspace,
            follow(settings, task_progress, out, inputs) as run,
        ):
            context = RunContext.of(run.settings, run.progress, workspace.folder)
            context.loads.extend(self.loads)
            context.keep_time()
            experiment = replace(
                transfer.experiment,
                settings=run.settings,
                budget=context.budget,
                progress=run.progress,
                workspace=workspace.folder,
            )
            transfer = replace(transfer, experiment=experiment)
            register_run(workspace, transfer.experiment, transfer.identity)
            return proved(transfer, workspace, run).stopped

    def _prove(self, names: Mapping[str, str], budget: Budget) -> bool:
        """Train each task's network from scratch; answer whether that was interrupted."""
        for place, member in enumerate(self.members):
            task_progress = TaskProgress(self.progress, member.name)
            settings = replace(member.settings, budget=self._share(budget, place))
            data = member.data if isinstance(member.data, InMemory) else None
            try:
                prove(
                    self.out / names[member.name], data, settings=settings, progress=task_progress
                )
            except KeyboardInterrupt:
                self.progress.say("Stopped. What is known so far stands in the reports.")
                return True
            except (HeadstartError, DataError) as error:
                task_progress.warn(f"its proof failed: {error}")
        return False

"""Several tasks fitted in one run: features once, a head each, one saved model.

Each task is fitted as it would be alone; what they share is the backbone, the store of features and
the folder. All heads are there before any network is trained from scratch to prove them.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, final

from headstart import artifact
from headstart.contracts import Backbone
from headstart.data import InMemory, Item
from headstart.defaults import Settings
from headstart.errors import DataError, HeadstartError
from headstart.loading import members as listed
from headstart.loading import record
from headstart.pipeline.checking import CHECKED, verify
from headstart.pipeline.later import prove
from headstart.pipeline.prepare import RunContext, Transfer, register_run
from headstart.pipeline.proving import proved
from headstart.pipeline.selection.choosing import prepare
from headstart.pipeline.several.members import Member, folders
from headstart.pipeline.several.opening import load, results
from headstart.pipeline.several.said import Said
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.results.several import Results
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Progress
from headstart.runtime.workspace import Workspace
from headstart.tracking import follow

_LEAST: Final = 2**16  # bytes of a file that is worth keeping once
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
    kept: dict[str, Backbone] | None = None  # the backbone, where nothing trains it
    looked_at: dict[str, list[Item]] = field(default_factory=dict)

    def run(self) -> Results:
        """Fit every task, put them together, check the whole in a fresh process; then prove each.

        Raises HeadstartError where OUT holds anything else, and for what a fit of a task would.
        """
        names = folders(each.name for each in self.members)
        run = self._run(names)
        done = self._claimed(names, run)
        spec = StrategySpec.of(self.strategy, self.settings)
        if not spec.trains:
            self.kept = {}
        budget, stopped = Budget(self.settings.budget), False
        for place, member in enumerate(self.members):
            if member.name not in done:
                stopped = (
                    self._fit(member, names[member.name], self._share(budget, place)) or stopped
                )
            listed.write(self.out, {n: names[n] for n in list(names)[: place + 1]}, run)
        self._keep_once(names)
        self._check()
        if self.settings.scratch and not stopped:
            self.progress.say(
                f"{results(self.out, fresh=True)}\nThe worth of each is being measured against the "
                "same network from scratch; Ctrl-C keeps the model."
            )
            stopped = self._prove(names, budget)
        return results(self.out, fresh=True, stopped=stopped)

    def _run(self, names: Mapping[str, str]) -> dict[str, object]:
        """What must be equal for a run that was killed to be gone on with."""
        tasks = {
            each.name: [str(each.data), each.settings.label, each.settings.targets]
            for each in self.members
        }
        versions = artifact.versions()
        return {
            "tasks": tasks,
            "folders": dict(names),
            "backbone": self.backbone,
            "strategy": self.strategy,
            "seed": self.settings.seed,
            "versions": versions,
        }

    def _claimed(self, names: Mapping[str, str], run: Mapping[str, object]) -> set[str]:
        """The tasks that an unfinished run of the same kind has fitted already."""
        if not self.out.exists() or (self.out.is_dir() and not any(self.out.iterdir())):
            return set()
        if self.out.is_dir() and listed.are_in(self.out) and listed.run_of(self.out) == run:
            there = set(listed.read(self.out))
            if there != set(names):
                self.progress.say("An unfinished run of the same kind is here; going on with it.")
                return there
        holds = (self.out / record.FILE).exists() or listed.are_in(self.out)
        what = "already holds a model" if holds else "is not empty"
        raise HeadstartError(f"{self.out} {what}. Name a new folder, or remove this one first.")

    def _share(self, budget: Budget, place: int) -> float | None:
        """The seconds of a budget for the task in this place, of what is left."""
        if not budget.limited:
            return None
        waiting = len(self.members) - place
        more = _FIRST if place == 0 else 1
        return budget.left() * more / (waiting + more - 1)

    def _fit(self, member: Member, folder: str, seconds: float | None) -> bool:
        """Fit one task; answer whether an interrupt ended its proof."""
        said = Said(self.progress, member.name)
        settings = replace(member.settings, scratch=False, budget=seconds)
        inputs = {"data": str(member.data), "backbone": self.backbone, "strategy": self.strategy}
        with (
            Workspace(self.out / folder, shares=True) as workspace,
            follow(settings, said, self.out / folder, inputs) as run,
        ):
            context = RunContext.of(run.settings, run.progress, workspace.folder)
            context = replace(context, kept=self.kept)
            transfer = prepare(member.data, self.backbone, self.strategy, context)
            register_run(workspace, transfer.experiment, transfer.identity)
            self.looked_at[member.name] = self._items(transfer)
            return proved(transfer, workspace, run).stopped

    def _items(self, transfer: Transfer) -> list[Item]:
        dataset = transfer.experiment.dataset
        return list(dataset.split("test") or dataset.items)[: max(1, CHECKED // len(self.members))]

    def _keep_once(self, names: Mapping[str, str]) -> None:
        """Let equal files of several tasks, such as the network's, take their place only once.

        Where the disk has no links they are copies, which are as right.
        """
        first, *others = (self.out / name for name in names.values())
        large = [
            path.relative_to(first)
            for path in sorted(first.rglob("*"))
            if path.is_file() and path.stat().st_size >= _LEAST
        ]
        for folder in others:
            for name in large:
                one, other = first / name, folder / name
                if other.is_file() and filecmp.cmp(one, other, shallow=False):
                    with suppress(OSError):
                        draft = other.with_name(f"{other.name}.linking")
                        os.link(one, draft)
                        os.replace(draft, other)

    def _check(self) -> None:
        """Open the whole in a fresh process: it must answer as it does here."""
        items = [item for own in self.looked_at.values() for item in own]
        if not items:
            return
        predictor = load(self.out)
        answers = predictor.task.decode(predictor.outputs(items), predictor.labels)
        self.progress.say("Opening the saved model in a fresh process to compare its answers.")
        verify(self.out, items, answers, min(predictor.reader.modality.suffixes))

    def _prove(self, names: Mapping[str, str], budget: Budget) -> bool:
        """Train each task's network from scratch; answer whether that was interrupted."""
        for place, member in enumerate(self.members):
            said = Said(self.progress, member.name)
            settings = replace(member.settings, budget=self._share(budget, place))
            data = member.data if isinstance(member.data, InMemory) else None
            try:
                prove(self.out / names[member.name], data, settings=settings, progress=said)
            except KeyboardInterrupt:
                self.progress.say("Stopped. What is known so far stands in the reports.")
                return True
            except (HeadstartError, DataError) as error:
                said.warn(f"its proof failed: {error}")
        return False

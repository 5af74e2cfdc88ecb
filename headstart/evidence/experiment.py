"""What all arms share: the data and how to read them, the task, the machine, the time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart import defaults
from headstart.contracts import Backbone, Examples, Strategy, Task
from headstart.contracts.executor import Executor, Local
from headstart.data import Dataset, Item
from headstart.data.targets import kind_named
from headstart.defaults import Recipe, Settings
from headstart.errors import OutOfTimeError
from headstart.features.engine import to_device
from headstart.features.extract import Extraction, Prefix, extract, is_stored
from headstart.features.legality import cacheable_stages
from headstart.features.loaders import CachedLoader, Moved, RawLoader, longer
from headstart.features.plan import Cut, Work, best, measure
from headstart.features.reading import Reader, View, groups_of
from headstart.runtime.budget import Budget
from headstart.runtime.machine import Compute
from headstart.runtime.progress import Progress
from headstart.training import Session, Splits

if TYPE_CHECKING:  # so that frozen features need no torch
    from accelerate import Accelerator
    from torch import nn

_SAMPLE = 16  # items that price the boundaries
_EXTRACTED = 0.7  # of a budget, by when features must be there for anything to be made of them


@dataclass(frozen=True)
class Experiment:
    """One data set to transfer to, and everything that arms are trained and judged with."""

    dataset: Dataset
    task: Task
    reader: Reader
    settings: Settings
    compute: Compute
    budget: Budget
    progress: Progress
    task_settings: Mapping[str, Any] = field(default_factory=dict)  # what the task is made with
    workspace: Path | None = None  # where trainings keep their checkpoints
    pace: Sequence[float] = ()  # of the strategy's training, where a plan is repeated
    executor: Executor = field(default_factory=Local)  # where features are computed

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In a worker, which keeps checkpoints where it sees the run's folder."""
        place = state["workspace"]
        vars(self).update(state | {"workspace": place if place and place.is_dir() else None})

    @property
    def accelerator(self) -> Accelerator:
        """What trains; asking for it imports torch."""
        return self.compute.accelerator

    @property
    def labels(self) -> Sequence[str]:
        """The label names, in the order of the head's outputs."""
        return self.dataset.labels

    @property
    def precision(self) -> str:
        """fp32 or bf16: what stages that train compute in."""
        return "bf16" if self.accelerator.mixed_precision == "bf16" else "fp32"

    def objective(self) -> str:
        """A sentence on what models are chosen and judged by, where it is not the usual."""
        if not self.task_settings.get("balanced"):
            is_named = self.settings.metric is not None
            return f"Models are chosen and judged by {self.task.metric}." if is_named else ""
        counts = np.bincount(self.dataset.targets("train"), minlength=len(self.labels))
        return (
            f"Classes are uneven ({counts.min()} to {counts.max()} items to train on), so each "
            f"counts as much as another: models are trained, chosen and judged by "
            f"{self.task.metric}."
        )

    def remarks(self) -> Sequence[str]:
        """Sentences on what of the data the backbone can't take in, where decoding is cheap."""
        reader, modality = self.reader, self.reader.modality
        items = self.dataset.items
        if modality.whole_rows:
            kind = kind_named(self.dataset.kind)
            targets = kind.encode([item.label for item in items], self.labels)
            rows = [reader.apart(item)[0] for item in items]
            return modality.giveaways(rows, targets, reader.preprocess)
        train = self.dataset.split("train")
        own = self.task.remarks(lambda: reader.sizes(train), [item.label for item in train])
        if not modality.keeps_decoded:
            return own
        return [*own, *modality.remarks(reader.decoded(items), reader.preprocess)]

    def raw(self, split: str, augmented: bool = False) -> RawLoader:
        """A split as items that are decoded in every epoch."""
        items, targets = self.dataset.split(split), self.dataset.targets(split)
        sizes = longer(self.reader.sizes(items), self.task.lengths(targets))
        return RawLoader(items, targets, self.reader, augmented, self._moved(split), sizes)

    def _moved(self, split: str) -> Moved | None:
        """What becomes of a split's targets in random views, where those move them."""
        if not self.task.reads_maps:
            return None
        items, targets = self.dataset.split(split), self.dataset.targets(split)
        modality, preprocess = self.reader.modality, self.reader.preprocess

        def moved(group: np.ndarray, view: View) -> np.ndarray:
            draws = [view.generator(items[place].digest) for place in group]
            return self.task.moved(
                targets[group], [modality.motion(preprocess, rng) for rng in draws]
            )

        return moved

    @property
    def views(self) -> int:
        """How many random views of each training item are stored."""
        task_views = self.task.views if self.settings.augment != "no" else 0
        return self.settings.views or task_views

    def positions(self, split: str) -> np.ndarray:
        """Where a split's items stand among all items."""
        return np.flatnonzero([item.split == split for item in self.dataset.items])

    def prefix(self, backbone: Backbone, boundary: int) -> Prefix:
        """The frozen front up to a boundary, run the way the settings say."""
        settings = self.settings
        plain = Prefix(backbone, boundary, self.compute.device, settings.engine, settings.precision)
        return replace(plain, executor=self.executor)

    def activations(
        self, backbone: Backbone, boundary: int, view: View | None = None
    ) -> Extraction:
        """The frozen front's outputs: for all items, or the training items' random variants.

        Raises OutOfTimeError where the budget ends before.
        """
        items = self.dataset.items if view is None else self.dataset.split("train")
        return self._extract(self.prefix(backbone, boundary), items, view)

    def features(self, backbone: Backbone, look: str = "") -> list[Extraction]:
        """Features of the items for training and validation in that order, and of those for test.

        The latter, where there are any, in fp32, as the saved model will compute them. Raises
        OutOfTimeError where the budget has no time for all.
        """
        prefix = self.prefix(backbone, len(backbone.stages))
        items = self.dataset.split("train") + self.dataset.split("validation")
        learned = self._extract(prefix, items, look=look)
        held_out = self.dataset.split("test")
        if not held_out:  # as in folds
            return [learned]
        return [learned, self._extract(replace(prefix, precision="fp32"), held_out, look=look)]

    def _extract(
        self, prefix: Prefix, items: Sequence[Item], view: View | None = None, look: str = ""
    ) -> Extraction:
        until = self.budget.until(_EXTRACTED) if self.budget.limited else None
        reader = replace(self.reader, look=look)
        return extract(prefix, items, reader, self.progress, view, until)

    def examples(self, backbone: Backbone) -> dict[str, Examples]:
        """Features and targets of every split, from the store where they lie there.

        Features are the mean over all looks that the reader averages.
        """
        if backbone.summary is not None:
            return self._summarised(backbone, backbone.summary)
        each = [self.features(backbone, look) for look in self.reader.looks]
        learned, *held_out = (
            np.asarray(np.mean([own.features() for own in part], axis=0, dtype=np.float32))
            if len(part) > 1
            else part[0].features()
            for part in zip(*each, strict=True)
        )
        ends = len(self.dataset.split("train"))
        test = held_out[0] if held_out else learned[:0]
        parts = {"train": learned[:ends], "validation": learned[ends:], "test": test}
        return {name: (part, self.dataset.targets(name)) for name, part in parts.items()}

    def rows_of(self, backbone: Backbone, items: Sequence[Item]) -> np.ndarray:
        """Features (N, D) of some of the items, from the store."""
        row_of: dict[str, np.ndarray] = {}
        for name, (features, _) in self.examples(backbone).items():
            row_of |= zip((item.id for item in self.dataset.split(name)), features, strict=True)
        rows = [row_of[item.id] for item in items]
        return np.stack(rows) if rows else np.empty((0, backbone.feature_dim), np.float32)

    def _summarised(self, backbone: Backbone, summary: nn.Module) -> dict[str, Examples]:
        """Rows of what is stored as maps."""
        import torch

        rows = self.activations(backbone, len(backbone.stages)).rows
        parts = {}
        for name in ("train", "validation", "test"):
            with torch.inference_mode():
                own = [summary(rows.inputs(g)).numpy() for g in groups_of(self.positions(name), 32)]
            features = np.concatenate(own) if own else np.empty((0, backbone.feature_dim))
            parts[name] = features.astype(np.float32), self.dataset.targets(name)
        return parts

    def splits(self, backbone: Backbone, strategy: Strategy, epochs: int) -> Splits:
        """Stored activations where that is legal and pays, or raw items."""
        settings = self.settings
        forced = settings.augment == "yes" and not self.views
        legal = cacheable_stages(strategy, epochs, len(backbone.stages), augmented=forced)
        boundary = self._boundary(backbone, legal, epochs) if settings.cache else 0
        if boundary:
            with suppress(OutOfTimeError):  # the loop ends with the budget wherever it is
                return self._stored(backbone, boundary)
        augmented = forced or (settings.augment == "auto" and legal == 0)
        return Splits(self.raw("train", augmented), self.raw("validation"))

    def work(self, epochs: int) -> Work:
        """How often each item passes through the network."""
        trained = len(self.dataset.split("train"))
        return Work(len(self.dataset.items), trained, epochs, self.views)

    def cuts(self, backbone: Backbone, legal: int, work: Work) -> list[Cut]:
        """Every boundary up to the last legal one, priced on some of this data's items."""
        sample = list(self.dataset.items[:_SAMPLE])
        (inputs,) = self.reader.batches(sample, [np.arange(len(sample))])
        on_device = to_device(inputs, self.accelerator.device)
        cached = [n for n in range(1, legal + 1) if self._is_stored(backbone, n)]
        return measure(backbone, on_device, (legal, cached), work, self.precision)

    def recipe(self, strategy: Strategy, label: str, backbone: Backbone) -> Recipe:
        """The policy's recipe for this much data, with what the user set."""
        count = len(self.dataset.split("train"))
        width = backbone.feature_dim if backbone.delicate else None
        usual = self.task.passes * defaults.epochs(count)
        epochs = strategy.epochs(self.settings.epochs or usual)
        return Recipe(
            label=label,
            epochs=epochs,
            patience=max(5, epochs // 3),
            batch_size=self.settings.batch_size or defaults.batch_size(count),
            learning_rate=self.settings.learning_rate
            or self.task.learning_rate
            or defaults.learning_rate(self.task.has_probe and strategy.starts_from_probe(), width),
        )

    def steps_per_epoch(self) -> int:
        """The steps of one pass over the training items."""
        count = len(self.dataset.split("train"))
        return -(-count // (self.settings.batch_size or defaults.batch_size(count)))

    def session(self, name: str, budget: Budget, last: bool = True) -> Session:
        """A training session with a checkpoint of its own; a last one leaves time to judge."""
        plain = re.sub(r"[^\w.=-]+", "-", name)
        checkpoint = self.workspace / f"{plain}.checkpoint" if self.workspace else None
        held_out, checked = (len(self.dataset.split(split)) for split in ("test", "validation"))
        evaluations = (1.0 + held_out / checked) * len(self.reader.looks) if last else 0.0
        after = 1.0 + evaluations  # validation, then both splits
        return Session(
            self.accelerator, self.settings.seed, budget, self.progress, checkpoint, after
        )

    def _boundary(self, backbone: Backbone, legal: int, epochs: int) -> int:
        """The legal boundary, or an earlier one that costs less; 0 where none fits on the disk."""
        if legal in (0, len(backbone.stages)) or self._is_stored(backbone, legal):
            return legal
        work = self.work(epochs)
        cut = best(self.cuts(backbone, legal, work), work)
        return cut.boundary if cut else 0

    def _is_stored(self, backbone: Backbone, boundary: int) -> bool:
        return is_stored(self.prefix(backbone, boundary), self.dataset.items, self.reader)

    def _stored(self, backbone: Backbone, boundary: int) -> Splits:
        rows = self.activations(backbone, boundary).rows
        seed, count = self.settings.seed, self.views
        views = [self.activations(backbone, boundary, View(seed, n)).rows for n in range(count)]
        train, validation = (
            CachedLoader(
                rows,
                self.positions(split),
                self.dataset.targets(split),
                boundary,
                variants,
                longer(
                    self.reader.sizes(self.dataset.split(split)),
                    self.task.lengths(self.dataset.targets(split)),
                ),
                self._moved(split),
            )
            for split, variants in (("train", views), ("validation", ()))
        )
        return Splits(train, validation)

"""What a run did, as a file: enough to do the same again, and to know what it was trained on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from headstart.contracts.references import parse
from headstart.data import IN_MEMORY, Data, Dataset, Item, data_of
from headstart.data.remote import address
from headstart.defaults import Settings
from headstart.errors import DataError, HeadstartError

FILE = "plan.json"
FORMAT = 1
_RENAMED = {"batch": "batch_size", "rate": "learning_rate"}  # settings of earlier plans
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class FitPlan:
    """Backbone, strategy, settings and splits of one run; `splits` holds contents' hashes by name.

    `weights` and `fingerprint` are the hashes of the backbone and of the data. `pace` is, for each
    step, how far the schedule had come, where a budget drove it; else empty. `left_out` are the
    hashes of items that a budget had no time for; `added` are the places of items that came later.
    """

    data: str
    backbone: str
    weights: str
    strategy: str
    settings: Mapping[str, Any]
    fingerprint: str
    splits: Mapping[str, Sequence[str]]
    versions: Mapping[str, str]
    pace: Sequence[float] = ()
    left_out: Sequence[str] = ()
    added: Sequence[str] = ()
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write it into a folder."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / FILE).write_text(f"{text}\n", encoding="utf-8")

    def chosen(self) -> Settings:
        """The settings, without the budget, as the pace stands for it, and where it ran."""
        values = {_RENAMED.get(name, name): value for name, value in self.settings.items()}
        values |= {"budget": None, "on": "local", "workers": None}
        return Settings(**values | {"text": tuple(values.get("text", ()))})

    def data_from(self, data: Any | None) -> Data:
        """The data that are given anew, or where they were. Raises HeadstartError for neither."""
        if data is not None:
            return data_of(data)
        if self.data == IN_MEMORY:
            raise HeadstartError(
                "The plan was made with data in memory, which are not kept. Give the same again "
                "with data=."
            )
        if address(self.data):
            raise HeadstartError(
                f"The plan was made with data from {self.data}, and no address is fetched because "
                "a file names it. Give it again, in Python as data=."
            )
        return Path(self.data)

    def reference(self) -> str:
        """The backbone, without a word of trust: who wrote a plan can't give the user's consent."""
        return str(parse(self.backbone).with_options(trust=None))

    def apply(self, dataset: Dataset) -> Dataset:
        """The data set in the plan's splits.

        Raises DataError where it holds other items or other labels than it did.
        """
        split_of = {each: name for name in _SPLITS for each in self.splits[name]}
        left_out = frozenset(self.left_out)
        items = tuple(item for item in dataset.items if item.identity not in left_out)
        dataset = replace(dataset, items=items)
        here = {item.identity for item in dataset.items}
        new, missing = len(here - split_of.keys()), len(split_of.keys() - here)
        if new or missing:
            raise DataError(
                f"{dataset.root} is not what the plan was made with: {new} items are new and "
                f"{missing} are missing. Give the same data, or fit without the plan."
            )
        items = tuple(replace(item, split=split_of[item.identity]) for item in dataset.items)
        same = replace(dataset, items=items)
        if same.fingerprint != self.fingerprint:
            raise DataError(
                f"{dataset.root} has other labels than when the plan was made. "
                "Give the same data, or fit without the plan."
            )
        return same


def splits_of(dataset: Dataset) -> dict[str, list[str]]:
    """Which content is in which split."""
    return {name: sorted(item.identity for item in dataset.split(name)) for name in _SPLITS}


def read(path: Path) -> FitPlan:
    """Read a plan, or that of a saved model. Raises HeadstartError where there is none."""
    file = path / FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        plan = FitPlan(**content)
        plan.chosen()
        all_text = all(isinstance(each, str) for name in _SPLITS for each in plan.splits[name])
        if not all_text or plan.format != FORMAT:
            raise ValueError(f"format {plan.format}")
    except FileNotFoundError:
        raise HeadstartError(
            f"{file} does not exist. Give the {FILE} that `fit` wrote, or its folder."
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise HeadstartError(
            f"{file} can't be read as a plan ({error}). Give the {FILE} that `fit` wrote."
        ) from None
    return plan


def trained_on(folder: Path) -> frozenset[str] | None:
    """The hashes of what a saved model was trained or selected on; None where not recorded.

    Raises HeadstartError where the record is damaged.
    """
    if not (folder / FILE).exists():
        return None
    splits = read(folder).splits
    return frozenset(splits["train"]) | frozenset(splits["validation"])


def overlap(folder: Path, items: Iterable[Item]) -> int | None:
    """How many of the items a saved model was trained or selected on; None where not recorded."""
    identities = trained_on(folder)
    return None if identities is None else sum(item.identity in identities for item in items)

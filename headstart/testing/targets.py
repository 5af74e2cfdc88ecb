"""What the flow relies on in any kind of target, whatever labels say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np

from headstart import catalog
from headstart.contracts import Encoding, Targets
from headstart.data.sources import InlineSource, Item, Row
from headstart.errors import DataError
from headstart.testing.demands import checks_in, demand, is_json, refused

CONTRACT: Final = Targets
_TABLE: Final = Path("table.csv")
CELLS: Final[dict[str, Sequence[Any]]] = {  # of a table that holds labels of the kind
    "boxes": (
        '{"size": [40, 30], "boxes": [["ant", 1, 2, 20, 25]]}',
        '{"size": [40, 30], "boxes": []}',
        '{"size": [40, 30], "boxes": [["ant", 1, 2, 20, 25], ["bee", 3, 4, 9, 9]]}',
    ),
    "classes": ("ant", "bee", "ant", "cat", "bee", "ant"),
    "label sets": (["ant"], ["ant", "bee"], [], ["cat"], ["bee"], ["ant", "cat"]),
    "numbers": (1.5, -2.0, 7.25, 0.0, 3.5, 1.5),
    "sequences": ("an ant", "Ameise", "개미", "an ant", "муравей %1", "NA"),
}


def cell(value: Any) -> Row:
    """A row of a table that has this label."""
    return Row("1", "table.csv line 2", value, "train", None)


@dataclass(frozen=True)
class Sample:
    """A kind of target, and cells of it that are not all the same."""

    kind: Targets
    cells: Sequence[Any]

    def items(self, cells: Sequence[Any]) -> list[Item]:
        """Different items with these labels, those that are missing left out."""
        labels = enumerate(self.kind.read(cell(each)) for each in cells)
        source = InlineSource(b"")
        return [
            Item(f"{n}", label, "train", source, identity=f"{n:02x}")
            for n, label in labels
            if label is not None
        ]

    def labelled_items(self) -> tuple[list[Item], tuple[str, ...]]:
        """The items, and what their labels speak of."""
        items = self.items(self.cells)
        return items, self.kind.names(_TABLE, items, ("label",))


def subject(kind: Targets, example: Any) -> Sample:
    """What the checks take. Raises ContractError for a kind that needs an example."""
    demand(
        example is not None or kind.name in CELLS,
        f"reads {kind.name!r}, of which no cells are known. "
        "Give example=[…], cells of a table that are not all the same.",
    )
    return Sample(kind, CELLS[kind.name] if example is None else list(example))


def is_named(sample: Sample) -> None:
    """It has a name, and words for one of its names and several."""
    kind = sample.kind
    demand(kind.name, "has no name. Set name as Task.kind calls it.")
    demand(
        len(kind.words) == 2 and all(kind.words),
        f"has the words {kind.words}. Say what one of its names is called, and several.",
    )


def labels_are_strings_equal_where_they_are_equal(sample: Sample) -> None:
    """A cell is read alike each time; no value is no label."""
    kind = sample.kind
    demand(kind.read(cell(None)) is None, "reads a label from an empty cell. Answer None.")
    labels = [[kind.read(cell(each)) for each in sample.cells] for _ in range(2)]
    demand(
        labels[0] == labels[1] and all(each is None or isinstance(each, str) for each in labels[0]),
        f"reads labels that are no strings, or others each time: {labels[0]}. "
        "Answer equal strings for equal labels.",
    )


def encoded_targets_have_one_row_an_item(sample: Sample) -> None:
    """Of the shape and type that `encoding` says, and apart where labels are."""
    kind = sample.kind
    items, names = sample.labelled_items()
    kind.recognise(_TABLE, items, names)
    rows = kind.encode([item.label for item in items], names)
    demand(len(rows) == len(items), f"encodes {len(items)} as {len(rows)}. One row each.")
    expected = {
        Encoding.INDEX: (np.int64, (len(items),)),
        Encoding.MARKS: (np.float32, (len(items), len(names))),
        Encoding.AMOUNTS: (np.float32, (len(items), len(names))),
    }
    if kind.encoding in expected:
        dtype, shape = expected[kind.encoding]
        demand(
            rows.dtype == np.dtype(dtype) and rows.shape == shape,
            f"encodes {rows.dtype} of shape {rows.shape}. "
            f"Answer {np.dtype(dtype)} of shape {shape}, or set encoding.",
        )
    labels = [item.label for item in items]
    for (one, row), (other, target) in combinations(zip(labels, rows, strict=True), 2):
        demand(
            (one == other) == np.array_equal(row, target),
            f"encodes {one!r} and {other!r} without regard to whether they are equal. "
            "Encode labels alike exactly where they are equal.",
        )


def counts_and_sentences_fit_the_items(sample: Sample) -> None:
    """Twice the items count twice; what a report says is a line."""
    kind = sample.kind
    items, names = sample.labelled_items()
    once, twice = kind.count(items, names), kind.count([*items, *items], names)
    demand(
        twice == {key: 2 * count for key, count in once.items()},
        f"counts {once} of some items and {twice} of twice as many. Count each item.",
    )
    sentences = [kind.heading(names), kind.spread(items, names)]
    sentences += kind.warnings({"train": items}, names)
    demand(
        sentences[0] and all("\n" not in each for each in sentences),
        "says nothing in its heading, or more than a line. Say it in one line.",
    )


def one_label_for_all_is_refused(sample: Sample) -> None:
    """There is nothing to learn from it."""
    label = next(each for each in sample.cells if sample.kind.read(cell(each)) is not None)
    same = sample.items([label] * 4)
    with refused("one label for every item", DataError, "table.csv has "):
        sample.kind.demand_variety(_TABLE, same, ("label",))


def task_settings_are_json(sample: Sample) -> None:
    """They are kept in the record, and the tasks of the kind take them."""
    kind = sample.kind
    items, names = sample.labelled_items()
    targets = kind.encode([item.label for item in items], names)
    settings = kind.task_settings(targets, len(names), True)
    sentence = f"has task settings that JSON can't hold: {settings}. Make them plain."
    demand(is_json(settings, exactly=False), sentence)
    for task in catalog.names("tasks"):
        if catalog.part("tasks", task).kind == kind.name:
            unknown = sorted(settings.keys() - catalog.task_settings(task, settings).keys())
            demand(not unknown, f"offers {unknown}, which {task} does not take. Leave it.")


CHECKS: Final = checks_in(__name__)

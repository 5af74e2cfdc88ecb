"""`headstart.testing.check_part`: good parts pass, broken ones are told what is wrong with them."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, final

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart import catalog
from headstart.contracts import (
    Backbone,
    Batch,
    Card,
    Check,
    Encoding,
    Examples,
    HeadFitter,
    Hub,
    Metric,
    Modality,
    Model,
    Step,
    Strategy,
    Targets,
    Task,
)
from headstart.contracts.head import TrainingSet
from headstart.contracts.references import Reference
from headstart.errors import ContractError, UnknownNameError
from headstart.testing import CHECKED, check_part
from headstart.testing.demands import OF_ANY_PART

ROOT = Path(__file__).resolve().parents[1]
GOOD: list[tuple[str, Any, Any]] = [
    ("hubs", "seeded", "seeded:convnet?width=4"),
    ("modalities", "text", b"a few words"),
    ("modalities", "image", None),
    ("tasks", "image-classification", None),
    ("heads", "ridge", None),
    ("metrics", "macro-f1", None),
    ("targets", "label sets", None),
]


@pytest.mark.parametrize(("kind", "part", "example"), GOOD)
def test_a_good_part_passes(kind: str, part: str, example: Any) -> None:
    names = check_part(kind, part, example=example)
    assert len(names) >= 6 and len(set(names)) == len(names)
    if kind != "hubs":
        assert check_part(kind, catalog.part(kind, part)(), example=example) == names


@pytest.mark.slow
@pytest.mark.parametrize("part", ["feature-extraction", "last-stages?count=2"])
def test_a_good_strategy_passes(part: str) -> None:
    assert len(check_part("strategies", catalog.strategy(part))) >= 10


def shown(monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """A class of docs/extending.md."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (block,) = (each for each in blocks if f"\nclass {name}(" in each)
    module = ModuleType(f"shown_{name.lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    here = block.replace('"timm:mobilenetv3_small_100"', '"seeded:convnet"')  # needs no network
    exec(compile(here, "extending.md", "exec"), vars(module))
    return vars(module)[name]


def test_the_hub_of_the_page_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = shown(monkeypatch, "Shelf")
    monkeypatch.setitem(catalog.HUBS, "shelf", f"{kind.__module__}:Shelf")
    assert check_part("hubs", kind, example="shelf:small")


def test_the_task_of_the_page_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = shown(monkeypatch, "Counting")
    with pytest.raises(ContractError, match=r"answers with 'counts'.* Give example="):
        check_part("tasks", kind)
    three = np.array([[0.0], [4.0], [20.0]], dtype=np.float32)
    assert check_part("tasks", kind, example=(three, ["dots"]))


def test_the_kind_of_target_of_the_page_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = shown(monkeypatch, "Counts")
    with pytest.raises(ContractError, match=r"reads 'counts'.* Give example="):
        check_part("targets", kind)
    assert check_part("targets", kind, example=["0", "3", "12"])


@pytest.mark.slow
def test_the_strategy_of_the_page_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_part("strategies", shown(monkeypatch, "NormTuning"))


def test_every_kind_of_the_catalog_can_be_checked() -> None:
    assert set(catalog._OWN) == set(CHECKED)


def test_what_can_not_be_checked_is_said() -> None:
    with pytest.raises(UnknownNameError, match="Kind of part 'strategy' is not known"):
        check_part("strategy", "lora")
    with pytest.raises(UnknownNameError, match="'lora'"):
        check_part("strategies", "lorra")
    with pytest.raises(ContractError, match=r"int is no Strategy\. Subclass headstart\.contracts"):
        check_part("strategies", 3)


def test_the_package_needs_no_test_runner() -> None:
    code = (
        "import sys; import headstart.testing as t; from importlib import import_module;"
        "[import_module(m) for m in t.CHECKED.values()];"
        "print(sorted({'pytest', 'hypothesis'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


# --- strategies ---


class Broken(Strategy):
    """Trains everything; what follows breaks one promise each.

    Reference: none.
    Relations: none.
    Use when: never.
    """

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """None."""
        return 0


def strategy(name: str, constructor: Any = None, **methods: Any) -> type[Strategy]:
    """A strategy that does all as it should, but for these methods."""
    own = {**methods, "__doc__": Broken.__doc__}
    if constructor is not None:
        own["__init__"] = constructor
    return type(name, (Broken,), own)


def works(self: Any, rate_of_change: float = 1.0) -> None:
    """A constructor that does more than store."""
    self.rate_of_change = rate_of_change * 2


def demands(self: Any, share: float) -> None:
    """A constructor with a setting that has no default."""
    self.share = share


def freezes(self: Any, epoch: int, model: Model) -> None:
    """Freezes the first stage, and leaves it in training mode."""
    model.stages[0].requires_grad_(False)


STRATEGIES = [
    (strategy("Works", works), r"Works's constructor works on its settings .*Only store them"),
    (strategy("Demands", demands), r"Demands has settings without a default: share\."),
    (
        strategy("Earlier", prepare=lambda self, model: None),
        r"Earlier defines prepare, which is not called\. Rename it to on_train_start\.",
    ),
    (
        strategy("TooMany", frozen_stages=lambda self, epoch, stages: stages + 1),
        r"TooMany calls 2 of 1 stages frozen\. Answer between 0 and the number",
    ),
    (
        strategy("Falls", lr_scale=lambda self, stage, stages: 1.0 + (stages - stage)),
        r"Falls gives the stages the learning rates .*don't fall towards the head",
    ),
    (
        strategy("Longer", epochs=lambda self, default: default + 1),
        r"Longer trains 2 epochs where the policy has 1\.",
    ),
    (
        strategy("Awake", frozen_stages=lambda self, epoch, stages: 1, on_epoch_start=freezes),
        r"Awake leaves a frozen stage in training mode in epoch 0\. Call eval\(\)",
    ),
    (
        strategy("Fails", frozen_stages=lambda self, epoch, stages: 1 // 0),
        r"Fails can't pass says_how_many_stages_are_frozen: it raises ZeroDivisionError",
    ),
]


@pytest.mark.parametrize(
    ("part", "sentence"), STRATEGIES, ids=[part.__name__ for part, _ in STRATEGIES]
)
def test_a_broken_strategy_is_told(part: type[Strategy], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence) as caught:
        check_part("strategies", part)
    assert "\n" not in str(caught.value)


def test_a_strategy_without_its_sections_is_told() -> None:
    bare = type("Bare", (Broken,), {"__doc__": "Train everything."})
    with pytest.raises(ContractError, match="Bare lacks Reference, Relations, Use when"):
        check_part("strategies", bare)


# --- heads ---


class Probe(HeadFitter):
    """Least squares to log odds or numbers; what follows breaks one promise each."""

    def candidates(self, inputs: TrainingSet) -> Iterable[nn.Module]:
        """One."""
        yield self.fitted(inputs, inputs.weights)

    def fitted(self, train: TrainingSet, weights: np.ndarray) -> nn.Linear:
        """By the normal equations, with a little ridge."""
        rows = np.hstack([train.features, np.ones((len(train.features), 1))])
        heavy = rows * weights[:, None]
        square = heavy.T @ rows + 1e-3 * np.eye(rows.shape[1])
        numbers = train.shape.encoding is Encoding.AMOUNTS
        expected = train.memberships() if numbers else 8 * train.memberships() - 4  # log odds
        solution = np.linalg.solve(square, heavy.T @ expected)
        layer = nn.Linear(rows.shape[1] - 1, solution.shape[1])
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(solution[:-1].T))
            layer.bias.copy_(torch.from_numpy(solution[-1]))
        return layer


@final
class Deaf(Probe):
    """Learns nothing."""

    def fitted(self, train: TrainingSet, weights: np.ndarray) -> nn.Linear:
        """Zeros."""
        layer = super().fitted(train, weights)
        nn.init.zeros_(layer.weight)
        return layer


@final
class Forgets(Probe):
    """Is no linear layer, and can't be restored."""

    def candidates(self, inputs: TrainingSet) -> Iterable[nn.Module]:
        """A layer inside a network."""
        yield nn.Sequential(self.fitted(inputs, inputs.weights)).requires_grad_(False)


@final
class Restless(Probe):
    """Is fitted otherwise each time."""

    def fitted(self, train: TrainingSet, weights: np.ndarray) -> nn.Linear:
        """With noise."""
        layer = super().fitted(train, weights)
        with torch.no_grad():
            layer.bias.add_(1e-3 * torch.rand(layer.bias.shape))
        return layer


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (Deaf, r"Deaf scores .* on classes that are easy to tell apart\. Look at how"),
        (Forgets, r"Forgets can't pass is_saved_as_tensors_and_restored: it raises WeightsError"),
        (Restless, r"Restless is fitted otherwise each time\. Seed what it draws\."),
    ],
)
def test_a_broken_head_is_told(part: type[HeadFitter], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        check_part("heads", part)


# --- modalities ---


class Numbered(Modality):
    """One number an item, as text; what follows breaks one promise each."""

    suffixes: ClassVar[frozenset[str]] = frozenset({".num"})
    columns: ClassVar[tuple[str, ...]] = ("number",)

    def check(self, raw: bytes) -> Check:
        """A number or a problem."""
        return Check() if raw.isdigit() else Check("is no number")

    def decode(self, raw: bytes, preprocess: Any, rng: Any = None) -> Any:
        """The number."""
        return torch.tensor([float(raw)])

    def collate(self, items: Sequence[Any], preprocess: Any) -> Any:
        """A column of numbers."""
        return torch.stack(list(items))


def modality(name: str, **own: Any) -> type[Modality]:
    """A modality that does all as it should, but for this."""
    return type(name, (Numbered,), {**own, "__doc__": Numbered.__doc__})


MODALITIES = [
    (modality("Loud", suffixes=frozenset({"NUM"})), r"Loud has the suffixes \['NUM'\]\. Write"),
    (modality("Blind", columns=()), r"Blind has the columns \[\]\. Name at least one"),
    (
        modality("Greedy", check=lambda self, raw: Check()),
        r"Greedy finds nothing wrong with no bytes at all\.",
    ),
    (
        modality("Lines", check=lambda self, raw: Check("is\nno number")),
        r"Lines calls .* a problem without a line that says why\.",
    ),
    (
        modality("Sure", check=lambda self, raw: Check("is no number", identity="7")),
        r"Sure gives .* an identity, which it can't use\.",
    ),
    (modality("Inline", inline=True), r"Inline says inline = True, yet refuses a sentence\."),
    (modality("Sized", size=lambda self, item: 7), r"Sized gives items a size and is not ragged\."),
    (
        modality("Fast", arrays=lambda self, items, preprocess: np.zeros((len(items), 1))),
        r"Fast says in_arrays = False, yet has arrays\. Set in_arrays = True\.",
    ),
    (modality("Mute", plays=True), r"Mute says plays = True, yet lacks played\. Set plays = False"),
]


@pytest.mark.parametrize(
    ("part", "sentence"), MODALITIES, ids=[part.__name__ for part, _ in MODALITIES]
)
def test_a_broken_modality_is_told(part: type[Modality], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        check_part("modalities", part)


def test_a_good_modality_of_others_passes() -> None:
    assert check_part("modalities", Numbered, example=b"12")
    with pytest.raises(ContractError, match="can't use the example: is no number"):
        check_part("modalities", Numbered, example=b"twelve")


# --- tasks ---


def task(name: str, **own: Any) -> type[Task]:
    """Classification, but for this."""
    good = catalog.part("tasks", "image-classification")
    methods = {
        key: value
        for key, value in vars(good).items()
        if inspect.isfunction(value) or isinstance(value, property) or key in Task.__annotations__
    }
    return type(name, (Task,), {**methods, **own, "__doc__": "Classification, but for one thing."})


def half(self: Any, model: Model, batch: Batch) -> Step:
    """A step whose loss is half of what `losses` say."""
    features = model.features(batch.inputs, batch.start)
    outputs = model.head(features)
    loss = 0.5 * functional.cross_entropy(outputs.float(), batch.targets)
    return Step(outputs, loss, features, batch.targets)


def late(self: Any, model: Model, batch: Batch) -> Step:
    """A step that runs all stages, whatever the batch's start."""
    features = model.features(batch.inputs)
    outputs = model.head(features)
    loss = functional.cross_entropy(outputs.float(), batch.targets)
    return Step(outputs, loss, features, batch.targets)


def unread(self: Any, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Answers that hold NumPy's numbers."""
    return [{"output": row.max()} for row in outputs]


def guess(self: Any, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """A constant that is far off."""
    return np.asarray(np.eye(len(labels))[0] * 40)


def idle(self: Any, train: Examples, validation: Examples, labels: Sequence[str]) -> nn.Module:
    """A probe that was fitted to nothing."""
    head = nn.Linear(train[0].shape[1], len(labels))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head


TASKS = [
    (task("Half", step=half), r"Half trains towards a loss of .* where losses has the mean"),
    (task("Late", step=late), r"Late can't pass a_step_enters_at_the_boundary_of_its_batch"),
    (task("Unread", decode=unread), r"Unread decodes answers that JSON can't hold\."),
    (task("Guess", naive=guess), r"Guess has a naive answer that another constant beats\."),
    (task("Idle", probe=idle), r"Idle has a probe that is no better than naive"),
]


@pytest.mark.parametrize(("part", "sentence"), TASKS, ids=[part.__name__ for part, _ in TASKS])
def test_a_broken_task_is_told(part: type[Task], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        check_part("tasks", part)


def test_the_task_they_are_made_of_is_good() -> None:
    assert check_part("tasks", task("Whole"))


# --- kinds of target ---


def target(name: str, **own: Any) -> type[Targets]:
    """Classes, but for this."""
    good = catalog.part("targets", "classes")
    methods = {key: value for key, value in vars(good).items() if not key.startswith("__")}
    return type(name, (Targets,), {**methods, **own, "__doc__": "Classes, but for one thing."})


def mixed(self: Any, labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """One number for all labels."""
    return np.zeros(len(labels), dtype=np.int64)


def floats(self: Any, labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Numbers of another type than the encoding says."""
    return np.array([names.index(label) for label in labels], dtype=np.float64)


TARGETS = [
    (target("Empty", read=lambda self, row: str(row.value)), r"reads a label from an empty cell"),
    (target("Mixed", encode=mixed), r"Mixed encodes '\w+' and '\w+' without regard to"),
    (target("Floats", encode=floats), r"Floats encodes float64 .*Answer int64 of shape"),
    (target("Once", count=lambda self, items, names: {"all": 6}), r"of twice as many\. Count each"),
    (target("Calm", demand_variety=lambda *_: None), r"Calm accepts one label for every item\."),
    (
        target("Eager", task_settings=lambda *_: {"pear": 1}),
        r"Eager offers \['pear'\], which \S+ does not take\.",
    ),
]


@pytest.mark.parametrize(("part", "sentence"), TARGETS, ids=[part.__name__ for part, _ in TARGETS])
def test_a_broken_kind_of_target_is_told(part: type[Targets], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        check_part("targets", part)


# --- metrics ---


class Share(Metric):
    """The share of right answers; what follows breaks one promise each."""

    name: ClassVar[str] = "share"
    kinds: ClassVar[tuple[str, ...]] = ("classes",)

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Whether an item is right, (N, 1)."""
        return np.asarray(predictions.argmax(axis=1) == targets)[:, None]

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """The mean."""
        return weights @ statistics[:, 0] / weights.sum(dim=1)


def metric(kind: str, **own: Any) -> type[Metric]:
    """A metric that does all as it should, but for this."""
    return type(kind, (Share,), {**own, "__doc__": Share.__doc__})


def once(self: Any, statistics: Tensor, weights: Tensor) -> Tensor:
    """A mean that counts each item of a resample once, however often it is there."""
    there = weights * (weights > 0) / weights.detach().clamp_min(1)
    return there @ statistics[:, 0] / there.sum(dim=1)


METRICS = [
    (metric("Nameless", name=""), r"Nameless has no name\. Set name"),
    (metric("Aimless", kinds=()), r"Aimless judges no kind of target\. Set kinds\."),
    (metric("Strange", kinds=("shapes",)), r"Strange judges 'shapes', of which no examples"),
    (metric("Outside", undefined=2.0), r"Outside has 2\.0 for undefined, outside of its bounds"),
    (metric("Narrow", bounds=(0.0, 0.5)), r"Narrow is .*, outside of \(0\.0, 0\.5\)\. Widen"),
    (metric("Upside", less_is_better=True), r"Upside is 1 for right answers, and 0\.0 at best"),
    (
        metric("Once", value=once),
        r"Once is .* for a resample whose items are worth .*count an item as often as",
    ),
    (
        metric("Ordered", scores=lambda self, p, t: np.sort(Share.scores(self, p, t))),
        r"Ordered scores items by where they stand\. Let statistics look",
    ),
    (
        metric("Doubled", scores=lambda self, p, t: 2 * Share.scores(self, p, t)),
        r"Doubled has scores with the mean .* and the value",
    ),
    (
        metric("Wide", scores=lambda self, p, t: Share.scores(self, p, t)[:, None]),
        r"Wide has scores of the shape \(60, 1\)\. Give \(60,\)\.",
    ),
]


@pytest.mark.parametrize(("part", "sentence"), METRICS, ids=[part.__name__ for part, _ in METRICS])
def test_a_broken_metric_is_told(part: type[Metric], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        check_part("metrics", part)


def test_a_good_metric_of_others_passes() -> None:
    names = check_part("metrics", Share)
    right = np.eye(2)[[0, 1, 1, 0] * 5]
    assert check_part("metrics", Share, example=(right, right.argmax(axis=1), right)) == names


@pytest.mark.parametrize("kind", CHECKED)
def test_our_parts_are_documented_and_only_store(kind: str) -> None:
    for name in catalog._OWN[kind]:
        for check in OF_ANY_PART:
            check(catalog.part(kind, name)())


# --- hubs ---


class Seeds(Hub):
    """One seeded network; what follows breaks one promise each."""

    changes: ClassVar[Mapping[str, Any]] = {}

    def cards(self, pattern: str) -> Iterable[Card]:
        """One."""
        if pattern in ("*", "net"):
            yield Card(f"{self.name()}:net", "image", None, "16x16", None, None, True)

    def resolve(self, reference: Reference) -> Reference:
        """Itself."""
        return reference

    def load(self, reference: Reference) -> Backbone:
        """A seeded network, but for what the class changes."""
        inner = Reference("seeded", "convnet", None, {"width": "4"})
        return replace(catalog.load_backbone(inner), **self.changes)

    @classmethod
    def name(cls) -> str:
        """Its name in the catalog."""
        return cls.__name__.lower()


@final
class Wider(Seeds):
    """Says that it has more features than it has."""

    changes: ClassVar[Mapping[str, Any]] = {"feature_dim": 99}


@final
class Nested(Seeds):
    """Holds preprocessing that JSON can't."""

    changes: ClassVar[Mapping[str, Any]] = {
        "preprocess": {"channels": 3, "height": 16, "width": 16, "mean": Tensor()}
    }


@final
class Smells(Seeds):
    """Has a modality that is not known."""

    changes: ClassVar[Mapping[str, Any]] = {"modality": "smell"}


@final
class Lenient(Seeds):
    """Takes any name for its own."""


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (Wider, r"Wider gives \(3, \d+\) for 3 items, and says 99 features\."),
        (Nested, r"Nested has a preprocess that is not the same once written as JSON\."),
        (Smells, r"A backbone for 'smell' can't be checked: how to draw inputs"),
        (Lenient, r"Lenient accepts a name that it lacks\. Raise HeadstartError, naming it\."),
    ],
)
def test_a_broken_hub_is_told(
    part: type[Seeds], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ContractError, match=f"{part.__name__} has no name in the catalog"):
        check_part("hubs", part)
    monkeypatch.setitem(catalog.HUBS, part.name(), f"{__name__}:{part.__name__}")
    with pytest.raises(ContractError, match=sentence):
        check_part("hubs", part)

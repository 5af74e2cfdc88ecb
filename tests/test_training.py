"""The loop: seeded, resumable, early to stop, within its budget, small when memory is short."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from headstart import catalog
from headstart.contracts import Batch, Examples, Step, Strategy, Task
from headstart.contracts.model import Model
from headstart.data import load
from headstart.features.extract import Prefix, extract
from headstart.features.legality import cacheable_stages
from headstart.features.loaders import CachedLoader, Feed, RawLoader
from headstart.features.reading import Reader, View
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Silent
from headstart.training import Splits, loop, predict, train

TASK = tiny.TASK
STEPS, EPOCHS = tiny.STEPS, tiny.EPOCHS


def test_one_seed_gives_one_result() -> None:
    (first, one), (second, two) = tiny.run(seed=5), tiny.run(seed=5)
    assert tiny.same_tensors(first, second)
    assert tiny.without_seconds(one) == tiny.without_seconds(two)


def test_another_seed_gives_another_result() -> None:
    assert not tiny.same_tensors(tiny.run(seed=5)[0], tiny.run(seed=6)[0])


def test_the_best_row_is_kept() -> None:
    session, splits = tiny.session(), tiny.splits()
    model = tiny.model()
    strategy = catalog.strategy("full-fine-tuning")
    training = train(model, TASK, strategy, splits, tiny.recipe(8, rate=0.1), session)
    assert training.best == max(range(len(training.history)), key=training.selection_key)
    assert len(training.history) == training.epochs + 1 == 9
    outputs = predict(model, splits.validation, session.accelerator)
    scores = TASK.scores(outputs, splits.validation.targets)
    losses = TASK.losses(outputs, splits.validation.targets)
    assert (scores.mean(), -losses.mean()) == pytest.approx(training.selection_key(training.best))


def test_training_that_only_spoils_stops_early_and_keeps_the_start() -> None:
    splits = tiny.splits()
    wrong = tiny.TensorFeed(splits.validation.inputs, (splits.validation.targets + 1) % 3)  # type: ignore[attr-defined] # a TensorFeed
    model = tiny.model()
    calls: list[dict[str, torch.Tensor]] = []
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([0.0, 0.0, 0.01]))  # type: ignore[operator] # a Linear
    calls.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    strategy = catalog.strategy("last-stages")
    recipe = tiny.recipe(30, patience=3)
    training = train(model, TASK, strategy, Splits(splits.train, wrong), recipe, tiny.session())
    assert (training.best, training.epochs, training.finished, training.cut) == (0, 3, True, False)
    assert all(torch.equal(calls[0][name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("seconds", [0, 1, 4, 5])
def test_a_budget_ends_the_run_after_the_step_in_which_it_is_over(
    seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def a_second_later(_: int) -> None:
        now[0] += 1.0

    progress = tiny.Recording(a_second_later)
    model, result = tiny.run(tiny.SessionOptions(Budget(float(seconds)), progress))
    assert result.steps == progress.steps == max(1, seconds)
    assert result.cut and result.finished
    assert result.seconds == max(1, seconds)
    assert len(result.history) == result.epochs + 1
    assert not model.training


def test_a_short_budget_shortens_the_warm_up_too() -> None:
    half_gone = tiny.session(options=tiny.SessionOptions(budget=Budget(10.0, earlier=5.0)))
    many = tiny.recipe(epochs=1000)
    strategy = catalog.strategy("full-fine-tuning")
    begun = loop._Run(tiny.model(), tiny.TASK, strategy, tiny.splits(), many, half_gone)
    assert 0.4 < begun._factor() < 0.6  # a cosine half way down, at full warmth


def test_without_a_budget_no_run_is_cut() -> None:
    outputs = tiny.run()[1]
    assert (outputs.cut, outputs.steps) == (False, EPOCHS * STEPS)


@final
class Tight(Task):
    """Classification on a machine where more than `room` items at a time don't fit."""

    metric: ClassVar[str] = "accuracy"

    def __init__(self, room: int, error: Exception | None = None) -> None:
        self.room = room
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        self.sizes: list[int] = []

    def step(self, model: Model, batch: Batch) -> Step:
        self.sizes.append(len(batch.targets))
        if len(batch.targets) > self.room:
            raise self.error
        return TASK.step(model, batch)

    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module:
        return TASK.head(feature_dim, labels)

    def probe(self, train: Examples, validation: Examples, labels: Sequence[str]) -> nn.Module:
        return TASK.probe(train, validation, labels)

    def naive(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        return TASK.naive(targets, labels)

    def scores(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return TASK.scores(outputs, targets)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return TASK.losses(outputs, targets)

    def decode(self, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
        return TASK.decode(outputs, labels)


def tight_run(task: Task, options: tiny.SessionOptions | None = None) -> Model:
    session = tiny.session(options=options)
    model = tiny.model("seeded:vit?width=2")  # no BatchNorm, so that parts add up to the whole
    strategy = catalog.strategy("full-fine-tuning")
    train(model, task, strategy, tiny.splits(), tiny.recipe(2, rate=1e-3), session)
    return model


@pytest.mark.parametrize("room", [5, 4, 1])
def test_out_of_memory_halves_what_is_run_at_a_time_and_says_so(room: int) -> None:
    task, progress = Tight(room), tiny.Recording()
    model = tight_run(task, tiny.SessionOptions(progress=progress))
    fitting = 4 if room >= 4 else room
    assert progress.warned[-1] == f"Out of memory at 8 items a step; trying {fitting} at a time."
    assert len(progress.warned) == {4: 1, 1: 3}[fitting]
    assert set(task.sizes[len(progress.warned) :]) == {fitting}
    expected = tight_run(TASK).state_dict()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-3, atol=1e-4)


def test_a_resumed_run_knows_how_little_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    path = tmp_path / "run.checkpoint"

    def stop(done: int) -> None:
        if done == STEPS + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tight_run(Tight(4), tiny.SessionOptions(progress=tiny.Recording(stop), checkpoint=path))
    task, again = Tight(4), tiny.Recording()
    model = tight_run(task, tiny.SessionOptions(progress=again, checkpoint=path))
    assert not again.warned
    assert set(task.sizes) == {4}
    assert tiny.same_tensors(model, tight_run(Tight(4)))


def test_where_one_item_does_not_fit_the_error_comes_through() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        tight_run(Tight(0))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    task = Tight(4, RuntimeError("shapes don't match"))
    with pytest.raises(RuntimeError, match="shapes don't match"):
        tight_run(task)
    assert task.sizes == [8]


def test_class_weights_move_the_loss() -> None:
    runs = []
    for task in (TASK, catalog.task("image-classification", weights=(9.0, 1.0, 1.0))):
        model, session = tiny.model(), tiny.session()
        feed = tiny.feed(24, seed=1, noise=3.0)
        trained = train(
            model,
            task,
            catalog.strategy("feature-extraction"),
            Splits(feed, feed),
            tiny.recipe(3),
            session,
        )
        outputs = predict(model, feed, session.accelerator)
        runs.append((trained.history[1]["loss"], (outputs.argmax(1) == 0).mean()))
    assert runs[0][0] != runs[1][0]
    assert runs[1][1] > runs[0][1]


def test_a_last_batch_of_one_item_is_left_out() -> None:
    training = train(
        *(tiny.model(), TASK, catalog.strategy("full-fine-tuning")),
        *(tiny.splits(train=9), tiny.recipe(2), tiny.session()),
    )
    assert training.steps == 2


@final
class Sentences(Feed):
    """Items of unlike length, as mappings with a mask."""

    start = 0

    def __init__(self, lengths: Sequence[int]) -> None:
        rng = np.random.default_rng(0)
        targets = np.arange(len(lengths), dtype=np.int64) % 3
        super().__init__(targets, np.array(lengths))
        self.items = [rng.normal(size=(length, 4)).astype(np.float32) for length in lengths]
        for item, target in zip(self.items, targets, strict=True):
            item[:, target] += 1

    def _inputs(self, groups: Sequence[np.ndarray], view: View | None) -> Iterator[Any]:
        for group in groups:
            items = [torch.from_numpy(self.items[position]) for position in group]
            ones = [torch.ones(len(item)) for item in items]
            padded = (nn.utils.rnn.pad_sequence(part, batch_first=True) for part in (items, ones))
            yield dict(zip(("hidden", "mask"), padded, strict=True))


@final
class Mean(nn.Module):
    """Tokens mixed by a layer, then their mean where the mask is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 5)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        mask = inputs["mask"][..., None]
        mean: torch.Tensor = (self.layer(inputs["hidden"]) * mask).sum(1) / mask.sum(1)
        return mean


def reader() -> Model:
    torch.manual_seed(0)
    return Model({"mean": Mean()}, nn.Linear(5, 3))


def test_items_of_unlike_length_are_answered_in_their_order() -> None:
    model, feed = reader(), Sentences([*range(1, 40), 3, 3])
    outputs = predict(model, feed, tiny.session().accelerator)
    for position, item in enumerate(feed.items):
        alone = {"hidden": torch.from_numpy(item)[None], "mask": torch.ones(1, len(item))}
        expected = model(alone)[0].detach().numpy()
        np.testing.assert_allclose(outputs[position], expected, atol=1e-5)


@pytest.mark.parametrize("room", [8, 3, 1])
def test_items_of_unlike_length_are_split_where_memory_is_short(room: int) -> None:
    runs = []
    for task in (TASK, Tight(room)):
        model, feed, session = reader(), Sentences(range(1, 17)), tiny.session()
        strategy = catalog.strategy("full-fine-tuning")
        train(model, task, strategy, Splits(feed, feed), tiny.recipe(2, rate=1e-3), session)
        runs.append(model.state_dict())
    for name, tensor in runs[0].items():
        torch.testing.assert_close(tensor, runs[1][name], rtol=1e-4, atol=1e-5)


def test_stored_activations_train_as_the_whole_network_does(pictures: Path) -> None:
    modality, backbone = catalog.modality("image"), tiny.backbone()
    dataset, reader = load(pictures, modality), Reader(modality, backbone.preprocess)
    strategy: Strategy = catalog.strategy("last-stages?probe=false")
    boundary = cacheable_stages(strategy, EPOCHS, len(backbone.stages), augmented=False)
    assert boundary > 0
    rows = extract(
        Prefix(backbone, boundary, torch.device("cpu")), dataset.items, reader, Silent()
    ).rows

    def stored(split: str) -> CachedLoader:
        positions = np.flatnonzero([item.split == split for item in dataset.items])
        return CachedLoader(rows, positions, dataset.targets(split), boundary)

    def raw(split: str) -> RawLoader:
        return RawLoader(dataset.split(split), dataset.targets(split), reader, augmented=False)

    runs = []
    for feeds in (raw, stored):
        model = Model.of(tiny.backbone(), TASK.head(backbone.feature_dim, dataset.labels))
        splits = Splits(feeds("train"), feeds("validation"))
        recipe = tiny.recipe(EPOCHS, rate=1e-3)
        runs.append((model, train(model, TASK, strategy, splits, recipe, tiny.session())))
    (whole, one), (suffix, two) = runs
    assert [row["score"] for row in one.history] == [row["score"] for row in two.history]
    assert one.best == two.best
    losses = [[row["loss"] for row in each.history] for each in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(tensor, suffix.state_dict()[name], rtol=1e-3, atol=1e-5)

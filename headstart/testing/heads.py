"""What the flow relies on in any head on frozen features, whatever fits it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import HeadFitter
from headstart.contracts.head import Shape, TrainingSet
from headstart.errors import DataError, WeightsError
from headstart.evidence.fitting import answers
from headstart.loading import weights
from headstart.testing import tiny
from headstart.testing.demands import checks_in, demand, refused

CONTRACT: Final = HeadFitter
LABELS, WIDTH = 3, 12
NAMES = ("a", "b", "c")
TASKS: Final = {  # kinds of target that heads are fitted to
    "classes": "image-classification",
    "label sets": "image-multi-label",
    "numbers": "image-regression",
}


def subject(head: HeadFitter, example: Any) -> HeadFitter:
    """What the checks take. Raises HeadstartError where a package is missing."""
    head.demand()
    return head


def examples(kind: str, count: int = 90, seed: int = 0, far: float = 3.0) -> TrainingSet:
    """Features (N, 12) of three clouds, and targets of a kind that say of each item which."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % LABELS
    features = rng.normal(5, 1, (count, WIDTH)).astype(np.float32)
    features[np.arange(count), classes] += far
    members = np.eye(LABELS)[classes]
    targets: dict[str, np.ndarray] = {
        "classes": classes,
        "label sets": (members + np.roll(members, 1, axis=1)).astype(np.float32),
        "numbers": members @ np.array([[1.0, 0, 2], [-1, 1, 0], [0, -1, -2]]),
    }
    shape = Shape(catalog.targets(kind).encoding, WIDTH, LABELS)
    return TrainingSet(features, targets[kind], np.ones(count), shape)


def fitted(head: HeadFitter, train: TrainingSet) -> nn.Module:
    """The candidate that loses least on other items."""
    kind = next(each for each in TASKS if catalog.targets(each).encoding is train.shape.encoding)
    held_out, task = examples(kind, seed=1), catalog.task(TASKS[kind])
    candidates = list(head.candidates(train))
    demand(candidates, "has no candidates. Yield a fitted head for each setting.")
    outputs = (answers(each, held_out.features) for each in candidates)
    losses = [float(task.losses(each, held_out.targets).mean()) for each in outputs]
    return candidates[int(np.argmin(losses))]


def is_far_better_than_naive(head: HeadFitter) -> None:
    """It answers rows (N, labels) of float32 that tell three clouds apart."""
    for kind in TASKS:
        train, held_out, task = examples(kind), examples(kind, seed=2), catalog.task(TASKS[kind])
        outputs = answers(fitted(head, train), held_out.features)
        demand(
            outputs.shape == (90, LABELS) and outputs.dtype == np.float32,
            f"answers {outputs.dtype} of shape {outputs.shape} for 90 items of 3 {kind}. "
            "Answer float32 (N, labels).",
        )
        naive = np.tile(task.naive(train.targets, NAMES), (90, 1))
        naive_score = task.scores(naive, held_out.targets).mean()
        score = task.scores(outputs, held_out.targets).mean()
        demand(
            score > (1 + naive_score) / 2,
            f"scores {score:.3f} on {kind} that are easy to tell apart. Look at how it is fitted.",
        )


def is_saved_as_tensors_and_restored(head: HeadFitter) -> None:
    """What is fitted is `nn.Linear`, or `restored` makes it again from its tensors."""
    with TemporaryDirectory() as folder:
        for kind in TASKS:
            for network in head.candidates(examples(kind)):
                _is_restored(head, kind, network, Path(folder) / "head.safetensors")


def _is_restored(head: HeadFitter, kind: str, network: nn.Module, path: Path) -> None:
    features, shape = torch.from_numpy(examples(kind, seed=3).features), examples(kind).shape
    weights.save(network.state_dict(), path, {})
    state = weights.read(path).state
    if isinstance(network, nn.Linear):
        demand(
            network.weight.shape == (LABELS, WIDTH),
            f"has a layer of shape {list(network.weight.shape)}. Answer (labels, features).",
        )
        with refused("tensors to restore, being linear", WeightsError, "is linear"):
            head.restored(state, shape)
        return
    again = head.restored(state, shape)
    with torch.inference_mode():
        demand(
            torch.equal(again(features), network(features)),
            f"answers otherwise once it was saved and restored ({kind}). "
            "Keep all it answers from in tensors of its state_dict.",
        )
        demand(
            torch.allclose(again(features[4:5]), network(features)[4:5], rtol=1e-4, atol=1e-4),
            f"answers otherwise where an item stands alone ({kind}). "
            "Answer each row from that row.",
        )
    demand(
        not list(network.parameters()),
        "has parameters, and no gradient trains them. Register buffers.",
    )


def refuses_damaged_tensors(head: HeadFitter) -> None:
    """Whatever stands in the file, it is an error of ours: never a crash or a wrong answer."""
    shape = examples("classes").shape
    network = next(iter(head.candidates(examples("classes", count=30))))
    if isinstance(network, nn.Linear):
        return  # kept with the backbone
    for what, state in _spoiled(network.state_dict()):
        with refused(f"tensors of which {what}", WeightsError, "no head of this kind"):
            head.restored(state, shape)
    for other in (replace(shape, width=1), replace(shape, labels=7)):
        with refused(f"tensors of another shape than {other}", WeightsError, "no head of"):
            head.restored(network.state_dict(), other)


def _spoiled(state: dict[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    yield "one is left over", {**state, "more": torch.zeros(1)}
    yield "there are none", {}
    for key, tensor in state.items():
        yield f"{key} is missing", {k: v for k, v in state.items() if k != key}
        yield f"{key} has a dimension more", {**state, key: tensor[None]}
        yield f"{key} is of bytes", {**state, key: tensor.to(torch.uint8)}
        if tensor.dim():
            yield f"{key} is empty", {**state, key: tensor[:0]}
        values = (torch.nan,) if tensor.is_floating_point() else (-1, 2**40)
        for value in values:
            yield f"{key} is {value}", {**state, key: torch.full_like(tensor, value)}


def two_fits_are_equal(head: HeadFitter) -> None:
    """The same items, the same head, bit for bit."""
    train = examples("classes", far=1.0)
    one, other = (list(head.candidates(train)) for _ in range(2))
    demand(
        len(one) == len(other) and all(map(tiny.same_tensors, one, other)),
        "is fitted otherwise each time. Seed what it draws.",
    )


def absent_classes_never_win(head: HeadFitter) -> None:
    """A class without training items is answered for none."""
    train = examples("classes")
    for present in ((0, 2), (0, 1, 3)):
        rows = train.targets < len(present)
        classes = np.array(present)[train.targets[rows]]
        shape = replace(train.shape, labels=4)
        some = TrainingSet(train.features[rows], classes, np.ones(int(rows.sum())), shape)
        for network in head.candidates(some):
            answered = set(answers(network, some.features).argmax(axis=1))
            demand(
                answered <= set(present),
                f"answers a class that no training item has, of {sorted(set(present))}. "
                "Give it outputs below all others.",
            )


def labels_that_never_vary_are_answered_so(head: HeadFitter) -> None:
    """A label that all items have, or none, has log odds of that sign."""
    train = examples("label sets")
    targets = train.targets.copy()
    targets[:, 0], targets[:, 1] = 1, 0
    outputs = answers(fitted(head, replace(train, targets=targets)), train.features)
    demand(
        (outputs[:, 0] > 0).all() and (outputs[:, 1] < 0).all(),
        "doubts a label that all training items have, or none. Answer the constant log odds there.",
    )


def heavier_items_count_more(head: HeadFitter) -> None:
    """Weights of items move what is fitted: more answers of a class that weighs more."""
    train, features = examples("classes", far=0.5), examples("classes", seed=5, far=0.5).features
    heavy = replace(train, weights=np.where(train.targets == 1, 50.0, 1.0))
    answered = [
        [int((answers(network, features).argmax(axis=1) == 1).sum()) for network in networks]
        for networks in (head.candidates(train), head.candidates(heavy))
    ]
    demand(
        any(after > before for before, after in zip(*answered, strict=True)),
        "is the same whatever items weigh. Fit with TrainingSet.weights.",
    )


def refuses_features_that_are_not_finite(head: HeadFitter) -> None:
    """Numbers that are not finite are the data's fault, and said so."""
    train = examples("classes", count=12)
    train.features[3, 2] = np.nan
    with refused("features that are not finite", DataError, "not finite numbers"):
        list(head.candidates(train))


CHECKS: Final = checks_in(__name__)

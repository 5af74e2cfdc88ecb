"""Answering on a domain without labels: methods, what chooses among them, what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart import catalog
from headstart.adaptation import (
    SOURCE,
    Candidate,
    Labelled,
    candidates_on,
    chosen,
    disputed,
    gains,
    presence,
)
from headstart.adaptation.choice import PARTIAL, PLAIN, USUAL, preferred, ranked
from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.contracts.logistic import class_mix
from headstart.errors import HeadstartError
from headstart.evidence.fitting import answers
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Silent
from headstart.testing import check_part

CLASSES, WIDTH = 6, 24
GAINING = (
    *("cdan", "class-aware-standardisation", "dann", "mcc"),
    *("mixture", "self-training", "standardisation", "t3a"),
)


def clouds(count: int, seed: int, classes: range = range(CLASSES)) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 24) of clouds, one a class, and the classes."""
    rng = np.random.default_rng(seed)
    targets = np.array([classes[place % len(classes)] for place in range(count)])
    centres = np.random.default_rng(7).normal(0, 1.5, (CLASSES, WIDTH))
    return (centres[targets] + rng.normal(0, 1, (count, WIDTH))).astype(np.float32), targets


def moved(features: np.ndarray) -> np.ndarray:
    """The same by another sensor."""
    return np.asarray(features * 1.7 + 4 * np.cos(3 * np.arange(WIDTH)), np.float32)


def domains(seed: int = 0, classes: range = range(CLASSES)) -> tuple[Domains, np.ndarray]:
    """A source, and a target by another sensor, whose classes are kept apart."""
    source, targets = clouds(160, seed)
    target, truth = clouds(120, seed + 1, classes)
    return Domains(source, targets, moved(target), CLASSES), truth


def accuracy(name: str, both: Domains, truth: np.ndarray) -> float:
    head = catalog.adaptation(name).head(both)
    return float((answers(head, both.target).argmax(axis=1) == truth).mean())


def names() -> list[str]:
    """Those whose packages are here."""
    import importlib.util

    every = sorted(catalog.names("adaptations"))
    return [n for n in every if n != "optimal-transport" or importlib.util.find_spec("ot")]


@pytest.mark.parametrize("name", GAINING)
def test_a_sensor_that_moved_is_adapted_to(name: str) -> None:
    both, truth = domains()
    before = float((answers(source_head(both), both.target).argmax(axis=1) == truth).mean())
    assert before < 0.85
    assert accuracy(name, both, truth) > 0.9


def source_head(both: Domains):  # type: ignore[no-untyped-def]
    return both.source_scale.folded(*both.start)


@pytest.mark.parametrize("name", names())
def test_the_order_of_items_and_classes_counts_for_nothing(name: str) -> None:
    both, _ = domains()
    rng = np.random.default_rng(5)
    head = catalog.adaptation(name).head(both)
    expected = answers(head, both.target)
    order, places = rng.permutation(len(both.source)), rng.permutation(len(both.target))
    shuffled = Domains(both.source[order], both.targets[order], both.target[places], CLASSES)
    outputs = answers(catalog.adaptation(name).head(shuffled), both.target)
    assert (outputs.argmax(1) == expected.argmax(1)).mean() > 0.98
    renaming = rng.permutation(CLASSES)
    renamed = replace(both, targets=renaming[both.targets])
    outputs = answers(catalog.adaptation(name).head(renamed), both.target)
    assert (outputs.argmax(1) == renaming[expected.argmax(1)]).mean() > 0.98


@pytest.mark.parametrize("name", names())
def test_each_keeps_its_contract(name: str) -> None:
    assert "is_one_layer" in check_part("adaptations", name)


def tried(both: Domains, names: Sequence[str] = (USUAL, PLAIN)) -> list[Candidate]:
    methods = {name: catalog.adaptation(name) for name in names}
    return candidates_on(both, clouds(40, 9), source_head(both), methods, Budget(None), Silent())


@final
class Unsolvable(Adaptation):
    """Finds nothing."""

    def head(self, domains: Domains) -> nn.Linear:
        """Nothing."""
        raise HeadstartError("There is no plan between these domains. Name another adaptation.")


def test_a_method_that_finds_nothing_is_left_out_unless_it_is_named() -> None:
    both, _ = domains()
    methods = {"none": Unsolvable(), PLAIN: catalog.adaptation(PLAIN)}
    common = (both, clouds(40, 9), source_head(both), methods, Budget(None), Silent())
    assert [each.name for each in candidates_on(*common)] == [SOURCE, PLAIN]
    with pytest.raises(HeadstartError, match="no plan"):
        candidates_on(*common, "none")


def test_missing_classes_are_doubted() -> None:
    everything, _ = domains()
    classes = presence(everything)
    assert not classes.doubtful
    assert classes.there.all()
    assert classes.effective == pytest.approx(CLASSES, abs=0.3)
    some, _ = domains(classes=range(2))
    assert presence(some).doubtful
    assert list(np.flatnonzero(presence(some).there)) == [0, 1]


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, CLASSES - 1), min_size=2), st.integers(0, 50))
def test_a_mixture_takes_no_class_that_is_not_there(there: set[int], seed: int) -> None:
    both, truth = domains(seed, sorted(there))  # type: ignore[arg-type]
    answered = answers(catalog.adaptation(PARTIAL).head(both), both.target).argmax(axis=1)
    assert (answered == truth).mean() > 0.9
    assert np.isin(answered, list(there)).mean() > 0.95


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=3, max_size=3))
def test_the_class_mix_is_found_from_sure_answers(counts: list[int]) -> None:
    sure = np.repeat(np.eye(3), counts, axis=0) * 0.998 + 0.001
    mix = class_mix(sure / sure.sum(1, keepdims=True), np.full(3, 1 / 3))
    truth = (np.array(counts) + 0.5) / (sum(counts) + 1.5)
    assert np.abs(mix - truth).max() < 0.02


def candidate(name: str, answered: list[int], **scores: float) -> Candidate:
    outputs = np.eye(3)[answered] * 4
    return Candidate(name, catalog.adaptation("mcc"), outputs, scores)  # type: ignore[arg-type]


def test_gains_are_those_of_items_that_are_answered_otherwise() -> None:
    source = candidate(SOURCE, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    other = candidate("mcc", [0, 0, 0, 0, 1, 1, 1, 1, 0, 1])
    both = [source, other]
    assert sorted(disputed(both)) == [8, 9]
    labelled = Labelled(np.array([0, 8, 9]), np.array([0, 0, 1]))
    mcc = gains(both, labelled)["mcc"]
    assert mcc.value == pytest.approx(0.2)  # both disputed items, a fifth of all
    assert mcc.interval.high <= 0.2 + 1e-9
    assert gains(both, Labelled(np.array([0]), np.array([0])))["mcc"].value == 0.0


def test_labels_choose_before_validators() -> None:
    both, truth = domains()
    candidates = tried(both, (USUAL, PLAIN, "label-shift"))
    classes = presence(both)
    assert ranked(candidates)[0] != SOURCE
    assert chosen(candidates, classes).by == "validators"
    places = disputed(candidates)
    right = gains(candidates, Labelled(places, truth[places]))
    assert chosen(candidates, classes, right).by == "labels"
    wrong = gains(candidates, Labelled(places, candidates[0].answered[places]))
    assert chosen(candidates, classes, wrong).name == SOURCE
    assert chosen(candidates, classes, wrong, "mcc").name == "mcc"
    assert preferred(candidates, "mcc")
    assert chosen(candidates, classes).name == USUAL


def test_doubt_takes_what_does_no_harm() -> None:
    both, _ = domains(classes=range(2))
    classes = presence(both)
    choice = chosen(tried(both, (USUAL, PLAIN, PARTIAL)), classes)
    assert (choice.name, choice.by) == (PARTIAL, "presence")
    choice = chosen(tried(both), classes)  # without the method that leaves shares free
    assert (choice.name, choice.by) == (SOURCE, "doubt")
    assert "Some of the 6 classes may be missing" in choice.why


@pytest.mark.parametrize(("classes", "name"), [(5, SOURCE), (2, PLAIN)])
def test_classes_that_lie_close_are_not_gone_by(classes: int, name: str) -> None:
    source, targets = clouds(200, 0)
    dim = np.random.default_rng(1).normal(0, 6, source.shape).astype(np.float32)
    both = Domains(source + dim, targets % classes, moved(source[::-1] + dim), classes)
    held_out = (source[:60] + dim[60:120], targets[:60] % classes)
    methods = {each: catalog.adaptation(each) for each in (USUAL, PLAIN, PARTIAL)}
    result = candidates_on(both, held_out, source_head(both), methods, Budget(None), Silent())
    classes_there = replace(presence(both), answered=np.eye(classes)[0])
    choice = chosen(result, classes_there)
    assert choice.name == name
    assert "Even of the source only" in choice.why

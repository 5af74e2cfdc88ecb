"""Choosing: the ranking of backbones, short fine-tuning, strategies from cheap to dear."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from conftest import write_pictures

import headstart as hs
from headstart import evidence, plan
from headstart.errors import OutOfTimeError
from headstart.evidence import Arm
from headstart.loading.weights import save
from headstart.pipeline.prepare import RunContext, Transfer
from headstart.pipeline.selection import candidates, strategy_search, successive_halving
from headstart.pipeline.selection.choosing import prepare
from headstart.pipeline.selection.ladder import BLENDED
from headstart.pipeline.selection.ranking import BackboneRanking
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.results.ranking import CheckedRanking, Ranked, Ranking, weighted_tau
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Silent
from headstart.transferability import history
from headstart.transferability.prior import Prior

QUICK: dict[str, Any] = {"scratch": False, "epochs": 2, "device": "cpu"}


def quick(**chosen: Any) -> hs.Settings:
    return hs.Settings(**{**QUICK, **chosen})


@pytest.fixture(autouse=True)
def whole_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No middle layers, by which a network that is dead at its end may come first all the same."""
    monkeypatch.setattr("headstart.pipeline.selection.layers.MOST", 0)


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, str]:
    """One network whose features hold the colour, and one whose features are all the same."""
    backbone = tiny.backbone("seeded:convnet?width=8&seed=1")
    state = {n: t.clone() for s in backbone.prefix() for n, t in s.state_dict().items()}
    save(state, tmp_path / "good.safetensors", {})
    last = [name for name, tensor in state.items() if tensor.dim() > 1][-1]
    state[last] = torch.zeros_like(state[last])
    save(state, tmp_path / "dead.safetensors", {})
    good, dead = (
        f"seeded:convnet@{tmp_path / name}.safetensors?width=8" for name in ("good", "dead")
    )
    return good, dead


def test_what_suits_the_data_comes_first(pictures: Path, sources: tuple[str, str]) -> None:
    good, dead = sources
    ranking = hs.rank(pictures, [dead, good], settings=quick())
    record = ranking.to_json()
    assert json.loads(json.dumps(record)) == record
    first, second = record["ranking"]
    assert (first["backbone"], second["backbone"]) == (good, dead)
    assert first["expected"] > 0.9 > second["expected"]
    for row in record["ranking"]:
        assert row["low"] <= row["expected"] <= row["high"]
        assert row["scores"].keys() >= {"k-nn", "ridge", "logme"}
        assert row["seconds"] > 0 and row["dropped"] == ""
    assert {row["backbone"] for row in record["prior"]} == {good, dead}
    text = str(ranking)
    assert text.index(good) < text.index(dead)
    assert "Before looking (the prior):" in text


def test_the_test_split_has_no_part_in_a_ranking(tmp_path: Path, sources: tuple[str, str]) -> None:
    root = tmp_path / "split"
    for split, seed in (("train", 0), ("val", 1), ("test", 2)):
        write_pictures(root / split, {"ants": 20, "bees": 20}, seed=seed)
    first = hs.rank(root, sources, settings=quick()).to_json()
    assert first["items"] == 80
    ants, bees = (sorted((root / "test" / name).iterdir()) for name in ("ants", "bees"))
    for one, other in zip(ants, bees, strict=True):  # the test labels turned around
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
    again = hs.rank(root, sources, settings=quick()).to_json()
    for one, other in zip(first["ranking"], again["ranking"], strict=True):
        assert {k: one[k] for k in ("backbone", "expected", "scores")} == {
            k: other[k] for k in ("backbone", "expected", "scores")
        }


def test_what_can_not_run_is_a_row_with_its_reason(
    pictures: Path, sources: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    requests = [sources[0], "seeded:convnet@absent.safetensors", "seeded:text-encoder"]
    rows = {row.backbone: row for row in hs.rank(pictures, requests, settings=quick()).rows}
    assert "absent.safetensors" in rows[requests[1]].dropped
    assert rows[requests[2]].dropped == "is made for texts, and the data are images"
    assert rows[requests[1]].expected is None and rows[requests[0]].expected is not None
    with pytest.raises(hs.HeadstartError, match="None of 1 backbones can be used here; the first"):
        hs.rank(pictures, requests[1:2], settings=quick())


def test_a_network_that_fails_at_work_is_dropped(
    pictures: Path, sources: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = BackboneRanking._measure

    def failing(look: BackboneRanking, each: Any, count: int) -> None:
        if each.reference == sources[1]:
            raise MemoryError("no room for it")
        measure(look, each, count)

    monkeypatch.setattr(BackboneRanking, "_measure", failing)
    rows = hs.rank(pictures, sources, settings=quick()).rows
    assert [row.dropped for row in rows] == ["", "no room for it"]


@pytest.mark.parametrize(("right", "first"), [(62, "trained"), (90, "random")])
def test_a_random_network_comes_first_only_where_it_is_clearly_better(
    right: int, first: str
) -> None:
    source = tiny.backbone()
    places = np.arange(100)

    def contender(name: str, hits: int) -> candidates.Candidate:
        origin = replace(source.origin, pretrained=name == "trained")
        right = (places < hits).astype(np.float64)
        return candidates.Candidate(
            name,
            None,
            replace(source, origin=origin),
            by_item=right,
            places=places,
            outputs=np.eye(2)[right.astype(int)],
            assessor=evidence.Assessor(tiny.TASK, np.ones(100, int)),
        )

    random, trained = contender("random", right), contender("trained", 60)
    ordered = candidates.trained_first([random, trained])
    assert ordered[0].reference == first
    assert candidates.trained_first([trained, random]) == [trained, random]


def test_without_time_for_a_closer_look_the_first_one_counts(
    pictures: Path, sources: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.pipeline.selection.ranking.FIRST", 30)
    measure = BackboneRanking._measure

    def late(look: BackboneRanking, each: Any, count: int) -> None:
        if count > 30:
            raise OutOfTimeError("The budget ended.")
        measure(look, each, count)

    monkeypatch.setattr(BackboneRanking, "_measure", late)
    ranking = hs.rank(pictures, sources, settings=quick())
    assert ranking.items == 30
    assert [row.dropped for row in ranking.rows] == ["", ""]
    assert ranking.rows[0].backbone == sources[0]

    def half_late(look: BackboneRanking, each: Any, count: int) -> None:
        if each.reference == sources[1]:
            return late(look, each, count)
        return measure(look, each, count)

    monkeypatch.setattr(BackboneRanking, "_measure", half_late)
    rows = hs.rank(pictures, sources, settings=quick()).rows  # compared on the items of both
    assert [row.backbone for row in rows] == list(sources)


def test_a_first_look_drops_those_clearly_behind(
    pictures: Path, sources: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.pipeline.selection.ranking.FIRST", 30)
    monkeypatch.setattr("headstart.pipeline.selection.ranking.KEPT", 1)
    calls: list[tuple[str, int]] = []
    measure = BackboneRanking._measure

    def noting(look: BackboneRanking, each: Any, count: int) -> None:
        calls.append((each.reference, count))
        measure(look, each, count)

    monkeypatch.setattr(BackboneRanking, "_measure", noting)
    ranking = hs.rank(pictures, sources, settings=quick())
    good, dead = sources
    assert sorted(calls[:2]) == sorted([(good, 30), (dead, 30)])
    assert calls[2:] == [(good, ranking.items)]
    assert f"points behind {good} on 30 items" in ranking.rows[1].dropped


def test_rankings_are_remembered_for_other_data(
    pictures: Path, tmp_path: Path, sources: tuple[str, str]
) -> None:
    good, dead = sources
    before = hs.rank(pictures, sources, settings=quick()).priors
    assert {each.value for each in before} == {before[0].value}  # alike in all that is known
    assert {past.backbone for past in history.recall()} == {good, dead}
    same = hs.rank(pictures, sources, settings=quick()).priors
    assert same == before  # its own scores say nothing new
    others = write_pictures(tmp_path / "others", {"cats": 30, "dogs": 30}, seed=5)
    first, second = hs.rank(others, sources, settings=quick()).priors
    assert (first.reference, second.reference) == (good, dead)
    assert any("led others by" in reason for reason in first.reasons)


def test_patterns_and_all_at_hand(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = candidates.contenders(["seeded:conv*"], "image", download=False)
    assert list(result) == ["seeded:convnet"]
    fit_result = hs.fit(
        pictures, "seeded:convnet", "mine", strategy="feature-extraction", settings=quick()
    )
    assert fit_result.folder.name == "mine"
    result = candidates.contenders([], "image", download=False)
    assert "checkpoint:mine" in result
    rows = hs.rank(pictures, ["checkpoint:mine", "seeded:convnet"], settings=quick()).rows
    assert [row.backbone for row in rows] == ["seeded:convnet", "checkpoint:mine"]
    assert "was trained on" in rows[1].dropped
    assert not any(reference.startswith("seeded:") for reference in result)
    away = candidates.contenders([], "image", download=True)
    more = [away[name] for name in away.keys() - result.keys()]
    assert len(more) == candidates.FETCHED
    assert all(card and not card.at_hand and card.accuracy for card in more)
    with pytest.raises(hs.HeadstartError, match="No pretrained text model that matches is at hand"):
        candidates.contenders(["seeded:conv*"], "text", download=False)


def test_short_fine_tuning_parts_those_that_features_can_not(
    pictures: Path, tmp_path: Path
) -> None:
    around = RunContext.of(quick(epochs=None), Silent())
    requests = ["seeded:convnet?width=8&seed=1", "seeded:convnet?width=8&seed=2"]
    look = BackboneRanking.at(pictures, requests, around)
    assert len(look.level()) == 2
    successive_halving.successive_halving(look, around.budget.until(1.0))
    tuned = [each.tuned for each in look.candidates]
    assert all(arm is not None and len(arm.checked) for arm in tuned)
    assert tuned[0].selection_key >= tuned[1].selection_key  # type: ignore[union-attr] # both were trained
    rows = look.ranking().to_json()["ranking"]
    assert rows[0]["tuned"]["value"] >= rows[1]["tuned"]["value"]


def test_fit_chooses_backbone_and_strategy(
    pictures: Path, tmp_path: Path, sources: tuple[str, str]
) -> None:
    good, dead = sources
    result = hs.fit(pictures, [dead, good], tmp_path / "model", settings=quick(epochs=3))
    record = result.to_json()
    assert record["backbone"] == good
    assert record["ranking"]["ranking"][0]["backbone"] == good
    assert {"naive", "features", "chosen"} < record["arms"].keys() | {record["strategy"]}
    assert record["arms"]["chosen"]["validation"] >= record["arms"]["features"]["validation"]
    assert record["strategy"] in record["tried"] and "feature-extraction" in record["tried"]
    learned = {
        name: sum(record["data"]["splits"][name].values()) for name in ("train", "validation")
    }
    assert {row["items"] for row in record["tried"].values()} == {sum(learned.values())}
    saved = plan.read(result.folder)
    assert saved.backbone == good and saved.strategy in record["tried"]
    again = hs.reproduce(result.folder, tmp_path / "again")
    model = "model.safetensors"
    assert (again.folder / model).read_bytes() == (result.folder / model).read_bytes()


def residual(strategy: str, workspace: Path, data: Path, epochs: int = 4) -> Transfer:
    context = RunContext.of(quick(epochs=epochs), Silent(), workspace)
    return prepare(data, "seeded:residual?width=4", strategy, context)


def test_all_strategies_are_tried_from_cheap_to_dear(pictures: Path, tmp_path: Path) -> None:
    transfer = residual("auto", tmp_path, pictures)
    search = strategy_search.run(transfer)
    names = list(search.compared)
    blends = ["last-stages?share=0.5", "wise-ft?share=0.5"]
    assert names[:5] == ["feature-extraction", "last-stages", blends[0], "lp-ft", blends[1]]
    assert search.winner in names and search.winner in search.arms
    best = max(search.compared, key=lambda name: search.compared[name].selection_key)
    assert search.winner in ("feature-extraction", best, *blends)
    learned = len(
        transfer.experiment.dataset.split("train") + transfer.experiment.dataset.split("validation")
    )
    assert {len(arm.checked) for arm in search.compared.values()} == {learned}
    assert set(search.arms) == {"feature-extraction", search.winner}


def test_with_enough_validation_no_folds_are_trained(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.pipeline.selection.ladder.SMALL", 1)
    transfer = residual("auto", tmp_path, pictures)
    search = strategy_search.run(transfer)
    assert search.compared.keys() == search.arms.keys()
    for name, result in search.arms.items():
        assert search.compared[name].selection_key[0] == result.arm.selection_key[0]
    checked = {len(arm.checked) for arm in search.compared.values()}
    assert checked == {len(transfer.experiment.dataset.split("validation"))}


def test_a_blend_is_the_plain_strategy_of_that_share(pictures: Path, tmp_path: Path) -> None:
    transfer = residual("auto", tmp_path / "one", pictures)
    target, source = transfer.experiment, transfer.backbone
    features = evidence.features_arm(target, source)
    from headstart import catalog

    for trained, name in BLENDED.items():
        tuned = evidence.strategy_arm(target, source, catalog.strategy(trained), trained, features)
        result = evidence.blended_arm(target, source, features, tuned, name)
        assert result.arm.strategy == name
        alone = evidence.strategy_arm(target, source, catalog.strategy(name), name, features)
        assert tiny.same_tensors(alone.model, result.model)
        assert not tiny.same_tensors(tuned.model, result.model)


def test_a_budget_without_time_leaves_strategies_out(pictures: Path, tmp_path: Path) -> None:
    progress = tiny.Recording()
    context = RunContext.of(quick(), progress, tmp_path)
    transfer = prepare(pictures, "seeded:convnet", "auto", context)
    search = strategy_search.run(transfer, until=Budget(0.1))
    assert list(search.arms) == ["feature-extraction"] == [search.winner]
    assert any(text.startswith("lp-ft is left out, as the budget") for text in progress.said)


@pytest.mark.parametrize(
    ("features", "strategy", "blend", "winner"),
    [
        (0.80, 0.80, 0.90, "feature-extraction"),  # nothing won: the simplest
        (0.80, 0.81, 0.805, "last-stages?share=0.5"),  # within the error: half way
        (0.80, 0.81, 0.79, "feature-extraction"),  # and so is half way, below
        (0.80, 0.95, 0.90, "last-stages"),
        (0.80, 0.70, 0.75, "feature-extraction"),
    ],
)
def test_what_validation_cannot_tell_from_features_is_blended_with_them(
    features: float, strategy: float, blend: float, winner: str
) -> None:
    rng = np.random.default_rng(0)

    def judged(name: str, share: float) -> Arm:
        """Right on that share of 200 items, on which ones is the arm's own luck."""
        return arm(name, *rng.permutation(np.arange(200) < round(200 * share)).astype(float))

    scores = {"feature-extraction": features, "last-stages": strategy}
    if strategy > features:  # else the blend would be the best of all
        scores["last-stages?share=0.5"] = blend
    arms = {name: judged(name, share) for name, share in scores.items()}
    spec = StrategySpec.of("auto")
    search = strategy_search.StrategySearch(None, None, spec, compared=arms)  # type: ignore[arg-type] # compared alone
    assert search.winner == winner


@pytest.mark.parametrize("explicit", [True, False])
def test_the_policy_blends_where_validation_is_undecided_and_a_user_decides(
    explicit: bool, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "undecided", lambda *arms: True)
    transfer = residual("last-stages", tmp_path, pictures, epochs=2)
    spec = replace(transfer.strategy, explicit=explicit)
    search = strategy_search.run(replace(transfer, strategy=spec))
    assert search.winner == ("last-stages" if explicit else "last-stages?share=0.5")


def test_undecided_is_better_by_no_more_than_the_error() -> None:
    places = np.arange(100)
    few, some, most = (
        arm(name, *right.astype(float))
        for name, right in (
            ("few", places < 80),
            ("some", (places >= 3) & (places < 85)),  # five more and three fewer
            ("most", places < 95),
        )
    )
    assert evidence.undecided(some, few)
    assert not evidence.undecided(few, some)
    assert not evidence.undecided(few, few)
    assert not evidence.undecided(most, few)


def arm(name: str, *checked: float) -> Arm:
    scores = np.array(checked)
    return Arm(name, np.zeros(3), (float(scores.mean()), 0.0), 1.0, checked=scores)


def test_the_simplest_within_one_standard_error_wins() -> None:
    rng = np.random.default_rng(0)
    easy = (rng.random(100) < 0.8).astype(float)
    better = easy.copy()
    better[np.flatnonzero(easy == 0)[:3]] = 1
    better[np.flatnonzero(easy == 1)[:2]] = 0  # one more in all, but five differ: 2.2 points
    much = np.ones(100)
    arms = {"simple": arm("simple", *easy), "dear": arm("dear", *better)}
    assert evidence.simplest(arms) == "simple"
    assert evidence.simplest(arms | {"dearest": arm("dearest", *much)}) == "dearest"
    assert evidence.simplest({"dear": arms["dear"], "simple": arms["simple"]}) == "dear"


def row(name: str) -> Ranked:
    return Ranked(name, None, None, {}, 0.0, None, None, None)


def test_regret_is_what_following_costs() -> None:
    ranking = Ranking(
        tuple(map(row, "abcd")),
        tuple(Prior(name, 0.0, ()) for name in "dcba"),
        "accuracy",
        10,
    )
    truth = {"a": 0.8, "b": 0.9, "c": 0.7, "d": 0.6}
    result = CheckedRanking.of(ranking, truth, 1.0, 100.0)
    assert result.regret["ranking"] == {1: pytest.approx(10), 3: 0}
    assert result.regret["prior"] == {1: pytest.approx(30), 3: 0}
    assert result.tau["ranking"] > 0 > result.tau["prior"]
    assert json.loads(json.dumps(result.to_json()))["regret"]["prior"]["@1"] == pytest.approx(30)
    assert "regret@1" in str(result)
    assert weighted_tau("ba", {"a": 0.1, "b": 0.2}) == 1
    assert weighted_tau("ab", {"a": 0.1, "b": 0.1}) == 0


def test_a_check_fine_tunes_them_all(pictures: Path, sources: tuple[str, str]) -> None:
    result = hs.check_ranking(
        pictures, sources, strategy="last-stages?count=1", settings=quick(epochs=4)
    )
    assert result.truth.keys() == set(sources)
    assert result.regret["ranking"][3] == 0
    assert result.tuned_in > 0
    with pytest.raises(hs.HeadstartError, match="a check compares at least two"):
        hs.check_ranking(pictures, sources[:1], settings=quick())


def test_a_reference_must_be_one(pictures: Path) -> None:
    with pytest.raises(hs.HeadstartError, match="hub:name"):
        hs.rank(pictures, ["nonsense"], settings=quick())

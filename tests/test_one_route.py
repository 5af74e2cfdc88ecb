"""One backbone, a list of one, several, a pattern: one route, and the same refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graph_networks import classifier
from tiny import Recording

import headstart as hs
from headstart.errors import DataError
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.selection.choosing import choose_backbone, prepare
from headstart.pipeline.selection.ranking import BackboneRanking
from headstart.pipeline.strategy_spec import StrategySpec

QUICK: dict[str, Any] = {"scratch": False, "epochs": 2, "device": "cpu", "evidence": "none"}
TINY = "seeded:convnet?width=4"


def fit(data: Path, backbone: Any, out: Path, strategy: str | None, **chosen: Any) -> Any:
    return hs.fit(data, backbone, out, strategy=strategy, settings=hs.Settings(**QUICK | chosen))


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that runs and can't be trained."""
    return f"graph:{classifier(tmp_path_factory.mktemp('graph') / 'tiny.onnx')}"


def refusal(*given: Any, **chosen: Any) -> str:
    with pytest.raises(hs.HeadstartError) as caught:
        fit(*given, **chosen)
    return str(caught.value)


@pytest.mark.parametrize(
    ("backbone", "strategy", "chosen"),
    [
        ("graph", "lp-ft", {}),
        ("graph", "full-fine-tuning", {}),
        (TINY, "last-stages?count=-1", {}),
        (TINY, "nonsense", {}),
        (TINY, "full-fine-tuning", {"batch_size": 1}),
        (TINY, "lp-ft", {"batch_size": 1, "scratch": True}),
        ("seeded:nothing", "lp-ft", {}),
        ("seeded:text-encoder", "lp-ft", {}),
    ],
)
def test_a_list_of_one_is_refused_as_the_one(
    backbone: str, strategy: str, chosen: dict[str, Any], graph: str, pictures: Path, tmp_path: Path
) -> None:
    reference = graph if backbone == "graph" else backbone
    message = {
        refusal(pictures, references, tmp_path / "model", strategy, **chosen)
        for references in (reference, [reference], (reference, reference))
    }
    assert len(message) == 1
    assert not (tmp_path / "model").exists()


def test_a_list_of_one_makes_the_same_model(pictures: Path, tmp_path: Path) -> None:
    results = [
        fit(pictures, references, tmp_path / str(number), "last-stages")
        for number, references in enumerate((TINY, [TINY]))
    ]
    weights = [(each.folder / "model.safetensors").read_bytes() for each in results]
    assert weights[0] == weights[1]
    assert "ranking" not in results[1].to_json()


@pytest.mark.parametrize("pattern", [False, True])
def test_where_none_can_be_trained_the_reason_is_the_same(
    pattern: bool, graph: str, pictures: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    alone = refusal(pictures, graph, tmp_path / "model", "lp-ft")
    folder = Path(graph.partition(":")[2]).parent
    monkeypatch.chdir(folder)
    other = folder / "other.onnx"
    other.write_bytes((folder / "tiny.onnx").read_bytes())
    references = ["graph:*.onnx"] if pattern else [graph, f"graph:{other}"]
    message = refusal(pictures, references, tmp_path / "model", "lp-ft")
    reason = alone.partition(" ")[2]
    assert reason.startswith("can't be trained by lp-ft. Use -s feature-extraction")
    assert message.startswith("None of 2 backbones can be used here; the first, ")
    assert message.endswith(reason)


def test_what_can_not_be_trained_is_never_called_tuned(
    graph: str, pictures: Path, tmp_path: Path
) -> None:
    record = fit(pictures, [graph, TINY], tmp_path / "trained", "lp-ft").to_json()
    assert record["backbone"] == TINY
    rows = {row["backbone"]: row for row in record["ranking"]["ranking"]}
    assert "can't be trained by lp-ft" in rows[graph]["dropped"]
    assert rows[graph]["tuned"] is None


@pytest.mark.slow
def test_what_is_not_tuned_has_no_such_score(graph: str, pictures: Path, tmp_path: Path) -> None:
    frozen = fit(pictures, [graph, TINY], tmp_path / "frozen", "feature-extraction").to_json()
    assert frozen["strategy"] == "feature-extraction"
    assert all(row["tuned"] is None for row in frozen["ranking"]["ranking"])
    free = fit(pictures, [graph, TINY], tmp_path / "free", None).to_json()
    rows = {row["backbone"]: row for row in free["ranking"]["ranking"]}
    assert rows[graph]["tuned"] is None and rows[graph]["dropped"] == ""


def test_the_data_are_looked_for_before_a_backbone_is_loaded(tmp_path: Path) -> None:
    for backbone in ("timm:no_such_network", ["timm:no_such_network"], ["a:b", "c:d"]):
        with pytest.raises(DataError, match=r"nowhere does not exist"):
            fit(tmp_path / "nowhere", backbone, tmp_path / "model", None)


@pytest.mark.parametrize("scratch", [False, True])
def test_the_advice_on_single_items_works(scratch: bool, pictures: Path, tmp_path: Path) -> None:
    strategy = "lp-ft" if scratch else "full-fine-tuning"  # which keeps the statistics
    message = refusal(pictures, TINY, tmp_path / "model", strategy, batch_size=1, scratch=scratch)
    who = "the network from scratch" if scratch else strategy
    assert message.startswith(f"--batch-size 1 leaves {who} nothing to train on")
    assert message.endswith(f"Give --batch-size 2 or more{', or --no-scratch' if scratch else ''}.")
    fit(pictures, TINY, tmp_path / "two", strategy, batch_size=2, scratch=scratch, epochs=1)
    if scratch:
        fit(pictures, TINY, tmp_path / "none", strategy, batch_size=1, scratch=False, epochs=1)


@pytest.mark.parametrize(
    ("backbone", "strategy", "chosen", "sentence"),
    [
        ("graph", "lp-ft", {}, "can't be trained by lp-ft"),
        (TINY, "full-fine-tuning", {"batch_size": 1}, "leaves full-fine-tuning nothing to train"),
        (TINY, "lp-ft", {"batch_size": 1, "scratch": True}, "leaves the network from scratch"),
    ],
)
def test_one_and_many_meet_the_same_checks(
    backbone: str, strategy: str, chosen: dict[str, Any], sentence: str, graph: str, pictures: Path
) -> None:
    reference = graph if backbone == "graph" else backbone
    spec = StrategySpec.of(strategy)
    refusals = []
    for lone in (True, False):
        context = RunContext.of(hs.Settings(**QUICK | chosen), Recording())
        with pytest.raises(hs.HeadstartError) as caught:
            BackboneRanking.at(pictures, [reference], context, spec, lone=lone)
        refusals.append(str(caught.value))
    alone, among_several = refusals
    assert sentence in alone
    assert among_several == f"None of 1 backbones can be used here; the first, {reference}: {alone}"


def test_nothing_is_ranked_or_said_of_one(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*given: Any) -> None:
        raise AssertionError("a single backbone was scored")

    monkeypatch.setattr(BackboneRanking, "_measure", measured)
    progress = Recording()
    context = RunContext.of(hs.Settings(**QUICK), progress)
    transfer = prepare(pictures, TINY, "last-stages", context)
    assert transfer.ranking is None
    assert (transfer.backbone.origin.reference, str(transfer.strategy)) == (TINY, "last-stages")
    assert len(context.loads) == 1
    assert progress.said == [str(transfer.experiment.dataset.report)]


def test_several_that_one_strategy_leaves_end_as_one_does(pictures: Path) -> None:
    context = RunContext.of(hs.Settings(**QUICK), Recording())
    others = [TINY, f"{TINY}&seed=1"]
    ranking = BackboneRanking.at(pictures, others, context, StrategySpec.of("feature-extraction"))
    transfer = choose_backbone(ranking)
    assert transfer.ranking is not None and len(transfer.ranking.rows) == 2
    alone = prepare(pictures, transfer.backbone.origin.reference, "feature-extraction", context)
    assert transfer.identity == alone.identity


def test_who_knows_the_items_is_named_by_one_and_by_many(pictures: Path, tmp_path: Path) -> None:
    saved = fit(pictures, TINY, tmp_path / "model", "feature-extraction").folder
    reference = f"checkpoint:{saved}"
    progress = Recording()
    prepare(pictures, reference, None, RunContext.of(hs.Settings(**QUICK), progress))
    (warning,) = progress.warned
    several = RunContext.of(hs.Settings(**QUICK), Recording())
    rows = BackboneRanking.at(pictures, [reference, TINY], several).ranking().rows
    (reason,) = [row.dropped for row in rows if row.backbone == reference]
    assert warning == f"{reference} {reason}."
    assert reason.startswith("was trained on ") and reason.endswith("so that it knows them")


def test_a_strategy_is_read_once_and_prints_as_it_was_written() -> None:
    knn = StrategySpec.of("feature-extraction?head=knn")
    assert (str(knn), knn.head, knn.trains) == ("feature-extraction?head=knn", "knn", False)
    trained = StrategySpec.of("last-stages?share=0.50")
    assert (str(trained), trained.head, trained.trains) == ("last-stages?share=0.50", None, True)
    assert trained.explicit and trained.for_items(10) is trained
    free = StrategySpec.of(None)
    assert free.auto and free.trains and not free.explicit
    settled = free.for_items(10_000)
    assert not settled.auto and not settled.explicit
    result = StrategySpec.of("auto")
    assert result.auto and result.for_items(10_000) is result

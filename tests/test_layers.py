"""Features of a middle layer: of any network, saved and opened again, and ranked by groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import headstart as hs
from headstart import catalog
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.loading.layers import example
from headstart.loading.variants import layers_of
from headstart.loading.weights import save
from headstart.pipeline.selection import layers
from headstart.pipeline.selection.ranking import BackboneRanking
from headstart.transferability import Sample, neighbours, ridge
from headstart.transferability.held_out import STRENGTHS, _residuals

NETWORKS = {
    "seeded:convnet?size=32": "block2.0",
    "seeded:vit": "layer1",
    "seeded:text-encoder": "layer2",
    "seeded:audio": "block2",
    "seeded:residual?size=32&sounds=true&window=0.5": "block2.first",
}


def features(reference: str) -> torch.Tensor:
    backbone = catalog.load_backbone(reference)
    with torch.no_grad():
        result: torch.Tensor = Model.of(backbone, nn.Identity()).eval()(example(backbone))
    assert result.shape == (2, backbone.feature_dim)
    return result


@pytest.mark.parametrize("reference", NETWORKS)
def test_a_layer_averages_what_its_stage_answers(reference: str) -> None:
    whole = catalog.load_backbone(reference)
    layer = layers_of(whole)[1]
    mark = "&" if "?" in reference else "?"
    cut = catalog.load_backbone(f"{reference}{mark}layer={layer}")
    assert list(cut.stages) == list(whole.stages)[:2]
    assert cut.architecture.options["layer"] == layer and cut.head is None
    front = nn.Sequential(*list(whole.unpooled().values())[:2]).eval()
    with torch.no_grad():
        values = front(example(whole))
    vectors = features(f"{reference}{mark}layer={layer}")
    if isinstance(values, dict):
        rows = values["hidden"]
        if reference.startswith("seeded:text"):
            torch.testing.assert_close(vectors, rows.mean(1))
        else:  # maps in rows: the mean over positions of each channel
            torch.testing.assert_close(
                vectors.sum(1) * rows.shape[2] / vectors.shape[1], rows.sum(2)[:, 0]
            )
    else:
        mean = values.flatten(2).mean(2) if values.dim() == 4 else values.mean(1)
        torch.testing.assert_close(vectors, mean)


@pytest.mark.parametrize("reference", NETWORKS)
def test_a_saved_layer_is_opened_again_with_its_head(reference: str, tmp_path: Path) -> None:
    whole = catalog.load_backbone(reference)
    mark = "&" if "?" in reference else "?"
    cut = catalog.load_backbone(f"{reference}{mark}layer={layers_of(whole)[0]}")
    head = nn.Linear(cut.feature_dim, 3)
    state = Model.of(cut, nn.Identity()).backbone_state()
    state |= {f"{cut.head_name}.{name}": tensor for name, tensor in head.state_dict().items()}
    save(state, tmp_path / "model.safetensors", {})
    for name, content in cut.files.items():
        (tmp_path / name).write_bytes(content)
    architecture = cut.architecture
    text = str(architecture).replace("?", f"@{tmp_path / 'model.safetensors'}?", 1)
    if cut.files:
        text = text.replace(architecture.name, str(tmp_path), 1)
    again = catalog.load_backbone(text)
    assert again.head is not None
    torch.testing.assert_close(again.head.state_dict(), dict(head.state_dict()))
    with torch.no_grad():
        own, other = (Model.of(b, nn.Identity()).eval()(example(b)) for b in (cut, again))
    torch.testing.assert_close(own, other)
    assert again.origin.pretrained
    del state[next(iter(state))]
    save(state, tmp_path / "model.safetensors", {})
    with pytest.raises(WeightsError):
        catalog.load_backbone(text)


def test_a_layer_that_is_none_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="nosuch"):
        catalog.load_backbone("seeded:convnet?layer=nosuch")
    with pytest.raises(HeadstartError, match="networks for pictures"):
        catalog.load_backbone("seeded:text-encoder?sounds=true")
    with pytest.raises(HeadstartError, match="longer window"):
        catalog.load_backbone("seeded:convnet?sounds=true&window=0.03")


def draws(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 5, 60)
    features = rng.normal(size=(60, 7)) + groups[:, None]
    targets = (features[:, 0] - groups + 0.3 * rng.normal(size=60) > 0).astype(np.int64)
    return features, targets, groups


def test_a_group_is_predicted_as_if_it_had_never_been_there() -> None:
    """The residuals are those of ridge regression fitted to the other groups."""
    features, targets, groups = draws()
    sample = Sample(features, targets, "classes", groups)
    codes = sample.codes - sample.codes.mean(axis=0)
    for strength in STRENGTHS[::4]:
        result = _residuals(sample, codes, strength)
        for group in range(5):
            own = groups == group
            rest = np.hstack([sample.centred[~own], np.ones((int((~own).sum()), 1))])
            penalty = np.diag([strength * len(sample)] * 7 + [0.0])
            weights = np.linalg.solve(rest.T @ rest + penalty, rest.T @ codes[~own])
            learned = np.hstack([sample.centred[own], np.ones((int(own.sum()), 1))])
            np.testing.assert_allclose(result[own], codes[own] - learned @ weights, atol=1e-8)


def test_neighbours_are_of_other_groups() -> None:
    features, targets, _ = draws(1)
    copies = np.repeat(features[:12], 5, axis=0)  # each item lies five times in its group
    labels = np.random.default_rng(3).integers(0, 2, 12).repeat(5)
    sample = Sample(copies, labels, "classes", np.arange(12).repeat(5))
    alone = Sample(copies, labels, "classes")
    right = [
        float((votes(each).argmax(axis=1) == labels).mean())
        for each in (alone, sample)
        for votes in (neighbours, ridge)
    ]
    assert right[0] == 1.0 and max(right[2:]) < 0.9
    one = Sample(features, targets, "classes", np.zeros(60, np.int64))
    assert np.isfinite(neighbours(one)).all() and np.isfinite(ridge(one)).all()


def test_a_better_layer_may_put_a_candidate_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The order is that of the scores that candidates have after their layers were looked at."""
    calls = []

    def look_deeper(ranking: BackboneRanking, count: int, share: float) -> None:
        first, second = sorted(ranking.alive, key=lambda each: -each.by_item.mean())
        first.by_item, second.by_item = np.zeros(count), np.ones(count)
        calls.append(second.reference)

    monkeypatch.setattr(layers, "look_deeper", look_deeper)
    rows = [f"{'good fine' if n % 2 else 'bad dull'} {n},{'ab'[n % 2]}" for n in range(60)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]))
    names = ["seeded:text-encoder", "seeded:bag"]
    ranking = hs.rank(tmp_path / "texts.csv", names)
    assert [row.backbone for row in ranking.rows][:1] == calls

"""The main job on real photos with real weights."""

from __future__ import annotations

from pathlib import Path

import pytest

import headstart as hs
from headstart.results import Result

pytestmark = pytest.mark.slow


def features(shared_data: Path, photos: str, source: str, out: Path) -> Result:
    """A probe on the frozen features of MobileNetV2."""
    path = shared_data / "weights" / f"mobilenetv2_100.{source}.safetensors"
    return hs.fit(
        shared_data / "images" / photos,
        f"timm:mobilenetv2_100@{path}",
        out,
        strategy="feature-extraction",
        settings=hs.Settings(scratch=False),
    )


@pytest.mark.parametrize("source", ["imagenet", "inat_insect"])
def test_ants_and_bees(source: str, shared_data: Path, tmp_path: Path) -> None:
    result = features(shared_data, "hymenoptera", source, tmp_path / "model")
    record = result.to_json()
    assert record["held_out"] == 153
    assert record["arms"]["chosen"]["value"] >= 0.94
    assert record["arms"]["naive"]["value"] < 0.55  # ants and bees are nearly equally common
    assert record["over_naive"]["low"] > 0.2
    assert "is the held-out test" in record["data"]["split_rule"]
    held_out = hs.evaluate(result.folder, shared_data / "images" / "hymenoptera" / "val")
    assert held_out.overlap == 0
    assert held_out.score.value == pytest.approx(record["arms"]["chosen"]["value"], abs=1e-4)


def test_flowers(shared_data: Path, tmp_path: Path) -> None:
    record = features(shared_data, "flowers", "imagenet", tmp_path / "model").to_json()
    assert record["arms"]["chosen"]["value"] >= 0.72
    assert record["arms"]["naive"]["value"] < 0.30
    assert (record["data"]["duplicates"], record["data"]["conflicts"]) == (2, 8)

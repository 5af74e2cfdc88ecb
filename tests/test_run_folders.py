"""Folders that a trainer's run wrote: the weights in them are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from headstart.catalog import load_backbone
from headstart.errors import HeadstartError, WeightsError
from headstart.loading.weights import read


def saved(path: Path, age: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weight": torch.ones(2, 2)}, path)
    os.utime(path, (10**9 - age, 10**9 - age))
    return path


def test_the_newest_weights_below_a_run_s_folder_are_named(tmp_path: Path) -> None:
    saved(tmp_path / "checkpoint-1000" / "pytorch_model.bin", 5)
    newest = saved(tmp_path / "version_0" / "checkpoints" / "epoch=1.ckpt")
    for name in ("optimizer.pt", "rng_state.pth", "scheduler.pt", "training_args.bin"):
        saved(tmp_path / "checkpoint-1000" / name, -1)
    with pytest.raises(WeightsError, match=rf"such as the newest, {newest}\."):
        read(tmp_path)
    assert list(read(newest).state) == ["weight"]


def test_of_several_files_the_best_is_named(tmp_path: Path) -> None:
    for name in ("checkpoint-3.pth.tar", "last.pth.tar", "model_best.pth.tar"):
        saved(tmp_path / name)
    with pytest.raises(WeightsError, match=r"3 files of weights, such as model_best\.pth\.tar\."):
        read(tmp_path)


def test_the_state_of_a_trainer_beside_the_weights_is_none(tmp_path: Path) -> None:
    saved(tmp_path / "epoch_7.pt")
    for name in ("optimizer.pt", "scheduler.bin", "scaler.pt", "random_states_0.pkl"):
        saved(tmp_path / name)
    assert list(read(tmp_path).state) == ["weight"]


def test_a_checkpoint_in_a_folder_of_transformers_is_named(tmp_path: Path) -> None:
    inner = tmp_path / "checkpoint-500"
    inner.mkdir()
    (inner / "config.json").write_text("{}")
    with pytest.raises(HeadstartError, match=rf"or peft, such as {inner}\."):
        load_backbone(f"hf:{tmp_path}")

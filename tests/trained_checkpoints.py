"""Checkpoints in the forms in which trainers write them, for tests of what reads weights."""

from __future__ import annotations

import argparse
import io
import json
import tarfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]
Wrap = Callable[[State, State, str], Any]  # of raw and averaged tensors, and the head's name


def prefixed(prefix: str, state: Mapping[str, Tensor]) -> State:
    """All names with this before them."""
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def parted(state: State, head: str, body: str, other: str) -> State:
    """The body's names with one prefix, and the head's under another name."""
    return {
        name.replace(f"{head}.", f"{other}.", 1)
        if name.startswith(f"{head}.")
        else f"{body}{name}": tensor
        for name, tensor in state.items()
    }


def renamed_head(state: State, head: str, new: str) -> State:
    """The head under another name."""
    return parted(state, head, "", new)


def without(state: State, part: str) -> State:
    """The tensors in whose names this is not."""
    return {name: tensor for name, tensor in state.items() if part not in name}


# by what a page calls them; each holds the raw weights with their head
RAW: dict[str, Wrap] = {
    "a plain state dict": lambda raw, ema, head: raw,
    "`state_dict` beside `epoch`, `optimizer`": lambda raw, ema, head: {
        "epoch": 3,
        "state_dict": raw,
        "best_acc1": torch.tensor(0.5),
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
    },
    "`model` as a key": lambda raw, ema, head: {"model": raw, "epoch": 1},
    "`model_state_dict`": lambda raw, ema, head: {"model_state_dict": raw},
    "`net`": lambda raw, ema, head: {"net": raw, "acc": 91.0},
    "`weights` as a key": lambda raw, ema, head: {"weights": raw},
    "`params`": lambda raw, ema, head: {"params": raw},
    "DeepSpeed: `module` beside `ds_config`": lambda raw, ema, head: {
        "module": raw,
        "ds_config": {"train_batch_size": 4},
        "lr_scheduler": None,
    },
    "fastai: `model` beside `opt`": lambda raw, ema, head: {
        "model": raw,
        "opt": {"state": [[{"mom": torch.ones(2)}]], "hypers": [[{"lr": 0.1}]]},
    },
    "Composer: `state` with `model`": lambda raw, ema, head: {
        "state": {
            "model": prefixed("module.", raw),
            "optimizers": {"AdamW": {"state": {"fc": {"exp_avg": torch.ones(2)}}}},
        },
        "rng": [{"torch": torch.ones(3)}],
    },
    "a network under any name, beside scores": lambda raw, ema, head: {
        "best_acc1": torch.tensor(0.5),
        "mine": raw,
    },
    "DataParallel: `module.`": lambda raw, ema, head: prefixed("module.", raw),
    "torch.compile: `_orig_mod.`": lambda raw, ema, head: prefixed("_orig_mod.", raw),
    "`module._orig_mod.`": lambda raw, ema, head: prefixed("module._orig_mod.", raw),
    "`model._orig_mod.`": lambda raw, ema, head: prefixed("model._orig_mod.", raw),
    "FSDP: `_fsdp_wrapped_module.`": lambda raw, ema, head: prefixed("_fsdp_wrapped_module.", raw),
    "`net.`, `backbone.`, `encoder.`, `student.` and the like": lambda raw, ema, head: prefixed(
        "student.encoder.", raw
    ),
    "Lightning: `state_dict` with `model.`": lambda raw, ema, head: {
        "epoch": 1,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {**prefixed("model.", raw), "criterion.weight": torch.ones(3)},
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}}],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1},
    },
    "MMLab: `backbone.` and `head.fc.`": lambda raw, ema, head: {
        "meta": {"epoch": 1},
        "state_dict": parted(raw, head, "backbone.", "head.fc"),
    },
    "`backbone.` and `classifier.`": lambda raw, ema, head: parted(
        raw, head, "backbone.", "classifier"
    ),
    "`nn.Sequential(backbone, head)`": lambda raw, ema, head: parted(raw, head, "0.", "1"),
    "DINO: `student` with `module.backbone.`": lambda raw, ema, head: {
        "student": parted(prefixed("", raw), head, "module.backbone.", "module.head"),
    },
    "MoCo: `module.encoder_q.` beside `module.encoder_k.`": lambda raw, ema, head: {
        "arch": "resnet",
        "state_dict": {
            **prefixed("module.encoder_k.", ema),
            **prefixed("module.encoder_q.", raw),
            "module.queue": torch.ones(8, 16),
        },
    },
    "BYOL: `online_encoder.` beside `target_encoder.`": lambda raw, ema, head: {
        **prefixed("target_encoder.", ema),
        **prefixed("online_encoder.", raw),
    },
    "batch normalisation without counters": lambda raw, ema, head: without(raw, "num_batches"),
    "a head in a Sequential: `fc.1.`": lambda raw, ema, head: renamed_head(raw, head, f"{head}.1"),
    "counts of a profiler: `total_ops`": lambda raw, ema, head: {
        **raw,
        "total_ops": torch.zeros(1),
        **{f"{name}.total_params": torch.zeros(1) for name in ("conv1", "bn1")},
    },
    "64-bit numbers": lambda raw, ema, head: {
        n: t.double() if t.is_floating_point() else t for n, t in raw.items()
    },
    "views of one storage, and strided tensors": lambda raw, ema, head: strided(raw),
    "sparse tensors": lambda raw, ema, head: {
        n: t.to_sparse() if t.dim() > 1 else t for n, t in raw.items()
    },
    "settings beside: `argparse.Namespace`, paths, numbers of NumPy": lambda raw, ema, head: {
        "state_dict": OrderedDict(raw),
        "args": argparse.Namespace(lr=np.float64(0.1), data=Path("/data"), seed=None),
        "windows": PureWindowsPath("c:/data"),
        "history": defaultdict(list, {"loss": [np.float32(0.5), np.int64(3)]}),
        "confusion": np.zeros((2, 2)),
    },
}
# each holds averaged weights and, but for the last, raw ones beside
AVERAGED: dict[str, Wrap] = {
    "timm: `state_dict` beside `state_dict_ema`": lambda raw, ema, head: {
        "arch": "resnet",
        "state_dict": raw,
        "state_dict_ema": ema,
        "args": argparse.Namespace(lr=0.1),
        "metric": 71.0,
    },
    "`model` beside `model_ema`": lambda raw, ema, head: {
        "model": prefixed("module.", raw),
        "model_ema": {"module": ema, "decay": 0.999},
    },
    "`model` beside `ema`": lambda raw, ema, head: {"model": raw, "ema": {"module": ema}},
    "`params` beside `params_ema`": lambda raw, ema, head: {"params": raw, "params_ema": ema},
    "DINO: `student` beside `teacher`": lambda raw, ema, head: {
        "student": parted(raw, head, "module.backbone.", "module.head"),
        "teacher": parted(ema, head, "backbone.", "head"),
    },
    "Lightning: `model.` beside `ema_model.`": lambda raw, ema, head: {
        "state_dict": {**prefixed("model.", raw), **prefixed("ema_model.", ema)}
    },
    "`AveragedModel`: `module.` and `n_averaged`": lambda raw, ema, head: {
        "state_dict": raw,
        "swa_model": {"n_averaged": torch.tensor(3), **prefixed("module.", ema)},
    },
}


def strided(state: State) -> State:
    """The same values as views of one long tensor, those of two sides turned."""
    floats = {n: t for n, t in state.items() if t.is_floating_point()}
    whole = torch.cat([tensor.reshape(-1) for tensor in floats.values()])
    pieces = torch.split(whole, [tensor.numel() for tensor in floats.values()])
    views = {
        name: piece.view(tensor.shape)
        for (name, tensor), piece in zip(floats.items(), pieces, strict=True)
    }
    turned = {n: t.T.contiguous().T if t.dim() == 2 else t for n, t in views.items()}
    return {**state, **turned}


def old_tar(path: Path) -> Path:
    """What torch wrote before its version 0.1.10: a tar archive with four members."""
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return path


def shards(folder: Path, state: State) -> Path:
    """The tensors in two files, and the index of what lies where."""
    names = sorted(state)
    halves = names[: len(names) // 2], names[len(names) // 2 :]
    places: dict[str, str] = {}
    for number, half in enumerate(halves, start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: state[name].contiguous() for name in half}, folder / file)
        places |= dict.fromkeys(half, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return index

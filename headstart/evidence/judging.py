"""The last word on a model: its outputs for raw held-out items, in fp32, as it will be used."""

from __future__ import annotations

import numpy as np

from headstart.errors import HeadstartError
from headstart.evidence.target import Target
from headstart.features.engine import Engine, TorchEngine, fastest
from headstart.features.reading import groups_of
from headstart.model import Model
from headstart.progress import Silent

JUDGED = ("validation", "test")
WORTH_CONVERTING = 500  # items; making a faster engine takes as long as plain torch for so many
_BATCH = 32


def judge(target: Target, model: Model) -> dict[str, np.ndarray]:
    """Head outputs (N, labels) for each judged split, read and decoded anew, nothing stored."""
    splits = {name: target.dataset.split(name) for name in JUDGED}
    items = [item for split in splits.values() for item in split]
    groups = groups_of(np.arange(len(items)), _BATCH)
    (sample,) = target.reader.batches(items, groups[:1])
    engine = _engine(target, model, sample, len(items))
    outputs = np.concatenate(list(engine.stream(target.reader.batches(items, groups))))
    ends = np.cumsum([len(split) for split in splits.values()])
    return dict(zip(splits, np.split(outputs, ends[:-1]), strict=True))


def _engine(target: Target, model: Model, sample: object, count: int) -> Engine:
    """Plain torch, or for many items on a CPU what computes the same in less time."""
    device = target.accelerator.device
    plain = TorchEngine(model, device)
    few = count < WORTH_CONVERTING or target.settings.engine == "torch" or device.type != "cpu"
    if few:
        return plain
    try:
        return fastest(
            model,
            sample,
            device,
            wanted="openvino",
            precision="fp32",
            key=None,
            progress=Silent(),
        )
    except HeadstartError:  # not installed, or it can't run this network
        return plain

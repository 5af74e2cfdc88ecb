"""Where to cut: computing the frozen front once against reading its output in every epoch.

The boundary that a strategy makes legal is the last possible one. An earlier one may be better:
activations are large in the middle of a network and small at its end, so that a little computing in
every epoch can save much writing and reading.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contracts import Backbone
from headstart.features.engine import count, each, head, numbers, tensors, to_device
from headstart.features.store import Shape, cache_folder

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

DISK_SHARE = 0.2  # of the free disk, what one boundary's activations may take
_PROBE = 16 * 2**20  # bytes written and read to learn the disk's speed
_REPEATS = 2


@dataclass(frozen=True)
class Work:
    """How often each item is used: `items` in all, `trained` of them in each of `epochs`."""

    items: int
    trained: int
    epochs: int
    views: int = 0  # stored random views of each trained item

    @property
    def rows(self) -> int:
        """How many activations are stored."""
        return self.items + self.views * self.trained


@dataclass(frozen=True)
class Cut:
    """One boundary with its measured price; times are seconds an item, sizes bytes an item."""

    boundary: int
    after: str  # the stage whose output is stored
    shape: tuple[int, ...] | Mapping[str, tuple[int, ...]]  # or several arrays by name
    size: int
    prefix: float  # the stages before the boundary, once
    frozen: float  # the frozen stages behind it, in every epoch
    moved: float  # its output written, and as much again read in every epoch
    stored: bool  # an earlier run has paid for it
    fits: bool  # into its share of the free disk

    @property
    def dimensions(self) -> str:
        """The lengths of one item's array, or of each of several by name."""
        if not isinstance(self.shape, Mapping):
            return "×".join(map(str, self.shape))
        return ", ".join(f"{n} {'×'.join(map(str, each))}" for n, each in self.shape.items())

    def seconds(self, work: Work) -> float:
        """What the frozen stages and the store cost from now on, in seconds."""
        once = 0.0 if self.stored else work.rows * (self.prefix + self.moved)
        return once + work.epochs * work.trained * (self.frozen + self.moved)

    def to_json(self, work: Work) -> dict[str, Any]:
        """The row as plain values, with its price."""
        lengths: Any = each(self.shape, list)
        return {**vars(self), "shape": lengths, "seconds": self.seconds(work)}


def measure(
    backbone: Backbone,
    inputs: Any,
    boundaries: tuple[int, Sequence[int]],
    work: Work,
    precision: str,
) -> list[Cut]:
    """Price every boundary by running a batch of model inputs, on the device it lies on.

    `boundaries` is the last legal boundary and those that are stored already. Stages are timed in
    plain torch, in `precision` (fp32 or bf16); a faster engine makes the prefix cheaper than it
    says.
    """
    legal, cached = boundaries
    times, shapes = _timed(list(backbone.stages.values())[:legal], inputs, precision)
    pace = _seconds_per_byte()
    room = DISK_SHARE * shutil.disk_usage(_standing(cache_folder())).free
    cuts = []
    for boundary, (name, shape) in enumerate(zip(backbone.stages, shapes, strict=False), start=1):
        width = 2 if precision == "bf16" and boundary < len(backbone.stages) else 4
        size = shape.numbers * width
        lengths = shape.lengths[""] if shape.is_alone else shape.lengths
        price = sum(times[:boundary]), sum(times[boundary:]), pace * size
        fits = size * work.rows < room
        cuts.append(Cut(boundary, name, lengths, size, *price, boundary in cached, fits))
    return cuts


def best(cuts: Sequence[Cut], work: Work) -> Cut | None:
    """The cheapest boundary that fits on the disk; None where none does."""
    return min((cut for cut in cuts if cut.fits), key=lambda cut: cut.seconds(work), default=None)


def _timed(
    stages: Sequence[nn.Module], inputs: Any, precision: str
) -> tuple[list[float], list[Shape]]:
    """Seconds an item in each stage, the best of a few runs, and what one item is after it."""
    import torch

    device = tensors(inputs)[0].device
    fastest = [float("inf")] * len(stages)
    shapes: list[Shape] = []
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, precision == "bf16"):
        for _ in range(1 + _REPEATS):  # the first warms up
            values = to_device(inputs, device)
            shapes = []
            for position, stage in enumerate(stages):
                started = time.perf_counter()
                values = stage.eval()(values)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                spent = (time.perf_counter() - started) / count(values)
                fastest[position] = min(fastest[position], spent)
                rows = numbers(head(values, 1), inputs)
                shapes.append(Shape.of(each(rows, lambda tensor: tensor.cpu().numpy())))
    return fastest, shapes


def _seconds_per_byte() -> float:
    """What writing and reading a byte of the cache takes, by doing it."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(os.urandom(_PROBE // 16) * 16)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        file.read()
    return (time.perf_counter() - started) / (2 * _PROBE)


def _standing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder

"""Networks that hear one window of a sound, on sounds of any length."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

_ABSENT = 1e9  # is taken from what no window says
Windows = Mapping[str, Tensor]  # `hidden` (N, T, D) and `mask` (N, T), 1 for windows that are there


class _Around(nn.Module, ABC):
    """What runs a stage on windows: its tensors keep the names that they have in the stage."""

    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        self.stage = stage
        self.register_state_dict_post_hook(_plain)  # type: ignore[no-untyped-call]  # torch's own
        self.register_load_state_dict_pre_hook(_inner)  # type: ignore[no-untyped-call]


def _plain(module: nn.Module, state: dict[str, Any], prefix: str, _: object) -> None:
    inner = f"{prefix}stage."
    for name in [name for name in state if name.startswith(inner)]:
        state[prefix + name.removeprefix(inner)] = state.pop(name)


def _inner(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    for name in [name for name in state if name.startswith(prefix)]:
        state[f"{prefix}stage.{name.removeprefix(prefix)}"] = state.pop(name)


@final
class Windowed(_Around):
    """A stage that takes single windows of `shape`, run on all windows of a batch.

    It takes and answers `hidden` (N, T, D), each window in one row, with its `mask`. Where `alone`
    it runs on windows that are there, and not on what fills short sounds up.
    """

    def __init__(self, stage: nn.Module, shape: Sequence[int], alone: bool = False) -> None:
        super().__init__(stage)
        self.shape = tuple(shape)
        self.alone = alone

    def forward(self, inputs: Windows) -> dict[str, Tensor]:
        """`hidden` (N, T, D) -> `hidden` (N, T, E); `mask` goes on."""
        hidden, mask = inputs["hidden"], inputs["mask"]
        if not self.alone:
            rows = self.stage(hidden.reshape(-1, *self.shape)).flatten(1)
            return {
                "hidden": rows.reshape(mask.shape[0], mask.shape[1], rows.shape[1]),
                "mask": mask,
            }
        rows = self.stage(hidden[mask.bool()].reshape(-1, *self.shape)).flatten(1)
        answer = rows.new_zeros(*mask.shape, rows.shape[1])
        answer[mask.bool()] = rows
        return {"hidden": answer, "mask": mask}


@final
class WindowMean(_Around):
    """What `stage` makes of each window of `shape`, and the mean of that over a sound's windows.

    With `peaks` the largest value over the windows stands beside each mean.
    """

    def __init__(self, stage: nn.Module, shape: Sequence[int], peaks: bool = False) -> None:
        super().__init__(stage)
        self.shape = tuple(shape)
        self.peaks = peaks

    def forward(self, inputs: Windows) -> Tensor:
        """`hidden` (N, T, D) with its `mask` (N, T) -> features (N, E)."""
        hidden, mask = inputs["hidden"], inputs["mask"]
        rows = self.stage(hidden.reshape(-1, *self.shape)).flatten(1)
        rows = rows.reshape(mask.shape[0], mask.shape[1], rows.shape[1])
        share = mask.unsqueeze(-1).to(rows.dtype)
        mean = torch.sum(rows * share, dim=1) / share.sum(dim=1).clamp(min=1)
        if not self.peaks:
            return mean
        return torch.cat([mean, (rows + (share - 1) * _ABSENT).amax(dim=1)], dim=1)


def windowed(
    stages: Mapping[str, nn.Module],
    pool: nn.Module,
    example: Tensor,
    alone: Sequence[str] = (),
    peaks: bool = False,
) -> tuple[dict[str, nn.Module], nn.Module, int]:
    """Stages of a network of single windows, and its pooling, for sounds of any number of windows.

    `example` (2, …) are two windows as the first stage takes them. Also answers the number of
    features. Stages in `alone` don't run on what fills short sounds up; `peaks` are those of
    `WindowMean`.
    """
    parts: dict[str, nn.Module] = {}
    values = example
    with torch.no_grad():
        for name, stage in stages.items():
            parts[name] = Windowed(stage, values.shape[1:], name in alone)
            values = stage.eval()(values)
        mean = WindowMean(pool, values.shape[1:], peaks)
        width = pool.eval()(values).flatten(1).shape[1] * (2 if peaks else 1)
    return parts, mean, width

"""Parts of encoders that hear sounds of any length: a state a frame, in blocks of half a minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn

from headstart.hubs.huggingface.parts import Part

SECONDS: Final = 30.0  # that are heard in one

Function = Callable[[nn.Module, Tensor, Tensor], Tensor]


@final
@dataclass(frozen=True)
class OnFrames(Part):
    """What a function makes of frames (N, T, D) and their mask (N, T), `block` frames at a time."""

    names: tuple[str, ...]
    function: Function
    block: int

    def run(self, stage: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`hidden` to `hidden`; `mask` goes on."""
        hidden, mask = inputs["hidden"], inputs["mask"]
        count = -(-hidden.shape[1] // self.block)
        if count == 1:
            return {"hidden": self.function(stage, hidden, mask), "mask": mask}
        more = count * self.block - hidden.shape[1]
        rows = nn.functional.pad(hidden, (0, 0, 0, more)).reshape(-1, self.block, hidden.shape[2])
        there = nn.functional.pad(mask, (0, more)).reshape(-1, self.block)
        filled = there.any(1)
        own = self.function(stage, rows[filled], there[filled])
        answer = own.new_zeros(len(rows), *own.shape[1:])
        answer[filled] = own
        whole = answer.reshape(len(hidden), count * self.block, -1)[:, : hidden.shape[1]]
        return {"hidden": whole, "mask": mask}


def samples_of(rows: Tensor, mask: Tensor, hop: int) -> Tensor:
    """The samples (N, S) that overlapping windows (N, T, window), one every `hop`, were cut from.

    Behind the last window of a sound stands silence.
    """
    window = rows.shape[2]
    own = nn.functional.pad(rows, (0, 0, 0, 1))[:, :, :hop]
    ends = nn.functional.pad(mask[:, 1:], (0, 1)) == 0  # no other window follows
    tails = rows[:, :, hop:] * ends.unsqueeze(2).to(rows.dtype)
    tails = nn.functional.pad(tails, (0, 2 * hop - window, 1, 0))
    whole = (own + tails).flatten(1)
    return whole[:, : (rows.shape[1] - 1) * hop + window]


def alone(function: Callable[[Tensor], Tensor], samples: Tensor, sizes: list[int]) -> Tensor:
    """What a function makes of each sound by itself, without what fills it up, as (N, T, D)."""
    rows = [function(own[None, :size])[0] for own, size in zip(samples, sizes, strict=True)]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


@final
class MeanOfFrames(nn.Module):
    """The mean of the states of what is no padding; `width` is a state's, of which rows may hold
    several.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """`hidden` (N, T, D) with its `mask` to (N, width)."""
        hidden, mask = inputs["hidden"].float(), inputs["mask"]
        hidden = hidden.reshape(*mask.shape, -1, self.width).mean(2)
        weights = mask.unsqueeze(-1).float()
        total: Tensor = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        return total.to(inputs["hidden"].dtype)

"""Heads that say for each frame which letter is heard there, if any."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.contracts.native import NativeHead
from headstart.contracts.sequences import encoded, widened
from headstart.loading.sequences.letters import Letters, heard, loss

WIDTH: Final = 4096  # characters of an answer
LAYER: Final = "lm_head"
_HIDDEN: Final = 128
_DROPOUT: Final = 0.1
States = Mapping[str, Tensor]


class LetterHead(nn.Module, ABC):
    """States `hidden` (N, T, D) with their `mask` -> texts as rows of code points (N, WIDTH)."""

    letters: Letters
    hurried = False  # nothing is looked for that takes time

    def logits(self, states: States) -> Tensor:
        """(N, T, letters)."""
        raise NotImplementedError

    def forward(self, states: States) -> Tensor:
        """The likeliest letter of each frame, read as texts."""
        texts = heard(self.logits(states), states["mask"], self.letters)
        rows = widened(encoded(texts), WIDTH)
        return torch.from_numpy(rows).to(states["hidden"].device).float()

    def loss(self, states: States, texts: Sequence[str]) -> Tensor:
        """The mean loss by letter of the right texts."""
        return loss(self.logits(states), states["mask"], texts, self.letters)

    def remarks(self, sizes: Sequence[int], texts: Sequence[str]) -> list[str]:
        """A sentence where texts take more frames than their sounds have."""
        pairs = zip(sizes, texts, strict=True)
        short = sum(self.letters.frames(text) > size for size, text in pairs)
        if not short:
            return []
        return [
            f"{short} of {len(texts)} transcripts have more letters than their sounds have frames, "
            "so that nothing is learned from them. Check that they belong to these sounds."
        ]


@final
class LinearLetterHead(LetterHead, NativeHead):
    """One linear layer behind a dropout, under transformers' own name.

    `mode` says what its letters become where it learns from transcripts: `own`, `joint` with those
    of the transcripts, or `new`, those alone.
    """

    def __init__(self, layer: nn.Linear, letters: Letters, dropout: float, mode: str) -> None:
        super().__init__()
        self.letters = letters
        self.mode = mode
        self.dropout = nn.Dropout(dropout)
        self.add_module(LAYER, layer)

    def logits(self, states: States) -> Tensor:
        """(N, T, letters)."""
        scores: Tensor = self.get_submodule(LAYER)(self.dropout(states["hidden"]))
        return scores

    def grown(self, letters: Letters) -> LinearLetterHead:
        """For more letters: the rows of those before, and for new ones the mean of these."""
        old: Any = self.get_submodule(LAYER)
        layer = nn.Linear(old.in_features, max(letters.ids.values()) + 1)
        count, earlier_ids = (
            old.out_features,
            [self.letters.ids[name] for name in self.letters.texts],
        )
        with torch.no_grad():
            if earlier_ids:
                layer.weight[:] = old.weight[earlier_ids].mean(0)
                layer.bias[:] = old.bias[earlier_ids].mean()
            layer.weight[:count], layer.bias[:count] = old.weight, old.bias
        return LinearLetterHead(layer, letters, self.dropout.p, self.mode)


@final
class RecurrentLetterHead(LetterHead):
    """A layer that goes both ways (Graves and Schmidhuber 2005) over states of any network.

    Its letters are among its tensors, as code points.
    """

    codes: Tensor

    def __init__(self, width: int, texts: Iterable[str]) -> None:
        super().__init__()
        self.build(width, Letters.of(texts))
        self.register_load_state_dict_pre_hook(_rebuilt)  # type: ignore[no-untyped-call]

    def build(self, width: int, letters: Letters) -> None:
        """Make the layers for states so wide and these letters."""
        self.letters = letters
        self.norm = nn.LayerNorm(width)
        self.recurrent = nn.GRU(width, _HIDDEN, bidirectional=True, batch_first=True)
        self.dropout = nn.Dropout(_DROPOUT)
        self.output = nn.Linear(2 * _HIDDEN, len(letters.ids))
        codes = encoded(["".join(letters.texts)])[0]
        self.register_buffer("codes", torch.from_numpy(codes[: len(letters.texts)]))

    def logits(self, states: States) -> Tensor:
        """(N, T, letters)."""
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        hidden, sizes = self.norm(states["hidden"].float()), states["mask"].sum(1).cpu()
        packed = pack_padded_sequence(hidden, sizes, batch_first=True, enforce_sorted=False)
        rows, _ = pad_packed_sequence(
            self.recurrent(packed)[0], batch_first=True, total_length=hidden.shape[1]
        )
        scores: Tensor = self.output(self.dropout(rows))
        return scores


def _rebuilt(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *_: object) -> None:
    """Make a head for the letters and states of a saved one."""
    codes, width = state[f"{prefix}codes"], len(state[f"{prefix}norm.weight"])
    if isinstance(module, RecurrentLetterHead):
        module.build(width, Letters.of(["".join(map(chr, codes.tolist()))]))

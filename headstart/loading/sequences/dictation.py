"""The decoder of a network of speech as a head: it learns to write what is said, and writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast, final

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from headstart.contracts.native import NativeHead
from headstart.contracts.sequences import encoded, widened
from headstart.loading.sequences.letter_heads import WIDTH
from headstart.loading.stages.placing import place

_DECODER: Final = "model.decoder"
_SMOOTHING: Final = 0.1
_IGNORED: Final = -100
States = Mapping[str, Tensor]


@final
@dataclass(frozen=True)
class Pieces:
    """What a decoder of speech writes in, and what it is given before a text.

    That is `start`, then a language, the likeliest of `languages` where there are any, then
    `before`. `suppressed` pieces are never written, `suppressed_first` not as the first. `lead`
    stands before each text, and `longest` counts pieces with what stands before.
    """

    tokenizer: Tokenizer
    start: int
    pad: int
    end: int
    longest: int
    languages: Sequence[int] = ()
    before: Sequence[int] = ()
    suppressed: Sequence[int] = ()
    suppressed_first: Sequence[int] = ()
    beams: int = 1
    lead: str = ""
    upper: bool = False
    lower: bool = False
    own: Mapping[str, Any] = field(default_factory=dict)  # generation_config.json
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """How many pieces may be written behind what stands before them: half of all."""
        return max(1, self.longest // 2)

    def ids(self, text: str) -> list[int]:
        """The pieces of a text as it is to be written, cut where it is too long."""
        own: list[int] = self.tokenizer.encode(
            self.lead + (text.lower() if self.lower else text), add_special_tokens=False
        ).ids
        return [*own[: self.longest - len(self.before) - 3], self.end]

    def text(self, row: Sequence[int]) -> str:
        """The text that pieces say."""
        ids = list(row)
        ids = ids[: ids.index(self.end)] if self.end in ids else ids
        sentence: str = self.tokenizer.decode(
            [number for number in ids if number != self.pad], skip_special_tokens=True
        ).strip()
        return sentence.upper() if self.upper else sentence

    def generation(self) -> bytes:
        """How transformers is to write, as the head does."""
        settings = {"decoder_start_token_id": self.start, "eos_token_id": self.end}
        settings |= {"pad_token_id": self.pad, "num_beams": self.beams}
        return json.dumps({**self.own, **settings}, indent=1).encode()


def opened(content: bytes) -> Tokenizer:
    """The tokenizer of a tokenizer.json."""
    own: Tokenizer = Tokenizer.from_str(content.decode())
    return own


@final
class Dictation(NativeHead):
    """A decoder with its output layer, under the names of the network that it was cut from.

    It answers texts as rows of code points, of several windows with a space between. What it is
    taught is the next piece of the right text, with smoothed labels (Szegedy et al. 2016); from
    sounds of several windows nothing is learned. Of `rows`, the first number is how many states a
    window has in one row, or with a minus how many rows are a window, and the second how many
    frames the network's masks count for a state.
    """

    def __init__(self, network: Any, output: str, pieces: Pieces, rows: tuple[int, int]) -> None:
        super().__init__()
        self.pieces = pieces
        self.output = output
        self.states, self.shrinks = rows
        self.hurried = False
        place(self, _DECODER, network.model.decoder)
        place(self, output, network.get_submodule(output))
        network.model.encoder = _Elsewhere()
        vars(self)["whole"] = network  # not a child: its modules are

    @property
    def network(self) -> Any:
        """transformers' network around the same modules, without its encoder."""
        return vars(self)["whole"].train(self.training)

    def forward(self, states: States) -> Tensor:
        """`hidden` (N, T, D) with its `mask` -> the texts as rows (N, WIDTH) float32."""
        hidden, mask, owners = self._windows(states)
        texts: list[list[str]] = [[] for _ in states["mask"]]
        for owner, text in zip(owners, self._written(hidden, mask), strict=True):
            texts[owner].append(text)
        joined = [" ".join(filter(None, own)) for own in texts]
        rows = widened(encoded(joined), WIDTH)
        return torch.from_numpy(rows).to(states["hidden"].device).float()

    def loss(self, states: States, texts: Sequence[str]) -> Tensor:
        """The mean cross-entropy by piece of the right texts, of sounds of one window."""
        hidden, mask, owners = self._windows(states)
        single = [place for place, owner in enumerate(owners) if owners.count(owner) == 1]
        places = single or [0]
        rows = [self.pieces.ids(texts[owners[place]]) for place in places]
        rows_index = torch.tensor(places, device=hidden.device)
        hidden, mask = hidden[rows_index], mask[rows_index]
        before = self._before(hidden, mask)
        width = max(map(len, rows))
        inputs = torch.full((len(rows), width - 1), self.pieces.pad)
        targets = torch.full((len(rows), width), _IGNORED)
        for number, row in enumerate(rows):
            targets[number, : len(row)] = torch.tensor(row)
            inputs[number, : len(row) - 1] = torch.tensor(row[:-1])
        logits = self._logits(hidden, mask, torch.cat([before, inputs.to(hidden.device)], 1))
        scores = logits[:, before.shape[1] - 1 :].float().transpose(1, 2)
        targets = targets.to(hidden.device)
        loss = functional.cross_entropy(
            scores, targets, ignore_index=_IGNORED, label_smoothing=_SMOOTHING
        )
        return loss if single else 0.0 * loss

    def remarks(self, sizes: Sequence[int], texts: Sequence[str]) -> list[str]:
        """A sentence where sounds are of several windows."""
        most = 1 if self.states > 0 else -self.states
        long = sum(size > most for size in sizes)
        if not long:
            return []
        return [
            f"{long} of {len(texts)} sounds are longer than the 30 s that the network hears at a "
            "time, and nothing is learned from them. Name their parts by columns `start` and `end`."
        ]

    def _windows(self, states: States) -> tuple[Tensor, Tensor, list[int]]:
        """States (W, S, D) of each window with their mask (W, S), and whose it is."""
        hidden, mask = states["hidden"], states["mask"]
        if self.states > 0:
            there = mask.bool()
            own = hidden[there]
            own = own.reshape(len(own), self.states, -1)
            owners = there.nonzero()[:, 0].tolist()
            return own, mask.new_ones(own.shape[:2]), owners
        block = -self.states
        count = -(-hidden.shape[1] // block)
        if count == 1:
            return hidden, mask, list(range(len(hidden)))
        more = count * block - hidden.shape[1]
        own = functional.pad(hidden, (0, 0, 0, more)).reshape(-1, block, hidden.shape[2])
        masks = functional.pad(mask, (0, more)).reshape(-1, block)
        filled = masks.any(1)
        return own[filled], masks[filled], [n // count for n in filled.nonzero()[:, 0].tolist()]

    def _before(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """What stands before each text, (W, P)."""
        pieces, size = self.pieces, len(hidden)
        own = [torch.full((size, 1), pieces.start, device=hidden.device)]
        if len(pieces.languages) > 1:
            with torch.no_grad():
                scores = self._logits(hidden, mask, own[0])[:, -1]
            choices = torch.tensor(sorted(pieces.languages), device=hidden.device)
            own.append(choices[scores[:, choices].argmax(-1)][:, None])
        elif pieces.languages:
            own.append(torch.full((size, 1), pieces.languages[0], device=hidden.device))
        if pieces.before:
            behind = torch.tensor([*pieces.before], device=hidden.device)
            own.append(behind[None].expand(size, -1))
        return torch.cat(own, 1)

    def _logits(self, hidden: Tensor, mask: Tensor, ids: Tensor) -> Tensor:
        """(W, P, pieces) of the piece behind each of some."""
        answer = self.network.model(**self._sources(hidden, mask), decoder_input_ids=ids)
        scores: Tensor = self.get_submodule(self.output)(answer.last_hidden_state)
        return scores

    def _sources(self, hidden: Tensor, mask: Tensor) -> dict[str, Any]:
        from transformers.modeling_outputs import BaseModelOutput

        return {
            "encoder_outputs": BaseModelOutput(last_hidden_state=hidden),
            "attention_mask": mask.repeat_interleave(self.shrinks, 1),
        }

    def _written(self, hidden: Tensor, mask: Tensor) -> list[str]:
        """The likeliest text of each window by transformers' own search."""
        from transformers import GenerationConfig, GenerationMixin

        pieces, settings = self.pieces, cast("Any", GenerationConfig)
        with torch.inference_mode():
            before = self._before(hidden, mask)
            options = settings(
                max_new_tokens=min(pieces.most, pieces.longest - before.shape[1]),
                num_beams=1 if self.hurried else pieces.beams,
                do_sample=False,
                suppress_tokens=[*pieces.suppressed] or None,
                begin_suppress_tokens=[*pieces.suppressed_first] or None,
                eos_token_id=pieces.end,
                pad_token_id=pieces.pad,
                decoder_start_token_id=pieces.start,
            )
            generate: Any = GenerationMixin.generate
            ids = generate(
                self.network,
                generation_config=options,
                decoder_input_ids=before,
                **self._sources(hidden, mask),
            )
        return [pieces.text(row) for row in ids[:, before.shape[1] :].tolist()]


@final
class _Elsewhere(torch.nn.Module):
    """What stands in the place of the encoder, whose states are known when it would be asked."""

    main_input_name = "input_features"

    def forward(self, *_: Any, **__: Any) -> Tensor:
        """Refused."""
        raise NotImplementedError("the encoder's states are given")

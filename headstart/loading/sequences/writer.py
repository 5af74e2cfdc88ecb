"""The decoder of an encoder–decoder as a head: it learns to write texts, and writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, final

import torch
from torch import Tensor
from torch.nn import functional

from headstart.contracts.native import NativeHead
from headstart.contracts.sequences import encoded, widened
from headstart.loading.stages.placing import place

if TYPE_CHECKING:
    from headstart.loading.sequences.vocabulary import Vocabulary

BEAMS: Final = 4
WIDTH: Final = 1024  # characters of an answer
_SMOOTHING: Final = 0.1
_IGNORED: Final = -100
_ROOM: Final = 12  # pieces that an answer may have beyond twice its source's

States = Mapping[str, Tensor]
Candidate = tuple[str, float]  # a text and its log-probability by piece


@final
class _Ending:
    """Ends each text at its own length, so that no answer depends on the others of its batch."""

    def __init__(self, most: Tensor, end: int) -> None:
        self.most = most  # (N,) pieces
        self.end = end

    def __call__(self, tokens: Tensor, scores: Tensor) -> Tensor:
        """Scores (N · beams, V) of what follows, the end alone where a text has its last place."""
        most = self.most.repeat_interleave(len(scores) // len(self.most))
        over = tokens.shape[1] >= most  # a start was written before, and the end is yet to come
        ended = torch.full_like(scores, -torch.inf)
        ended[:, self.end] = 0.0
        return torch.where(over[:, None], ended, scores)


@final
class Writer(NativeHead):
    """A decoder with its output layer, under the names of the network that it was cut from.

    It answers texts as rows of code points; `beams` are looked at in writing, 1 for the likeliest
    piece at each place. What it is taught is the next piece of the right text (teacher forcing),
    with smoothed labels (Szegedy et al. 2016).
    """

    def __init__(self, network: Any, vocabulary: Vocabulary, decoder: str) -> None:
        super().__init__()
        self.side = decoder  # its name in the network
        scaled = network.config.to_dict().get("scale_decoder_outputs")  # as some of T5's do
        self.scale = float(network.config.d_model) ** -0.5 if scaled else 1.0
        self.vocabulary = vocabulary
        self.beams = BEAMS
        self.hurried = False  # as within training, where the likeliest piece at each place will do
        place(self, decoder, network.get_submodule(decoder))
        place(self, "lm_head", network.lm_head)
        bias = network._buffers.get("final_logits_bias")
        if bias is not None:
            self.register_buffer("final_logits_bias", bias)
        vars(self)["whole"] = network  # not a child: its modules are

    @property
    def network(self) -> Any:
        """transformers' network around the same modules, without its encoder."""
        network = vars(self)["whole"]
        if "final_logits_bias" in self._buffers:
            network.final_logits_bias = self._buffers["final_logits_bias"]
        return network.train(self.training)

    def forward(self, states: States) -> Tensor:
        """`hidden` (N, T, D) with its `mask` -> the texts as rows (N, WIDTH) float32."""
        texts = [each[0][0] for each in self.candidates(states, 1)]
        rows = widened(encoded(texts), WIDTH)
        return torch.from_numpy(rows).to(states["hidden"].device).float()

    def candidates(self, states: States, count: int) -> list[list[Candidate]]:
        """The `count` likeliest texts for each source that beam search finds, the best first."""
        from transformers.modeling_outputs import BaseModelOutput

        network, mask, size = self.network, states["mask"], len(states["mask"])
        beams = max(count, 1 if self.hurried else self.beams)
        most = (2 * mask.sum(1) + _ROOM).clamp(max=self.vocabulary.longest)
        with torch.inference_mode():
            answer = network.generate(
                # a new object in each call, as generate changes the one it is given
                encoder_outputs=BaseModelOutput(last_hidden_state=states["hidden"]),
                attention_mask=mask,
                max_new_tokens=int(most.max()),
                logits_processor=[_Ending(most, self.vocabulary.end)],
                num_beams=beams,
                num_return_sequences=count,
                do_sample=False,
                early_stopping=beams > 1,
                return_dict_in_generate=True,
                output_scores=True,
                **self.vocabulary.starting(),
            )
        texts = self.vocabulary.texts(answer.sequences.tolist())
        scores = self._likelihoods(answer, len(texts))
        pairs = list(zip(texts, scores, strict=True))
        return [pairs[place * count : (place + 1) * count] for place in range(size)]

    def loss(self, states: States, texts: Sequence[str]) -> Tensor:
        """The mean cross-entropy by piece of the right texts, with smoothed labels."""
        logits, targets = self._taught(states, texts)
        right = targets[targets != _IGNORED]
        return functional.cross_entropy(logits, right, label_smoothing=_SMOOTHING)

    def likelihoods(self, states: States, texts: Sequence[str]) -> Tensor:
        """The mean log-probability by piece of a text for each source, (N,)."""
        logits, targets = self._taught(states, texts)
        mask = targets != _IGNORED
        own = torch.zeros(mask.shape, device=mask.device)
        own[mask] = -functional.cross_entropy(logits, targets[mask], reduction="none")
        return own.sum(1) / mask.sum(1)

    def _taught(self, states: States, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Logits (P, V) of each piece behind the right ones, and the right pieces (N, T)."""
        device = states["hidden"].device
        inputs, targets = self.vocabulary.taught(texts, _IGNORED)
        right = torch.from_numpy(targets).to(device)
        answer: Any = self.get_submodule(self.side)(
            input_ids=torch.from_numpy(inputs).to(device),
            encoder_hidden_states=states["hidden"],
            encoder_attention_mask=states["mask"],
            use_cache=False,
        )
        hidden = self.scale * answer.last_hidden_state[right != _IGNORED]
        logits = self.get_submodule("lm_head")(hidden)
        bias = self._buffers.get("final_logits_bias")
        return (logits if bias is None else logits + bias).float(), right

    def _likelihoods(self, answer: Any, count: int) -> list[float]:
        """The mean log-probability by piece of each text that was written."""
        own = answer.get("sequences_scores")
        if own is not None:  # beams that have ended are compared by it
            return [float(score) for score in own]
        scores = torch.stack(answer.scores, 1).float().log_softmax(-1)
        tokens = answer.sequences[:, -scores.shape[1] :]
        each = scores.gather(2, tokens.unsqueeze(2)).squeeze(2)
        mask = tokens != self.vocabulary.pad
        totals = (each.masked_fill(~mask, 0.0)).sum(1) / mask.sum(1).clamp(min=1)
        return [float(total) for total in totals[:count]]

"""What an encoder's stages are made of: parts that use its own modules under their own names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.loading.stages.placing import place

# Far below any score of attention, and in the range of every floating-point type.
_MASKED: Final = -30000.0


class Part(ABC):
    """One step of a stage. It finds the modules it `names` in the stage it runs in."""

    names: tuple[str, ...]

    @abstractmethod
    def run(self, stage: nn.Module, inputs: Any) -> Any: ...


@final
class Stage(nn.Module):
    """Parts that run one after another, over modules that keep the names of the whole network.

    Of pictures, each stage takes a tensor and answers one. Of texts, the first stage takes
    `input_ids` (N, T), `mask` (N, T) and, where given, `types` (N, T); every other `hidden`
    (N, T, D) and `mask`, which is also what all answer; only the pooling answers features.
    """

    def __init__(self, network: nn.Module, parts: Sequence[Part]) -> None:
        super().__init__()
        for part in parts:
            for name in part.names:
                place(self, name, network.get_submodule(name))
        self.parts = tuple(parts)

    def forward(self, inputs: Any) -> Any:
        """What the last part answers."""
        answer: Any = inputs
        for part in self.parts:
            answer = part.run(self, answer)
        return answer


@final
@dataclass(frozen=True)
class Embedding(Part):
    """Token ids to hidden states, and the tensors that all layers share."""

    steps: tuple[str, ...]
    types: bool = False
    masks: bool = False  # its module wants the mask too
    shared: tuple[str, ...] = ()  # modules that layers use; here they are saved, frozen and trained

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Its own modules and those it holds."""
        return self.steps + self.shared

    def run(self, stage: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Ids, mask and types to hidden states with the mask."""
        ids, mask = inputs["input_ids"], inputs["mask"]
        more: dict[str, Tensor] = {"mask": mask} if self.masks else {}
        if self.types:
            more["token_type_ids"] = inputs["types"] if "types" in inputs else ids * 0
        hidden: Tensor = stage.get_submodule(self.steps[0])(input_ids=ids, **more)
        for name in self.steps[1:]:
            hidden = stage.get_submodule(name)(hidden)
        return {"hidden": hidden, "mask": mask}


class Layer(Part, ABC):
    """One layer; kinds differ in what they tell it of positions and of the mask."""

    @abstractmethod
    def attend(self, stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor: ...

    def run(self, stage: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Hidden states to hidden states; the mask goes on."""
        return {
            "hidden": self.attend(stage, inputs["hidden"], inputs["mask"]),
            "mask": inputs["mask"],
        }


@final
@dataclass(frozen=True)
class PlainLayer(Layer):
    """Positions are in the embeddings: BERT and most others."""

    names: tuple[str, ...]

    def attend(self, stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        """Attention over the tokens that are not padding."""
        return hidden_states(stage.get_submodule(self.names[0])(hidden, _penalty(mask, hidden)))


@final
@dataclass(frozen=True)
class SharedLayers(Layer):
    """All layers of ALBERT, as they share their weights: each of the few runs several times."""

    names: tuple[str, ...]
    order: tuple[str, ...]

    def attend(self, stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        """One layer after another."""
        penalty = _penalty(mask, hidden)
        for name in self.order:
            hidden = hidden_states(stage.get_submodule(name)(hidden, penalty))
        return hidden


@final
@dataclass(frozen=True)
class RelativeLayer(Layer):
    """A bias for each distance between two tokens, shared by all layers: MPNet."""

    names: tuple[str, ...]
    bias: nn.Embedding  # by bucket of distances; the embeddings' stage holds it
    bucket: Callable[..., Tensor]

    def attend(self, stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        """Attention with the bias of (1, heads, T, T)."""
        places = torch.arange(hidden.shape[1], device=hidden.device)
        buckets = self.bucket(places[None, :] - places[:, None])
        bias = self.bias(buckets).permute(2, 0, 1).unsqueeze(0)
        layer = stage.get_submodule(self.names[0])
        return hidden_states(layer(hidden, _penalty(mask, hidden), position_bias=bias))


@final
@dataclass(frozen=True)
class DisentangledLayer(Layer):
    """Attention between contents and relative positions (He et al. 2020): DeBERTa."""

    names: tuple[str, ...]  # the layer, and the convolution beside the first one where there is one
    positions: nn.Embedding | None  # the embeddings' stage holds it, and the norm
    norm: nn.Module | None
    distances: Callable[..., Tensor]
    buckets: int
    reach: int

    def attend(self, stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        """Attention with relative positions, then the convolution."""
        more: dict[str, Tensor] = {}
        if self.positions is not None:
            weight = self.positions.weight
            more["rel_embeddings"] = weight if self.norm is None else self.norm(weight)
            more["relative_pos"] = self.distances(
                hidden, hidden, bucket_size=self.buckets, max_position=self.reach
            )
        pairs = mask[:, None, None, :] * mask[:, None, :, None]
        answer = hidden_states(stage.get_submodule(self.names[0])(hidden, pairs, **more))
        for name in self.names[1:]:
            answer = stage.get_submodule(name)(hidden, answer, mask)
        return answer


@final
@dataclass(frozen=True)
class RotaryLayer(Layer):
    """Rotated queries and keys (Su et al. 2021), near tokens only in some layers: ModernBERT.

    `window` is how far a token sees, None for everywhere. The frequencies are numbers, not a
    buffer, as rounding them to bf16 would turn far tokens by whole radians.
    """

    names: tuple[str, ...]
    frequencies: tuple[float, ...]
    scale: float
    window: int | None

    def attend(self, stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        """Attention within the window."""
        places = torch.arange(hidden.shape[1], device=hidden.device)
        angles = places[:, None] * torch.tensor(self.frequencies, device=hidden.device)
        angles = torch.cat((angles, angles), dim=-1).unsqueeze(0)
        penalty = _penalty(mask, hidden)
        if self.window is not None:
            far = (places[:, None] - places[None, :]).abs() > self.window
            penalty = penalty + far.to(hidden.dtype) * _MASKED
        return hidden_states(
            stage.get_submodule(self.names[0])(
                hidden,
                attention_mask=penalty,
                position_embeddings=(angles.cos() * self.scale, angles.sin() * self.scale),
            )
        )


def _penalty(mask: Tensor, hidden: Tensor) -> Tensor:
    """What is added to attention's scores, (N, 1, 1, T): nothing, or much less for padding."""
    return ((1 - mask).to(hidden.dtype) * _MASKED)[:, None, None, :]


def hidden_states(answer: Any) -> Tensor:
    """The hidden states in what a layer answers: some versions answer with a tuple."""
    hidden: Tensor = answer[0] if isinstance(answer, tuple) else answer
    return hidden

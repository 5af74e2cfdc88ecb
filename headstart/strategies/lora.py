"""Low-rank adapters: small matrices beside frozen ones, merged into them after training."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from math import inf
from typing import TYPE_CHECKING, Any, final

from headstart.contracts import Strategy
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

    from headstart.contracts.model import Model

_AUTO = "auto"
_HIGHEST = 4096  # rank: few matrices of any network have more


@final
class Lora(Strategy):
    """Train a low-rank adapter beside each large matrix, with the norms and the head.

    `rank` and `scale` (alpha) size an adapter, `dropout` is that of its input. `where` is `auto`,
    for every linear layer and convolution but the network's first convolution (its stem or patch
    embedding), or a regular expression found in the names of the layers to adapt. Adapters and
    norms learn at `boost` times the base rate; BatchNorm keeps its statistics. Grouped and dilated
    convolutions, `nn.MultiheadAttention` and layers that share their weights stay as they are. What
    was trained is merged: the result is the plain network.

    Reference: Hu et al. 2021 (LoRA); Schulman et al. 2025 for all layers and ten times the rate.
    Relations: `lp-ft` moves the whole matrices; with no adapters, only norms and head would learn.
    Use when: the network is large for the labels or the memory, above all a transformer: few
    numbers are trained, so that there is less to overfit and no optimiser state for the rest.
    """

    def __init__(
        self,
        rank: int = 8,
        scale: float = 16.0,
        dropout: float = 0.05,
        where: str = _AUTO,
        probe: bool = True,
        boost: float = 10.0,
    ) -> None:
        self.rank = rank
        self.scale = scale
        self.dropout = dropout
        self.where = where
        self.probe = probe
        self.boost = boost

    def starts_from_probe(self) -> bool:
        """As set."""
        return self.probe

    def epochs(self, default: int) -> int:
        """The policy's number.

        Raises HeadstartError for settings that no adapter can have, and where PEFT is missing.
        """
        for name, value, right, such in (
            ("rank", self.rank, 1 <= self.rank <= _HIGHEST, 8),
            ("scale", self.scale, 0 < self.scale < inf, 16),
            ("dropout", self.dropout, 0 <= self.dropout < 1, 0.05),
            ("boost", self.boost, 0 < self.boost < inf, 10),
        ):
            if not right:
                raise HeadstartError(f"lora?{name}={value:g} can't be. Give for example {such}.")
        try:
            re.compile(self.where)
        except re.error as error:
            raise HeadstartError(
                f"lora?where={self.where} is not a regular expression ({error}). "
                "Give auto, or part of a layer's name."
            ) from None
        if find_spec("peft") is None:
            raise HeadstartError(
                "lora needs the package peft, which is not installed. "
                "Run: pip install 'headstart[lora]'"
            )
        return default

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """None: there are adapters everywhere."""
        return 0

    def lr_scale(self, stage: int, stages: int) -> float:
        """`boost`, and 1 for the head."""
        return self.boost if stage < stages else 1.0

    def on_train_start(self, model: Model) -> None:
        """Freeze the stages but for their norms, and put the adapters in.

        Raises HeadstartError where there is no layer to adapt.
        """
        targets = self._targets(model)
        for part in _parts(model):
            places = [place for own, place in targets if own is part]
            _inject(part, places, self.rank, self.scale, self.dropout)
        for module in _modules(model):
            if "norm" in type(module).__name__.lower():
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(True)

    def on_epoch_start(self, epoch: int, model: Model) -> None:
        """Keep BatchNorm's statistics. Called after every `model.train()`."""
        from torch import nn

        for module in _modules(model):
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def on_train_end(self, model: Model) -> None:
        """Merge the adapters into the weights, leaving the plain network."""
        import torch
        from peft.tuners.lora import LoraLayer

        with torch.no_grad():
            for parent in list(_modules(model)):
                for name, child in list(parent.named_children()):
                    if isinstance(child, LoraLayer):
                        child.merge()
                        setattr(parent, name, child.get_base_layer())
        for part in _parts(model):
            vars(part).pop("peft_config", None)

    def _targets(self, model: Model) -> list[tuple[nn.Module, str]]:
        """The layers to adapt, by the stages or the pooling, and their name inside."""
        from torch import nn

        able = list(_able(model))
        if not able:
            raise HeadstartError(
                "lora finds no linear layer or convolution to adapt in this network. "
                "Give another strategy, such as lp-ft."
            )
        if self.where == _AUTO:
            stem = next((m for m in model.stages.modules() if isinstance(m, nn.Conv2d)), None)
            return [(p, place) for p, place, _, m in able if m is not stem or len(able) == 1]
        pattern = re.compile(self.where)
        matches = [(part, place) for part, place, name, _ in able if pattern.search(name)]
        if not matches:
            raise HeadstartError(
                f"lora?where={self.where} names no layer that can be adapted. "
                f"Give auto, or part of a layer's name, such as {able[-1][2]}."
            )
        return matches


def _parts(model: Model) -> tuple[nn.Module, nn.Module]:
    return model.stages, model.pool


def _modules(model: Model) -> Iterator[nn.Module]:
    for part in _parts(model):
        yield from part.modules()


def _able(model: Model) -> Iterator[tuple[nn.Module, str, str, nn.Module]]:
    """Layers that an adapter can stand beside: where, their place, their name, and themselves.

    They are in the stages, whose number a place begins with, or in the pooling. The name is the one
    that its library gives it.
    """
    from torch import nn

    children = [(m, child) for m in _modules(model) for child in m._modules.values()]
    uses = Counter(id(t) for _, child in children if child for t in child._parameters.values())
    inside = {id(c) for m, c in children if isinstance(m, nn.MultiheadAttention)}  # weights only
    for part in _parts(model):
        for place, layer in part.named_modules():
            if (
                not place
                or not _is_plain(layer)
                or id(layer) in inside
                or uses[id(layer.weight)] > 1
            ):
                continue
            stage, _, name = place.partition(".")
            own = name or model.names[int(stage)] if part is model.stages else place
            yield part, place, own, layer


def _is_plain(layer: nn.Module) -> bool:
    """Whether a layer is torch's own, and its weight what PEFT takes it for.

    PEFT forgets a convolution's dilation and padding mode, and can't merge into a grouped one;
    layers of other types may change their weight before they use it.
    """
    from torch import nn

    if "weight" not in layer._parameters:
        return False
    if type(layer) is nn.Conv2d:
        return layer.groups == 1 and set(layer.dilation) == {1} and layer.padding_mode == "zeros"
    return type(layer) is nn.Linear


def _inject(
    part: nn.Module, places: Sequence[str], rank: int, scale: float, dropout: float
) -> None:
    """Wrap the layers at these places, and freeze all else in the part."""
    if not places:
        part.requires_grad_(False)
        return
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(
        r=rank,
        lora_alpha=scale,  # type: ignore[arg-type] # any number will do
        lora_dropout=dropout,
        target_modules="|".join(map(re.escape, places)),
    )
    inject_adapter_in_model(config, part)
    for module in part.modules():
        # In evaluation mode torch's transformer layer reads its weights past the modules that hold
        # them, and so past their adapters, unless one of them has a hook.
        if isinstance(module, LoraLayer):
            module.register_forward_hook(_unmoved)


def _unmoved(module: nn.Module, inputs: Any, outputs: Any) -> None:
    """A hook that changes nothing."""

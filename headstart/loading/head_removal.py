"""A network of any author: its head found by running it, taken off, and both filled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone, Origin, Preprocess
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError, named_reason
from headstart.loading.stages.remembered import stages_and_pool
from headstart.loading.weights import digest, fit, linear, load_into, read

WRAPPED: Final = "network."  # before the names of tensors in TorchScript
_HEAD: Final = "head"
_MEND: Final = "Give the size= and channels= that it wants, or mend it."
_SPARE: Final = "headstart_head"  # for a network that calls something else its head


@final
@dataclass(frozen=True)
class Headless:
    """A network without its head, cut into stages, and what was its head.

    `notes` are worth saying: what of a file of weights was taken, and what left out.
    """

    network: nn.Module
    stages: Mapping[str, nn.Module]
    feature_dim: int
    head: nn.Module | None
    head_name: str
    differentiable: bool = True
    notes: Sequence[str] = ()
    pool: nn.Module = field(default_factory=nn.Identity)


def example(preprocess: Preprocess, draw: Callable[..., Tensor] = torch.randn) -> Tensor:
    """Two pictures of noise, as a network is fed them: always the same."""
    sides = [preprocess[side] for side in ("channels", "height", "width")]
    return draw(2, *sides, generator=torch.Generator().manual_seed(0))


def demand_finite(features: Tensor, source: object) -> None:
    """Raise WeightsError where a network with the weights of `source` computes no numbers."""
    if not features.isfinite().all():
        raise WeightsError(
            f"{source} holds weights whose features are not finite. Give other weights."
        )


def run(network: nn.Module, example: Tensor, what: str, advice: str = _MEND) -> Tensor:
    """The network's rows for pictures, in the mode that it is in.

    Raises HeadstartError where it fails on them, with `advice`, or answers other than one row an
    item.
    """
    try:
        with torch.no_grad():
            outputs: Any = network(example)
    except Exception as error:  # a user's network fails in any way
        raise HeadstartError(
            f"{what} can't read pictures of {'x'.join(map(str, example.shape[1:]))}, "
            f"{len(example)} at a time ({named_reason(error)}). {advice}"
        ) from error
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(example):
        shape = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise HeadstartError(
            f"{what} answers {len(example)} pictures with {shape}, not one row each. "
            "Let it answer logits or pooled features."
        )
    return outputs


def refuse_probabilities(outputs: Tensor, what: str) -> None:
    """Raise HeadstartError where rows are what a softmax or its logarithm gives."""
    one = torch.ones(len(outputs))
    logarithms = bool((outputs <= 0).all())
    sums = (outputs.exp() if logarithms else outputs.clamp(min=0)).sum(1)
    if outputs.shape[1] > 1 and torch.allclose(sums, one, atol=1e-4):
        raise HeadstartError(
            f"{what} ends in a softmax after its last layer, so that its head can't be taken off. "
            "Let it answer the logits, or say head=false."
        )


def behead(network: nn.Module, example: Tensor, what: str) -> tuple[str, nn.Linear] | None:
    """Put nothing in the place of the last linear layer, if the network's answer is that layer's.

    Answers the layer and its name, or None where the network's answers are features.
    """
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda own, ins, out: calls.append((own, ins[0], out)))
        for module in network.modules()
        if isinstance(module, nn.Linear) and module is not network
    ]
    outputs = run(network, example, what)
    for hook in hooks:
        hook.remove()
    last, features, answer = calls[-1] if calls else (network, outputs, outputs)
    names = {module: name for name, module in network.named_modules()}
    if not isinstance(last, nn.Linear) or not torch.equal(answer, outputs) or features.dim() != 2:
        refuse_probabilities(outputs, what)
        return None
    network.set_submodule(names[last], nn.Identity())
    if not torch.equal(run(network, example, what), features):
        raise HeadstartError(
            f"{what} uses its last linear layer {names[last]} in other ways than by calling it "
            "once, so that its head can't be taken off. Change that, or say head=false."
        )
    return names[last], last


def take_apart(network: nn.Module, example: Tensor, what: str, head: bool) -> Headless:
    """A network in Python without its head, in stages; with `head` False its answers are features.

    Raises HeadstartError where it is none for such pictures.
    """
    network.eval()
    last = behead(network, example, what) if head else None
    name, layer = last or (free_name(network), None)
    return headless(network, example, run(network, example, what), layer, name)


def headless(
    network: nn.Module,
    example: Tensor,
    features: Tensor,
    head: nn.Module | None,
    head_name: str,
    notes: Sequence[str] = (),
) -> Headless:
    """A network whose head is off already, cut into stages, with the pooling apart.

    `features` (N, D) are what it answers to the example.
    """
    stages, pool = stages_and_pool(network, example)
    return Headless(network, stages, features.shape[1], head, head_name, notes=notes, pool=pool)


def filled(body: Headless, reference: Reference) -> Headless:
    """The same with the reference's file of weights, if any, and the head that this holds.

    Raises WeightsError for weights that don't fit.
    """
    if reference.weights is None:
        return body
    head, notes = fill(body, reference.weights, reference.option("ema", True))
    return replace(body, head=head, notes=notes)


def backbone(
    body: Headless,
    reference: Reference,
    architecture: Reference,
    pretrained: bool,
    preprocess: Preprocess,
    files: Mapping[str, bytes] | None = None,
    terms: tuple[str | None, str | None] = (None, None),
) -> Backbone:
    """What a hub returns of a network for pictures; `terms` are licence and training data."""
    return Backbone(
        stages=body.stages,
        pool=body.pool,
        feature_dim=body.feature_dim,
        modality="image",
        preprocess=preprocess,
        origin=Origin(
            str(reference), *terms, digest(body.network.state_dict()), pretrained=pretrained
        ),
        architecture=architecture,
        head=body.head if pretrained else None,
        head_name=body.head_name,
        differentiable=body.differentiable,
        files=files or {},
        notes=body.notes,
    )


def draw_anew(network: nn.Module) -> None:
    """Draw all weights anew, as `nn.Linear` and `nn.Conv2d` do.

    Vectors are those of norms, ones to multiply with and zeros to add; statistics begin anew.
    """
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if tensor.dim() > 1:
                nn.init.kaiming_uniform_(tensor, a=math.sqrt(5))
            else:
                tensor.fill_(float(name.endswith("weight")))
        for name, buffer in network.named_buffers():
            if name.endswith(("running_mean", "running_var", "num_batches_tracked")):
                buffer.fill_(float(name.endswith("running_var")))


def free_name(network: nn.Module) -> str:
    """What to call a head where the network has none."""
    in_use = any(name.startswith(f"{_HEAD}.") for name in network.state_dict())
    return _SPARE if in_use else _HEAD


def fill(
    body: Headless, file: str, averaged: bool = True
) -> tuple[nn.Linear | None, tuple[str, ...]]:
    """Load a file of weights into the network, and answer the head that it holds, if any.

    The head may have any number of outputs. Also answers what is worth saying. Raises WeightsError
    for what doesn't fit.
    """
    own, prefix = body.network.state_dict(), f"{body.head_name}."
    spared = {n: t for n, t in own.items() if n.startswith(prefix)}  # which programs keep, unread
    rest = {n: t for n, t in own.items() if n not in spared}
    fitted = fit(read(file, averaged), rest, body.head_name, body.feature_dim, averaged, file)
    load_into(body.network, spared | fitted.body, file)
    return linear(fitted.head, body.feature_dim, file), fitted.notes

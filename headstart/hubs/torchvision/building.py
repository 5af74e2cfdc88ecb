"""Building a torchvision network, taking its head off, and filling it."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.errors import HeadstartError, WeightsError, reason
from headstart.hubs.torchvision.library import interpolate_embeddings, models
from headstart.hubs.torchvision.planning import TorchvisionSpec
from headstart.loading.weights import State, Weights, fit, linear, load_into

_AUXILIARY: Final = ("aux1.", "aux2.", "AuxLogits.")
_WITH_AUXILIARY: Final = ("googlenet", "inception_v3")
OTHER_SIZE: Final = "Give it another size=, or none."
_POSITIONS: Final = "encoder.pos_embedding"
_OLD_NAMES: Final = (  # of torchvision's own files, that its networks have outgrown
    (re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.([12])\."), r"\1\2."),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)


@final
@dataclass(frozen=True)
class Head:
    """What the last layer with weights is called, and how many features it reads."""

    name: str
    features: int


@final
class SteppedTransformer(nn.Module):
    """torchvision's ViT over its own modules, with the steps of its encoder one after another.

    Its own `forward` carries the batch's size along, past every place where it could be cut.
    """

    def __init__(self, network: models.VisionTransformer) -> None:
        super().__init__()
        self.conv_proj = network.conv_proj
        self.class_token = network.class_token
        self.encoder = network.encoder
        self.heads = network.heads

    def forward(self, pictures: Tensor) -> Tensor:
        """Maps (N, 3, size, size) to (N, D)."""
        patches = self.conv_proj(pictures).flatten(2).transpose(1, 2)
        first = self.class_token.expand(patches.shape[0], -1, -1)
        tokens = torch.cat([first, patches], dim=1) + self.encoder.pos_embedding
        tokens = self.encoder.layers(self.encoder.dropout(tokens))
        features: Tensor = self.heads(self.encoder.ln(tokens)[:, 0])
        return features


def without_values(spec: TorchvisionSpec) -> nn.Module | None:
    """The network as torch's device meta makes it; None for a RegNet, whose widths are tensors."""
    try:
        return create(spec)
    except NotImplementedError:
        return None


def create(spec: TorchvisionSpec) -> nn.Module:
    """The network for pictures of this size with random weights, auxiliary classifiers left out.

    Those that are filled from elsewhere skip what they can of drawing weights. Raises
    HeadstartError where the network can't have the size.
    """
    name = spec.reference.name
    settings = _settings(name, spec.size, filled=spec.file is not None)
    try:
        network: nn.Module = models.get_model(name, weights=None, **settings)
    except (AssertionError, ValueError) as error:
        raise HeadstartError(
            f"{spec.what} can't be built for pictures of {spec.size} px "
            f"({reason(error).rstrip('!')}). {OTHER_SIZE}"
        ) from error
    place, first = first_layer(network)
    if spec.channels != first.in_channels:
        network.set_submodule(place, _reading(first, spec.channels))
        if name in _WITH_AUXILIARY:
            network.transform_input = False  # type: ignore[assignment]  # which is for three; the recipe scales instead
    is_transformer = isinstance(network, models.VisionTransformer)
    return SteppedTransformer(network) if is_transformer else network


def _reading(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    """A convolution like this one with random weights, for pictures of other channels."""
    return nn.Conv2d(
        channels,
        layer.out_channels,
        kernel_size=layer.kernel_size,  # type: ignore[arg-type]  # two numbers, as it stores them
        stride=layer.stride,  # type: ignore[arg-type]
        padding=layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )


def _settings(name: str, size: int, filled: bool) -> dict[str, Any]:
    if name.startswith("vit_"):
        return {"image_size": size}
    if name.startswith("maxvit_"):
        return {"input_size": (size, size)}
    if name in _WITH_AUXILIARY:  # their weights expect that they change the input's scale
        return {"aux_logits": False, "transform_input": True, "init_weights": not filled}
    return {"init_weights": not filled} if name.startswith("vgg") else {}


def behead(network: nn.Module) -> Head:
    """Take the last layer with weights off: a linear one, or SqueezeNet's 1x1 convolution."""
    layers = [n for n, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    name = layers[-1]
    width = network.state_dict()[f"{name}.weight"].shape[1]
    network.set_submodule(name, nn.Identity())
    return Head(name, width)


def fill(
    network: nn.Module, own: Head, spec: TorchvisionSpec, file: Weights
) -> tuple[nn.Linear | None, tuple[str, ...]]:
    """Load the file into a network without head, and answer the file's head where it is linear.

    Also answers what is worth saying. Where the user gave a size, a transformer's positions are
    stretched to it; where channels, the first layer is adapted to them. Raises WeightsError for
    another network's file.
    """
    file = replace(file, state=_renamed(file.state))
    body_tensors, source, options = network.state_dict(), spec.source, spec.reference.options
    fitted = fit(file, body_tensors, own.name, own.features, spec.options.ema, source)
    body = fitted.body
    if isinstance(network, models.GoogLeNet | models.Inception3):
        body = {n: t for n, t in body.items() if not n.startswith(_AUXILIARY)}
    if isinstance(network, SteppedTransformer) and "size" in options and _POSITIONS in body:
        body = _stretched(network, body, source)
    first = f"{first_layer(network)[0]}.weight"
    if "channels" in options and first in body and body[first].dim() == 4:
        body[first] = adapted(body[first], spec.channels)
    children = OrderedDict(network.named_children())
    # MNASNet as a whole asks for the version of its class, which a file of tensors doesn't hold
    holder = nn.Sequential(children) if isinstance(network, models.MNASNet) else network
    load_into(holder, body, source)
    if fitted.head and fitted.head["weight"].dim() == 4:  # SqueezeNet's, before its pooling
        return None, fitted.notes
    return linear(fitted.head, own.features, source), fitted.notes


def first_layer(network: nn.Module) -> tuple[str, nn.Conv2d]:
    """The convolution that reads the picture, and its name."""
    return next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))


def adapted(weight: Tensor, channels: int) -> Tensor:
    """A first convolution's weights (O, I, H, W) for other channels: (O, channels, H, W).

    One channel gets the sum of all; more than there were get them again and again, scaled so that
    equal channels answer as before. Source: timm's `adapt_input_conv` (Wightman 2019).
    """
    before = weight.shape[1]
    if channels == before:
        return weight
    if channels == 1:
        return weight.float().sum(1, keepdim=True).to(weight.dtype)
    repeated = weight.float().repeat(1, -(-channels // before), 1, 1)[:, :channels]
    return (repeated * (before / channels)).to(weight.dtype)


def _renamed(state: State) -> State:
    names = {name: name for name in state}
    for pattern, new in _OLD_NAMES:
        names = {name: pattern.sub(new, later) for name, later in names.items()}
    return {names[name]: tensor for name, tensor in state.items()}


def _stretched(network: SteppedTransformer, body: State, source: str) -> State:
    count = network.encoder.pos_embedding.shape[1] - 1
    patch = network.conv_proj.kernel_size[0]
    try:
        return dict(interpolate_embeddings(round(count**0.5) * patch, patch, OrderedDict(body)))
    except (ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{source} has positions that can't be stretched to another size ({error}). "
            "Give the weights of this architecture."
        ) from error

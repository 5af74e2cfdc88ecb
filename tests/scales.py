"""A small seeded network whose middle stages hand over two scales and a mask, and its hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone, Card, Hub, Origin
from headstart.contracts.references import Reference
from headstart.loading.weights import digest, load_into, read

WIDTH = 4
SIDE = 16
Scales = Mapping[str, Tensor]


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


@final
class Apart(nn.Module):
    """Maps (N, 4, 8, 8) to two scales, and where the first is bright, (N, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = convolution(WIDTH, WIDTH), convolution(WIDTH, 2 * WIDTH, 2)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        fine = self.fine(inputs)
        return {"p3": fine, "p4": self.coarse(inputs), "bright": fine.amax(1) > 0.1}


@final
class Mixed(nn.Module):
    """Two scales to two scales of the same shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Conv2d(2 * WIDTH, WIDTH, 1), convolution(WIDTH, 2 * WIDTH, 2)

    def forward(self, inputs: Scales) -> dict[str, Tensor]:
        larger = nn.functional.interpolate(inputs["p4"], scale_factor=2.0)
        fine = inputs["p3"] + self.up(larger)
        coarse = inputs["p4"] + self.down(inputs["p3"])
        return {"p4": coarse, "p3": fine, "bright": inputs["bright"]}


@final
class Joined(nn.Module):
    """Two scales to one map (N, 8, 4, 4), dimmed where it is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.last = convolution(WIDTH, 2 * WIDTH, 2)

    def forward(self, inputs: Scales) -> Tensor:
        dimmed = 1 - inputs["bright"].unsqueeze(1).float() / 2
        joined: Tensor = inputs["p4"] + self.last(inputs["p3"] * dimmed)
        return joined


@final
class Network(nn.Module):
    """The network in one piece, with its pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, WIDTH, 2)
        self.apart, self.mixed, self.joined = Apart(), Mixed(), Joined()
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, 16, 16) to features (N, 8)."""
        rows: Tensor = self.pool(self.joined(self.mixed(self.apart(self.stem(pictures)))))
        return rows


@final
class Named(nn.Module):
    """A child of a network as a stage, its tensors under the network's names."""

    def __init__(self, name: str, child: nn.Module) -> None:
        super().__init__()
        self.child = name
        self.add_module(name, child)

    def forward(self, inputs: Tensor | Scales) -> Tensor | Scales:
        answer: Tensor | Scales = self.get_submodule(self.child)(inputs)
        return answer


@final
class TwoScales(Hub):
    """`scales:net`, always with the same weights, or those of a file."""

    def cards(self, pattern: str) -> Iterable[Card]:
        return ()

    def load(self, reference: Reference) -> Backbone:
        network = whole()
        head: nn.Linear | None = None
        if reference.weights is not None:
            state = read(reference.weights).state
            own = {name for name in state if name.startswith("head.")}
            load_into(network, {n: t for n, t in state.items() if n not in own}, "scales")
            head = nn.Linear(2 * WIDTH, len(state["head.bias"]))
            parts = {name.removeprefix("head."): state[name] for name in own}
            load_into(head, parts, "scales")
        *children, (_, pool) = network.named_children()
        return Backbone(
            stages={name: Named(name, child) for name, child in children},
            pool=pool,
            feature_dim=2 * WIDTH,
            modality="image",
            preprocess={
                "channels": 3,
                "height": SIDE,
                "width": SIDE,
                "crop": 1.0,
                "crop_mode": "center",
                "interpolation": "bilinear",
                "mean": [0.5] * 3,
                "std": [0.5] * 3,
            },
            origin=Origin(str(reference), None, None, digest(network.state_dict()), True),
            architecture=Reference("scales", "net"),
            head=head,
        )


def whole() -> Network:
    """The network before it is cut."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(11)
        network = Network()
    return network.eval()

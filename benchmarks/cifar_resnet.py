"""The residual networks for CIFAR-10 of He et al. 2015, with option A's shortcuts.

One file that imports torch alone, to be given as a network of the user's own:
`file:benchmarks/cifar_resnet.py:resnet20@WEIGHTS?size=32&trust=true`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions beside a shortcut without weights.

    Where the map shrinks, the shortcut takes every second pixel, and zeros for new channels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added = (outputs - inputs) // 2  # channels of zeros, before and after
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        maps: Tensor = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(inputs)))))
        sampled = inputs[:, :, :: self.stride, :: self.stride]
        shortcut = functional.pad(sampled, (0, 0, 0, 0, self.added, self.added))
        return torch.relu(maps + shortcut)


class CifarResNet(nn.Module):
    """Three groups of blocks with 16, 32 and 64 channels: 6 · blocks + 2 layers."""

    def __init__(self, blocks: int, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _group(16, 16, blocks)
        self.layer2 = _group(16, 32, blocks)
        self.layer3 = _group(32, 64, blocks)
        self.linear = nn.Linear(64, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Pictures (N, 3, 32, 32) to logits (N, classes)."""
        maps = torch.relu(self.bn1(self.conv1(inputs)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        logits: Tensor = self.linear(maps.mean((2, 3)))
        return logits


def _group(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    first = Block(inputs, outputs, outputs // inputs)
    return nn.Sequential(first, *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))


def resnet20() -> nn.Module:
    """20 layers, 0.27 million parameters."""
    return CifarResNet(3)


def resnet32() -> nn.Module:
    """32 layers, 0.46 million parameters."""
    return CifarResNet(5)

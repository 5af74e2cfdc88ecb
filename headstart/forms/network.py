"""A saved model's whole network in torch: from items as they are decoded to what it says of them.

The scaling of pictures, looks that are averaged, and what makes probabilities or numbers in the
user's units of the head's outputs are layers of it, so that they go wherever the weights go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts import Task
from headstart.contracts.boxes import MOST, NUMBERS
from headstart.contracts.detector import DetectorHead
from headstart.contracts.model import Model, with_pool
from headstart.features.reading import Reader
from headstart.forms.form import BOXES, FEATURES, LABELS, OUTPUTS, SCORES
from headstart.forms.inputs import PIXELS, ROWS
from headstart.loading.openvino_graph import Graph

PROBABILITIES, VALUES = "probabilities", "values"
_TRIED: Final = 16  # rows of outputs by which a task's own answers are recognised
_CLOSE: Final = 1e-6


@final
class Scaled(nn.Module):
    """Levels (N, C, H, W) uint8 -> what the network takes, float32."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            own = torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)
            self.register_buffer(name, own)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pictures (N, C, H, W)."""
        return (pixels.float() / 255.0 - self.mean) / self.std


@final
class Looked(nn.Module):
    """Inputs -> features (N, D), the mean over all looks at them."""

    def __init__(
        self, body: nn.Module, looks: Sequence[str], look: Callable[[Any, str], Any | None]
    ) -> None:
        super().__init__()
        self.body = body
        self._looks, self._look = tuple(looks), look

    def forward(self, inputs: Any) -> Tensor:
        """The mean of the features of each look."""
        views = [self._look(inputs, name) if name else inputs for name in self._looks]
        return torch.stack([self.body(view) for view in views]).mean(dim=0)


@final
class Linked(nn.Module):
    """Outputs (N, labels) -> what the task says by them: `softmax`, `sigmoid` or `affine`."""

    slope: Tensor
    offset: Tensor

    def __init__(self, kind: str, slope: np.ndarray, offset: np.ndarray) -> None:
        super().__init__()
        self.kind = kind
        for name, values in (("slope", slope), ("offset", offset)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

    @classmethod
    def of(cls, task: Task, width: int) -> Linked | None:
        """What computes the task's predictions; None where it is none of these.

        A task is known by what it answers, so that those of other packages are known too.
        """
        rows = np.random.default_rng(0).normal(0, 3, (_TRIED, width)).astype(np.float32)
        expected = task.predictions(rows)
        offset = task.predictions(np.zeros((1, width), np.float32))[0]
        slope = task.predictions(np.ones((1, width), np.float32))[0] - offset
        for kind in ("softmax", "sigmoid", "affine"):
            link = cls(kind, slope, offset)
            answers = link(torch.from_numpy(rows)).numpy()
            scale = np.maximum(1.0, np.abs(expected))
            if (
                answers.shape == expected.shape
                and (np.abs(answers - expected) <= _CLOSE * 10 * scale).all()
            ):
                return link
        return None

    @property
    def name(self) -> str:
        """What its answers are called."""
        return VALUES if self.kind == "affine" else PROBABILITIES

    def forward(self, outputs: Tensor) -> Tensor:
        """Answers (N, labels)."""
        if self.kind == "softmax":
            return torch.softmax(outputs, dim=1)
        if self.kind == "sigmoid":
            return torch.sigmoid(outputs)
        return outputs * self.slope + self.offset


@final
class Answers(nn.Module):
    """Features (N, D) -> themselves, the head's outputs, and what the task says, by name."""

    def __init__(self, head: nn.Module, link: Linked | None) -> None:
        super().__init__()
        self.head, self.link = head, link

    @property
    def names(self) -> tuple[str, ...]:
        """What it answers, in order."""
        return (FEATURES, OUTPUTS, *((self.link.name,) if self.link else ()))

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """The answers by name."""
        outputs = self.head(features)
        answers = [features, outputs, *((self.link(outputs),) if self.link else ())]
        return dict(zip(self.names, answers, strict=True))


@final
class BoxAnswers(nn.Module):
    """Maps by name -> the 100 surest boxes that suppression leaves of each picture, by name."""

    names: Final = (BOXES, LABELS, SCORES)
    link: Final = None

    def __init__(self, head: DetectorHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, maps: Any) -> dict[str, Tensor]:
        """Corners (N, 100, 4) in longer sides, classes (N, 100) int64, and scores (N, 100)."""
        rows = self.head.in_graph(maps).reshape(-1, MOST, NUMBERS)
        return {BOXES: rows[..., :4], LABELS: rows[..., 5].long(), SCORES: rows[..., 4]}


@final
@dataclass(frozen=True)
class Whole:
    """The network in two parts, body and answers, and an example of two items that it takes.

    `names` are those of its inputs in order, `sample` one array each. One that is `single` takes an
    item at a time, and its example is one.
    """

    body: nn.Sequential
    answers: Answers | BoxAnswers
    sample: Mapping[str, np.ndarray]
    single: bool = False

    @classmethod
    def of(
        cls, model: Model, task: Task, reader: Reader, width: int, sample: Mapping[str, np.ndarray]
    ) -> Whole:
        """That of an opened model; `width` is how many outputs its head has."""
        parts = with_pool(model.stages, model.pool)
        if len(reader.looks) > 1:
            parts = [Looked(nn.Sequential(*parts), reader.looks, reader.modality.look)]
        if PIXELS in sample:
            parts = [Scaled(reader.preprocess["mean"], reader.preprocess["std"]), *parts]
        answers: Answers | BoxAnswers
        if isinstance(model.head, DetectorHead):
            answers = BoxAnswers(model.head)
        else:
            answers = Answers(model.head, Linked.of(task, width))
        body = nn.Sequential(*parts)
        for module in (body, answers):
            module.cpu().eval().requires_grad_(False)
            _set_apart_empty(module)
        return cls(body, answers, sample)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what goes in, in order."""
        return tuple(sorted(self.sample))

    @property
    def finds_boxes(self) -> bool:
        """Whether it is a detector."""
        return isinstance(self.answers, BoxAnswers)

    def alone(self) -> Whole:
        """The same for one item at a time."""
        sample = {name: values[:1] for name, values in self.sample.items()}
        return replace(self, sample=sample, single=True)

    @property
    def holds_graphs(self) -> bool:
        """Whether a part of it is a graph that OpenVINO alone runs."""
        return any(isinstance(part, Graph) for part in self.body.modules())

    def inputs(self) -> Any:
        """The example as the body takes it: one tensor, or several by name."""
        tensors = {name: torch.from_numpy(values) for name, values in self.sample.items()}
        single = tensors.keys() & {PIXELS, ROWS}
        return tensors[single.pop()] if single else tensors

    def flat(self) -> Flat:
        """The same as one module of single tensors in and out."""
        return Flat(self.body, self.answers, self.names)


@final
class Flat(nn.Module):
    """The whole network: tensors in the order of the names -> its answers in theirs."""

    def __init__(self, body: nn.Module, answers: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.body, self.answers = body, answers
        self._names = tuple(names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Features, outputs and what the task says."""
        single = {PIXELS, ROWS} & set(self._names)
        batch = inputs[0] if single else dict(zip(self._names, inputs, strict=True))
        return tuple(self.answers(self.body(batch)).values())


def _set_apart_empty(network: nn.Module) -> None:
    """Let tensors without numbers be attributes: torch.export.save fails on such buffers."""
    for module in network.modules():
        for name, tensor in list(module.named_buffers(recurse=False)):
            if not tensor.numel():
                delattr(module, name)
                vars(module)[name] = tensor

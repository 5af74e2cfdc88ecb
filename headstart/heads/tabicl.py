"""In-context learning by TabICL: its network reads the labelled rows with each question."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.head import HeadFitter, Shape, TrainingSet, damaged
from headstart.contracts.standardisation import Standardisation
from headstart.contracts.targets import Encoding
from headstart.errors import HeadstartError, WeightsError, reason

ROWS: Final = 100_000  # that its authors say it is made for
COLUMNS: Final = 500
_FAR: Final = 4.0  # deviations, beyond which values count by their logarithm
_LARGEST: Final = 4096  # of any number in a configuration
_KEPT: Final = ("features", "targets", "mean", "spread", "config")


@final
class TabICL(HeadFitter):
    """A network pretrained on synthetic tables, which no step trains (Qu et al. 2025, 2026).

    `tabicl@FILE` names its checkpoint, as its authors publish it; nothing is fetched. The head
    keeps the labelled rows and the network. Columns are standardised, and each question is answered
    in one pass, without the ensemble of permuted columns that the package makes.
    """

    needs_weights: ClassVar[bool] = True

    def __init__(self, weights: str | None = None) -> None:
        self.weights = weights

    def from_weights(self, path: str) -> HeadFitter:
        """The same by this checkpoint."""
        return TabICL(path)

    def demand(self) -> None:
        """Raise HeadstartError where the package or the checkpoint is missing, or is none."""
        _demand_package()
        if self.weights is None:
            raise HeadstartError(
                "The head tabicl needs its checkpoint. Name the file, as in --head "
                "tabicl@tabicl-classifier-v2-20260212.ckpt."
            )
        _checkpoint(self.weights)

    def demand_shape(self, shape: Shape, items: int) -> None:
        """Raise HeadstartError for more rows, columns or classes than the checkpoint takes."""
        classes = _checkpoint(str(self.weights))[0]["max_classes"]
        wants = "numbers" if classes == 0 else "classes"
        kinds = {Encoding.INDEX: "classes", Encoding.AMOUNTS: "numbers"}
        if kinds.get(shape.encoding) != wants:
            raise HeadstartError(
                f"{self.weights} answers with {wants}, which the labels are not. "
                "Name another checkpoint, or leave --head out."
            )
        most = classes if wants == "classes" else 1
        for what, count, limit in (
            ("rows to learn from", items, ROWS),
            ("columns of numbers", shape.width, COLUMNS),
            (wants, shape.labels, most),
        ):
            if count > limit:
                raise HeadstartError(
                    f"The head tabicl takes at most {limit} {what}, and there are {count}. "
                    "Leave --head out."
                )

    def candidates(self, training: TrainingSet) -> Iterator[nn.Module]:
        """The one head there is. Raises HeadstartError as `demand_shape` does."""
        self.demand_shape(training.shape, len(training.features))
        config, state = _checkpoint(str(self.weights))
        standard = Standardisation.of(training.features)
        targets = training.targets.reshape(len(training.features)).astype(np.float32)
        text = json.dumps(config).encode()
        tensors = {
            "features": torch.from_numpy(np.asarray(training.features, np.float32)),
            "targets": torch.from_numpy(targets),
            "mean": torch.from_numpy(standard.mean).float(),
            "spread": torch.from_numpy(np.maximum(standard.spread, 1e-12)).float(),
            "config": torch.frombuffer(bytearray(text), dtype=torch.uint8),
        }
        yield InContext(tensors, _network(config, state), training.shape)

    def restored(self, state: Mapping[str, Tensor], shape: Shape) -> nn.Module:
        """The same rows and network. Raises WeightsError where the tensors are none."""
        _demand_package()
        if missing := [name for name in _KEPT if name not in state]:
            raise damaged(f"{missing[0]} is missing")
        tensors = {name: state[name] for name in _KEPT}
        rows = len(tensors["targets"])
        shapes = [tuple(tensors[name].shape) for name in ("features", "mean", "spread")]
        if shapes != [(rows, shape.width), (shape.width,), (shape.width,)] or rows == 0:
            raise damaged(f"its rows have the shapes {shapes}")
        try:
            config = json.loads(bytes(tensors["config"].to(torch.uint8).tolist()))
            inner = {n.removeprefix("network."): v for n, v in state.items() if n not in _KEPT}
            return InContext(tensors, _network(config, inner), shape)
        except (ValueError, HeadstartError) as error:
            raise damaged(reason(error)) from None


@final
class InContext(nn.Module):
    """Features (N, D) to outputs (N, labels), by labelled rows that it keeps and the network."""

    features: Tensor
    targets: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], network: nn.Module, shape: Shape) -> None:
        super().__init__()
        for name in _KEPT:
            self.register_buffer(name, tensors[name])
        self.network = network
        self.shape = shape

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, or the mean of the quantiles of a standardised number."""
        rows = torch.cat([self.features, inputs.float()])
        rows = (rows - self.mean) / self.spread
        far = rows.abs() - _FAR
        rows = torch.where(far > 0, rows.sign() * (_FAR + far.clamp(min=0).log1p()), rows)
        network = self.network.eval()
        answers: Tensor = network(rows[None], self.targets[None], inference_config=_precise())[0]
        if self.shape.encoding is Encoding.AMOUNTS:
            return answers.mean(dim=1, keepdim=True)
        return answers[:, : self.shape.labels]


def _precise() -> Any:
    """How the package computes in float32: called so, its network takes bfloat16 of any rows."""
    from tabicl._model.inference_config import InferenceConfig

    config = InferenceConfig()
    parts = ("COL_CONFIG", "ROW_CONFIG", "ICL_CONFIG")
    config.update_from_dict({part: {"use_amp": False} for part in parts})
    return config


def _demand_package() -> None:
    if find_spec("tabicl") is None:
        raise HeadstartError(
            "The head tabicl needs the package tabicl, which is not installed. "
            "Run: pip install tabicl"
        )


def _checkpoint(path: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint says of its network, and that network's tensors; nothing is unpickled.

    Raises WeightsError where the file is missing, or holds none.
    """
    if not Path(path).is_file():
        raise WeightsError(f"{path} is not there. Name the checkpoint of TabICL that you have.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file of any kind makes torch raise
        raise WeightsError(
            f"{path} can't be read as a checkpoint ({reason(error)}). Copy it again."
        ) from None
    parts = content if isinstance(content, dict) else {}
    config, state = parts.get("config"), parts.get("state_dict")
    if not isinstance(config, dict) or not isinstance(state, dict) or "max_classes" not in config:
        raise WeightsError(
            f"{path} holds no network of TabICL. Name a checkpoint as its authors publish it."
        )
    return config, state


def _network(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> nn.Module:
    """The network that a configuration describes. Raises WeightsError where they don't fit."""
    from tabicl._model.tabicl import TabICL as Network

    parameters = inspect.signature(Network).parameters
    plain = all(isinstance(value, int | float | str | bool | None) for value in config.values())
    sizes = [value for name, value in config.items() if type(value) is int and "base" not in name]
    if (
        not plain
        or set(config) - set(parameters)
        or any(not 0 <= size <= _LARGEST for size in sizes)
    ):
        raise WeightsError("Its configuration is none of TabICL. Name another checkpoint.")
    try:
        network: nn.Module = Network(**config)
        network.load_state_dict(dict(state))
    except (RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(
            f"Its tensors don't fit its network ({reason(error)}). Copy it again."
        ) from None
    return network.eval().requires_grad_(False)

"""What sentence-transformers lets stand after pooling: linear layers, norms, unit length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from torch import Tensor, nn
from torch.nn import functional

from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.huggingface.parts import Part
from headstart.hubs.huggingface.reading import WEIGHTS, read_json
from headstart.loading.weights import State, load_into, read

_POOLED: Final = "sentence_embedding"
_LARGEST: Final = 1 << 16  # features of a layer: far beyond any, and small enough to be made
_ACTIVATIONS: Final[Mapping[str, Callable[[], nn.Module]]] = {
    kind.__name__: kind
    for kind in (
        *(nn.Identity, nn.Tanh, nn.ReLU, nn.GELU, nn.Sigmoid, nn.SiLU, nn.ELU, nn.LeakyReLU),
        *(nn.Mish, nn.SELU, nn.CELU, nn.Softplus, nn.Softsign, nn.ReLU6, nn.Hardtanh),
    )
}


@final
@dataclass(frozen=True)
class After:
    """A module after pooling: its kind, the folder it lies in, and what it is told."""

    kind: str
    place: str
    config: Mapping[str, Any]
    what: str

    @property
    def has_weights(self) -> bool:
        """Whether tensors come with it."""
        return self.kind in ("Dense", "LayerNorm")


@final
class Dense(nn.Module):
    """A linear layer with an activation, and perhaps a way around both."""

    def __init__(self, linear: nn.Linear, activation: nn.Module, residual: nn.Module | None):
        super().__init__()
        self.linear, self.activation_function = linear, activation
        if isinstance(residual, nn.Linear):
            self.residual = residual
        self.around = residual is not None

    def forward(self, rows: Tensor) -> Tensor:
        """(N, D) to (N, E)."""
        answer: Tensor = self.activation_function(self.linear(rows))
        if self.around:
            residual = self._modules.get("residual")
            answer = answer + (rows if residual is None else residual(rows))
        return answer


@final
class RowNorm(nn.Module):
    """The norm of each row."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, rows: Tensor) -> Tensor:
        """(N, D) to (N, D)."""
        normed: Tensor = self.norm(rows)
        return normed


@final
@dataclass(frozen=True)
class Applied(Part):
    """A module over pooled features."""

    names: tuple[str, ...]

    def run(self, stage: nn.Module, inputs: Tensor) -> Tensor:
        """(N, D) to what the module answers."""
        answer: Tensor = stage.get_submodule(self.names[0])(inputs)
        return answer


@final
@dataclass(frozen=True)
class UnitLength(Part):
    """Features divided by their length."""

    names: tuple[str, ...] = ()

    def run(self, stage: nn.Module, inputs: Tensor) -> Tensor:
        """(N, D) to (N, D)."""
        return functional.normalize(inputs.float(), dim=-1).to(inputs.dtype)


@final
@dataclass(frozen=True)
class Leading(Part):
    """The first features alone (Kusupati et al. 2022, Matryoshka representations)."""

    width: int
    names: tuple[str, ...] = ()

    def run(self, stage: nn.Module, inputs: Tensor) -> Tensor:
        """(N, D) to (N, width)."""
        return inputs[:, : self.width]


def after(kind: str, place: str, folder: Path, what: str) -> After:
    """A module after pooling as its folder describes it.

    Raises HeadstartError for one that reads or answers anything but pooled features.
    """
    path = folder / place / "config.json"
    config = read_json(path) if path.is_file() else {}
    ends = (config.get(f"module_{end}_name") for end in ("input", "output"))
    if any(name not in (None, _POOLED) for name in ends):
        raise HeadstartError(
            f"{what} has a {kind} module that is not over pooled features, which can't be kept. "
            "Choose how to pool with ?pooling=mean."
        )
    return After(kind, place, config, what)


def part(module: After) -> Part:
    """The step of a stage that a module is."""
    return UnitLength() if module.kind == "Normalize" else Applied((module.place,))


def layer(module: After, width: int) -> tuple[nn.Module | None, int]:
    """The network of a module over `width` features, if it has one, and how many it answers.

    Raises HeadstartError for settings that can't be.
    """
    return KINDS[module.kind](module, width)


def fill(layer: nn.Module, module: After, state: State, folder: Path) -> None:
    """Load a layer's tensors, from `state` where they are in it, or else from their own folder.

    Raises WeightsError where there are none, or another layer's.
    """
    prefix = f"{module.place}."
    own = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    files = [path for name in WEIGHTS if (path := folder / module.place / name).is_file()]
    if not own and not files:
        raise WeightsError(
            f"{module.what} has a {module.kind} module without weights. Download "
            f"{module.place}/{WEIGHTS[0]} beside its config.json."
        )
    source = module.place if own else str(files[0])
    load_into(layer, own or read(files[0]).state, source)


def _dropout(module: After, width: int) -> tuple[nn.Module, int]:
    share = module.config.get("dropout", 0.2)
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise _refusal(module, f"dropout={share!r}")
    return nn.Dropout(float(share)), width


def _layer_norm(module: After, width: int) -> tuple[nn.Module, int]:
    if module.config.get("dimension") != width:
        raise _refusal(module, f"dimension={module.config.get('dimension')!r} over {width}")
    return RowNorm(nn.LayerNorm(width)), width


def _dense(module: After, width: int) -> tuple[nn.Module, int]:
    config = module.config
    wide, narrow = config.get("in_features"), config.get("out_features")
    if wide != width or not isinstance(narrow, int) or not 0 < narrow <= _LARGEST:
        raise _refusal(module, f"{wide!r} to {narrow!r} features over {width}")
    name = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    package, _, kind = name.rpartition(".")
    if kind not in _ACTIVATIONS or not f"{package}.".startswith("torch.nn."):
        raise _refusal(module, f"the activation {name!r}")
    residual: nn.Module | None = None
    if config.get("use_residual"):
        residual = nn.Linear(width, narrow, bias=False) if wide != narrow else nn.Identity()
    linear = nn.Linear(width, narrow, bias=config.get("bias", True) is not False)
    return Dense(linear, _ACTIVATIONS[kind](), residual), narrow


def _refusal(module: After, reason: str) -> HeadstartError:
    return HeadstartError(
        f"{module.what} has a {module.kind} module with {reason}, which can't be kept. "
        "Choose how to pool with ?pooling=mean."
    )


KINDS: Final[Mapping[str, Callable[[After, int], tuple[nn.Module | None, int]]]] = {
    "Dense": _dense,
    "Dropout": _dropout,
    "LayerNorm": _layer_norm,
    "Normalize": lambda module, width: (None, width),
}

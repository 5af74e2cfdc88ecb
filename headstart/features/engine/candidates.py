"""Which engines may run a prefix: what is wanted, and what this machine has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict

from headstart.errors import HeadstartError
from headstart.features.engine import openvino
from headstart.features.engine.interface import Engine, EngineError
from headstart.features.engine.openvino import OpenVinoEngine
from headstart.features.engine.torch import TorchEngine
from headstart.runtime import machine
from headstart.runtime.progress import Progress

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch

ENGINES: Final = ("auto", "torch", "openvino")
PRECISIONS: Final = ("auto", "fp32", "bf16")
PLAIN: Final = "torch fp32"


@dataclass(frozen=True)
class Job:
    """What is to be run: stages, a batch of inputs, the device, and the key of the stages."""

    stages: Any  # a network, or None where only what was kept of it may run
    sample: Any
    device: Any  # of torch, or what it is called
    key: Mapping[str, object] | None


class Wishes(TypedDict, total=False):
    """What an engine is to be, and for how many items: as `Wish` has them."""

    engine: str
    precision: str
    items: int


@dataclass(frozen=True)
class Wish:
    """One of ENGINES and one of PRECISIONS, for so many `items`; 0 where that isn't known.

    Raises HeadstartError for any other.
    """

    engine: str = "auto"
    precision: str = "auto"
    items: int = 0

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("Engine", self.engine, ENGINES),
            ("Precision", self.precision, PRECISIONS),
        ):
            if value not in choices:
                raise HeadstartError(f"{what} {value!r} is not known. Give {' or '.join(choices)}.")

    def is_little(self, speed: float, seconds: float) -> bool:
        """Whether plain torch may run all items, and at this speed takes less than `seconds`."""
        may_be = self.engine == "auto" and self.precision != "bf16"
        return may_be and 0 < self.items < seconds * speed


@dataclass(frozen=True)
class Candidate:
    """An engine that may be built; building it may raise EngineError.

    `form` is a hash of the files that it is read from, None where they aren't there yet; it is
    empty where there are none.
    """

    name: str
    build: Callable[[], Engine]
    form: Callable[[], str | None] = lambda: ""


def candidates(wish: Wish, job: Job, progress: Progress) -> list[Candidate]:
    """What is wanted and may run here, the likely fastest first.

    Raises HeadstartError where nothing is left.
    """
    offers: dict[str, Sequence[str]] = {}
    if wish.engine != "torch":
        offers["openvino"] = _converted(wish, job.device, progress)
    if wish.engine != "openvino":
        offers["torch"] = ("bf16", "fp32") if machine.has_bf16(job.device) else ("fp32",)
    options = [
        candidate(engine, precision, job)
        for precision in ("bf16", "fp32")
        for engine, precisions in offers.items()
        if precision in precisions and wish.precision in ("auto", precision)
    ]
    if not options:
        raise HeadstartError(
            f"Precision {wish.precision!r} needs hardware that this {job.device.type} lacks. "
            "Give precision auto or fp32."
        )
    return options


def candidate(engine: str, precision: str, job: Job) -> Candidate:
    """An engine by name, for what is to be run."""
    build: Callable[[], Engine]
    if engine == "openvino":
        build = partial(OpenVinoEngine, job.stages, job.sample, precision, job.key)
        form = partial(openvino.cached_network, job.stages, job.sample, job.key)
        return Candidate(f"{engine} {precision}", build, form)
    build = partial(TorchEngine, job.stages, job.device, precision)
    return Candidate(f"{engine} {precision}", build)


def _converted(wish: Wish, device: torch.device, progress: Progress) -> Sequence[str]:
    """The precisions that OpenVINO offers."""
    if device.type != "cpu":
        if wish.engine == "openvino":
            raise HeadstartError(
                f"Engine 'openvino' does not run on {device.type}. Give device cpu, or engine auto."
            )
        return ()
    try:
        return openvino.available()
    except EngineError as error:
        if wish.engine == "openvino":
            raise HeadstartError(
                f"Engine 'openvino' is not to be had: {error}. Install openvino, or give "
                "engine auto."
            ) from None
        progress.say(f"The frozen stages run on torch alone: {error}.")
        return ()

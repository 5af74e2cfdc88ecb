"""The fastest engine for a frozen prefix on this machine: measured and checked once.

Which engine wins is remembered for a machine and a network, whatever its weights; that an engine
agrees with plain torch only for these weights, these libraries and the converted network as it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Unpack

import numpy as np

from headstart.errors import HeadstartError
from headstart.features.engine import memory
from headstart.features.engine.agreement import CHECKED, TOLERANCE, engine_error
from headstart.features.engine.candidates import (
    PLAIN,
    Candidate,
    Job,
    Wish,
    Wishes,
    candidate,
    candidates,
)
from headstart.features.engine.interface import Engine, count, head, layout
from headstart.features.engine.torch import TorchEngine
from headstart.runtime.progress import Progress

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch
    from torch import nn

SECONDS: Final = 0.5  # about what measuring one engine takes
REPEATS: Final = 4  # at most, of a batch
HOPELESS: Final = 1.5  # times slower than the fastest when checked: not measured any further
DECIDED: Final = 3.0  # times faster than plain torch, which torch in bf16 hardly is
WORTH_CHOOSING: Final = 4.0  # seconds of plain torch; making another engine takes about as long
WORTH_READING: Final = 0.5  # the same, where the other engine lies ready


def fastest(
    stages: nn.Module,
    sample: Any,
    device: torch.device | str,
    *,
    key: Mapping[str, object] | None,
    progress: Progress,
    **wishes: Unpack[Wishes],
) -> Engine:
    """The fastest engine that agrees with plain fp32 torch on the first items of `sample`.

    `sample` is the first batch of model inputs; `key` is JSON-able and says all that the stages
    depend on. The winner is remembered for this machine and all of `key` but the weights; None is
    for stages that run this once. For few items it is plain torch, unless `wishes` say otherwise.
    Stages are moved to the device and put into evaluation mode. Raises HeadstartError where what is
    wanted can't be had.
    """
    wish, job = Wish(**wishes), Job(stages, sample, _of_torch(device), key)
    options = candidates(wish, job, progress)
    plain = TorchEngine(stages, job.device)
    if [option.name for option in options] == [PLAIN]:
        return plain
    entry = memory.place(_question(wish, job))
    winner = memory.recall(entry) or _narrowed(wish, job)
    if wish.is_little(memory.speed(entry, PLAIN), WORTH_READING):
        return plain
    if ready := _ready(options, winner, job, plain):
        return ready
    trial = Trial.of(plain, job, progress)
    lies_there = any(option.form() for option in options)
    if wish.is_little(1 / trial.seconds, WORTH_READING if lies_there else WORTH_CHOOSING):
        return plain
    if len(options) == 1 or winner in [option.name for option in options]:
        options.sort(key=lambda option: option.name != winner)  # the rest in order behind it
        engine = next(trial.agreeing(options), None)
    else:
        engine = _measured(options, trial, entry)
    if engine is None:
        _demand_none_wanted(wish, trial.faults)
    return engine or plain


def cached_engine(
    sample: Any, key: Mapping[str, object], **wishes: Unpack[Wishes]
) -> Engine | None:
    """The engine that is known to be the fastest on the CPU, read from disk without torch.

    None where none is known, it is torch, or wasn't seen to agree as it lies there.
    """
    wish, job = Wish(**wishes), Job(None, sample, "cpu", key)
    winner = memory.recall(memory.place(_question(wish, job))) or _narrowed(wish, job) or ""
    kind, _, precision = winner.partition(" ")
    if kind != "openvino" or wish.engine == "torch" or wish.precision not in ("auto", precision):
        return None
    option = candidate(kind, precision, job)
    return _ready([option], winner, job, None)


def _of_torch(device: torch.device | str) -> torch.device:
    import torch

    return torch.device(device)


def _demand_none_wanted(wish: Wish, faults: Sequence[str]) -> None:
    """Raise HeadstartError where something was asked for that can't run."""
    if (wish.engine, wish.precision) != ("auto", "auto"):
        raise HeadstartError(
            f"No engine that was asked for (engine {wish.engine}, precision {wish.precision}) can "
            f"run this network rightly: {'; '.join(faults)}. Give engine and precision auto."
        )


def _ready(
    options: list[Candidate], winner: str | None, job: Job, plain: Engine | None
) -> Engine | None:
    """The known winner, if it was seen to agree and is as it was then."""
    fastest_option = next((option for option in options if option.name == winner), None)
    if fastest_option is None and len(options) == 1:
        fastest_option = options[0]
    if fastest_option is None or fastest_option.name == PLAIN:
        return plain if fastest_option else None
    if not memory.agrees(job, fastest_option):
        return None
    try:
        return fastest_option.build()
    except Exception:  # it is looked at anew, and what is wrong is said there
        return None


@dataclass(frozen=True)
class Trial:
    """The first batch, and what plain torch answered to its first items."""

    job: Job
    expected: Any
    plain: Engine
    seconds: float  # that plain torch took an item
    progress: Progress
    faults: list[str]

    @classmethod
    def of(cls, plain: Engine, job: Job, progress: Progress) -> Trial:
        """Run plain torch on the first items."""
        started = time.perf_counter()
        expected = plain.run(head(job.sample, CHECKED))
        seconds = (time.perf_counter() - started) / count(expected)
        return cls(job, expected, plain, seconds, progress, [])

    def agreeing(self, options: Iterable[Candidate]) -> Iterator[Engine]:
        """Build engines one by one and pass on those that agree with plain torch.

        Tells of one that can't be built, and warns of one that is off.
        """
        for option in options:
            if option.name == PLAIN:
                yield self.plain
                continue
            try:
                engine = option.build()
                off = engine_error(engine, self.job.sample, self.expected)
            except Exception as error:  # an engine may raise anything, and none may end the run
                self._miss(option, error)
                continue
            if off <= TOLERANCE[engine.precision]:
                if count(self.expected) >= CHECKED:
                    memory.agreed(self.job, option)
                yield engine
            else:
                self._mistrust(engine, off)

    def rough(self, engine: Engine, best: float) -> float:
        """About how many items a second, given the best so far, by one run of the first items."""
        if engine is self.plain and self.seconds * best > 2 * HOPELESS:  # as its first run is slow
            return 1 / self.seconds
        return 1 / _seconds(engine, head(self.job.sample, CHECKED), 1)

    def speed(self, engine: Engine, rough: float) -> float:
        """Items a second over several batches."""
        whole = count(self.job.sample) * 3 <= SECONDS * rough
        batch = self.job.sample if whole else head(self.job.sample, CHECKED)
        _seconds(engine, batch, 1)  # the first run with a batch size prepares for it
        repeats = int(SECONDS * rough / count(batch))
        return 1 / _seconds(engine, batch, min(max(repeats, 2), REPEATS))

    def _miss(self, option: Candidate, error: Exception) -> None:
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        self.faults.append(f"{option.name} can't run it ({reason})")
        self.progress.say(f"Engine {option.name} is left out: {reason.rstrip('.')}.")

    def _mistrust(self, engine: Engine, off: float) -> None:
        allowed = TOLERANCE[engine.precision]
        amount = f"by {off:.2%}" if np.isfinite(off) else "beyond measure"
        self.faults.append(f"{engine.name} is off {amount}")
        self.progress.warn(
            f"Engine {engine.name} is off {amount} from plain torch on the first batch, where "
            f"{allowed:.1%} is allowed; it is not used."
        )


def _measured(options: list[Candidate], trial: Trial, entry: str) -> Engine | None:
    """The fastest of those that agree, remembered for later runs.

    Those that are plainly slower than another in one run of a few items are not measured further.
    What gains much over plain torch in bf16 isn't built once more in fp32, and spares torch in
    bf16.
    """
    speeds: dict[str, float] = {}

    def hopeful() -> Iterator[Candidate]:
        for option in options:  # in order of hope, each asked for when the one before is measured
            kind, _, precision = option.name.partition(" ")
            gained = speeds.get(f"{kind} bf16", 0.0) * trial.seconds
            spared = max(speeds.values(), default=0.0) * trial.seconds >= DECIDED
            if option.name == PLAIN or (gained < HOPELESS if precision == "fp32" else not spared):
                yield option

    engines: dict[str, Engine] = {}
    for engine in trial.agreeing(hopeful()):
        speeds[engine.name] = trial.rough(engine, max(speeds.values(), default=0.0))
        engines[engine.name] = engine
        engines = {n: e for n, e in engines.items() if speeds[n] * HOPELESS > max(speeds.values())}
    if not engines:
        return None
    if len(engines) > 1:
        speeds |= {name: trial.speed(engine, speeds[name]) for name, engine in engines.items()}
    speeds = {name: round(speed, 2) for name, speed in speeds.items()}
    name_of_fastest = max(engines, key=lambda name: speeds[name])
    if count(trial.job.sample) >= CHECKED:  # fewer tell little of how a full batch fares
        memory.remember(entry, name_of_fastest, speeds)
    list_of_speeds = ", ".join(f"{name} {speed:.4g}" for name, speed in speeds.items())
    trial.progress.say(
        f"The frozen stages run on {name_of_fastest} (items a second: {list_of_speeds})."
    )
    return engines[name_of_fastest]


def _narrowed(wish: Wish, job: Job) -> str | None:
    """The winner where any precision may be, if it has the one that is asked for."""
    won = memory.recall(memory.place(_question(Wish(wish.engine, "auto"), job)))
    return won if won is not None and won.endswith(f" {wish.precision}") else None


def _question(wish: Wish, job: Job) -> dict[str, object]:
    """All that the winner depends on."""
    key = job.key or {}
    return {
        "machine": memory.machine(job.device),
        "network": {n: value for n, value in key.items() if n not in ("weights", "precision")},
        "inputs": layout(job.sample),
        "wish": [wish.engine, wish.precision],
    }


def _seconds(engine: Engine, batch: Any, repeats: int) -> float:
    """Seconds an item when a batch comes several times."""
    started = time.perf_counter()
    for _ in engine.stream([batch] * repeats):
        pass
    return (time.perf_counter() - started) / (count(batch) * repeats)

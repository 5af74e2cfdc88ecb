"""The fastest engine for a frozen prefix on this machine: measured once, checked in every run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from headstart.errors import HeadstartError
from headstart.features.engine import memory
from headstart.features.engine.agreement import CHECKED, TOLERANCE, engine_error
from headstart.features.engine.candidates import Candidate, Given, Wish, candidates
from headstart.features.engine.interface import Engine, count, head, layout
from headstart.features.engine.torch import TorchEngine
from headstart.runtime.progress import Progress

SECONDS: Final = 1.0  # about what measuring one engine takes
HOPELESS: Final = 1.5  # times slower than the fastest when checked: not measured any further
PLAIN: Final = "torch fp32"


def fastest(
    stages: nn.Module,
    sample: Any,
    device: torch.device,
    *,
    wanted: str = "auto",
    precision: str = "auto",
    key: Mapping[str, object] | None,
    progress: Progress,
) -> Engine:
    """The fastest engine that agrees with plain fp32 torch on the first items of `sample`.

    `sample` is the first batch of model inputs; `wanted` is auto, torch or openvino; `precision`
    is auto, fp32 or bf16. `key` is JSON-able and says all that the stages depend on, such as
    weights, architecture, boundary and preprocess. The winner is remembered for this machine and
    all of `key` but the weights; None is for stages that run this once. Stages are moved to the
    device and put into evaluation mode. Raises HeadstartError where what is wanted can't be had.
    """
    wish, given = Wish(wanted, precision), Given(stages, sample, device, key)
    options = candidates(wish, given, progress)
    plain = TorchEngine(stages, device)
    if [option.name for option in options] == [PLAIN]:
        return plain
    trial = Trial.of(plain, sample, progress)
    entry = memory.place(_question(wish, given))
    known = memory.recall(entry) or _narrowed(wish, given)
    if len(options) == 1 or known in [option.name for option in options]:
        options.sort(key=lambda option: option.name != known)  # the rest in order behind it
        chosen = next(trial.agreeing(options), None)
    else:
        chosen = _measured(options, trial, entry)
    if chosen is None and (wanted, precision) != ("auto", "auto"):
        raise HeadstartError(
            f"No engine that was asked for (engine {wanted}, precision {precision}) can run this "
            f"network rightly: {'; '.join(trial.faults)}. Give engine and precision auto."
        )
    return chosen or plain


@dataclass(frozen=True)
class Trial:
    """The first batch, and what plain torch answered to its first items."""

    sample: Any
    expected: Any
    plain: Engine
    seconds: float  # that plain torch took an item
    progress: Progress
    faults: list[str]

    @classmethod
    def of(cls, plain: Engine, sample: Any, progress: Progress) -> Trial:
        """Run plain torch on the first items."""
        started = time.perf_counter()
        expected = plain.run(head(sample, CHECKED))
        seconds = (time.perf_counter() - started) / count(expected)
        return cls(sample, expected, plain, seconds, progress, [])

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
                off = engine_error(engine, self.sample, self.expected)
            except Exception as error:  # an engine may raise anything, and none may end the run
                self._miss(option, error)
                continue
            if off <= TOLERANCE[engine.precision]:
                yield engine
            else:
                self._mistrust(engine, off)

    def speed(self, engine: Engine, best: float) -> float:
        """Items a second, given the best so far; roughly where it has no hope to win."""
        few = head(self.sample, CHECKED)
        rough = self.seconds if engine is self.plain else _seconds(engine, few, 1)
        if rough * best > HOPELESS:
            return 1 / rough
        batch = self.sample if rough * count(self.sample) * 3 <= SECONDS else few
        _seconds(engine, batch, 1)  # the first run with a batch size prepares for it
        repeats = int(SECONDS / (rough * count(batch)))
        return 1 / _seconds(engine, batch, min(max(repeats, 2), 8))

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

    Where an engine gains much over plain torch in bf16, it isn't built once more in fp32.
    """
    speeds: dict[str, float] = {}
    chosen, best = None, 0.0

    def hopeful() -> Iterator[Candidate]:
        for option in options:  # in order of hope, each asked for when the one before is measured
            kind, _, precision = option.name.partition(" ")
            gained = speeds.get(f"{kind} bf16", 0.0) * trial.seconds
            if precision == "bf16" or option.name == PLAIN or gained < HOPELESS:
                yield option

    for engine in trial.agreeing(hopeful()):
        speed = trial.speed(engine, best)
        speeds[engine.name] = round(speed, 2)
        if speed > best:
            chosen, best = engine, speed
    if chosen is None:
        return None
    if count(trial.sample) >= CHECKED:  # fewer tell little of how a full batch fares
        memory.remember(entry, chosen.name, speeds)
    told = ", ".join(f"{name} {speed:.4g}" for name, speed in speeds.items())
    trial.progress.say(f"The frozen stages run on {chosen.name} (items a second: {told}).")
    return chosen


def _narrowed(wish: Wish, given: Given) -> str | None:
    """The winner where any precision may be, if it has the one that is asked for."""
    won = memory.recall(memory.place(_question(Wish(wish.engine, "auto"), given)))
    return won if won is not None and won.endswith(f" {wish.precision}") else None


def _question(wish: Wish, given: Given) -> dict[str, object]:
    """All that the winner depends on."""
    key = given.key or {}
    return {
        "machine": memory.machine(given.device),
        "network": {n: value for n, value in key.items() if n not in ("weights", "precision")},
        "inputs": layout(given.sample),
        "wish": [wish.engine, wish.precision],
    }


def _seconds(engine: Engine, batch: Any, repeats: int) -> float:
    """Seconds an item when a batch comes several times."""
    started = time.perf_counter()
    for _ in engine.stream([batch] * repeats):
        pass
    return (time.perf_counter() - started) / (count(batch) * repeats)

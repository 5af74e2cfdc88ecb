"""What a strategy says of itself: documentation, freezing, rates, epochs, options."""

from __future__ import annotations

import inspect
from itertools import pairwise
from math import isfinite
from typing import Any, Final

from headstart import catalog
from headstart.contracts import Strategy
from headstart.contracts.references import build
from headstart.errors import HeadstartError
from headstart.features.legality import cacheable_stages
from headstart.testing import tiny
from headstart.testing.demands import demand, refused

_SECTIONS: Final = ("Reference", "Relations", "Use when")


def says_when_to_use_it(strategy: Strategy) -> None:
    """The docstring has its three sections."""
    text = inspect.getdoc(type(strategy)) or ""
    missing = [word for word in _SECTIONS if f"\n{word}: " not in text]
    demand(not missing, f"lacks {', '.join(missing)} in its docstring. Add the lines.")


def defines_no_earlier_hook(strategy: Strategy) -> None:
    """No method has a name under which it would not be called."""
    catalog.demand_hooks_of_today(type(strategy), type(strategy).__name__)


def says_how_many_stages_are_frozen(strategy: Strategy) -> None:
    """Between none and all; activations are stored up to the least frozen stage."""
    for stages in (1, 2, 3, 5, 8, 30):
        for epochs in (1, 2, 5, 12):
            frozen = [strategy.frozen_stages(epoch, stages) for epoch in range(epochs)]
            demand(
                all(0 <= count <= stages for count in frozen),
                f"calls {max(frozen, key=abs)} of {stages} stages frozen. "
                "Answer between 0 and the number of stages.",
            )
            legal = cacheable_stages(strategy, epochs, stages, augmented=False)
            demand(
                legal == min(frozen),
                f"has {legal} stages stored where {min(frozen)} are frozen throughout. "
                "Answer alike each time frozen_stages is asked.",
            )


def learning_rates_rise_towards_the_head(strategy: Strategy) -> None:
    """Multipliers are positive, never larger away from the head, and 1 in the head."""
    for stages in (1, 2, 5, 30):
        *rates, of_head = [strategy.lr_scale(stage, stages) for stage in range(stages + 1)]
        demand(
            of_head == 1.0,
            f"multiplies the head's learning rate by {of_head}. "
            "Answer 1.0 where stage equals stages.",
        )
        demand(
            rates[0] > 0 and all(map(isfinite, rates)) and all(a <= b for a, b in pairwise(rates)),
            f"gives the stages the learning rates {rates}. "
            "Let lr_scale answer positive numbers that don't fall towards the head.",
        )


def trains_at_most_the_default_epochs(strategy: Strategy) -> None:
    """Epochs are a whole number from 0 to the policy's."""
    for default in (1, 2, 7, 100):
        epochs = strategy.epochs(default)
        demand(
            epochs in range(default + 1),
            f"trains {epochs} epochs where the policy has {default}. "
            "Answer a whole number from 0 to that.",
        )


def options_reach_the_constructor(strategy: Strategy) -> None:
    """Options in a name have the type of their defaults; other types are refused by name."""
    kind = type(strategy)
    for option in inspect.signature(kind).parameters.values():
        value = _other_value(option.default)
        attribute = vars(_build(kind, {option.name: str(value).lower()})).get(option.name)
        demand(
            (attribute, type(attribute)) == (value, type(option.default)),
            f"takes {option.name}={value} for {attribute!r}. "
            "Give the setting a default of its type, and store it as it is.",
        )
        with refused(f"{option.name}='a pear'", HeadstartError, option.name):
            tiny.ask(_build(kind, {option.name: "a pear"}))
    options = ", ".join(inspect.signature(kind).parameters) or "none"
    with refused("an option that it lacks", HeadstartError, "'pear'", options):
        _build(kind, {"pear": "1"})


def _build(kind: type[Strategy], options: dict[str, str]) -> Strategy:
    return build(kind, options, f"strategy {kind.__name__}")


def _other_value(default: Any) -> Any:
    if isinstance(default, bool):
        return not default
    return default / 2 if isinstance(default, float) else default

"""What the training loop relies on in any strategy, whatever its mechanism."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from headstart.contracts import Strategy
from headstart.testing.strategies import answers, training

CONTRACT: Final = Strategy
CHECKS: Final[tuple[Callable[[Strategy], None], ...]] = (
    answers.says_when_to_use_it,
    answers.defines_no_earlier_hook,
    answers.says_how_many_stages_are_frozen,
    answers.learning_rates_rise_towards_the_head,
    answers.trains_at_most_the_default_epochs,
    answers.options_reach_the_constructor,
    training.frozen_stages_are_in_eval_mode,
    training.frozen_stages_stay_and_others_move,
    training.training_lowers_the_loss,
    training.two_runs_are_equal,
    training.a_killed_run_goes_on,
    training.leaves_a_plain_network,
    training.leaves_no_trace_on_the_backbone,
)


def subject(strategy: Strategy, example: Any) -> Strategy:
    """What the checks take."""
    return strategy

"""What the training loop relies on in any strategy, whatever its mechanism."""

from __future__ import annotations

from typing import Any, Final

from headstart.contracts import Strategy
from headstart.testing.demands import checks_in
from headstart.testing.strategies import answers, training

CONTRACT: Final = Strategy
CHECKS: Final = checks_in(answers.__name__, training.__name__)


def subject(strategy: Strategy, example: Any) -> Strategy:
    """What the checks take."""
    return strategy

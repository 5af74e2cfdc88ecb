"""What the flow relies on in any place where independent work runs."""

from __future__ import annotations

from contextlib import closing
from itertools import count
from typing import Any, Final

from headstart.contracts.executor import Each, Executor
from headstart.errors import DataError
from headstart.testing.demands import checks_in, demand

CONTRACT: Final = Executor
_MOST = 1000  # pieces that may be asked for ahead of one outcome
_REFUSAL = "7 can't be. Give another."


def subject(executor: Executor, example: Any) -> Executor:
    """What the checks take. Raises HeadstartError where it can't run here."""
    executor.start()
    return executor


def _square(number: int) -> int:
    return number * number


def _refusing(number: int) -> int:
    if number == 7:
        raise DataError(_REFUSAL)
    return number


def keeps_the_order(executor: Executor) -> None:
    """Each piece has its outcome, in the order of the pieces, in one work after another."""
    for pieces in (range(40), range(0), range(5, 8)):
        outcomes = list(executor.run(Each(_square), pieces))
        demand(outcomes == [n * n for n in pieces], "mixes up the order of outcomes. Keep it.")


def asks_for_pieces_as_it_goes(executor: Executor) -> None:
    """Pieces without end are asked for a few ahead of the outcomes."""
    pieces = count()
    with closing(executor.run(Each(_square), pieces)) as outcomes:
        next(outcomes)
    demand(next(pieces) < _MOST, "asks for all pieces at once. Ask for a few ahead.")


def passes_refusals_on(executor: Executor) -> None:
    """What the work refuses reaches whoever waits, in the same kind of error and words."""
    try:
        list(executor.run(Each(_refusing), range(20)))
    except DataError as error:
        demand(str(error) == _REFUSAL, f"says {error} for {_REFUSAL!r}. Keep the words.")
    else:
        demand(False, "swallows what the work refuses. Raise it.")


CHECKS: Final = checks_in(__name__)

"""Which head a run fits: as its strategy names it, `feature-extraction?head=knn`."""

from __future__ import annotations

from headstart import catalog
from headstart.contracts import Strategy
from headstart.contracts.references import parse_named
from headstart.defaults import Settings
from headstart.errors import HeadstartError, UnknownNameError

FEATURES, LOGISTIC = "feature-extraction", "logistic"
_PLAIN = ("probe", "trained", LOGISTIC)  # heads that the strategy knows itself


def headed(strategy: str | None, settings: Settings) -> str | None:
    """The strategy, where the settings name another head the one that fits that.

    Raises HeadstartError where the strategy would train, or names a head itself.
    """
    head = settings.head
    if head == LOGISTIC:
        return strategy
    wanted = f"{FEATURES}?head={head}"
    if strategy not in (None, FEATURES, wanted):
        raise HeadstartError(
            f"The head {head} is fitted on frozen features, which {strategy} doesn't end with. "
            f"Leave out the strategy, or the head."
        )
    return wanted


def head_of(strategy: str) -> str | None:
    """The name of the head that a strategy fits; None where it is a linear one that may train."""
    name, options = parse_named(strategy)
    head = options.get("head", _PLAIN[0])
    return head if name == FEATURES and head not in _PLAIN else None


def demand_head(strategy: str) -> None:
    """Raise HeadstartError where the head that a strategy fits is not known, or can't be fitted."""
    head = head_of(strategy)
    if head is not None:
        known = catalog.names("heads")
        if head not in known:
            raise UnknownNameError("head", head, {*known, *_PLAIN})
        catalog.head(head).demand()


def moves(strategy: str) -> Strategy:
    """What a strategy does to the weights: whatever the head, features are extracted alike."""
    return catalog.strategy(FEATURES if head_of(strategy) else strategy)

"""What checks of all kinds share: the part to be checked, and the sentence where it fails."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headstart import catalog
from headstart.errors import ContractError


def demand(holds: object, part: object, fault: str, remedy: str) -> None:
    """Raise ContractError, `<part> <fault>. <remedy>.`, unless something holds."""
    if not holds:
        raise ContractError(f"{type(part).__name__} {fault}. {remedy}.")


@contextmanager
def refused(part: object, what: str, kind: type[Exception], *words: str) -> Iterator[None]:
    """Raise ContractError unless the block raises an error of this kind that holds these words."""
    try:
        yield
    except kind as error:
        missing = [word for word in words if word not in str(error)]
        demand(not missing, part, f"refuses {what} without naming {missing}", "Name it")
        return
    demand(False, part, f"accepts {what}", f"Raise {kind.__name__}, naming it")


def instance(kind: str, part: Any, contract: type) -> Any:
    """The part itself: by name from the catalog, from its class by its defaults, or as it is."""
    if isinstance(part, str):
        part = catalog.part(kind, part)
    if inspect.isclass(part):
        _demand_defaults(part)
        part = part()
    demand(
        isinstance(part, contract),
        part,
        f"is no {contract.__name__}",
        f"Subclass headstart.contracts.{contract.__name__}",
    )
    return part


def is_documented(part: object) -> None:
    """Its class has a docstring."""
    own = type(part).__doc__
    demand(own and own.strip(), part, "has no docstring", "Say in a line what it is")


def constructor_only_stores(part: object) -> None:
    """Settings have defaults; the constructor keeps each under its own name and adds nothing."""
    kind = type(part)
    _demand_defaults(kind)
    values = {name: object() for name in inspect.signature(kind).parameters}
    try:
        stored = vars(kind(**values))
    except Exception as error:
        raise ContractError(
            f"{kind.__name__}'s constructor works on its settings ({error}). "
            "Only store them there; check them where they are used."
        ) from error
    astray = sorted(name for name in values if stored.get(name) is not values[name])
    more = sorted(stored.keys() - values.keys())
    demand(not astray, part, f"does not store {', '.join(astray)}", "Store each under its own name")
    demand(not more, part, f"stores {', '.join(more)} too", "Store the settings and nothing else")


def _demand_defaults(kind: type) -> None:
    parameters = inspect.signature(kind).parameters
    bare = [name for name, each in parameters.items() if each.default is inspect.Parameter.empty]
    if bare:
        raise ContractError(
            f"{kind.__name__} has settings without a default: {', '.join(bare)}. Give them one."
        )

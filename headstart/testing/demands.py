"""What checks of all kinds share: the part to be checked, and the sentence where it fails."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from headstart import catalog
from headstart.errors import ContractError


class Fault(ContractError):
    """What is wrong with the part that is checked, `<fault>. <remedy>.`, still without its name."""


def demand(holds: object, sentence: str) -> None:
    """Raise Fault unless something holds."""
    if not holds:
        raise Fault(sentence)


def demand_shape(what: str, values: Any, shape: tuple[int, ...]) -> None:
    """Raise Fault unless an array or tensor has this shape."""
    demand(
        tuple(values.shape) == shape,
        f"has {what} of the shape {tuple(values.shape)}. Give {shape}.",
    )


@contextmanager
def refused(what: str, kind: type[Exception], *words: str) -> Iterator[None]:
    """Raise Fault unless the block raises an error of this kind that holds these words."""
    try:
        yield
    except kind as error:
        missing = [word for word in words if word not in str(error)]
        demand(not missing, f"refuses {what} without naming {missing}. Name it.")
        return
    demand(False, f"accepts {what}. Raise {kind.__name__}, naming it.")


def is_json(value: Any, exactly: bool = True) -> bool:
    """Whether a value can be written as JSON, and is `exactly` the same once it is read."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value) or not exactly
    except (TypeError, ValueError):
        return False


def instance(kind: str, part: Any, contract: type) -> Any:
    """The part itself: by name from the catalog, from its class by its defaults, or as it is."""
    if isinstance(part, str):
        part = catalog.part(kind, part)
    if inspect.isclass(part):
        _demand_defaults(part)
        part = part()
    if not isinstance(part, contract):
        raise ContractError(
            f"{type(part).__name__} is no {contract.__name__}. "
            f"Subclass headstart.contracts.{contract.__name__}."
        )
    return part


def is_documented(part: object) -> None:
    """Its class has a docstring."""
    own = type(part).__doc__
    demand(own and own.strip(), "has no docstring. Say in a line what it is.")


def constructor_only_stores(part: object) -> None:
    """Settings have defaults; the constructor keeps each under its own name and adds nothing."""
    kind = type(part)
    _demand_defaults(kind)
    values = {name: object() for name in inspect.signature(kind).parameters}
    try:
        attributes = vars(kind(**values))
    except Exception as error:
        raise ContractError(
            f"{kind.__name__}'s constructor works on its settings ({error}). "
            "Only store them there; check them where they are used."
        ) from error
    astray = sorted(name for name in values if attributes.get(name) is not values[name])
    more = sorted(attributes.keys() - values.keys())
    demand(not astray, f"does not store {', '.join(astray)}. Store each under its own name.")
    demand(not more, f"stores {', '.join(more)} too. Store the settings and nothing else.")


def checks_in(*modules: str) -> tuple[Callable[[Any], None], ...]:
    """The checks in modules, in order: public functions that take a subject and answer nothing."""
    functions = [each for name in modules for each in vars(sys.modules[name]).values()]
    return tuple(
        each
        for each in functions
        if inspect.isfunction(each)
        and each.__module__ in modules
        and not each.__name__.startswith("_")
        and each.__annotations__.get("return") == "None"
        and len(inspect.signature(each).parameters) == 1
    )


OF_ANY_PART: Final[tuple[Callable[[object], None], ...]] = (is_documented, constructor_only_stores)


def _demand_defaults(kind: type) -> None:
    parameters = inspect.signature(kind).parameters
    bare = [name for name, each in parameters.items() if each.default is inspect.Parameter.empty]
    if bare:
        raise ContractError(
            f"{kind.__name__} has settings without a default: {', '.join(bare)}. Give them one."
        )

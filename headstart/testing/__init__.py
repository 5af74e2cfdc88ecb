"""For authors of parts: what the flow relies on in any hub, task, strategy …, as checks.

from headstart.testing import check_part

def test_my_strategy() -> None:
    check_part("strategies", MyStrategy())
"""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from typing import Any, Final

from headstart.errors import ContractError, UnknownNameError
from headstart.testing.demands import OF_ANY_PART, Fault, instance

__all__ = ["CHECKED", "check_part"]

# Kinds of part -> the module that checks them: of a part, which is a `CONTRACT`, and an example
# `subject` makes what each of its `CHECKS` takes.
CHECKED: Final = {
    "adaptations": "headstart.testing.adaptations",
    "executors": "headstart.testing.executors",
    "heads": "headstart.testing.heads",
    "hubs": "headstart.testing.hubs",
    "metrics": "headstart.testing.metrics",
    "modalities": "headstart.testing.modalities",
    "strategies": "headstart.testing.strategies",
    "targets": "headstart.testing.targets",
    "tasks": "headstart.testing.tasks",
}


def check_part(kind: str, part: Any, *, example: Any = None) -> tuple[str, ...]:
    """Check that a part keeps its contract; answer with the names of the checks.

    `kind` is that of the catalog, such as "strategies". `part` is an object, its class, or its
    name in the catalog; hubs need a name there, as their references do. `example` is, of a hub,
    the reference of a small backbone; of a modality, the bytes of an item; of a task with a kind of
    target of its own, targets of three items (3, ...) that differ, and the names of its outputs.

    Raises ContractError, saying what is wrong, and UnknownNameError for a kind or name not known.
    """
    if kind not in CHECKED:
        raise UnknownNameError("kind of part", kind, CHECKED)
    module = import_module(CHECKED[kind])
    part = instance(kind, part, module.CONTRACT)
    name = type(part).__name__
    try:
        subject = module.subject(part, example)
        for check, own in [(c, part) for c in OF_ANY_PART] + [(c, subject) for c in module.CHECKS]:
            try:
                check(deepcopy(own))
            except ContractError:
                raise
            except Exception as error:
                raise ContractError(
                    f"{name} can't pass {check.__name__}: it raises {type(error).__name__} "
                    f"({error}). Mend what that check calls."
                ) from error
    except Fault as fault:
        raise ContractError(f"{name} {fault}") from None
    return tuple(check.__name__ for check in (*OF_ANY_PART, *module.CHECKS))

"""Modules that libraries import for what is seldom used, imported once it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, final


@contextmanager
def lazily(modules: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Let stand-ins of modules be imported meanwhile, which import these once they are used.

    `modules` are the names of modules, each with those of its functions and classes which are only
    called. Whatever else is asked of a stand-in imports its module. Modules that are there stay.
    """
    stand_ins = {
        name: _StandIn(name, called) for name, called in modules.items() if name not in sys.modules
    }
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for stand_in in stand_ins.values():
            stand_in.leave()


@final
class _StandIn(ModuleType):
    """Asks the module itself, once something of it is used."""

    def __init__(self, name: str, called: Sequence[str]) -> None:
        super().__init__(name)
        vars(self).update({each: partial(self._call, each) for each in called})

    def leave(self) -> None:
        """Make room for the module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def _call(self, called: str, *args: Any, **keywords: Any) -> Any:
        return self._of_module(called)(*args, **keywords)

    def _of_module(self, name: str) -> Any:
        self.leave()
        return getattr(import_module(self.__name__), name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._of_module(name)

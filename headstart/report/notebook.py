"""What prints as text, shown in a notebook as that text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from html import escape

_LONGEST = 100  # signs of the line that stands for an object


class Printed(ABC):
    """An answer that a notebook shows as `print` does; all of it is escaped.

    In a list, or where a debugger shows it, its first line stands for it.
    """

    @abstractmethod
    def __str__(self) -> str: ...

    def __repr__(self) -> str:
        first = str(self).strip().partition("\n")[0].strip()
        line = first if len(first) <= _LONGEST else f"{first[:_LONGEST]}…"
        return f"<{type(self).__name__}: {line}>"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

"""What prints as text, shown in a notebook as that text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from html import escape


class Printed(ABC):
    """An answer that a notebook shows as `print` does; all of it is escaped."""

    @abstractmethod
    def __str__(self) -> str: ...

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

"""What goes wrong with a picture file, in one sentence, and what decoders warn of, muted."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast, final

from PIL import Image as pil
from PIL import UnidentifiedImageError

from headstart.errors import DataError, reason
from headstart.runtime import pixels
from headstart.runtime.installed import installation

_DECODERS = r"(PIL|pillow_heif|pydicom|nibabel)\."


def demand_few(width: int, height: int) -> None:
    """Raise DataError where a header claims more pixels than are decoded."""
    if width * height > pixels.most():
        raise _too_many(pixels.most())


def _too_many(most: int) -> DataError:
    limit = f"{most // 10**6} million" if most >= 10**6 else str(most)
    return DataError(f"it has more than {limit} pixels")


def missing(kind: str, library: str, extra: str) -> DataError:
    """The error for a kind of file whose optional library is not installed."""
    return DataError(
        f"it is {kind}, which takes {library}, and that is not installed; "
        f"run: {installation(extra)}"
    )


@contextmanager
def telling() -> Iterator[None]:
    """What goes wrong with a file becomes a DataError that says so; decoders warn of nothing."""
    with _muted():
        try:
            yield
        except UnidentifiedImageError:
            raise DataError("it can't be decoded: its header is damaged") from None
        except pil.DecompressionBombError:
            raise _too_many(pixels.USUAL) from None
        except DataError:
            raise
        except Exception as error:  # decoders raise nearly anything on damaged input
            raise DataError(f"it can't be decoded: {reason(error)}") from error


@final
class _Muting:
    """How many threads decode, and the filter in force meanwhile.

    warnings.catch_warnings isn't safe with threads: it restores what others have changed since.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.entry: Any = None


_MUTING = _Muting()


@contextmanager
def _muted() -> Iterator[None]:
    """Drop the decoders' warnings: what they tell, the check tells."""
    with _MUTING.lock:
        _MUTING.inside += 1
        if _MUTING.inside == 1:
            warnings.filterwarnings("ignore", module=_DECODERS)
            _MUTING.entry = warnings.filters[0]
    try:
        yield
    finally:
        with _MUTING.lock:
            _MUTING.inside -= 1
            filters = cast(list[Any], warnings.filters)
            if not _MUTING.inside and _MUTING.entry in filters:
                filters.remove(_MUTING.entry)

"""What a session's folder says beside its tables."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, final

from headstart.errors import HeadstartError
from headstart.features.cache import write_whole

_NOTES: Final = "session.json"


@final
@dataclass(frozen=True)
class Notes:
    """What a session's folder says beside its tables.

    `modality` is empty before it is known; `taken` are the data sets that were taken in, `kept`
    the examples whose class is right though it looked wrong.
    """

    modality: str = ""
    source: str = ""
    classes: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Notes:
        """Those of a folder, none where it has none. Raises HeadstartError for damaged ones."""
        place = folder / _NOTES
        try:
            stated = json.loads(place.read_text(encoding="utf-8"))
            lists = {name: tuple(map(str, stated[name])) for name in ("classes", "taken", "kept")}
            return cls(str(stated["modality"]), str(stated["source"]), **lists)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise HeadstartError(
                f"{place} can't be read ({error}). Correct it, or name another folder with --out."
            ) from None

    def write(self, folder: Path) -> None:
        """Write them whole, or not at all. Raises OSError."""
        write_whole(folder / _NOTES, json.dumps(asdict(self), indent=1, ensure_ascii=False))

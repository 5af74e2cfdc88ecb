"""What the standard library raises of archives that are damaged, encrypted, or of a rare kind."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from typing import Final

DAMAGE: Final = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError),
)

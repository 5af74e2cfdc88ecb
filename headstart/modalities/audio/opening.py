"""Sound files as samples: one channel, at a rate, whatever format they come in."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from headstart.errors import DataError, HeadstartError, reason
from headstart.runtime.installed import installation

SUFFIXES: Final = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd"}
    | {".w64", ".rf64", ".caf"}
    | {".m4a", ".m4b", ".aac", ".wma", ".amr"}  # which are refused, one by one
)
RESAMPLER: Final = "soxr-hq"  # as `loading.sounds.options` calls it
BLOCK: Final = 1 << 18  # frames that are read at once
_MOST_CHANNELS: Final = 64
_BEGINNINGS: Final = (b"fLaC", b"OggS", b"ID3", b".snd", b"caff", b"riff", b"RF64")
_UNREAD: Final = {  # how sounds begin that libsndfile doesn't read
    "AAC in MPEG-4": re.compile(rb"....ftyp(M4|mp4|iso|dash|3gp|qt)", re.DOTALL),
    "AAC": re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"),
    "Windows Media": re.compile(rb"\x30\x26\xb2\x75"),
    "AMR": re.compile(rb"#!AMR"),
}
_FRAMES: Final = {0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2}  # second bytes of an MPEG frame of layer 3


def is_sound(head: bytes) -> bool:
    """Whether a file of any name begins as a sound does."""
    wave = head[:4] == b"RIFF" and head[8:12] == b"WAVE"
    aiff = head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")
    layer = len(head) > 2 and head[0] == 0xFF and head[1] in _FRAMES and head[2] not in (0, 0xFF)
    return wave or aiff or layer or head.startswith(_BEGINNINGS)


@contextmanager
def opened(raw: bytes) -> Iterator[Any]:
    """A `soundfile.SoundFile` of some bytes. Raises DataError for what is no sound."""
    if not raw:
        raise DataError("it is empty")
    if not is_sound(raw[:16]) and find_spec("soundfile") is None:
        raise DataError(_no_sound(raw))
    library = soundfile()
    try:
        with library.SoundFile(io.BytesIO(raw)) as file:
            if not 0 < file.channels <= _MOST_CHANNELS or file.samplerate < 1:
                raise DataError(f"it says that it has {file.channels} channels")
            yield file
    except (library.LibsndfileError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        why = reason(getattr(error, "error_string", error))
        if not is_sound(raw[:16]):
            raise DataError(_no_sound(raw)) from error
        raise DataError(f"it can't be read as sound ({why})") from error


def _no_sound(raw: bytes) -> str:
    """What a file is that can't be read as a sound."""
    kind = next((name for name, head in _UNREAD.items() if head.match(raw[:16])), "")
    if kind:
        return f"it is {kind}, which is not read (`ffmpeg -i FILE NEW.flac` makes FLAC of it)"
    return "it is no sound file that can be read"


def blocks(file: Any, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
    """The frames of an opened file as one channel, (n,) float32, a bounded number at a time."""
    file.seek(start)
    remaining = math.inf if stop is None else stop - start
    while remaining > 0:
        frames = file.read(int(min(BLOCK, remaining)), dtype="float32", always_2d=True)
        if not len(frames):
            return
        remaining -= len(frames)
        yield frames.mean(axis=1) if frames.shape[1] > 1 else frames[:, 0]


def span(file: Any, start: int = 0, stop: int | None = None) -> np.ndarray:
    """The frames from one to another as one channel, (n,) float32; what isn't finite is 0."""
    parts = list(blocks(file, max(0, start), stop))
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return np.nan_to_num(samples, copy=False, posinf=0.0, neginf=0.0)


def resampled(samples: np.ndarray, before: int, after: int) -> np.ndarray:
    """The samples at another rate, by SoX's resampler at its high quality."""
    if before == after or not len(samples):
        return samples
    try:
        import soxr
    except ImportError as error:
        raise _missing("soxr", error) from error
    return np.asarray(soxr.resample(samples, before, after, quality="HQ"), dtype=np.float32)


def soundfile() -> Any:
    """The library that reads files. Raises HeadstartError where it can't be imported."""
    try:
        import soundfile as library
    except (ImportError, OSError) as error:
        raise _missing("soundfile", error) from error
    return library


def _missing(name: str, error: Exception) -> HeadstartError:
    return HeadstartError(
        f"Sounds need {name}, which can't be imported ({error}). Run {installation('audio')}."
    )

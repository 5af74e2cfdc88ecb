"""What is said of a sound before any network hears it, and what people are shown of it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from headstart.contracts import Check
from headstart.errors import DataError
from headstart.loading.sounds.mel import MelRecipe, log_mel, picture_of
from headstart.modalities.audio.opening import BLOCK, blocks, opened, resampled, soundfile, span

PLAIN: Final = MelRecipe()
SECONDS: Final = 60.0  # of a sound that statistics and pictures are made of
PLAYED: Final = 6.0  # of a sound that a page plays
_SILENT, _CLIPPED = 1e-4, 0.999  # of the full scale: -80 dB; its end
_RUN: Final = 3  # samples in a row at the end of the scale are clipping
_SHARE: Final = 1e-3  # of the samples, from which clipping is said
_LENGTHS: Final = ((0.1, "under 0.1 s"), (1.0, "0.1 to 1 s"), (10.0, "1 to 10 s"))
_LENGTHS_ABOVE: Final = ((60.0, "10 to 60 s"), (600.0, "1 to 10 min"))
_CELLS: Final = 16  # bands, and times, of a sketch
_CLEAR: Final = (0.1, 128)  # nepers that cells must differ by, and cells that must, to be a sketch
_MIXED: Final = (64, 192)  # bits that are set: others are of sounds that only rise or fall


@dataclass
class _Facts:
    """What the samples of one file say, gathered block by block."""

    count: int = 0
    peak: float = 0.0
    ends: int = 0
    odd: bool = False  # some are no finite numbers

    def add(self, samples: np.ndarray) -> None:
        finite = np.isfinite(samples)
        self.odd |= not finite.all()
        size = np.abs(np.where(finite, samples, 0))
        self.count += len(size)
        self.peak = max(self.peak, float(size.max(initial=0)))
        full = size >= _CLIPPED
        if full.any():
            runs = np.lib.stride_tricks.sliding_window_view(np.pad(full, (_RUN - 1, 0)), _RUN)
            self.ends += int(runs.all(axis=1).sum())


def checked(raw: bytes) -> Check:
    """Read a file wholly, in bounded memory: why it can't be used, else what is peculiar."""
    facts, content = _Facts(), hashlib.blake2b(digest_size=16)
    with opened(raw) as file:
        rate, channels, stated = file.samplerate, file.channels, file.frames
        for samples in blocks(file):
            facts.add(samples)
            content.update(_levels(samples))
        beginning = span(file, 0, int(min(facts.count, SECONDS * rate))) if facts.count else None
    if beginning is None:
        return Check(problem="it holds no samples")
    if facts.odd:
        return Check(problem="it holds samples that are no finite numbers")
    stated += _lacks(raw)
    notes = [*_peculiar(facts, rate, channels, stated), *_described(facts.count, rate)]
    identity = hashlib.blake2b(content.digest() + str(rate).encode(), digest_size=16)
    return Check(None, tuple(notes), identity.hexdigest(), _sketch(beginning, rate, facts))


def _levels(samples: np.ndarray) -> bytes:
    """Samples as whole numbers of 16 bits: alike in all formats without loss."""
    levels = np.round(np.nan_to_num(samples) * 32768)
    content: bytes = np.clip(levels, -32768, 32767).astype("<i2").tobytes()
    return content


def _lacks(raw: bytes) -> bool:
    """Whether a WAV file is shorter than it states, which libsndfile passes over.

    A stream states none, 0 or the largest number; some count the 8 bytes before it twice.
    """
    stated = int.from_bytes(raw[4:8], "little") if raw[:4] == b"RIFF" else 0
    return len(raw) < stated < 0x7FFFF000


def _peculiar(facts: _Facts, rate: int, channels: int, stated: int) -> Iterator[str]:
    if facts.peak < _SILENT:
        yield "silent"
    if facts.ends > max(_SHARE * facts.count, _RUN):
        yield "clipped"
    if channels > 1:
        yield "stereo, heard as one channel" if channels == 2 else "of several channels"
    if facts.count < stated:
        yield "cut off before its end"


def _described(count: int, rate: int) -> Iterator[str]:
    yield f"at {rate} Hz"
    seconds = count / rate
    bounds = (*_LENGTHS, *_LENGTHS_ABOVE)
    yield next((words for end, words in bounds if seconds < end), "longer than 10 min")


def _sketch(samples: np.ndarray, rate: int, facts: _Facts) -> str:
    """256 bits of a sound: in which of 16 bands it grows louder from each of 17 times to the next.

    After Haitsma and Kalker 2002. Gain and lossy formats change few of them; empty where many
    cells are about as loud as the next, so that chance would decide, and where nearly all rise or
    fall, as those of many sounds do.
    """
    if facts.peak < _SILENT or facts.count < rate / 50:
        return ""
    sound = resampled(samples, rate, PLAIN.rate) / facts.peak
    bands = log_mel(sound, PLAIN)
    if len(bands) <= _CELLS:
        return ""
    times = [part.mean(axis=0) for part in np.array_split(bands, _CELLS + 1)]
    cells = np.stack(times).reshape(_CELLS + 1, _CELLS, -1).mean(axis=2)
    steps = np.diff(cells, axis=0)
    least, clear = _CLEAR
    low, high = _MIXED
    if (np.abs(steps) > least).sum() < clear or not low <= (steps > 0).sum() <= high:
        return ""
    return np.packbits(steps > 0).tobytes().hex()


def statistics(raw: bytes) -> dict[str, np.ndarray]:
    """Means and deviations of 64 log-mel bands over the first minute, (128,)."""
    bands = _bands(raw)
    return {"log-mel": np.concatenate([bands.mean(axis=0), bands.std(axis=0)])}


def spectrogram(raw: bytes, side: int) -> np.ndarray:
    """The sound's log-mel bands, low ones below, (H, W, 3) uint8, at most `side` pixels long."""
    picture = Image.fromarray(picture_of(_bands(raw)))
    width = min(side, max(side // 2, picture.width))
    return np.asarray(picture.resize((width, max(1, side // 2))))


def _bands(raw: bytes) -> np.ndarray:
    """The log-mel bands of the first minute, (T, 64)."""
    with opened(raw) as file:
        rate = file.samplerate
        samples = span(file, 0, int(SECONDS * rate))
    return log_mel(resampled(samples, rate, PLAIN.rate), PLAIN)


def playable(raw: bytes) -> bytes:
    """The first seconds as a small MP3 of one channel at 16 kHz, at its own loudness.

    Raises DataError where it can't be made.
    """
    library = soundfile()
    with opened(raw) as file:
        rate = file.samplerate
        samples = resampled(span(file, 0, int(PLAYED * rate)), rate, PLAIN.rate)
    buffer = io.BytesIO()
    try:
        library.write(buffer, samples, PLAIN.rate, format="MP3", subtype="MPEG_LAYER_III")
    except (library.LibsndfileError, RuntimeError, ValueError, TypeError) as error:
        raise DataError(f"it can't be written as MP3 ({error})") from error
    return buffer.getvalue()


def cut(raw: bytes, start: float | None, end: float | None) -> bytes:
    """From `start` to `end` seconds as a file of float32, in its own channels and rate.

    It is AU, as libsndfile writes the time of day into WAV.

    Raises DataError where nothing lies between them.
    """
    library = soundfile()
    with opened(raw) as file:
        rate, whole = file.samplerate, file.frames
        first = 0 if start is None else round(start * rate)
        last = whole if end is None else min(whole, round(end * rate))
        if not 0 <= first < last:
            raise DataError(
                f"it has no sound from {start or 0:g} s to "
                f"{'its end' if end is None else f'{end:g} s'}, as it is {whole / rate:g} s long"
            )
        file.seek(first)
        buffer = io.BytesIO()
        with library.SoundFile(
            buffer, "w", rate, file.channels, subtype="FLOAT", format="AU"
        ) as out:
            remaining = last - first
            while remaining > 0:
                frames = file.read(min(BLOCK, remaining), dtype="float32", always_2d=True)
                if not len(frames):
                    break
                out.write(frames)
                remaining -= len(frames)
    return buffer.getvalue()

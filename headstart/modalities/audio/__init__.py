"""Sounds: checked, brought to one channel and a backbone's rate, and cut into its windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import numpy as np

from headstart.contracts import Check, Modality, Preprocess
from headstart.errors import DataError
from headstart.modalities.audio import looking, speech
from headstart.modalities.audio.opening import (
    RESAMPLER,
    SUFFIXES,
    is_sound,
    opened,
    resampled,
    span,
)

if TYPE_CHECKING:
    from torch import Tensor

HEARD: Final = 60.0  # seconds of windows that are heard of a longer sound
_MARGIN: Final = 0.02  # seconds around a window that is resampled by itself
_RATES: Final = (1_000, 384_000)
_LONGEST: Final = 1 << 24  # samples of a window
_MOVED: Final = 0.5  # seconds, of which speech is moved by a tenth
_SHIFT, _GAIN, _NOISE = 0.1, 6.0, (15.0, 40.0)  # of a window; dB; dB below the sound


@final
class Audio(Modality):
    """Sounds in the formats that libsndfile reads: WAV, FLAC, Ogg, MP3, AIFF and others.

    The preprocessing is a mapping with `rate` (Hz), `window` and `hop` (samples at that rate),
    `resampler` (what brings other rates to it), `pad` ("centre"), `scale` (what samples from -1 to
    1 are multiplied by) and `normalise` (whether each sound then gets a mean of 0 and a variance of
    1). Channels are averaged. A sound becomes as many windows as it takes, the last of which ends
    where it ends; one shorter than `fill` (samples, a window unless given) stands in the middle of
    as many, with silence around it. Of a sound of more than 60 s windows spread evenly over it are
    heard, 60 s of them. Where what is said is to be written down (`whole`, or `pad` "end" or
    "frames", and then `block` windows at a time) sounds of up to 5 min are heard whole.
    """

    suffixes: ClassVar[frozenset[str]] = SUFFIXES
    columns: ClassVar[tuple[str, ...]] = (
        *("audio", "file_name", "path", "file", "filename", "filepath", "file_path", "clip"),
        *("audio_path", "audio_file", "wav", "sound", "recording", "slice_file_name", "fname"),
    )
    ragged: ClassVar[bool] = True
    compact: ClassVar[bool] = False
    varied: ClassVar[bool] = True
    in_arrays: ClassVar[bool] = True
    plays: ClassVar[bool] = True
    span: ClassVar[tuple[str, str] | None] = ("start", "end")
    transcripts: ClassVar[tuple[str, ...]] = (
        *("sentence", "text", "transcription", "transcript", "normalized_text"),
        *("normalized_transcription", "raw_transcription", "raw_text", "utterance"),
    )

    def recognises(self, head: bytes) -> bool:
        """Whether a file of any name begins as a sound does."""
        return is_sound(head)

    def check(self, raw: bytes) -> Check:
        """Read the file wholly; its samples, not its format, say what is identical to it."""
        try:
            return looking.checked(raw)
        except DataError as error:
            return Check(problem=str(error))

    def problem(self, raw: bytes) -> str | None:
        """None: `decode` refuses what has no samples, or none that are finite."""

    def accepts(self, preprocess: Preprocess) -> bool:
        """Whether all of it is there and plausible."""
        rate, window, hop = (preprocess.get(name) for name in ("rate", "window", "hop"))
        scale = preprocess.get("scale", 1.0)
        if not all(type(number) is int for number in (rate, window, hop)):
            return False
        return (
            _RATES[0] <= int(rate or 0) <= _RATES[1]
            and 0 < int(hop or 0) <= int(window or 0) <= _LONGEST
            and preprocess.get("resampler") == RESAMPLER
            and preprocess.get("pad") in ("centre", speech.AT_END, speech.FRAMES)
            and type(preprocess.get("block", 1)) is int
            and 0 < int(preprocess.get("block", 1)) <= _LONGEST
            and type(preprocess.get("fill", window)) is int
            and int(window or 0) <= int(preprocess.get("fill", window)) <= _LONGEST
            and isinstance(scale, int | float)
            and math.isfinite(scale)
            and all(isinstance(preprocess.get(n, False), bool) for n in ("normalise", "whole"))
        )

    def decode(
        self, raw: bytes, preprocess: Preprocess, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """The windows of a sound, (T, window) float32.

        With `rng` it is moved by up to a tenth of a window, made louder or softer by up to 6 dB,
        and noise is added 15 to 40 dB below it. Raises DataError for what is no sound.
        """
        rate, window = int(preprocess["rate"]), int(preprocess["window"])
        if preprocess["pad"] != "centre":
            return self._whole(raw, preprocess, rng)
        with opened(raw) as file:
            whole = bool(preprocess.get("whole"))
            if whole:
                speech.demand_length(file)
            if not whole and file.frames > (HEARD + window / rate) * file.samplerate:
                parts = _spread(file, preprocess)
                parts = _normal(parts) if preprocess.get("normalise") else parts
            else:
                samples = resampled(span(file), file.samplerate, rate)
                if not len(samples):
                    raise DataError("it holds no samples")
                samples = _normal(samples) if preprocess.get("normalise") else samples
                samples = _filled(samples, int(preprocess.get("fill", window)))
                parts = _windows(_varied(samples, window, rng), window, int(preprocess["hop"]))
        return np.ascontiguousarray(parts * np.float32(preprocess.get("scale", 1.0)), np.float32)

    def _whole(
        self, raw: bytes, preprocess: Preprocess, rng: np.random.Generator | None
    ) -> np.ndarray:
        """The windows of a sound in which all is heard that is said."""
        with opened(raw) as file:
            speech.demand_length(file)
            samples = resampled(span(file), file.samplerate, int(preprocess["rate"]))
        if not len(samples):
            raise DataError("it holds no samples")
        samples = _varied(samples, int(_MOVED * int(preprocess["rate"])), rng)
        samples = _normal(samples) if preprocess.get("normalise") else samples
        parts = speech.windows(samples, preprocess)
        return np.ascontiguousarray(parts * np.float32(preprocess.get("scale", 1.0)), np.float32)

    def size(self, item: np.ndarray) -> int:
        """The number of windows."""
        return len(item)

    def collate(self, items: Sequence[np.ndarray], preprocess: Preprocess) -> Mapping[str, Tensor]:
        """`hidden` (N, T, window) float32 and `mask` (N, T) int64, 1 for windows that are there."""
        import torch

        batch = self.arrays(items, preprocess)
        return {name: torch.from_numpy(values) for name, values in batch.items()}

    def arrays(self, items: Sequence[np.ndarray], preprocess: Preprocess) -> dict[str, np.ndarray]:
        """The same batch as arrays."""
        most = max(len(item) for item in items)
        hidden = np.zeros((len(items), most, items[0].shape[1]), np.float32)
        mask = np.zeros((len(items), most), np.int64)
        for row, item in enumerate(items):
            hidden[row, : len(item)], mask[row, : len(item)] = item, 1
        return {"hidden": hidden, "mask": mask}

    def blank(self, preprocess: Preprocess) -> Mapping[str, Tensor]:
        """One window of silence."""
        return self.collate([np.zeros((1, int(preprocess["window"])), np.float32)], preprocess)

    def statistics(self, raw: bytes) -> dict[str, np.ndarray]:
        """Means and deviations of 64 log-mel bands, (128,)."""
        return looking.statistics(raw)

    def shown(self, raw: bytes, side: int) -> np.ndarray:
        """Its spectrogram."""
        return looking.spectrogram(raw, side)

    def played(self, raw: bytes) -> bytes | None:
        """Its first seconds as a small MP3; None where it can't be made."""
        try:
            return looking.playable(raw)
        except DataError:
            return None

    def length(self, raw: bytes) -> float:
        """How many seconds a sound is long."""
        with opened(raw) as file:
            if not file.frames:
                raise DataError("it holds no samples")
            return float(file.frames / file.samplerate)

    def heard(self, preprocess: Preprocess) -> float | None:
        """The seconds of the shortest sound that isn't filled up with silence."""
        return float(preprocess.get("fill", preprocess["window"]) / preprocess["rate"])

    def part(self, raw: bytes, start: float | None, end: float | None) -> bytes:
        """The sound from one second to another, as a file of its own."""
        return looking.cut(raw, start, end)


def _normal(samples: np.ndarray) -> np.ndarray:
    return np.asarray((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7))


def _filled(samples: np.ndarray, least: int) -> np.ndarray:
    """Samples (S,) in the middle of at least so many."""
    before = max(0, least - len(samples)) // 2
    return np.pad(samples, (before, max(0, least - len(samples) - before)))


def _windows(samples: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Samples (S,) as windows (T, window), the last one at the end."""
    starts = [*range(0, len(samples) - window, hop), len(samples) - window]
    return np.stack([samples[start : start + window] for start in starts])


def _spread(file: Any, preprocess: Preprocess) -> np.ndarray:
    """Windows spread evenly over an opened file, each read and resampled by itself."""
    rate, window = int(preprocess["rate"]), int(preprocess["window"])
    own, count = file.samplerate, max(2, int(HEARD * rate / window))
    length, margin = math.ceil(window * own / rate), int(_MARGIN * own)
    parts = []
    for start in np.linspace(0, file.frames - length, count).astype(int).tolist():
        first = max(0, start - margin)
        samples = resampled(span(file, first, start + length + margin), own, rate)
        begin = round((start - first) * rate / own)
        part = samples[begin : begin + window]
        parts.append(np.pad(part, (0, window - len(part))))
    return np.stack(parts)


def _varied(samples: np.ndarray, window: int, rng: np.random.Generator | None) -> np.ndarray:
    """A random view of samples: moved, louder or softer, and with noise."""
    if rng is None:
        return samples
    moved = int(rng.integers(-int(_SHIFT * window), int(_SHIFT * window) + 1))
    moved = max(-len(samples), min(moved, len(samples)))
    before, after = max(0, moved), max(0, -moved)
    samples = np.pad(samples, (before, after))[after : after + len(samples)]
    gain = 10 ** (rng.uniform(-_GAIN, _GAIN) / 20)
    power = float(np.sqrt(np.mean(np.square(samples)))) * 10 ** (-rng.uniform(*_NOISE) / 20)
    noise = rng.standard_normal(len(samples)).astype(np.float32) * np.float32(power)
    return np.asarray((samples + noise) * np.float32(gain))

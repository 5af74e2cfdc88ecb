"""Sounds for tests: tones, noise and clicks, written in whatever format."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile", reason="needs the extra audio")
pytest.importorskip("soxr", reason="needs the extra audio")
RATE = 16_000


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A decaying tone with a little noise, (S,) float32."""
    moments = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.01, len(moments))
    wave = 0.5 * np.sin(2 * np.pi * hertz * moments) * np.exp(-2 * moments)
    return np.asarray(wave + noise, dtype=np.float32)


def chirps(seed: int, seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """A sound that changes all the time, (S,) float32."""
    rng = np.random.default_rng(seed)
    parts = [tone(float(rng.uniform(150, 6_000)), seconds / 20, rate, seed) for _ in range(20)]
    return np.concatenate(parts)


def encoded(
    samples: np.ndarray, rate: int = RATE, form: str = "WAV", subtype: str | None = None
) -> bytes:
    """Samples as the bytes of a file."""
    written = io.BytesIO()
    soundfile.write(written, samples, rate, format=form, subtype=subtype)
    return written.getvalue()


def tones(folder: Path, count: int = 12, **more: int) -> Path:
    """A folder of two classes, low and high tones, of three speakers each."""
    for label, hertz in (("low", 300), ("high", 2_500)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            seed = number + 100 * (label == "low")
            sound = tone(hertz * (1 + 0.02 * number), 0.4 + 0.05 * number, seed=seed, **more)
            name = f"{('anna', 'bo', 'cem', 'dia')[number % 4]}_{number:02}.wav"
            (folder / label / name).write_bytes(encoded(sound))
    return folder

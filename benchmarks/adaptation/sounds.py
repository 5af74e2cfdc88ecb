"""Spoken digits as numbers: log-mel spectrograms of one size, and Google's speech embedding."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

BANDS: Final = 40
FRAMES: Final = 20  # that a spectrogram of any length is brought to
_SHORTEST: Final = 12_640  # samples at 16 kHz, which make the embedding's 76 frames
_WINDOW, _STEP = 76, 8  # frames that one embedding sees, and between two


def clips(folder: Path, speaker: str) -> tuple[list[np.ndarray], list[str]]:
    """Waves at 8 kHz, -1 to 1, and their digits: of one speaker, or of all but `not NAME`."""
    from scipy.io import wavfile

    name = speaker.removeprefix("not ")
    files = [
        file
        for file in sorted(folder.glob("*/*.wav"))
        if (file.name.partition("_")[0] == name) == (name == speaker)
    ]
    waves = [wavfile.read(file)[1].astype(np.float64) / 32768 for file in files]
    return waves, [file.parent.name for file in files]


def log_mel(waves: list[np.ndarray]) -> np.ndarray:
    """The logarithm of mel energies at 8 kHz, 25 ms every 10, (N, BANDS * FRAMES)."""
    bands = _bands(256, 8000)
    rows = []
    for wave in waves:
        padded = np.pad(wave, (0, max(0, 400 - len(wave))))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 200)[::80]
        power = np.abs(np.fft.rfft(windows * np.hanning(200), 256)) ** 2
        energies = np.log(power @ bands.T + 1e-6)
        places = np.linspace(0, len(energies) - 1, FRAMES)
        rows.append([np.interp(places, np.arange(len(energies)), band) for band in energies.T])
    return np.array(rows, dtype=np.float32).reshape(len(rows), -1)


def embedded(waves: list[np.ndarray], weights: Path) -> np.ndarray:
    """The mean of the embedding's windows over a clip amid silence, (N, 96)."""
    from openvino import Core
    from scipy.signal import resample_poly

    core = Core()
    spectrogram, embedding = (
        core.compile_model(core.read_model(weights / f"{name}.onnx"), "CPU")
        for name in ("melspectrogram", "embedding_model")
    )
    rows = []
    for wave in waves:
        sound = resample_poly(wave, 2, 1) * 32768
        short = max(0, _SHORTEST - len(sound))
        sound = np.pad(sound, (short // 2, short - short // 2)).astype(np.float32)
        frames = np.squeeze(_first(spectrogram(sound[None]))) / 10 + 2
        starts = range(0, len(frames) - _WINDOW + 1, _STEP)
        windows = [frames[start : start + _WINDOW] for start in starts]
        answers = [_first(embedding(window[None, :, :, None])).reshape(-1) for window in windows]
        rows.append(np.mean(answers, axis=0))
    return np.array(rows, dtype=np.float32)


def _first(answers: Any) -> np.ndarray:
    return np.asarray(next(iter(answers.values())))


def _bands(width: int, rate: int) -> np.ndarray:
    """Triangles evenly spread over the mel scale, (BANDS, width // 2 + 1)."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    places = np.arange(width // 2 + 1) * rate / width
    low, middle, high = (edges[start : start + BANDS, None] for start in range(3))
    rising, falling = (places - low) / (middle - low), (high - places) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling))

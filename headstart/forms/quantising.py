"""Whole numbers of 8 bits for weights and activations, by NNCF after training."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from headstart.errors import reason
from headstart.forms.form import Arrays, FormError

_QUIET = "NNCF_CI"  # what keeps it from sending what it does to its makers


def quantised(network: Any, batches: Sequence[Arrays]) -> Any:
    """A network of ONNX or OpenVINO in whole numbers, by the ranges of what passes through it.

    Each batch is one calibration step. Networks of items of any length are taken for transformers.
    Raises FormError where it can't be.
    """
    os.environ[_QUIET] = "1"
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    words = any("mask" in batch for batch in batches)
    try:
        return nncf.quantize(
            network,
            nncf.Dataset([dict(batch) for batch in batches]),
            subset_size=len(batches),
            model_type=nncf.ModelType.TRANSFORMER if words else None,
        )
    except Exception as error:  # it raises nearly anything
        raise FormError(f"NNCF can't make whole numbers of it ({reason(error)})") from error

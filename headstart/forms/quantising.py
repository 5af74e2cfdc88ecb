"""Whole numbers of 8 bits for weights and activations, by NNCF after training."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from contextlib import redirect_stdout
from typing import Any, TypeVar

from headstart.errors import reason
from headstart.forms.form import Arrays, FormError

_OFF = "NNCF_CI"  # what keeps it from sending what it does to its makers
_WARNS = "torch.utils.cpp_extension"  # where there is no accelerator
Node = TypeVar("Node", bound=Hashable)


def quantised(network: Any, batches: Sequence[Arrays], float_operations: Iterable[str] = ()) -> Any:
    """A network of ONNX or OpenVINO in whole numbers, by the ranges of what passes through it.

    Each batch is one calibration step; `float_operations` names operations that stay as they are.
    Networks of items of any length are taken for transformers. Raises FormError where it can't be.
    """
    os.environ[_OFF] = "1"
    logging.getLogger(_WARNS).setLevel(logging.ERROR)
    import nncf

    nncf.set_log_level(logging.ERROR)
    words = any("mask" in batch for batch in batches)
    try:
        with redirect_stdout(io.StringIO()):  # its bars
            return nncf.quantize(
                network,
                nncf.Dataset([dict(batch) for batch in batches]),
                subset_size=len(batches),
                model_type=nncf.ModelType.TRANSFORMER if words else None,
                ignored_scope=nncf.IgnoredScope(names=sorted(float_operations), validate=False),
            )
    except Exception as error:  # it raises nearly anything
        raise FormError(f"NNCF can't make whole numbers of it ({reason(error)})") from error


def before(
    ends: Iterable[Node], starts: Collection[Node], makers: Callable[[Node], Iterable[Node]]
) -> set[Node]:
    """All that `ends` are made by and `starts` aren't: what lies between, the ends included.

    A head is so small that whole numbers gain nothing there, and so near to the answer that they
    change most.
    """
    between: set[Node] = set()
    waiting = list(ends)
    while waiting:
        node = waiting.pop()
        if node not in starts and node not in between:
            between.add(node)
            waiting.extend(makers(node))
    return between

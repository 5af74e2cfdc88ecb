"""OpenVINO itself, found when it is first used; needs no torch. The only file that imports it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from headstart.errors import reason

_LEFT_OUT: Final = ("openvino_telemetry", "openvino.tools.ovc")
EXACT: Final = {"INFERENCE_PRECISION_HINT": "f32"}
_CHUNK: Final = 2**24  # bytes
_REAL: Final = {"LP_TRANSFORMS_MODE": "NO"}  # whole numbers are run as real ones, only slower


def library(part: str = "openvino") -> Any:
    """OpenVINO, or a part such as `openvino.passes`. Raises ImportError, saying why.

    It comes without its telemetry, which would write to the home folder and open sockets, and
    without `openvino.tools.ovc`, which converts, unless that is the part.
    """
    left_out = [name for name in _LEFT_OUT if name != part]
    before = {name: sys.modules.get(name) for name in left_out}
    sys.modules.update(dict.fromkeys(left_out))  # type: ignore[arg-type]  # None refuses it
    try:
        import_module("openvino")
        return import_module(part)
    except Exception as error:  # absent, or its libraries don't load here
        raise ImportError(f"OpenVINO can't be imported ({reason(error)})") from error
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def compiled(model: Any) -> Any:
    """An `openvino.Model` made ready to run in fp32 on the CPU. Raises RuntimeError.

    OpenVINO fails at making whole numbers fast in some quantised transformers.
    """
    core = library().Core()
    try:
        return core.compile_model(model, "CPU", EXACT)
    except RuntimeError:
        return core.compile_model(model, "CPU", EXACT | _REAL)


def save(model: Any, path: Path) -> None:
    """Write an `openvino.Model` in full precision as text, and its constants beside it as `.bin`.

    Raises OSError where the disk is full, of which OpenVINO itself says `iostream error` alone, and
    RuntimeError for all else.
    """
    try:
        library().save_model(model, path, compress_to_fp16=False)
    except RuntimeError:
        _demand_room(path.with_suffix(".bin"), _size(model))
        raise


def _size(model: Any) -> int:
    """Bytes of all constants."""
    constants = (each for each in model.get_ops() if each.get_type_name() == "Constant")
    return sum(int(each.get_byte_size()) for each in constants)


def _demand_room(path: Path, size: int) -> None:
    """Raise the system's OSError where a file can't have this size."""
    try:
        with path.open("wb") as file:
            for start in range(0, size, _CHUNK):
                file.write(bytes(min(_CHUNK, size - start)))
    finally:
        path.unlink(missing_ok=True)

"""Reading weights in whatever form a trainer wrote them, and running nothing that is in them."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from safetensors import SafetensorError, safe_open

from headstart.errors import WeightsError
from headstart.loading.weights import numpy_archive
from headstart.loading.weights.recognising import INDEX, NUMPY, SAFETENSORS, damaged, kind
from headstart.loading.weights.tensors import State, shape
from headstart.loading.weights.unwrapping import unwrap

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor

SUFFIXES: Final = frozenset(
    {".safetensors", ".npz", ".pth", ".pt", ".th", ".bin", ".ckpt", ".tar", ".pkl"}
)
_USUAL: Final = (  # which file of a folder holds its weights, first to last
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model.pth", "model.pth"),
)
_DEPTHS: Final = ("*/*", "*/*/*", "*/*/*/*")  # below a folder that a run wrote
_BESIDE: Final = re.compile(  # what trainers save beside the weights
    r"(optimizer|scheduler|scaler|rng_state|random_states|training_args)", re.IGNORECASE
)
_MOST: Final = 1 << 31  # bytes that one sparse tensor may become
_MOST_TENSORS: Final = 1 << 16  # those of the largest mixtures of experts are fewer
_SHOWN: Final = 3
_GLOBAL: Final = re.compile(r"GLOBAL ([\w.]{1,80})")


@dataclass(frozen=True)
class Weights:
    """Tensors by name, what the file's header says of them, and what is worth saying."""

    state: State
    metadata: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    archive: Path | None = None  # of NumPy arrays, that they came from

    @property
    def terms(self) -> tuple[str | None, str | None]:
        """The licence, and what they were trained on, where the header says so."""
        licence = self.metadata.get("licence") or self.metadata.get("license")
        return licence, self.metadata.get("trained_on")

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return sum(tensor.numel() for tensor in self.state.values())


@final
class _Ignored:
    """Stands for an object beside the tensors, none of which is needed; nothing of it is kept."""

    def __new__(cls, *_: object) -> _Ignored:
        """Make one, whatever it is made of."""
        return object.__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Take in nothing."""


def _mapping(*_: object) -> dict[Any, Any]:
    """What stands for a defaultdict, whose factory is not needed."""
    return {}


# Settings and numbers that trainers save beside the tensors. What torch is told to make of each is
# one of the two above, so that neither these classes nor NumPy see what is in the file.
_PLAIN: Final = (
    "argparse.Namespace",
    *(f"builtins.{name}" for name in "bool dict float frozenset int list str tuple".split()),
    *(f"datetime.{name}" for name in "date datetime time timedelta timezone".split()),
    "fastcore.foundation.L",
    "numpy.dtype",
    "numpy.ndarray",
    *(
        f"numpy.{core}.multiarray.{name}"
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
    *(f"numpy.dtypes.{name}DType" for name in "Bool Float16 Float32 Float64 Int32 Int64".split()),
    *(
        f"{module}.{kind}Path"
        for module in ("pathlib", "pathlib._local")
        for kind in ("", "Posix", "PurePosix", "PureWindows", "Windows")
    ),
    "torch.torch_version.TorchVersion",
)
_ALLOWED: Final[list[Any]] = [
    *((_Ignored, name) for name in _PLAIN),
    (_mapping, "collections.defaultdict"),
]


def names_file(text: str) -> bool:
    """Whether the text after @ in a reference is a file, there or not, rather than a revision."""
    return Path(text).exists() or text.lower().endswith((".index.json", *SUFFIXES))


def read(path: str | Path, averaged: bool = True) -> Weights:
    """Read what safetensors, torch.save or numpy.savez wrote, whatever it is called, on the CPU.

    Networks are looked for under the names that trainers save them by; of averaged weights and raw
    ones the `averaged` are taken. In a folder it is the file that libraries look for first; an
    index of several files is followed. Nothing in the file is executed: a pickle that wants more
    than tensors and plain settings is refused. Raises WeightsError where the file is missing,
    damaged, unsafe or not a weights file.
    """
    path = Path(path)
    try:
        path = _in_folder(path) if path.is_dir() else path
    except OSError as error:
        raise WeightsError(f"{path} can't be read ({error.strerror}). Check it.") from None
    if not path.is_file():
        raise WeightsError(f"{path} is not a file. Give a .safetensors or .pth file of weights.")
    form = kind(path)
    if form == INDEX:
        return _read_index(path, averaged)
    if form == NUMPY:
        state, notes = unwrap(numpy_archive.read(path), path, averaged)
        return Weights(state, notes=notes, archive=path)
    content, metadata = _read_safetensors(path) if form == SAFETENSORS else (_read_torch(path), {})
    state, notes = unwrap(content, path, averaged)
    if form != SAFETENSORS:
        size = path.stat().st_size
        state = {name: _plain(tensor, name, path, size) for name, tensor in state.items()}
    return Weights(state, metadata, notes)


def header(path: str | Path) -> dict[str, str]:
    """What the header of a .safetensors file says besides its tensors; nothing of another file."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return {}


def _in_folder(folder: Path) -> Path:
    """The file of weights in a folder. Raises WeightsError where it isn't plain which."""
    for name in _USUAL:
        if (folder / name).is_file():
            return folder / name
    if any(folder.glob("*.distcp")):
        raise WeightsError(
            f"{folder} is a checkpoint in parts, of torch.distributed. Join them with python -m "
            f"torch.distributed.checkpoint.format_utils dcp_to_torch {folder} weights.pth."
        )
    if (folder / "zero_to_fp32.py").is_file():
        raise WeightsError(
            f"{folder} is a checkpoint of DeepSpeed in parts. Join them with its own "
            "zero_to_fp32.py, and give the file that it writes."
        )
    files = [each for each in sorted(folder.iterdir()) if _may_be_weights(each)]
    if len(files) == 1:
        return files[0]
    if files:
        best = min(files, key=lambda each: ("best" not in each.name.lower(), files.index(each)))
        raise WeightsError(
            f"{folder} is a folder with {len(files)} files of weights, such as {best.name}. Give "
            "one file."
        )
    below = [each for depth in _DEPTHS for each in folder.glob(depth) if _may_be_weights(each)]
    newest = max(below, key=lambda each: each.stat().st_mtime, default=None)
    if newest is None:
        raise WeightsError(f"{folder} is a folder with no weights. Give one file.")
    raise WeightsError(
        f"{folder} is a folder with no weights but in folders below it. Give one of their files, "
        f"such as the newest, {newest}."
    )


def _may_be_weights(path: Path) -> bool:
    """Whether a file is called like one of weights, and not like the rest of a trainer's state."""
    return names_file(path.name) and path.is_file() and not _BESIDE.match(path.name)


def _read_safetensors(path: Path) -> tuple[State, dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            if len(names) > _MOST_TENSORS:
                raise WeightsError(
                    f"{path} holds {len(names):,} tensors, more than any network has. "
                    "Give another file."
                )
            state = {name: file.get_tensor(name) for name in names}
            return state, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a whole safetensors file ({error}). Copy or download it again."
        ) from error


def _read_index(path: Path, averaged: bool) -> Weights:
    """The tensors of several files, by the list of what lies where that stands beside them."""
    try:
        places = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        names = sorted({str(place) for place in places.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WeightsError(
            f"{path} is a text, not a file of weights. Give what torch.save or safetensors wrote."
        ) from None
    state: State = {}
    for name in names:
        if Path(name).name != name or name == path.name or name.endswith(".json"):
            raise WeightsError(f"{path} leads out of its folder, to {name[:80]}. Mend it.")
        state |= read(path.with_name(name), averaged).state
    return Weights(state)


def _read_torch(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_ALLOWED):
            warnings.simplefilter("ignore")  # old forms of storage, other protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "global" in str(error).lower() or "DTensor" in str(error):
            raise _unsafe(path, str(error)) from None
        if "operand" in str(error):
            raise WeightsError(
                f"{path} is pickled by another protocol than torch reads without running code. "
                "Save the weights again where they were made, without pickle_protocol."
            ) from None
        raise damaged(path) from None
    except Exception:  # damaged archives raise nearly anything
        raise damaged(path) from None


def _unsafe(path: Path, reason: str) -> WeightsError:
    """What to say of a pickle that wants to call what is no tensor."""
    import torch

    if "DTensor" in reason:
        return _parted(path)
    try:
        with torch.serialization.safe_globals(_ALLOWED):
            names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # the old format, or what only its reader understands
        names = _GLOBAL.findall(reason)
    names = [re.sub(r"[^\w.]", "", name)[:80] for name in names]
    whole = any(name.startswith("torch.nn.") for name in names)
    what = ", as it holds a whole network in Python objects" if whole else ""
    examples = f" ({', '.join(names[:_SHOWN])})" if names else ""
    return WeightsError(
        f"{path} wants to run code when opened{examples}{what}, so it was not opened. "
        "Give a plain state dict, best as .safetensors: where the network was trained, "
        "torch.save(model.state_dict(), 'weights.pth') writes one."
    )


def _parted(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} holds tensors that are parted over several machines (DTensor). Gather them where "
        "they were trained, with get_model_state_dict and its option full_state_dict=True."
    )


def _plain(tensor: Tensor, name: str, path: Path, size: int) -> Tensor:
    """A dense tensor with values of its own. Raises WeightsError for one that has none."""
    import torch
    from torch import Tensor

    if type(tensor) not in (Tensor, torch.nn.Parameter):
        raise _parted(path)
    if tensor.is_quantized:
        raise WeightsError(
            f"{path} holds quantised tensors, such as {name}. Give the weights from before they "
            "were quantised."
        )
    if tensor.is_meta:
        raise WeightsError(
            f"{path} holds tensors without values (on the device meta), such as {name}. Save the "
            "weights again once they have any."
        )
    tensor = tensor.detach()
    bytes_wanted = tensor.numel() * tensor.element_size()
    dense = tensor.layout is torch.strided
    if bytes_wanted > (size if dense else _MOST):
        raise WeightsError(
            f"{path} holds {name}, {shape(tensor)}, which is larger than the file. Save it again "
            "from tensors of its own, as tensor.clone() makes them."
        )
    return tensor if dense else tensor.to_dense()

"""Running an entry point: its repository can be imported for as long as that takes."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import socket
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import torch
from huggingface_hub import constants
from torch import nn

from headstart.contracts.references import literal
from headstart.errors import HeadstartError, UnknownNameError, named_reason
from headstart.hubs.torch_hub.fetching import ENTRIES
from headstart.hubs.torch_hub.planning import TorchHubSpec
from headstart.loading import head_removal

_OPEN: Final = inspect.Parameter.VAR_KEYWORD
_SWITCHES: Final = ("pretrained", "weights")  # parameters that say whether weights are loaded


def make(spec: TorchHubSpec) -> tuple[nn.Module, bool]:
    """The network that a repository's entry point answers, and whether its weights were trained.

    Entry points without `pretrained` or `weights` are called twice: weights that come out the same
    were loaded, others were drawn. Raises HeadstartError where any of it fails.
    """
    pretrained = spec.options.pretrained and spec.reference.weights is None
    folder = spec.code.placed()
    _demand_dependencies(spec, folder)
    with _importable(folder), _offline_kept(), redirect_stdout(sys.stderr):
        function = _function(spec, _run(spec, folder))
        arguments = _arguments(spec, function, pretrained)
        network = _call(spec, function, arguments)
        switches = [arguments[name] for name in _SWITCHES if name in arguments]
        is_pretrained = (
            bool(switches[0]) if switches else _is_loaded(network, spec, function, arguments)
        )
    if pretrained and not is_pretrained and "pretrained" in spec.reference.options:
        raise HeadstartError(
            f"{spec.what} gives random weights, whatever pretrained says. Leave it out, or give a "
            "file of weights with @FILE."
        )
    if is_pretrained and not pretrained:
        head_removal.draw_anew(network)
    return network, is_pretrained and pretrained


def _is_loaded(
    network: nn.Module, spec: TorchHubSpec, function: Any, arguments: Mapping[str, Any]
) -> bool:
    """Whether trainable matrices come out the same when drawn again from another state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.initial_seed() + 1)
        again = dict(_call(spec, function, arguments).named_parameters())
    matrices = [(n, t) for n, t in network.named_parameters() if t.requires_grad and t.dim() > 1]
    return any(
        name in again and torch.equal(tensor, again[name]) and bool(tensor.std() > 0)
        for name, tensor in matrices
    )


def _run(spec: TorchHubSpec, folder: Path) -> ModuleType:
    name = f"headstart_torchhub_{spec.code.sha256[:16]}"
    source = importlib.util.spec_from_file_location(name, folder / ENTRIES)
    if source is None or source.loader is None:
        raise HeadstartError(f"{spec.what} has no {ENTRIES} that can be imported. Mend it.")
    module = importlib.util.module_from_spec(source)
    sys.modules[name] = module
    try:
        source.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _failure(spec, f"The {ENTRIES} of {spec.what} can't be run", error) from error
    return module


def _function(spec: TorchHubSpec, module: ModuleType) -> Any:
    function = getattr(module, spec.place.entry, None)
    if not callable(function) or spec.place.entry.startswith("_"):
        functions = [n for n, value in vars(module).items() if inspect.isfunction(value)]
        names = [name for name in functions if not name.startswith("_")]
        raise UnknownNameError("entry point", spec.place.entry, names)
    return function


def _arguments(spec: TorchHubSpec, function: Any, pretrained: bool) -> dict[str, Any]:
    """What to call the entry point with. Raises HeadstartError for options that it doesn't have."""
    parameters = inspect.signature(function).parameters
    anything = any(parameter.kind is _OPEN for parameter in parameters.values())
    unknown = [name for name in spec.keywords if name not in parameters and not anything]
    if unknown:
        raise HeadstartError(
            f"{spec.what} has no option {unknown[0]!r}. Its options: "
            f"{', '.join(parameters) or 'none'}, and those of the hub torchhub."
        )
    values: dict[str, Any] = {}
    for name, text in spec.keywords.items():
        is_text = name in parameters and isinstance(parameters[name].default, str)
        values[name] = text if is_text else None if text.lower() == "none" else literal(text)
    explicit = "pretrained" in spec.reference.options
    if "pretrained" in parameters or (anything and explicit and pretrained):
        values["pretrained"] = pretrained
    elif "weights" in parameters and not pretrained:
        values["weights"] = None
    return values


def _call(spec: TorchHubSpec, function: Any, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        network = function(**arguments)
    except (Exception, SystemExit) as error:
        raise _failure(spec, f"{spec.what} failed", error) from error
    if not isinstance(network, nn.Module):
        raise HeadstartError(
            f"{spec.what} answers with {type(network).__name__}, not a torch.nn.Module. "
            "Give an entry point that answers a network."
        )
    return network.eval()


def _failure(spec: TorchHubSpec, what: str, error: BaseException) -> HeadstartError:
    offline = " HF_HUB_OFFLINE forbids connections." if constants.HF_HUB_OFFLINE else ""
    missing = str(error.name).partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    own = any(Path(name).parts[0] in (missing, f"{missing}.py") for name in spec.code.files)
    advice = "Check its options, or give another ref"
    advice = f"Install {missing}" if missing and not own else advice
    return HeadstartError(f"{what} ({named_reason(error)}).{offline} {advice}.")


def _demand_dependencies(spec: TorchHubSpec, folder: Path) -> None:
    """Raise HeadstartError where packages that hubconf.py lists are not installed."""
    try:
        body = ast.parse((folder / ENTRIES).read_bytes()).body
        values = [
            ast.literal_eval(node.value)
            for node in body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "dependencies"
        ]
        names = [str(name) for value in values for name in value]
        missing = [n for n in names if importlib.util.find_spec(n.partition(".")[0]) is None]
    except (SyntaxError, ValueError, TypeError):
        return  # running it says why
    own = [name for name in missing if (folder / name).exists()]
    if len(own) < len(missing):
        packages = " ".join(name for name in missing if name not in own)
        raise HeadstartError(
            f"{spec.what} needs packages that are not installed. Run pip install {packages}, or "
            "what its authors say."
        )


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the repository's modules be imported, before all others of their names, until the end.

    What they are called (models, utils) is no more theirs afterwards, and what was so called before
    is back.
    """
    tops = {path.stem for path in folder.iterdir()}
    hidden = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in tops and not _is_installed(module)
    }
    for name in hidden:
        del sys.modules[name]
    before, writes = set(sys.modules), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = writes
        for name in set(sys.modules) - before:
            if _origin(sys.modules[name]).startswith(str(folder)):
                del sys.modules[name]
        sys.modules.update(hidden)


def _is_installed(module: ModuleType) -> bool:
    """Whether a module is Python's own, or of an installed package."""
    origin = _origin(module)
    places = (sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
    return not origin or origin.startswith(tuple(places))


def _origin(module: ModuleType) -> str:
    """A module's file, or the folder of a package without one; empty for those built in."""
    parts = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return next((str(part) for part in parts if part), "")


@contextmanager
def _offline_kept() -> Iterator[None]:
    """Where HF_HUB_OFFLINE is set, let no code open a connection until the end."""
    if not constants.HF_HUB_OFFLINE:
        yield
        return

    def refuse(*_: object, **__: object) -> None:
        raise OSError("connections are forbidden")

    places: tuple[tuple[Any, str], ...] = ((socket.socket, "connect"), (socket, "getaddrinfo"))
    before = [getattr(place, name) for place, name in places]
    for place, name in places:
        setattr(place, name, refuse)
    try:
        yield
    finally:
        for (place, name), function in zip(places, before, strict=True):
            setattr(place, name, function)

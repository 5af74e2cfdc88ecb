"""Networks that a function in a Python file makes."""

from __future__ import annotations

import ast
import inspect
import sys
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from headstart.errors import HeadstartError, UnknownNameError, named_reason
from headstart.hubs.file.planning import FileSpec
from headstart.loading import head_removal
from headstart.loading.head_removal import Headless


def open_function(spec: FileSpec, example: Tensor) -> Headless:
    """Run the file, call the function, take the network's head off and cut it into stages.

    Raises HeadstartError where the file or the function fails, or makes no network for images.
    """
    network = _call(spec, _function(spec, _run(spec)))
    return head_removal.take_apart(network, example, spec.what, spec.options.head)


def _run(spec: FileSpec) -> dict[str, Any]:
    """The names that the file defines: those of exactly the content that is trusted."""
    name = f"headstart_file_{spec.architecture.options['sha256'][:16]}"
    module = ModuleType(name)
    module.__file__ = str(spec.path)
    sys.modules[name] = module  # dataclasses look themselves up there
    try:
        tree = ast.parse(spec.content, str(spec.path))
        _stands_alone(spec, tree)
        with redirect_stdout(sys.stderr):  # what we print is for programs to read
            exec(compile(tree, str(spec.path), "exec"), vars(module))
    except HeadstartError:
        raise
    except (Exception, SystemExit) as error:
        raise HeadstartError(
            f"{spec.path} can't be run ({named_reason(error)}). Mend it."
        ) from error
    return vars(module)


def _stands_alone(spec: FileSpec, tree: ast.Module) -> None:
    """Refuse imports of files beside it: a saved model takes along this file alone."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." if node.level else str(node.module))
    for name in names:
        beside, top = spec.path.parent, name.partition(".")[0]
        own = (beside / f"{top}.py").is_file() or (beside / top / "__init__.py").is_file()
        if name.startswith(".") or own:
            raise HeadstartError(
                f"{spec.path} imports {'relatively' if name == '.' else name} from the files "
                "beside it, which a saved model would lack. Put the network into one file."
            )


def _function(spec: FileSpec, names: dict[str, Any]) -> Any:
    function = names.get(spec.function)
    if function is None:
        own = [n for n, value in names.items() if callable(value) and not n.startswith("_")]
        raise UnknownNameError(f"function of {spec.path}", spec.function, own)
    if not callable(function) or isinstance(function, nn.Module):
        raise HeadstartError(
            f"{spec.what} is not a function but of type {type(function).__name__}. "
            "Name a function that makes a new network each time."
        )
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise HeadstartError(
            f"{spec.what} can't be called without arguments ({error}). Give them defaults."
        ) from None
    return function


def _call(spec: FileSpec, function: Any) -> nn.Module:
    try:
        with redirect_stdout(sys.stderr):
            network = function()
    except (Exception, SystemExit) as error:
        raise HeadstartError(f"{spec.what} failed ({named_reason(error)}). Mend it.") from error
    if not isinstance(network, nn.Module):
        raise HeadstartError(
            f"{spec.what} answers with {type(network).__name__}, not a torch.nn.Module. "
            "Let it answer the network."
        )
    return network

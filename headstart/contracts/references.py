"""References: how a user names a part and its settings in one string.

hub:name[@weights][?option=value&...]      a backbone
name[?option=value&...]                    a strategy
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import Parameter, signature
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from headstart.errors import HeadstartError

T = TypeVar("T")
_TRUE, _FALSE = {"true", "yes", "1", "on"}, {"false", "no", "0", "off"}


@dataclass(frozen=True)
class Reference:
    """A parsed `hub:name[@weights][?option=value&...]`."""

    hub: str
    name: str
    weights: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        weights = f"@{self.weights}" if self.weights is not None else ""
        return f"{self.hub}:{self.name}{weights}{_format_options(self.options)}"

    def __hash__(self) -> int:
        return hash(str(self.ordered()))

    def ordered(self) -> Reference:
        """The same reference with its options by name: equal ones are then equal as text."""
        return replace(self, options=dict(sorted(self.options.items())))

    def with_options(self, **options: str | None) -> Reference:
        """The same reference with some options set, or dropped where the value is None."""
        merged = {**self.options, **options}
        return replace(self, options={key: v for key, v in merged.items() if v is not None})

    def option(self, name: str, default: bool) -> bool:
        """Read a yes/no option. Raises HeadstartError when the value is neither."""
        value = self.options.get(name)
        return default if value is None else _as_bool(value, name)


def parse(text: str) -> Reference:
    """Read a backbone reference; a folder's path alone is that of a saved model.

    Raises HeadstartError where the form is wrong.
    """
    rest, options = _split_options(text)
    if ":" not in rest and os.path.isdir(rest):
        rest = f"checkpoint:{rest}"
    hub, colon, rest = rest.partition(":")
    if not colon or not hub or not rest:
        raise HeadstartError(
            f"{text!r} is not a backbone reference. "
            f"Write hub:name, for example 'timm:{text.partition('?')[0].strip(':') or 'resnet50'}'."
        )
    name, at, weights = rest.partition("@")
    if not name or (at and not weights):
        raise HeadstartError(f"{text!r} lacks a name or a file. Write hub:name[@weights].")
    return Reference(hub, name, weights or None, options)


def parse_named(text: str) -> tuple[str, dict[str, str]]:
    """Read `name[?option=value&...]`, the form of a strategy."""
    return _split_options(text)


def build(make: Callable[..., T], options: Mapping[str, str], what: str) -> T:
    """Call a constructor with options given as text, converted by the types of its defaults.

    Raises HeadstartError for an unknown option, listing the known ones, and for a value of another
    type.
    """
    parameters = {name: p for name, p in signature(make).parameters.items() if name != "self"}
    values: dict[str, Any] = {}
    for name, text in options.items():
        if name not in parameters:
            choices = ", ".join(parameters) or "none"
            raise HeadstartError(f"{what} has no option {name!r}. Its options: {choices}.")
        values[name] = _convert(text, parameters[name], f"{what}?{name}")
    return make(**values)


def literal(text: str) -> bool | int | float | str:
    """What an option's text stands for, where nothing says its type."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _convert(text: str, parameter: Parameter, what: str) -> Any:
    default = parameter.default
    if isinstance(default, bool):
        return _as_bool(text, what)
    kind = type(default) if isinstance(default, int | float) else str
    if default is None and "float" in str(parameter.annotation):
        kind = float
    try:
        return kind(text)
    except ValueError:
        raise HeadstartError(
            f"{what}={text!r} is not a number. Give one, such as {default or 1}."
        ) from None


def _as_bool(text: str, what: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise HeadstartError(f"{what}={text!r} is neither true nor false. Give one of the two.")


def _split_options(text: str) -> tuple[str, dict[str, str]]:
    head, mark, tail = text.partition("?")
    options: dict[str, str] = {}
    for pair in tail.split("&") if mark else ():
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise HeadstartError(
                f"{pair!r} in {text!r} is not an option. Write ?option=value&other=value."
            )
        options[unquote(key)] = unquote(value)
    return head, options


def _format_options(options: Mapping[str, str]) -> str:
    pairs = (f"{key}={quote(value, safe=',./:')}" for key, value in options.items())
    return "?" + "&".join(pairs) if options else ""

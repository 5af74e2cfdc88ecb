"""Markdown from the package's templates, in which nothing that comes from data is markup."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader

_MARKUP: Final = re.compile(r"[\\`*_\[\]<>#|~&$]|^[-+=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]")
_LONGEST: Final = 200  # characters of one value in running text


def render(template: str, **values: Any) -> str:
    """A page from a template, whose filters `plain`, `code`, `block` and `yaml` quote values."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    """What keeps the templates that it has read."""
    environment = Environment(
        loader=PackageLoader("headstart", "templates"), keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {"plain": plain, "code": code, "block": block, "yaml": yaml}
    return environment


def plain(value: object) -> str:
    """Running text on one line: every character that Markdown or HTML could read is escaped."""
    return _MARKUP.sub(r"\\\g<0>", _line(value))


def code(value: object) -> str:
    """Inline code on one line, between more backticks than it holds in a row."""
    text = _line(value).replace("|", "¦")  # a cell of a table ends at a bar even in code
    fence = "`" * (_run(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def block(value: object) -> str:
    """Lines of code, fenced by more backticks than they hold in a row."""
    text = str(value)
    fence = "`" * max(3, _run(text) + 1)
    return f"{fence}\n{text}\n{fence}"


def yaml(value: object) -> str:
    """A scalar of YAML on one line."""
    return json.dumps(_line(value), ensure_ascii=False)


def _line(value: object) -> str:
    text = " ".join(str(value).split())
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _run(text: str) -> int:
    return max((len(ticks) for ticks in re.findall("`+", text)), default=0)

"""Results as people read them: the same rows in a terminal and in a notebook."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from headstart.report import words
from headstart.report.words import capital, further, gains, other_metrics, protocol_words

if TYPE_CHECKING:  # so that answers alone go without what draws tables
    from jinja2 import Template
    from rich.bar import Bar
    from rich.table import Table

VERDICTS = {
    "helps": "Transfer helps",
    "hurts": "Transfer hurts",
    "no evidence": "No evidence that transfer helps or hurts",
    "unknown": "The gain over scratch is unknown",
    "evaluated": "Evaluated on other data",
}
_PAGE = (
    "{% if headline %}<p><b>{{ headline }}</b></p>{% endif %}"
    "<table><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr>"
    "{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}"
    "</table>"
    "{% for line in notes %}<p>{{ line }}</p>{% endfor %}"
)
_WIDTH = 40  # characters of a bar
COLUMNS = ("arm", "95 % interval", "seconds", "steps")


def headline(evidence: dict[str, Any]) -> str:
    """The verdict in one sentence, with the gain in points."""
    if "adaptation" in evidence:
        return str(evidence["adaptation"]["headline"])
    if "refit" in evidence:
        from headstart.report import refit

        return refit.headline(evidence["refit"])
    text, yardstick = VERDICTS[evidence["verdict"]], words.yardstick(evidence)
    text = text.replace("scratch", yardstick)
    gain = evidence["gain"]
    if evidence["verdict"] == "evaluated":
        arm = evidence["arms"]["chosen"]
        return (
            f"{text}: {evidence['metric']} {arm['value']:.3f}, 95 % interval {arm['low']:.3f} to "
            f"{arm['high']:.3f}, on {evidence['held_out']} items of {evidence['evaluated']}."
        )
    if gain is None and evidence["strategy"] == "scratch":
        lead = evidence["over_naive"]
        ahead, low, high = gains(lead, evidence)
        return (
            f"Developed from random weights: {ahead} over the naive model, "
            f"95 % interval {low} to {high}."
        )
    why = evidence.get("doubt") or "no network was trained from scratch for comparison"
    if gain is None:
        arm = evidence["arms"]["chosen"]
        return (
            f"{capital(evidence['metric'])} {arm['value']:.3f}: 95 % interval {arm['low']:.3f} "
            f"to {arm['high']:.3f}, on {evidence['held_out']} held-out items. {text}, as {why}."
        )
    if evidence["verdict"] == "unknown":
        return f"{text}: {why}."
    ahead, low, high = gains(gain, evidence)
    return f"{text}: {ahead} over {yardstick}, 95 % interval {low} to {high}."


def rows(evidence: dict[str, Any]) -> list[tuple[str, ...]]:
    """One row an arm: name, value, interval, seconds, steps."""
    return [
        (
            title,
            f"{arm['value']:.3f}",
            f"{arm['low']:.3f} – {arm['high']:.3f}",
            f"{arm['seconds']:.1f}",
            str(arm["steps"]),
        )
        for _, title, arm in named_arms(evidence)
    ]


def named_arms(evidence: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Each arm's key in the record, the name to show, and the arm; the dropped one comes last."""
    arms: dict[str, Any] = dict(evidence["arms"])
    titles: dict[str, str] = {"chosen": f"chosen ({evidence['strategy']})"}
    if "dropped" in evidence:
        arms["dropped"] = evidence["dropped"]
        titles["dropped"] = f"dropped ({evidence['dropped']['strategy']})"
    return [(name, titles.get(name, name), arm) for name, arm in arms.items()]


def notes(evidence: dict[str, Any]) -> list[str]:
    """What a reader must know besides the numbers."""
    lines = [] if evidence["verdict"] == "evaluated" else [protocol_words(evidence)]
    if "refit" in evidence:
        from headstart.report import refit

        lines = [*refit.sentences(evidence["refit"]), *lines]
    lines += [*further(evidence), *filter(None, [other_metrics(evidence.get("metrics") or ())])]
    if "tried" in evidence:
        lines.append(_search_sentence(evidence["tried"]))
    if evidence.get("dropped", {}).get("note"):
        lines.append(evidence["dropped"]["note"])
    failed = [name for name, passed in evidence["checks"].items() if not passed]
    lines += [f"Check failed: {name}." for name in failed]
    return lines + [f"Warning: {text}" for text in evidence["warnings"]]


def _search_sentence(strategies: Mapping[str, Any]) -> str:
    """What the strategy was chosen from, in one sentence."""
    items = max(row["items"] for row in strategies.values())
    listing = ", ".join(f"{name} {row['value']:.3f}" for name, row in strategies.items())
    return f"Strategies compared on {items} items that were not held out: {listing}."


def as_text(evidence: dict[str, Any], width: int = 100) -> str:
    """The evidence for a terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("arm", evidence["metric"], *COLUMNS[1:]):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for row in rows(evidence):
        table.add_row(*row)
    own = [_adapted(evidence["adaptation"])] if "adaptation" in evidence else []
    return _plain([headline(evidence), *own, table, *notes(evidence)], width)


def terminal_curves(evidence: Mapping[str, Any], width: int = 100) -> str:
    """Bars over the 95 % intervals of the arms, and of each number of labels where it is known.

    All bars stand on one scale, whose ends are named above them.
    """
    from rich.markup import escape
    from rich.table import Table

    arms = [(name, arm) for _, name, arm in named_arms(evidence)]
    labels = evidence.get("labels") or {}
    curves = [
        (f"{title}, {row['items']} labels", row)
        for title in ("transfer", "scratch", "forecast")
        for row in labels.get(title) or []
    ]
    every = [row for _, row in arms + curves]
    low = min(0.0, *(row["low"] for row in every))
    top = 0.0 if evidence.get("less_is_better") else 1.0
    high = max(top, *(row["high"] for row in every))
    ends = f"{low:.3g}", f"{high:.3g}"
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(str(evidence["metric"]), justify="right")
    table.add_column(f"{ends[0]}{ends[1]:>{_WIDTH - len(ends[0])}}", no_wrap=True)
    for part in (arms, curves):
        if part is curves and curves:
            table.add_section()
            table.add_row()
        for name, row in part:
            table.add_row(escape(name), f"{row['value']:.3f}", _bar(row, low, high))
    return _plain([table, *filter(None, [labels.get("said")])], width)


def _bar(row: Mapping[str, Any], low: float, high: float) -> Bar:
    """The interval as a bar, at least a character wide so that it can be seen."""
    from rich.bar import Bar

    size = high - low
    begin, end = row["low"] - low, row["high"] - low
    least = size / _WIDTH
    if end - begin < least:
        begin = min(max(0.0, (begin + end - least) / 2), size - least)
        end = begin + least
    return Bar(size, begin, end, width=_WIDTH)


def _adapted(record: Mapping[str, Any]) -> str:
    """The ways to answer on a target, before those on the source's held-out items."""
    from headstart.report import adaptation

    table = as_columns(adaptation.columns_of(record), adaptation.rows_of(record))
    return "\n".join([table, *adaptation.notes_of(record), "On the source's held-out items:"])


def as_html(evidence: dict[str, Any]) -> str:
    """The evidence for a notebook."""
    columns = ("arm", evidence["metric"], *COLUMNS[1:])
    page = as_table(headline(evidence), columns, rows(evidence), notes(evidence))
    if "adaptation" in evidence:
        from headstart.report import adaptation

        record = evidence["adaptation"]
        table = adaptation.columns_of(record), adaptation.rows_of(record)
        page = as_table("", *table, adaptation.notes_of(record)) + page
    return page


def as_table(
    headline: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
) -> str:
    """A table for a notebook, between a line above and lines below; all of it is escaped."""
    return _page().render(headline=headline, columns=columns, rows=rows, notes=notes)


@cache
def _page() -> Template:
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(_PAGE)


def as_columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of text. Only a terminal wraps them: a file or pipe gets whole lines."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    terminal = sys.__stdout__ is not None and sys.__stdout__.isatty()
    grid = Table(
        *titles,
        box=box.SIMPLE_HEAD if terminal else None,
        pad_edge=False,
        show_header=any(titles),
    )
    for row in rows:
        grid.add_row(*map(escape, row))
    if not terminal:
        return _plain([grid], 10_000)
    text = io.StringIO()
    Console(file=text, width=Console().width, force_jupyter=False, highlight=False).print(grid)
    return _stripped(text)


def _plain(parts: Iterable[str | Table], width: int) -> str:
    """Sentences and tables in letters alone, wherever that is drawn.

    Left alone, Rich draws into a notebook's page instead, and in colour where FORCE_COLOR is set.
    """
    from rich.console import Console

    text = io.StringIO()
    console = Console(
        file=text, width=width, color_system=None, force_jupyter=False, highlight=False
    )
    for part in parts:
        sentence = isinstance(part, str)
        console.print(part, markup=False if sentence else None, soft_wrap=sentence)
    return _stripped(text)


def _stripped(text: io.StringIO) -> str:
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

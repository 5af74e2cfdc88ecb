"""Results as people read them: the same rows in a terminal and in a notebook."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from jinja2 import Environment
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headstart.report.words import capital, further, gains, judged, other_metrics

VERDICTS = {
    "helps": "Transfer helps",
    "hurts": "Transfer hurts",
    "no evidence": "No evidence that transfer helps or hurts",
    "unknown": "The gain over scratch is unknown",
    "evaluated": "Evaluated on other data",
}
_PAGE = Environment(autoescape=True).from_string(
    "{% if headline %}<p><b>{{ headline }}</b></p>{% endif %}"
    "<table><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr>"
    "{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}"
    "</table>"
    "{% for line in notes %}<p>{{ line }}</p>{% endfor %}"
)
COLUMNS = ("arm", "95 % interval", "seconds", "steps")


def headline(evidence: dict[str, Any]) -> str:
    """The verdict in one sentence, with the gain in points."""
    if "adaptation" in evidence:
        return str(evidence["adaptation"]["headline"])
    text = VERDICTS[evidence["verdict"]]
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
    return f"{text}: {ahead} over scratch, 95 % interval {low} to {high}."


def rows(evidence: dict[str, Any]) -> list[tuple[str, ...]]:
    """One row an arm: name, value, interval, seconds, steps."""
    return [
        (
            shown,
            f"{arm['value']:.3f}",
            f"{arm['low']:.3f} – {arm['high']:.3f}",
            f"{arm['seconds']:.1f}",
            str(arm["steps"]),
        )
        for _, shown, arm in named_arms(evidence)
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
    lines = [] if evidence["verdict"] == "evaluated" else [judged(evidence)]
    lines += [*further(evidence), *filter(None, [other_metrics(evidence.get("metrics") or ())])]
    if "tried" in evidence:
        lines.append(_tried(evidence["tried"]))
    if evidence.get("dropped", {}).get("note"):
        lines.append(evidence["dropped"]["note"])
    failed = [name for name, passed in evidence["checks"].items() if not passed]
    lines += [f"Check failed: {name}." for name in failed]
    return lines + [f"Warning: {text}" for text in evidence["warnings"]]


def _tried(strategies: Mapping[str, Any]) -> str:
    """What the strategy was chosen from, in one sentence."""
    items = max(row["items"] for row in strategies.values())
    listing = ", ".join(f"{name} {row['value']:.3f}" for name, row in strategies.items())
    return f"Strategies compared on {items} items that were not held out: {listing}."


def as_text(evidence: dict[str, Any], width: int = 100) -> str:
    """The evidence for a terminal."""
    table = Table(box=None, pad_edge=False)
    for name in ("arm", evidence["metric"], *COLUMNS[1:]):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for row in rows(evidence):
        table.add_row(*row)
    page = io.StringIO()
    console = plain_console(page, width)
    console.print(headline(evidence), markup=False, soft_wrap=True)
    if "adaptation" in evidence:
        console.print(_adapted(evidence["adaptation"]), markup=False, soft_wrap=True)
    console.print(table)
    for line in notes(evidence):
        console.print(line, markup=False, soft_wrap=True)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


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
        shown = adaptation.columns_of(record), adaptation.rows_of(record)
        page = as_table("", *shown, adaptation.notes_of(record)) + page
    return page


def as_table(
    headline: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
) -> str:
    """A table for a notebook, between a line above and lines below; all of it is escaped."""
    return _PAGE.render(headline=headline, columns=columns, rows=rows, notes=notes)


def as_columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of text. Only a terminal wraps them: a file or pipe gets whole lines."""
    terminal = sys.__stdout__ is not None and sys.__stdout__.isatty()
    grid = Table(
        *titles,
        box=box.SIMPLE_HEAD if terminal else None,
        pad_edge=False,
        show_header=any(titles),
    )
    for row in rows:
        grid.add_row(*map(escape, row))
    text = io.StringIO()
    if terminal:
        Console(file=text, width=Console().width, force_jupyter=False, highlight=False).print(grid)
    else:
        plain_console(text, 10_000).print(grid)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def plain_console(file: TextIO, width: int) -> Console:
    """What draws letters alone into a file, wherever it runs.

    Left alone, Rich draws into a notebook's page instead, and in colour where FORCE_COLOR is set.
    """
    return Console(file=file, width=width, color_system=None, force_jupyter=False, highlight=False)

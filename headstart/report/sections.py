"""The page's sections on what was measured, each from the keys of the record that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.report import figures, named_arms
from headstart.report.by_class import MOST_CLASSES
from headstart.report.contents import MANY, Figure, Section, Table, between
from headstart.report.figures import Series
from headstart.report.theme import OTHER, SCRATCH, TRANSFER

_KINDS = {"chosen": "handed over", "scratch": "scratch"}
Evidence = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


def arms(evidence: Evidence) -> Section:
    """Every way of solving the task, with its interval."""
    sign = 1 if evidence.get("less_is_better") else -1
    ordered = sorted(named_arms(evidence), key=lambda each: sign * each[2]["value"])
    names, metric = [title for _, title, _ in ordered], evidence["metric"]
    kinds = [_KINDS.get(name, "others") for name, _, _ in ordered]
    series = [
        Series(
            kind,
            [arm if kind == own else None for own, (_, _, arm) in zip(kinds, ordered, strict=True)],
            colour,
        )
        for kind, colour in (("handed over", TRANSFER), ("scratch", SCRATCH), ("others", OTHER))
        if kind in kinds
    ]
    table = Table.of(
        ("arm", metric, "95 % interval", "on validation", "note"),
        [
            (title, arm["value"], between(arm), arm.get("validation"), arm.get("note", ""))
            for _, title, arm in ordered
        ],
    )
    caption = (
        f"Each dot is the {metric} on the same held-out items, each line its 95 % interval for "
        "other items than those."
    )
    summary = ", ".join(f"{title} {arm['value']:.3f}" for _, title, arm in ordered)
    drawing = figures.intervals(names, series, metric)
    figure = Figure("arms", f"{metric} of each arm: {summary}.", drawing, table)
    return Section("arms", "Ways to solve the task", (caption,), (figure,))


def metrics(evidence: Evidence) -> Section | None:
    """What the metrics say that nothing was chosen by."""
    estimates: Rows = evidence.get("metrics") or []
    if not estimates:
        return None
    rows = [
        (row["metric"], row["value"], between(row), "less" if row.get("less_is_better") else "more")
        for row in estimates
    ]
    table = Table.of(("metric", "this model", "95 % interval", "better is"), rows)
    caption = f"Models were chosen and judged by {evidence['metric']}; these are beside it."
    return Section("metrics", "Other metrics", (caption,), tables=(("", table),))


def labels(evidence: Evidence) -> Section | None:
    """How much each number of labels is worth, with transfer and without."""
    record = evidence.get("labels")
    if not record or not record.get("transfer"):
        return None
    metric, transfer = evidence["metric"], record["transfer"]
    unit = record.get("unit", "labels")
    ahead = record.get("forecast") or []
    parts = [
        ("transfer", transfer, TRANSFER, False),
        ("scratch", record.get("scratch") or [], SCRATCH, False),
        ("forecast", [transfer[-1], *ahead] if ahead else [], TRANSFER, True),
    ]
    series = [
        Series(name, rows, colour, [row["items"] for row in rows], dashed)
        for name, rows, colour, dashed in parts
        if rows
    ]
    rows = [
        (name, row["items"], row["value"], between(row))
        for name, part in (*((part[0], part[1]) for part in parts[:2]), ("forecast", ahead))
        for row in part
    ]
    summary = f"{metric} against the number of training {unit}: {record.get('said', '')}"
    figure = Figure(
        "labels",
        summary,
        figures.curves(series, f"training {unit}", metric, logarithmic=True),
        Table.of(("curve", unit, metric, "95 % interval"), rows),
    )
    title = f"Learning curves: what {unit} are worth"
    return Section("labels", title, _sentences(record.get("said")), (figure,))


def convergence(evidence: Evidence) -> Section | None:
    """How fast the model handed over and scratch learned, by steps and by seconds."""
    record = evidence.get("convergence")
    if not record:
        return None
    metric = evidence["metric"]
    parts = [("chosen", TRANSFER), ("scratch", SCRATCH)]
    drawings: list[Figure] = []
    for unit in ("steps", "seconds"):
        series = [
            Series(name, [{"value": row["score"]} for row in rows], colour, [r[unit] for r in rows])
            for name, colour in parts
            if (rows := [row for row in record.get(name) or [] if row.get(unit) is not None])
        ]
        rows = [
            (name, int(row["steps"]), row["seconds"], row["score"])
            for name, _ in parts
            for row in record.get(name) or []
        ]
        if series:
            drawing = figures.curves(series, unit, f"{metric} on validation")
            summary = f"{metric} on validation against {unit}."
            table = Table.of(("arm", "steps", "seconds", metric), rows)
            drawings.append(Figure(f"convergence-{unit}", summary, drawing, table, f"By {unit}"))
    if not any(figures.several(each.drawing) for each in drawings):
        drawings = drawings[:1]  # a table, which holds both units
    return Section("convergence", "Convergence", _sentences(record.get("said")), tuple(drawings))


def groups(evidence: Evidence) -> Section | None:
    """Groups of items that the user named, the worst first."""
    estimates: Rows = evidence.get("groups") or []
    if not estimates:
        return None
    return _listed(evidence, estimates, "group", "Groups", "The worst group comes first.")


def robustness(evidence: Evidence) -> Section | None:
    """How the model does on damaged pictures."""
    estimates: Rows = evidence.get("robustness") or []
    if not estimates:
        return None
    caption = "The same held-out pictures, damaged in one way each; none: as they are."
    return _listed(evidence, estimates, "corruption", "Robustness", caption)


def calibration(evidence: Evidence) -> Section | None:
    """Whether the model is as sure as it is right."""
    record = evidence.get("calibration")
    if not record or not record.get("bins"):
        return None
    sentences = [
        "Where the line lies below the diagonal, the model is surer than it is right.",
        _error("Expected calibration error", record.get("ece")),
        _error(
            f"After scaling by the temperature {record['temperature']:.2f}"
            if record.get("temperature")
            else "After scaling",
            record.get("ece_scaled"),
        ),
        _error("Of the network from scratch", record.get("scratch_ece")),
    ]
    curves: dict[str, Rows] = {"before scaling": record["bins"]}
    if record.get("bins_scaled"):
        curves["after scaling"] = record["bins_scaled"]
    facts = ("from", "to", "confidence", "accuracy", "items")
    table = Table.of(
        ("curve", *facts),
        [(name, *(row[fact] for fact in facts)) for name, rows in curves.items() for row in rows],
    )
    summary = "Reliability diagram: share of right answers against confidence."
    drawing = figures.reliability(curves)
    figure = Figure("calibration", summary, drawing, table, widest=640)
    return Section("calibration", "How sure it is", _sentences(*sentences), (figure,))


def _listed(evidence: Evidence, estimates: Rows, key: str, title: str, caption: str) -> Section:
    """Rows with intervals, beside scratch where that was measured too."""
    metric = evidence["metric"]
    compared = any(row.get("scratch") is not None for row in estimates)
    first = estimates[:MOST_CLASSES]
    series = [Series("this model", first)]
    if compared:
        values = [row.get("scratch") for row in first]
        others = [None if value is None else {"value": value} for value in values]
        series.append(Series("scratch", others, SCRATCH))
    columns = [key, "items", metric, "95 % interval", "scratch"]
    rows = [
        (row[key], row.get("items"), row["value"], between(row), row.get("scratch"))
        for row in estimates
    ]
    drawing = figures.intervals([str(row[key]) for row in first], series, metric)
    summary, table = f"{metric} by {key}.".capitalize(), Table.of(columns, rows)
    figure = Figure(title.lower(), summary, drawing, table, folded=len(estimates) > MANY)
    return Section(title.lower(), title, (caption,), (figure,))


def _error(name: str, estimate: Mapping[str, Any] | None) -> str:
    return f"{name}: {estimate['value']:.3f} ({between(estimate)})." if estimate else ""


def _sentences(*sentences: str | None) -> tuple[str, ...]:
    return tuple(sentence for sentence in sentences if sentence)

"""The page's sections on classes: what is taken for what, and how each class fares."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.report import figures
from headstart.report.contents import MANY, Figure, Section, Table, between, value_of
from headstart.report.figures import Series
from headstart.report.words import is_share

MOST_CLASSES = 40  # in one figure; a table has all
_PAIRS = 30  # of classes that are confused most
_STEPS = (0.5, 0.8, 0.95)  # between the groups that many classes are listed in
Evidence = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


def confusion(evidence: Evidence) -> Section | None:
    """Which classes are taken for which: of many, the pairs first, and the matrix in order."""
    record = evidence.get("classes") or {}
    if not record.get("confusion"):
        return None
    counts = np.asarray(record["confusion"])
    names = [str(row["label"]) for row in record["rows"]]
    right = np.diagonal(counts)
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * right
    shown_places = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    many = len(names) > MANY
    if many:
        shown_places = shown_places[_ordered(counts[np.ix_(shown_places, shown_places)])]
    caption = "Rows are labels, columns predictions; colour is the share of the label's items."
    if len(shown_places) < len(names):
        caption += (
            f" Of {len(names)} classes, the {len(shown_places)} with the most mistakes are shown."
        )
    if many:
        caption += " Classes that are taken for one another stand side by side."
    matrix, part = (
        [names[n] for n in shown_places],
        counts[np.ix_(shown_places, shown_places)].tolist(),
    )
    table = Table.of(
        ("labelled", *matrix), [(name, *row) for name, row in zip(matrix, part, strict=True)]
    )
    figure = Figure(
        "confusion",
        f"Confusion matrix: {right.sum()} of {counts.sum()} held-out items are on its diagonal.",
        figures.matrix(matrix, part),
        _pairs(names, counts) if many else table,
        "The confusion matrix" if many else "",
        widest=980 if many else 760,
        folded=many,
    )
    sentences = (_most(names, counts), caption) if many else (caption,)
    return Section("confusion", "What is taken for what", sentences, (figure,))


def classes(evidence: Evidence) -> Section | None:
    """Each class, and what transfer changes for it; many in groups, the worst first."""
    record = evidence.get("classes") or {}
    every: Rows = record.get("rows") or []
    scored = [row for row in every if row.get("value") is not None]
    if not scored:
        return None
    metric = record.get("metric") or evidence["metric"]
    changed = [row for row in every if row.get("change")]
    ranked = sorted(changed, key=lambda row: row["change"]["value"])
    if not changed:
        ranked = sorted(scored, key=lambda row: row["value"])
    sentences, many = [record["said"]] if record.get("said") else [], len(every) > MANY
    if len(ranked) > MOST_CLASSES:
        half = MOST_CLASSES // 2
        ranked = [*ranked[:half], *ranked[-half:]]
        sentences.append(
            f"The figure shows, of {len(every)} classes, the {half} first and the {half} last."
        )
    names = [f"{row['label']} ({row['items']})" for row in ranked]
    points = [row["change"] if changed else row for row in ranked]
    axis = f"change in {metric}" if changed else metric
    drawing = figures.intervals(names, [Series("classes", points)], axis, zero=bool(changed))
    summary = f"{axis} for each class.".capitalize()
    table = _listed(every, metric, many)
    figure = Figure("classes", summary, drawing, table, axis.capitalize() * many, folded=many)
    title = "Each class against scratch" if changed else "Each class"
    return Section("classes", title, tuple(sentences), (figure,))


def _listed(every: Rows, metric: str, many: bool) -> Table:
    """All classes; many of them from the lowest value to the highest, in groups."""
    rows = sorted(every, key=lambda row: (row["value"] is None, row["value"])) if many else every
    headings: dict[int, str] = {}
    if many and is_share(metric):
        levels = [sum((row["value"] or 0) >= step for step in _STEPS) for row in rows]
        for level, name in enumerate(_levels(metric)):
            if level in levels:
                count = levels.count(level)
                headings[levels.index(level)] = f"{name}: {count} class{'es' * (count != 1)}"
    compared = any(row.get("change") for row in rows)
    columns = ("class", "items", metric, "95 % interval")
    return Table.of(
        (*columns, *(("scratch", "change", "its interval") if compared else ())),
        [
            (
                *(row["label"], row["items"], row["value"], between(row)),
                *(
                    (row.get("scratch"), value_of(row.get("change")), between(row.get("change")))
                    if compared
                    else ()
                ),
            )
            for row in rows
        ],
        metered=2 if is_share(metric) else None,
        headings=headings,
    )


def _levels(metric: str) -> list[str]:
    edges = [f"{step:.0%}".replace("%", " %") for step in (*_STEPS, 1.0)]
    between_them = [f"{low} to {high}" for low, high in itertools.pairwise(edges)]
    return [f"{metric.capitalize()} {span}" for span in (f"below {edges[0]}", *between_them)]


def _confused(counts: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of label and answer that are mistakes: the most frequent first."""
    others = counts * (1 - np.eye(len(counts), dtype=int))
    shares = others / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    order = np.argsort(-(others + shares / 2), axis=None, kind="stable")[:_PAIRS]
    places = zip(*np.unravel_index(order, others.shape), strict=True)
    return [(int(own), int(other)) for own, other in places if others[own, other]]


def _most(names: Sequence[str], counts: np.ndarray) -> str:
    """The most frequent mistake in words."""
    pairs = _confused(counts)
    if not pairs:
        return "No class is taken for another."
    own, other = pairs[0]
    return (
        f"The most frequent mistake: {counts[own, other]} of {counts[own].sum()} items of "
        f"'{names[own]}' are taken for '{names[other]}'."
    )


def _pairs(names: Sequence[str], counts: np.ndarray) -> Table:
    """The pairs that are confused most."""
    columns = ("labelled", "taken for", "times", "share of the label's items")
    rows = [
        (names[own], names[other], int(counts[own, other]), counts[own, other] / counts[own].sum())
        for own, other in _confused(counts)
    ]
    return Table.of(columns, rows, metered=3)


def _ordered(counts: np.ndarray) -> np.ndarray:
    """An order of classes in which those that are taken for one another stand side by side."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    apart = 1 - (shares + shares.T) / 2
    np.fill_diagonal(apart, 0)
    return np.asarray(leaves_list(linkage(squareform(apart, checks=False), "average")))

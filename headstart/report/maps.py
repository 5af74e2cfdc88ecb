"""The map of the features: every item a point, its label a colour, many labels written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from headstart.report.figures import distinct, written
from headstart.report.theme import BAD, Drawing, drawing

LABELS = 10  # colours, --label-0 and so on; more labels share them and are written on the map
_SYMBOLS = {"train": "circle", "validation": "diamond", "test": "square"}
_HIGH = 560
_WIDTHS = {"wide": 780, "narrow": 250}  # pixels between the outermost points, desk and phone
_TALL = 460
_LETTER, _LINE = 7, 20  # pixels that a written label takes
Places = Mapping[str, Sequence[Any]]


def feature_map(places: Places, suspects: Sequence[str] = (), numbers: bool = False) -> Drawing:
    """Items in two dimensions by label, those that may be mislabelled with a ring around them.

    Up to ten labels have a colour each and a legend; more share ten colours, and their names stand
    where their items lie, as far as there is room. Labels that are `numbers` lie on a scale of
    colours. Each point carries its item's id, label and split for the page to show.
    """
    figure = go.Figure()
    marked = set(suspects)
    rings = [row for row, each in enumerate(places["id"]) if each in marked]
    values = _numbers(places["label"]) if numbers else None
    titles = dict(zip(_labels(places), map(written, distinct(_labels(places))), strict=True))
    many = len(titles) > LABELS
    for number, (name, rows) in enumerate(_grouped(places, titles, values is not None)):
        symbols = [_SYMBOLS.get(places["split"][row], "circle") for row in rows]
        colour = f"var(--label-{number})"
        style: Drawing = {"size": 8, "opacity": 0.85, "color": colour, "symbol": symbols}
        if values:
            scale = [[0, "var(--label-0)"], [1, "var(--label-1)"]]
            style |= {"color": values, "colorscale": scale, "showscale": True}
        figure.add_trace(_points(places, rows, name, style))
    if rings:
        ring = {"size": 15, "color": BAD, "symbol": "circle-open", "line": {"width": 2}}
        figure.add_trace(_points(places, rings, "likely label errors", ring))
    bare = {"showgrid": False, "showticklabels": False, "fixedrange": False}
    figure.update_xaxes(**bare)
    figure.update_yaxes(**bare)
    figure.update_layout(height=_HIGH, hoverdistance=12, showlegend=not values and not many)
    if many and not values:
        figure.update_layout(annotations=list(_names(places, titles)))
    return drawing(figure)


def many_labels(places: Places, numbers: bool) -> bool:
    """Whether the map's labels share colours, so that one must be picked out to be seen."""
    return not numbers and len(_labels(places)) > LABELS


def _labels(places: Places) -> list[str]:
    return sorted({str(label) for label in places["label"]})


def _grouped(
    places: Places, titles: Mapping[str, str], whole: bool
) -> Iterator[tuple[str, list[int]]]:
    """The rows of each colour, training first, and the label it stands for."""
    order = {split: place for place, split in enumerate(_SYMBOLS)}
    rows = sorted(range(len(places["id"])), key=lambda row: order.get(places["split"][row], 0))
    if whole:
        yield "items", list(range(len(rows)))
        return
    colours = {label: place % LABELS for place, label in enumerate(titles)}
    for place, name in enumerate([*titles.values()][:LABELS]):
        yield name, [row for row in rows if colours[str(places["label"][row])] == place]


def _names(places: Places, titles: Mapping[str, str]) -> Iterator[Drawing]:
    """Labels at the middle of their items, the most frequent first, none over another.

    Those named `narrow` have room on a phone too.
    """
    labels = np.array([str(label) for label in places["label"]])
    spots = np.stack([np.asarray(places[axis], dtype=np.float64) for axis in "xy"], axis=1)
    size = np.maximum(np.ptp(spots, axis=0), 1e-9)
    middles = {label: np.median(spots[labels == label], axis=0) for label in titles}
    boxes: dict[str, list[np.ndarray]] = {name: [] for name in _WIDTHS}
    for label in sorted(titles, key=lambda each: -int((labels == each).sum())):
        free = []
        for name, wide in _WIDTHS.items():
            centre = (middles[label] - spots.min(axis=0)) / size * (wide, _TALL)
            half = np.array([_LETTER * len(titles[label]) / 2 + 4, _LINE / 2])
            box = np.concatenate([centre - half, centre + half])
            if any(_overlap(box, other) for other in boxes[name]):
                break
            boxes[name].append(box)
            free.append(name)
        if free:
            x, y = middles[label].round(5).tolist()
            yield {
                "x": x,
                "y": y,
                "text": titles[label],
                "name": free[-1],
                "showarrow": False,
                "bgcolor": "var(--veil)",
                "font": {"size": 11, "color": "var(--text)"},
            }


def _overlap(box: np.ndarray, other: np.ndarray) -> bool:
    return bool((box[:2] < other[2:]).all() and (other[:2] < box[2:]).all())


def _points(places: Places, rows: Sequence[int], name: str, marker: Drawing) -> go.Scatter:
    return go.Scatter(
        x=[places["x"][row] for row in rows],
        y=[places["y"][row] for row in rows],
        mode="markers",
        name=name,
        marker=marker,
        customdata=[[str(places[key][row]) for key in ("id", "label", "split")] for row in rows],
        hoverinfo="none",
    )


def _numbers(labels: Sequence[Any]) -> list[float] | None:
    """The labels as numbers; None where one is none."""
    try:
        return [float(label) for label in labels]
    except (TypeError, ValueError):
        return None

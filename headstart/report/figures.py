"""The page's figures, drawn by Plotly: colours stand as the page's CSS variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from headstart.report.theme import BAD, OTHER, TRANSFER, Drawing, drawing

LABELS = 10  # labels with a colour of their own on the map, --label-0 and so on
WRITTEN = 12  # classes up to which a confusion matrix has its counts written in
_ROWS_HIGH = 860  # pixels at most, so that a figure fits on one sheet of paper
_LONGEST = 26  # characters of a label on an axis
_SYMBOLS = {"train": "circle", "validation": "diamond", "test": "square"}


@dataclass(frozen=True)
class Series:
    """Estimates of one kind: {"value", "low", "high"} each, or None where there is none.

    `at` are their places on the x axis, where that is a scale.
    """

    name: str
    points: Sequence[Mapping[str, Any] | None]
    colour: str = TRANSFER
    at: Sequence[float] = ()
    dashed: bool = False


def intervals(
    labels: Sequence[str], series: Sequence[Series], axis: str, zero: bool = False
) -> Drawing:
    """Dots with their intervals, a row for each label, from the top; `zero` draws a line at 0."""
    figure = go.Figure()
    for number, each in enumerate(series):
        rows = [row for row, point in enumerate(each.points) if point]
        points = [point for point in each.points if point]
        beside = [[n for n, one in enumerate(series) if one.points[row]] for row in rows]
        offsets = [
            0.26 * (here.index(number) - (len(here) - 1) / 2) if len(here) > 1 else 0.0
            for here in beside
        ]
        figure.add_scatter(
            x=[point["value"] for point in points],
            y=[row + offset for row, offset in zip(rows, offsets, strict=True)],
            mode="markers",
            name=each.name,
            marker={"size": 11, "color": each.colour},
            error_x=_spread(points) | {"color": each.colour},
            text=[shortened(labels[row]) for row in rows],
            customdata=[_bounds(point) for point in points],
            hovertemplate="%{text}<br><b>%{x:.3f}</b>%{customdata}<extra>" + each.name + "</extra>",
        )
    if zero:
        figure.add_vline(x=0, line={"color": "var(--muted)", "width": 1, "dash": "dot"})
    figure.update_xaxes(title={"text": axis})
    figure.update_yaxes(**_rows(labels), showgrid=False, range=[len(labels) - 0.5, -0.5])
    several = len(series) > 1
    rows_high = min(34 * len(labels), _ROWS_HIGH)
    figure.update_layout(height=80 + rows_high + 30 * several, showlegend=several)
    return drawing(figure)


def curves(series: Sequence[Series], across: str, up: str, logarithmic: bool = False) -> Drawing:
    """Lines over a scale, each with a band for its interval, where it has one."""
    figure = go.Figure()
    for each in series:
        points = [point for point in each.points if point]
        banded = [point for point in points if point.get("low") is not None]
        if len(banded) == len(points) > 0:
            edges = [point["high"] for point in points] + [point["low"] for point in points[::-1]]
            figure.add_scatter(
                x=[*each.at, *each.at[::-1]],
                y=edges,
                fill="toself",
                fillcolor=each.colour.replace(")", "-band)"),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
            )
        figure.add_scatter(
            x=list(each.at),
            y=[point["value"] for point in points],
            mode="lines+markers" if len(points) <= 40 else "lines",
            name=each.name,
            line={"color": each.colour, "width": 2.5, "dash": "dot" if each.dashed else "solid"},
            marker={"size": 7, "color": each.colour},
            customdata=[_bounds(point) for point in points],
            hovertemplate=f"%{{x:,.4~g}} {across}<br><b>%{{y:.3f}}</b>%{{customdata}}"
            f"<extra>{each.name}</extra>",
        )
    figure.update_xaxes(title={"text": across})
    if logarithmic:
        places = sorted({place for each in series for place in each.at})
        figure.update_xaxes(
            type="log", tickmode="array", tickvals=places, ticktext=[f"{p:g}" for p in places]
        )
    figure.update_yaxes(title={"text": up})
    figure.update_layout(height=340, showlegend=len(series) > 1)
    return drawing(figure)


def matrix(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Drawing:
    """A confusion matrix: colour by the share of the true label, counts where there is room."""
    places = list(range(len(labels)))
    names = [shortened(label) for label in labels]
    few = len(labels) <= WRITTEN
    figure = go.Figure(
        go.Heatmap(
            x=places,
            y=places,
            z=[[count / (sum(row) or 1) for count in row] for row in counts],
            zmin=0,
            zmax=1,
            text=[[str(count) for count in row] for row in counts],
            texttemplate="%{text}" if few else "",
            customdata=[[[own, other] for other in names] for own in names],
            hovertemplate="%{customdata[0]}, predicted %{customdata[1]}<br><b>%{text}</b> items, "
            "%{z:.0%} of the label<extra></extra>",
            colorscale=[[0, "var(--low)"], [1, "var(--heat)"]],
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_xaxes(**_rows(labels), title={"text": "predicted"}, showgrid=False)
    figure.update_yaxes(
        **_rows(labels), title={"text": "labelled"}, showgrid=False, autorange="reversed"
    )
    figure.update_layout(height=max(260, 130 + (44 if few else 18) * len(labels)))
    return drawing(figure)


def reliability(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Drawing:
    """Accuracy against confidence, a point a bin: before scaling, and after it where known."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="as sure as right",
        line={"color": "var(--muted)", "dash": "dot", "width": 1.5},
        hoverinfo="skip",
    )
    for (name, bins), colour in zip(curves.items(), (OTHER, TRANSFER), strict=False):
        known = [each for each in bins if each["items"]]
        figure.add_scatter(
            x=[each["confidence"] for each in known],
            y=[each["accuracy"] for each in known],
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2.5},
            marker={"color": colour, "size": 9},
            customdata=[each["items"] for each in known],
            hovertemplate="sure to %{x:.0%}, right in <b>%{y:.0%}</b><br>%{customdata} items"
            f"<extra>{name}</extra>",
        )
    figure.update_xaxes(
        title={"text": "how sure the model was"}, tickformat=".0%", range=[-0.02, 1.02]
    )
    figure.update_yaxes(title={"text": "how often it was right"}, tickformat=".0%")
    figure.update_yaxes(range=[-0.02, 1.02])
    figure.update_layout(height=420)
    return drawing(figure)


def feature_map(
    places: Mapping[str, Sequence[Any]], suspects: Sequence[str] = (), numbers: bool = False
) -> Drawing:
    """Items in two dimensions by label, those that may be mislabelled with a ring around them.

    The commonest labels have a colour each, the others share one; labels that are `numbers` lie on
    a scale of colours. Each point carries its item's id, label and split for the page to show.
    """
    figure = go.Figure()
    marked = set(suspects)
    rings = [row for row, each in enumerate(places["id"]) if each in marked]
    values = _numbers(places["label"]) if numbers else None
    groups = [("items", list(range(len(places["id"]))))] if values else _grouped(places)
    for number, (name, rows) in enumerate(groups):
        colour = OTHER if number == LABELS else f"var(--label-{number})"
        symbols = [_SYMBOLS.get(places["split"][row], "circle") for row in rows]
        style: Drawing = {"size": 8, "opacity": 0.8, "color": colour, "symbol": symbols}
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
    figure.update_layout(height=560, hoverdistance=12, showlegend=not values)
    return drawing(figure)


def _grouped(places: Mapping[str, Sequence[Any]]) -> list[tuple[str, list[int]]]:
    """The rows of each of the commonest labels, and last those of all others; training first."""
    labels = [str(label) for label in places["label"]]
    common = sorted(label for label, _ in Counter(labels).most_common(LABELS))
    order = {split: place for place, split in enumerate(_SYMBOLS)}
    rows = sorted(range(len(labels)), key=lambda row: order.get(places["split"][row], 0))
    found = [(shortened(name), [row for row in rows if labels[row] == name]) for name in common]
    others = [row for row in rows if labels[row] not in common]
    return [*found, ("other labels", others)] if others else found


def _points(
    places: Mapping[str, Sequence[Any]], rows: Sequence[int], name: str, marker: Drawing
) -> go.Scatter:
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


def shortened(label: Any) -> str:
    """A label for a figure: not too long, and none of it taken for markup by Plotly."""
    text = " ".join(str(label).split())
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _rows(labels: Sequence[str]) -> Drawing:
    """Ticks that name each label, or none where they would cover one another."""
    named = len(labels) <= 60
    found = {"tickmode": "array", "tickvals": list(range(len(labels))) if named else []}
    return found | {"ticktext": [shortened(label) for label in labels] if named else []}


def _spread(points: Sequence[Mapping[str, Any]]) -> Drawing:
    def reach(point: Mapping[str, Any], bound: str) -> float:
        edge = point.get(bound)
        return 0.0 if edge is None else abs(edge - point["value"])

    return {
        "type": "data",
        "symmetric": False,
        "array": [reach(point, "high") for point in points],
        "arrayminus": [reach(point, "low") for point in points],
        "thickness": 2.5,
        "width": 0,
    }


def _bounds(point: Mapping[str, Any]) -> str:
    if point.get("low") is None or point.get("high") is None:
        return ""
    return f" ({point['low']:.3f} – {point['high']:.3f})"

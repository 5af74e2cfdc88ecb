"""The page's figures, drawn by Plotly: colours stand as the page's CSS variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import plotly.graph_objects as go

from headstart.report.contents import between
from headstart.report.theme import OTHER, TRANSFER, Drawing, drawing

WRITTEN = 12  # classes up to which a confusion matrix has its counts written in
_ROWS_HIGH = 860  # pixels at most, so that a figure fits on one sheet of paper
_BOUNDS = {"accuracy": (0.0, 1.0), "balanced accuracy": (0.0, 1.0), "f1": (0.0, 1.0)}
_BOUNDS |= dict.fromkeys(("macro F1", "micro F1", "AUROC", "average precision"), (0.0, 1.0))
_BOUNDS |= dict.fromkeys(("MAE", "RMSE", "log loss", "Brier score"), (0.0, inf))
_BOUNDS |= {"r2": (-inf, 1.0), "Spearman correlation": (-1.0, 1.0)}  # of metrics that have any
_MARGIN = 0.04  # of what an axis shows, beyond its outermost marks
LONGEST = 26  # characters


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
    """Dots with their intervals, a row for each label, from the top; `zero` draws a line at 0.

    An axis that is named by a metric shows nothing beyond what that metric can be.
    """
    figure, names = go.Figure(), [written(name) for name in distinct(labels)]
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
            error_x=_spread(points, axis) | {"color": each.colour},
            cliponaxis=False,
            text=[names[row] for row in rows],
            customdata=[_bounds(point) for point in points],
            hovertemplate="%{text}<br><b>%{x:.3f}</b>%{customdata}<extra>" + each.name + "</extra>",
        )
    if zero:
        figure.add_vline(x=0, line={"color": "var(--muted)", "width": 1, "dash": "dot"})
    figure.update_xaxes(title={"text": axis}, range=_range(series, axis, zero))
    figure.update_yaxes(**_rows(names), showgrid=False, range=[len(labels) - 0.5, -0.5])
    has_legend = len(series) > 1
    rows_high = min(34 * len(labels), _ROWS_HIGH)
    figure.update_layout(height=80 + rows_high + 30 * has_legend, showlegend=has_legend)
    return drawing(figure)


def curves(series: Sequence[Series], across: str, up: str, logarithmic: bool = False) -> Drawing:
    """Lines over a scale, each with a band for its interval, where it has one."""
    figure = go.Figure()
    for each in series:
        points = [point for point in each.points if point]
        banded = [point for point in points if point.get("low") is not None]
        if len(banded) == len(points) > 0:
            high = [_within(point["high"], up) for point in points]
            edges = high + [_within(point["low"], up) for point in points[::-1]]
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
            cliponaxis=False,
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
    figure.update_yaxes(title={"text": up}, range=_range(series, up))
    figure.update_layout(height=340, showlegend=len(series) > 1)
    return drawing(figure)


def matrix(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Drawing:
    """A confusion matrix: colour by the share of the true label, counts where there is room."""
    places = list(range(len(labels)))
    names = [written(name) for name in distinct(labels)]
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
    figure.update_xaxes(**_rows(names), title={"text": "predicted"}, showgrid=False)
    figure.update_yaxes(
        **_rows(names), title={"text": "labelled"}, showgrid=False, autorange="reversed"
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
        filled = [each for each in bins if each["items"]]
        figure.add_scatter(
            x=[each["confidence"] for each in filled],
            y=[each["accuracy"] for each in filled],
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 2.5},
            marker={"color": colour, "size": 9},
            customdata=[each["items"] for each in filled],
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


def written(label: str) -> str:
    """A text of which Plotly takes nothing for markup."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def several(picture: Mapping[str, Any]) -> bool:
    """Whether a drawing says more than its numbers: it has more than a dot, or a line."""
    traces = [trace for trace in picture["data"] if trace.get("hoverinfo") != "skip"]
    if any("z" in trace for trace in traces):
        return all(len(trace["z"]) > 1 for trace in traces)
    if any("lines" in trace["mode"] for trace in traces):
        return any(len(trace["x"]) > 1 for trace in traces)
    return sum(len(trace["x"]) for trace in traces) > 1


def _rows(names: Sequence[str]) -> Drawing:
    """Ticks that name each row, or none where they would cover one another."""
    readable = len(names) <= 60
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))) if readable else []}
    return ticks | {"ticktext": list(names) if readable else []}


def _metric(axis: str) -> str:
    """The metric that an axis shows, such as the accuracy of `accuracy on validation`."""
    return axis.removesuffix(" on validation")


def _within(value: float, axis: str) -> float:
    """A bound of an interval, not beyond what the axis' metric can be."""
    low, high = _BOUNDS.get(_metric(axis), (-inf, inf))
    return min(max(value, low), high)


def _range(series: Sequence[Series], axis: str, zero: bool = False) -> list[float] | None:
    """From the lowest to the highest mark and a bit more, within what the metric can be."""
    points = [point for each in series for point in each.points if point]
    marks = [point.get(key) for point in points for key in ("value", "low", "high")]
    finite = [_within(mark, axis) for mark in marks if mark is not None and isfinite(mark)]
    if not finite:
        return None
    finite += [0.0] * zero
    room = _MARGIN * (max(finite) - min(finite)) or _MARGIN
    return [_within(min(finite) - room, axis), _within(max(finite) + room, axis)]


def _spread(points: Sequence[Mapping[str, Any]], axis: str) -> Drawing:
    def reach(point: Mapping[str, Any], bound: str) -> float:
        edge = point.get(bound)
        return 0.0 if edge is None else abs(_within(edge, axis) - point["value"])

    return {
        "type": "data",
        "symmetric": False,
        "array": [reach(point, "high") for point in points],
        "arrayminus": [reach(point, "low") for point in points],
        "thickness": 2.5,
        "width": 0,
    }


def _bounds(point: Mapping[str, Any]) -> str:
    bounds = between(point)
    return f" ({bounds})" if bounds else ""


def distinct(labels: Sequence[Any]) -> list[str]:
    """Each label within 26 characters, those that differ still different.

    Long ones lose their end; where that makes two alike, their middle; else they get a number.
    """
    whole = [" ".join(str(label).split()) for label in labels]
    label_of = {name: _cut(name, LONGEST - 1, 0) for name in whole}
    for ahead in (LONGEST // 2, LONGEST // 3):
        for name in _alike(label_of):
            label_of[name] = _cut(name, ahead, LONGEST - 1 - ahead)
    for number, name in enumerate(_alike(label_of), 1):
        label_of[name] = f"{name[: LONGEST - 7]}… ({number})"
    return [label_of[name] for name in whole]


def _alike(label_of: dict[str, str]) -> list[str]:
    """The names that are shown as another one is."""
    counts = Counter(label_of.values())
    return [name for name, short in label_of.items() if counts[short] > 1]


def _cut(name: str, ahead: int, behind: int) -> str:
    if len(name) <= LONGEST:
        return name
    return f"{name[:ahead]}…{name[-behind:] if behind else ''}"

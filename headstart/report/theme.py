"""What the page's figures share: Plotly's library, their look, and how they are written down."""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

TRANSFER, SCRATCH, OTHER, BAD = (
    f"var(--{name})" for name in ("transfer", "scratch", "other", "bad")
)
_CLEAR = "rgba(0,0,0,0)"
Drawing = dict[str, Any]


def library() -> str:
    """The whole of plotly.js, minified."""
    return str(get_plotlyjs())


@cache
def packed() -> str:
    """The library as a page carries it: deflated and in base64, two fifths of its size."""
    return base64.b64encode(zlib.compress(library().encode("utf-8"), 9)).decode()


def template() -> Drawing:
    """What all figures share: clear backgrounds, and the page's font and colours."""
    axis = {
        "automargin": True,
        "fixedrange": True,
        "gridcolor": "var(--line)",
        "linecolor": "var(--line)",
        "zeroline": False,
        "title": {"standoff": 10},
        "ticklabelstandoff": 4,
    }
    layout = {
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--text)"},
        "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
        "xaxis": axis,
        "yaxis": axis,
        "dragmode": False,
        "modebar": {"bgcolor": _CLEAR, "color": "var(--muted)", "activecolor": "var(--text)"},
        "hoverlabel": {
            "bgcolor": "var(--surface)",
            "bordercolor": "var(--line)",
            "font": {"color": "var(--text)"},
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    layout_dict: Drawing = _plain(go.Figure(layout={"template": {"layout": layout}}))["layout"]
    return dict(layout_dict["template"])


def drawing(figure: go.Figure) -> Drawing:
    """A figure as the page has it: data and layout."""
    plain = _plain(figure)
    plain["layout"].pop("template", None)  # the page has one for all
    return {"data": plain["data"], "layout": plain["layout"]}


def _plain(figure: go.Figure) -> Drawing:
    """A figure as JSON has it: what is no number becomes null."""
    plain: Drawing = json.loads(figure.to_json())
    return plain

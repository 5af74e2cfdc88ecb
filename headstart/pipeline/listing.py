"""What there is: backbones of all hubs, and strategies."""

from __future__ import annotations

from headstart import catalog
from headstart.listing import backbones as backbones


def strategies() -> dict[str, str]:
    """Every strategy's name and the first line of its documentation."""
    found = {
        name: catalog.part("strategies", name).__doc__ or "" for name in catalog.names("strategies")
    }
    return {name: text.strip().partition("\n")[0] for name, text in sorted(found.items())}

"""What rows make without other tables: what learning from these is compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from headstart.evidence import ArmResult
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.pipeline.strategy_spec import FEATURES, learns_from_sources

ALONE: Final = "Scratch is the best that the table's rows make without the other tables."


def rows_alone(search: StrategySearch) -> ArmResult:
    """The best that the target's rows make without other tables, in the place of scratch."""
    arms = search.over_folds()
    alone = [name for name in arms if not learns_from_sources(name)]
    best = max(alone, key=lambda name: arms[name].selection_key)
    arm = replace(arms[best], strategy="scratch", note=f"{best} without other tables")
    return replace(search.arms[FEATURES], arm=arm)

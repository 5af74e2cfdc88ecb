"""What a table makes by itself: without other tables, or without what texts and pictures say."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from headstart import catalog, evidence
from headstart.contracts import Backbone
from headstart.evidence import Arm, ArmResult
from headstart.evidence.trials import Start, Trial
from headstart.features.reading import Reader
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.pipeline.strategy_spec import FEATURES, learns_from_sources

ALONE: Final = "Scratch is the best that the table's rows make without the other tables."
COLUMNS_ALONE: Final = (
    "Scratch is the best that the table's plain columns make, without its texts, pictures and "
    "sounds."
)
_PLAIN: Final = "plain columns"  # the arm of the probe on them


def rows_alone(search: StrategySearch) -> ArmResult:
    """The best that the target's rows make without other tables, in the place of scratch."""
    arms = search.over_folds()
    alone = [name for name in arms if not learns_from_sources(name)]
    best = max(alone, key=lambda name: arms[name].selection_key)
    arm = replace(arms[best], strategy="scratch", note=f"{best} without other tables")
    return replace(search.arms[FEATURES], arm=arm)


def columns_alone(search: StrategySearch) -> ArmResult | None:
    """The best of probe and other heads on the plain columns, in the place of scratch.

    None where all columns are texts, pictures or sounds.
    """
    backbone, folding = _plain(search.backbone), search.folding
    if backbone is None:
        return None
    arms, budget = {}, search.experiment.budget
    for name in (_PLAIN, *backbone.heads):
        if folding is None:
            arms[name] = _judged(name, Start(search.experiment, backbone))
        elif folding.add(name, partial(_judged, name), backbone, budget):
            arms[name] = folding.arm(name)
            del folding.arms[name]
    if not arms:
        return None
    best = max(arms, key=lambda name: arms[name].selection_key)
    arm = replace(arms[best], strategy="scratch", note=f"{best} without texts and pictures")
    return replace(search.arms[FEATURES], arm=arm)


def _judged(name: str, start: Start, _: Trial | None = None) -> Arm:
    """The probe on plain columns, or another head."""
    backbone = start.backbone
    reader = Reader(catalog.modality(backbone.modality).fitted(backbone), backbone.preprocess)
    own = replace(start.experiment, reader=reader)
    probe = evidence.features_arm(own, backbone)
    if name == _PLAIN:
        return probe.arm
    return evidence.head_arm(own, backbone, catalog.head(name), name, probe).arm


def _plain(backbone: Backbone) -> Backbone | None:
    """The same rows without the backbone's parts; None where nothing is left of them."""
    specs = [spec for spec in backbone.preprocess["columns"] if "width" not in spec]
    width = len(catalog.modality(backbone.modality).feature_columns({"columns": specs}))
    if not specs:
        return None
    plain = catalog.load_backbone(backbone.architecture)
    return replace(plain, preprocess={"columns": specs, "width": width}, feature_dim=width)

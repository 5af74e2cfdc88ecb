"""The flow, top to bottom: data, backbone, arms, evidence, artifact.

Names are imported when they are first used, so that a saved model answers without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.contracts.exports import exports

if TYPE_CHECKING:
    from headstart.listing import backbones
    from headstart.pipeline.comparing import compare
    from headstart.pipeline.extraction import cache_features, export_features, plan_features
    from headstart.pipeline.flow import fit, pretrain, reproduce
    from headstart.pipeline.later import prove
    from headstart.pipeline.reporting import report_on
    from headstart.pipeline.selection.choosing import check_ranking, rank
    from headstart.pipeline.several.evaluating import evaluate
    from headstart.pipeline.several.opening import load, reported
    from headstart.pipeline.strategy_spec import strategies

__all__ = [
    "backbones",
    "cache_features",
    "check_ranking",
    "compare",
    "evaluate",
    "export_features",
    "fit",
    "load",
    "plan_features",
    "pretrain",
    "prove",
    "rank",
    "report_on",
    "reported",
    "reproduce",
    "strategies",
]

__getattr__ = exports(
    __name__,
    {
        "comparing": ("compare",),
        "extraction": ("cache_features", "export_features", "plan_features"),
        "flow": ("backbones", "fit", "pretrain", "reproduce"),
        "later": ("prove",),
        "several.evaluating": ("evaluate",),
        "several.opening": ("load", "reported"),
        "reporting": ("report_on",),
        "selection.choosing": ("check_ranking", "rank"),
        "strategy_spec": ("strategies",),
    },
)

"""Headstart: transfer a pretrained model to your data, and see what that was worth.

import headstart as hs

result = hs.fit("photos/", backbone="timm:mobilenetv2_100", out="birds/")
print(result)
print(hs.load("birds/").predict(["a.jpg"])[0])
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from headstart.contracts.exports import exports

if TYPE_CHECKING:
    from headstart.data import Dataset
    from headstart.defaults import Settings
    from headstart.errors import DataError, HeadstartError, UnknownNameError, WeightsError
    from headstart.evidence import Evidence
    from headstart.labelling import Suggestion, Suggestions
    from headstart.listing import backbones
    from headstart.pipeline.comparing import compare
    from headstart.pipeline.exporting import export
    from headstart.pipeline.extraction import cache_features, export_features, plan_features
    from headstart.pipeline.featurizer import Featurizer
    from headstart.pipeline.fetching import fetch
    from headstart.pipeline.flow import fit, pretrain, reproduce
    from headstart.pipeline.later import prove
    from headstart.pipeline.options import Options
    from headstart.pipeline.pushing import card, push
    from headstart.pipeline.refitting import refit
    from headstart.pipeline.reporting import report_on
    from headstart.pipeline.selection.choosing import check_ranking, rank
    from headstart.pipeline.several.evaluating import evaluate
    from headstart.pipeline.several.members import Tasks
    from headstart.pipeline.several.opening import load, reported
    from headstart.pipeline.shifting import shift
    from headstart.pipeline.strategy_spec import strategies
    from headstart.pipeline.suggesting import suggest
    from headstart.pipeline.watching import watch
    from headstart.results import Evaluation, Exported, Extracted, Fetched, Plan, Reported, Result
    from headstart.results.comparison import Comparison
    from headstart.results.exported import ExportedModel
    from headstart.results.pushed import CardText, Pushed
    from headstart.results.ranking import CheckedRanking, Ranking
    from headstart.results.refitted import Refitted
    from headstart.results.several import Results
    from headstart.results.shift import Shifted
    from headstart.results.watched import Watched
    from headstart.runtime.progress import Progress, Silent, Terminal
    from headstart.serve import Event, Events, Prediction, Predictions, Predictor

_FILES = {
    "data": ("Dataset",),
    "defaults": ("Settings",),
    "errors": ("DataError", "HeadstartError", "UnknownNameError", "WeightsError"),
    "evidence": ("Evidence",),
    "labelling": ("Suggestion", "Suggestions"),
    "listing": ("backbones",),
    "pipeline.comparing": ("compare",),
    "pipeline.exporting": ("export",),
    "pipeline.extraction": ("cache_features", "export_features", "plan_features"),
    "pipeline.featurizer": ("Featurizer",),
    "pipeline.fetching": ("fetch",),
    "pipeline.flow": ("fit", "pretrain", "reproduce"),
    "pipeline.later": ("prove",),
    "pipeline.options": ("Options",),
    "pipeline.pushing": ("card", "push"),
    "pipeline.refitting": ("refit",),
    "pipeline.reporting": ("report_on",),
    "pipeline.selection.choosing": ("check_ranking", "rank"),
    "pipeline.several.evaluating": ("evaluate",),
    "pipeline.several.members": ("Tasks",),
    "pipeline.several.opening": ("load", "reported"),
    "pipeline.shifting": ("shift",),
    "pipeline.strategy_spec": ("strategies",),
    "pipeline.suggesting": ("suggest",),
    "pipeline.watching": ("watch",),
    "results": ("Evaluation", "Exported", "Extracted", "Fetched", "Plan", "Reported", "Result"),
    "results.comparison": ("Comparison",),
    "results.exported": ("ExportedModel",),
    "results.pushed": ("CardText", "Pushed"),
    "results.ranking": ("CheckedRanking", "Ranking"),
    "results.refitted": ("Refitted",),
    "results.several": ("Results",),
    "results.shift": ("Shifted",),
    "results.watched": ("Watched",),
    "runtime.progress": ("Progress", "Silent", "Terminal"),
    "serve": ("Event", "Events", "Prediction", "Predictions", "Predictor"),
}
__all__ = [
    "CardText",
    "CheckedRanking",
    "Comparison",
    "DataError",
    "Dataset",
    "Evaluation",
    "Event",
    "Events",
    "Evidence",
    "Exported",
    "ExportedModel",
    "Extracted",
    "Featurizer",
    "Fetched",
    "HeadstartError",
    "Options",
    "Plan",
    "Prediction",
    "Predictions",
    "Predictor",
    "Progress",
    "Pushed",
    "Ranking",
    "Refitted",
    "Reported",
    "Result",
    "Results",
    "Settings",
    "Shifted",
    "Silent",
    "Suggestion",
    "Suggestions",
    "Tasks",
    "Terminal",
    "UnknownNameError",
    "Watched",
    "WeightsError",
    "backbones",
    "cache_features",
    "card",
    "check_ranking",
    "compare",
    "evaluate",
    "export",
    "export_features",
    "fetch",
    "fit",
    "load",
    "plan_features",
    "pretrain",
    "prove",
    "push",
    "rank",
    "refit",
    "report_on",
    "reported",
    "reproduce",
    "shift",
    "strategies",
    "suggest",
    "watch",
]


_RENAMED = {
    "extract": "export_features",
    "extract_features": "cache_features",
    "repeat": "reproduce",
}


_attribute = exports(__name__, _FILES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import headstart` loads no torch."""
    if name in _RENAMED:
        import warnings

        text = f"headstart.{name} is called {_RENAMED[name]} now"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        name = _RENAMED[name]
    import warnings

    # of libraries that look for bars in notebooks when they are imported; ours draw none there
    warnings.filterwarnings("ignore", message="IProgress not found")
    return _attribute(name)


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """The package, whose public names stay what they are when a module of one's name is imported.

    Python would put `headstart.strategies`, the folder, in the place of `strategies`, the function.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

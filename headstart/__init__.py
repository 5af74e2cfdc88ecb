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

if TYPE_CHECKING:
    from headstart.data import Dataset
    from headstart.defaults import Settings
    from headstart.errors import DataError, HeadstartError, UnknownNameError, WeightsError
    from headstart.evidence import Evidence
    from headstart.labelling import Suggestion, Suggestions
    from headstart.pipeline import (
        backbones,
        cache_features,
        check_ranking,
        compare,
        evaluate,
        export_features,
        fit,
        load,
        plan_features,
        pretrain,
        prove,
        rank,
        report_on,
        reported,
        reproduce,
        strategies,
    )
    from headstart.pipeline.featurizer import Featurizer
    from headstart.pipeline.fetching import fetch
    from headstart.pipeline.options import Options
    from headstart.pipeline.refitting import refit
    from headstart.pipeline.shifting import shift
    from headstart.pipeline.suggesting import suggest
    from headstart.pipeline.watching import watch
    from headstart.results import Evaluation, Exported, Extracted, Fetched, Plan, Reported, Result
    from headstart.results.comparison import Comparison
    from headstart.results.ranking import CheckedRanking, Ranking
    from headstart.results.refitted import Refitted
    from headstart.results.shift import Shifted
    from headstart.results.watched import Watched
    from headstart.runtime.progress import Progress, Silent, Terminal
    from headstart.serve import Prediction, Predictions, Predictor

_HOMES = {
    "backbones": "listing",
    "fetch": "pipeline.fetching",
    "refit": "pipeline.refitting",
    "shift": "pipeline.shifting",
    "suggest": "pipeline.suggesting",
    "watch": "pipeline.watching",
    "CheckedRanking": "results.ranking",
    "Comparison": "results.comparison",
    "Dataset": "data",
    "Evidence": "evidence",
    "Featurizer": "pipeline.featurizer",
    "Options": "pipeline.options",
    "Ranking": "results.ranking",
    "Refitted": "results.refitted",
    "Settings": "defaults",
    "Shifted": "results.shift",
    "Suggestion": "labelling",
    "Suggestions": "labelling",
    "Watched": "results.watched",
}
_HOMES |= dict.fromkeys(
    ("DataError", "HeadstartError", "UnknownNameError", "WeightsError"), "errors"
)
_HOMES |= dict.fromkeys(
    ("Evaluation", "Exported", "Extracted", "Fetched", "Plan", "Reported", "Result"), "results"
)
_HOMES |= dict.fromkeys(("Progress", "Silent", "Terminal"), "runtime.progress")
_HOMES |= dict.fromkeys(("Prediction", "Predictions", "Predictor"), "serve")
__all__ = [
    "CheckedRanking",
    "Comparison",
    "DataError",
    "Dataset",
    "Evaluation",
    "Evidence",
    "Exported",
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
    "Ranking",
    "Refitted",
    "Reported",
    "Result",
    "Settings",
    "Shifted",
    "Silent",
    "Suggestion",
    "Suggestions",
    "Terminal",
    "UnknownNameError",
    "Watched",
    "WeightsError",
    "backbones",
    "cache_features",
    "check_ranking",
    "compare",
    "evaluate",
    "export_features",
    "fetch",
    "fit",
    "load",
    "plan_features",
    "pretrain",
    "prove",
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


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import headstart` loads no torch."""
    if name in _RENAMED:
        import warnings

        text = f"headstart.{name} is called {_RENAMED[name]} now"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        name = _RENAMED[name]
    if name not in __all__:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    import warnings
    from importlib import import_module

    # of libraries that look for bars in notebooks when they are imported; ours draw none there
    warnings.filterwarnings("ignore", message="IProgress not found")
    return getattr(import_module(f"headstart.{_HOMES.get(name, 'pipeline')}"), name)


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

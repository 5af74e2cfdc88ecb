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
    from headstart.data import Dataset as Dataset
    from headstart.defaults import Settings as Settings
    from headstart.errors import DataError as DataError
    from headstart.errors import HeadstartError as HeadstartError
    from headstart.errors import UnknownNameError as UnknownNameError
    from headstart.errors import WeightsError as WeightsError
    from headstart.evidence import Evidence as Evidence
    from headstart.labelling import Suggestion as Suggestion
    from headstart.labelling import Suggestions as Suggestions
    from headstart.listing import backbones as backbones
    from headstart.pipeline.comparing import compare as compare
    from headstart.pipeline.exporting import export as export
    from headstart.pipeline.extraction import cache_features as cache_features
    from headstart.pipeline.extraction import export_features as export_features
    from headstart.pipeline.extraction import plan_features as plan_features
    from headstart.pipeline.featurizer import Featurizer as Featurizer
    from headstart.pipeline.fetching import fetch as fetch
    from headstart.pipeline.flow import fit as fit
    from headstart.pipeline.flow import pretrain as pretrain
    from headstart.pipeline.flow import reproduce as reproduce
    from headstart.pipeline.later import prove as prove
    from headstart.pipeline.options import Options as Options
    from headstart.pipeline.pushing import card as card
    from headstart.pipeline.pushing import push as push
    from headstart.pipeline.refitting import refit as refit
    from headstart.pipeline.reporting import report_on as report_on
    from headstart.pipeline.selection.choosing import check_ranking as check_ranking
    from headstart.pipeline.selection.choosing import rank as rank
    from headstart.pipeline.several.evaluating import evaluate as evaluate
    from headstart.pipeline.several.members import Tasks as Tasks
    from headstart.pipeline.several.opening import load as load
    from headstart.pipeline.several.opening import reported as reported
    from headstart.pipeline.shifting import shift as shift
    from headstart.pipeline.strategy_spec import strategies as strategies
    from headstart.pipeline.suggesting import suggest as suggest
    from headstart.pipeline.watching import watch as watch
    from headstart.results import Evaluation as Evaluation
    from headstart.results import Exported as Exported
    from headstart.results import Extracted as Extracted
    from headstart.results import Fetched as Fetched
    from headstart.results import Plan as Plan
    from headstart.results import Reported as Reported
    from headstart.results import Result as Result
    from headstart.results.comparison import Comparison as Comparison
    from headstart.results.exported import ExportedModel as ExportedModel
    from headstart.results.pushed import CardText as CardText
    from headstart.results.pushed import Pushed as Pushed
    from headstart.results.ranking import CheckedRanking as CheckedRanking
    from headstart.results.ranking import Ranking as Ranking
    from headstart.results.refitted import Refitted as Refitted
    from headstart.results.several import Results as Results
    from headstart.results.shift import Shifted as Shifted
    from headstart.results.watched import Watched as Watched
    from headstart.runtime.progress import Progress as Progress
    from headstart.runtime.progress import Silent as Silent
    from headstart.runtime.progress import Terminal as Terminal
    from headstart.serve import Event as Event
    from headstart.serve import Events as Events
    from headstart.serve import Prediction as Prediction
    from headstart.serve import Predictions as Predictions
    from headstart.serve import Predictor as Predictor

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
__all__ = sorted(name for names in _FILES.values() for name in names)


_RENAMED = {
    "extract": "export_features",
    "extract_features": "cache_features",
    "repeat": "reproduce",
}


_attribute = exports(__name__, _FILES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import headstart` loads no torch."""
    import warnings

    if name in _RENAMED:
        text = f"headstart.{name} is called {_RENAMED[name]} now"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        name = _RENAMED[name]
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

"""Names -> parts, imported only when asked for. Other packages add parts through entry points.

The groups are `headstart.hubs`, `headstart.modalities`, `headstart.targets`, `headstart.tasks`,
`headstart.metrics`, `headstart.strategies`, `headstart.heads`, `headstart.adaptations` and
`headstart.executors`; an entry point's value is `module:Class`, like the lines here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

from headstart.contracts.entry_points import advertised, located
from headstart.contracts.references import Reference, build, parse, parse_named
from headstart.errors import HeadstartError, UnknownNameError
from headstart.loading.terms import with_terms
from headstart.loading.variants import Variant

if TYPE_CHECKING:
    from headstart.contracts import Backbone, Hub, Modality, Strategy, Targets, Task
    from headstart.contracts.adaptation import Adaptation
    from headstart.contracts.head import HeadFitter
    from headstart.contracts.metric import Metric

HUBS = {
    "caffe": "headstart.hubs.caffe:Caffe",
    "checkpoint": "headstart.hubs.checkpoint:Checkpoint",
    "fasttext": "headstart.hubs.word_vectors:FastText",
    "file": "headstart.hubs.file:File",
    "glove": "headstart.hubs.word_vectors:GloVe",
    "graph": "headstart.hubs.graph:Graph",
    "hf": "headstart.hubs.huggingface:HuggingFace",
    "keras": "headstart.hubs.keras:Keras",
    "packaged": "headstart.hubs.packaged:Packaged",
    "seeded": "headstart.hubs.seeded:Seeded",
    "table": "headstart.hubs.table:Table",
    "tfhub": "headstart.hubs.tfhub:TfHub",
    "timm": "headstart.hubs.timm:Timm",
    "torchhub": "headstart.hubs.torch_hub:TorchHub",
    "torchvision": "headstart.hubs.torchvision:Torchvision",
    "word2vec": "headstart.hubs.word_vectors:Word2Vec",
}
MODALITIES = {
    "audio": "headstart.modalities.audio:Audio",
    "image": "headstart.modalities.image:Image",
    "table": "headstart.modalities.table:Table",
    "text": "headstart.modalities.text:Text",
}
TARGETS = {  # kinds of target; where nothing says which, the first that cells suit
    "boxes": "headstart.targets.boxes:Boxes",
    "classes": "headstart.targets.classes:Classes",
    "label sets": "headstart.targets.label_sets:LabelSets",
    "numbers": "headstart.targets.numbers:Numbers",
    "sequences": "headstart.targets.sequences:Sequences",
}
TASKS = {  # the user's words, one line a pair of modality and task
    "audio-classification": "headstart.tasks.classification:Classification",
    "audio-multi-label": "headstart.tasks.classification.multi_label:MultiLabel",
    "audio-regression": "headstart.tasks.regression:Regression",
    "audio-transcription": "headstart.tasks.transcription:Transcription",
    "image-boxes": "headstart.tasks.detection:Detection",
    "image-classification": "headstart.tasks.classification:Classification",
    "image-multi-label": "headstart.tasks.classification.multi_label:MultiLabel",
    "image-regression": "headstart.tasks.regression:Regression",
    "table-classification": "headstart.tasks.classification:Classification",
    "table-multi-label": "headstart.tasks.classification.multi_label:MultiLabel",
    "table-regression": "headstart.tasks.regression:Regression",
    "text-classification": "headstart.tasks.classification:Classification",
    "text-multi-label": "headstart.tasks.classification.multi_label:MultiLabel",
    "text-regression": "headstart.tasks.regression:Regression",
    "text-translation": "headstart.tasks.translation:Translation",
}
METRICS = {
    "AP": "headstart.metrics.precision:AP",
    "AP-large": "headstart.metrics.precision:APLarge",
    "AP-medium": "headstart.metrics.precision:APMedium",
    "AP-small": "headstart.metrics.precision:APSmall",
    "AP50": "headstart.metrics.precision:AP50",
    "AP75": "headstart.metrics.precision:AP75",
    "accuracy": "headstart.metrics.right:Accuracy",
    "auroc": "headstart.metrics.order:AUROC",
    "average-precision": "headstart.metrics.order:AveragePrecision",
    "balanced-accuracy": "headstart.metrics.right:BalancedAccuracy",
    "bleu": "headstart.metrics.translation:Bleu",
    "brier": "headstart.metrics.probability:Brier",
    "cer": "headstart.metrics.transcription:CER",
    "chrf": "headstart.metrics.translation:ChrF",
    "f1": "headstart.metrics.f1:SetF1",
    "log-loss": "headstart.metrics.probability:LogLoss",
    "macro-f1": "headstart.metrics.f1:MacroF1",
    "mae": "headstart.metrics.error:MAE",
    "micro-f1": "headstart.metrics.f1:MicroF1",
    "r2": "headstart.metrics.error:R2",
    "rmse": "headstart.metrics.error:RMSE",
    "spoken-cer": "headstart.metrics.transcription:SpokenCER",
    "spoken-wer": "headstart.metrics.transcription:SpokenWER",
    "spearman": "headstart.metrics.order:Spearman",
    "wer": "headstart.metrics.transcription:WER",
}
STRATEGIES = {
    "feature-extraction": "headstart.strategies.freezing:FeatureExtraction",
    "few-shot": "headstart.strategies.few_shot:FewShot",
    "full-fine-tuning": "headstart.strategies.freezing:FullFineTuning",
    "gradual-unfreezing": "headstart.strategies.freezing:GradualUnfreezing",
    "last-stages": "headstart.strategies.freezing:LastStages",
    "lora": "headstart.strategies.lora:Lora",
    "lp-ft": "headstart.strategies.freezing:LinearProbeThenFineTune",
    "wise-ft": "headstart.strategies.freezing:WiseFineTuning",
}
HEADS = {  # besides the task's own probe, which is logistic or, for numbers, ridge regression
    "gradient-boosting": "headstart.heads.boosting:GradientBoosting",
    "knn": "headstart.heads.neighbours:NearestNeighbours",
    "pooled-boosting": "headstart.heads.boosting.pooled:PooledBoosting",
    "ridge": "headstart.heads.linear:Ridge",
    "source-direction": "headstart.heads.related.direction:SourceDirection",
    "source-logistic": "headstart.heads.related.logistic:SourceLogistic",
    "source-prior": "headstart.heads.related.prior:SourcePrior",
    "source-shrinkage": "headstart.heads.related.shrinkage:SourceShrinkage",
    "source-weighting": "headstart.heads.related.weighting:SourceWeighting",
    "svm": "headstart.heads.linear:LinearSupportVectors",
    "tabicl": "headstart.heads.tabicl:TabICL",
    "xgboost": "headstart.heads.boosting.xgboost:XGBoost",
}
ADAPTATIONS = {  # to another domain than that of the labels
    "cdan": "headstart.adaptations.trained.adversarial:ConditionalAdversarial",
    "class-aware-standardisation": "headstart.adaptations.class_aware:ClassAwareStandardising",
    "coral": "headstart.adaptations.coral:Coral",
    "dann": "headstart.adaptations.trained.adversarial:DomainAdversarial",
    "importance-weighting": "headstart.adaptations.weighting:ImportanceWeighting",
    "information-maximisation": (
        "headstart.adaptations.trained.information:InformationMaximisation"
    ),
    "label-shift": "headstart.adaptations.label_shift:LabelShift",
    "mcc": "headstart.adaptations.trained.confusion:MinimumClassConfusion",
    "mixture": "headstart.adaptations.mixture:MixtureAdaptation",
    "optimal-transport": "headstart.adaptations.transport:OptimalTransport",
    "self-training": "headstart.adaptations.self_training:SelfTraining",
    "standardisation": "headstart.adaptations.standardising:Standardising",
    "t3a": "headstart.adaptations.prototypes:Prototypes",
}
EXECUTORS = {  # where independent work runs
    "local": "headstart.contracts.executor:Local",
    "ray": "headstart.executors.ray:Ray",
}
_OWN = {
    "hubs": HUBS,
    "modalities": MODALITIES,
    "targets": TARGETS,
    "tasks": TASKS,
    "metrics": METRICS,
    "strategies": STRATEGIES,
    "heads": HEADS,
    "adaptations": ADAPTATIONS,
    "executors": EXECUTORS,
}
_SINGULAR = {  # where it isn't the kind without its s
    "modalities": "modality",
    "targets": "kind of target",
    "strategies": "strategy",
    "executors": "place to run",
}

_HOPS = 8  # from a reference to what it stands for
_HOOKS = {  # of strategies, by their earlier names
    "epoch_started": "on_epoch_start",
    "parameters": "modules",
    "prepare": "on_train_start",
    "rate": "lr_scale",
    "trained": "on_train_end",
}


def names(kind: str) -> dict[str, str]:
    """All known parts of a kind, such as "hubs": name -> module:Class."""
    return advertised(kind) | _OWN[kind]


def part(kind: str, name: str) -> Any:
    """The class behind a name. Raises UnknownNameError with the nearest known names."""
    own = _OWN[kind].get(name)
    if own is not None:  # before other packages are looked through, which takes a while
        return located(own)
    locations = names(kind)
    if name not in locations:
        raise UnknownNameError(_SINGULAR.get(kind, kind[:-1]), name, locations)
    return located(locations[name])


def hub(name: str) -> Hub:
    """A hub by name."""
    built: Hub = part("hubs", name)()
    return built.composed(load_backbone)


def modality(name: str) -> Modality:
    """A modality by name."""
    built: Modality = part("modalities", name)()
    return built.composed(modality)


def targets(name: str) -> Targets:
    """A kind of target by name."""
    return cast("Targets", part("targets", name)())


def task(name: str, *, metric: str | None = None, **settings: Any) -> Task:
    """A task by its full name, such as `image-classification`, judged by a metric of that name."""
    built: Task = part("tasks", name)(**settings)
    if metric is not None:
        built.measure = metric_named(metric)
    return built


def task_settings(name: str, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings offered that a task takes: its constructor's parameters, and a metric.

    Raises HeadstartError where a metric is offered to a task that has scores of its own.
    """
    kind = part("tasks", name)
    parameters = {*signature(kind).parameters, "metric"}
    own = {setting: value for setting, value in offered.items() if setting in parameters}
    if "metric" in own and "scores" in vars(kind):
        raise HeadstartError(
            f"{name} has scores of its own and can't be judged by {own['metric']}. "
            "Leave out --metric."
        )
    return own


def metric_named(name: str) -> Metric:
    """A metric by name."""
    return cast("Metric", part("metrics", name)())


def metrics_for(kind: str) -> dict[str, Metric]:
    """The metrics that judge a kind of target, by name."""
    every = {name: metric_named(name) for name in sorted(names("metrics"))}
    return {name: metric for name, metric in every.items() if kind in metric.kinds}


def strategy(text: str) -> Strategy:
    """A strategy from `name[?option=value&...]`, its options given to the constructor."""
    name, options = parse_named(text)
    kind = part("strategies", name)
    demand_hooks_of_today(kind, name)
    built: Strategy = build(kind, options, f"strategy {name}")
    return built


def demand_hooks_of_today(kind: type[Strategy], name: str) -> None:
    """Raise HeadstartError where a strategy defines a hook by its earlier name."""
    earlier = [hook for hook in _HOOKS if callable(getattr(kind, hook, None))]
    if earlier:
        raise HeadstartError(
            f"The strategy {name} defines {earlier[0]}, which is not called. "
            f"Rename it to {_HOOKS[earlier[0]]}."
        )


def head(name: str) -> HeadFitter:
    """A head on frozen features by `name`, or by `name@weights`."""
    name, _, weights = name.partition("@")
    built: HeadFitter = part("heads", name)()
    return built.from_weights(weights) if weights else built


def adaptation(name: str) -> Adaptation:
    """A way to answer on another domain by name."""
    return cast("Adaptation", part("adaptations", name)())


def load_backbone(reference: str | Reference) -> Backbone:
    """Load a backbone by reference, following hubs that only point elsewhere."""
    first = current = parse(reference) if isinstance(reference, str) else reference
    for _ in range(_HOPS):
        where = hub(current.hub)
        target = where.resolve(current)
        if target == current:
            backbone = Variant.of(current, where.layered).load(where.load)
            if current != first:  # the user knows it by the name that led here
                cards = hub(first.hub).cards(first.name)
                backbone.origin = with_terms(backbone.origin, first, current, cards)
            return backbone
        current = target
    raise HeadstartError(f"{reference} leads in a circle. Name the model it stands for.")


def sources(reference: str) -> Sequence[str] | None:
    """The files that a backbone, just loaded, was made of; None where its hub doesn't say."""
    current = parse(reference)
    for _ in range(_HOPS):
        where = hub(current.hub)
        target = where.resolve(current)
        if target == current:
            return where.sources(current)
        current = target
    return None

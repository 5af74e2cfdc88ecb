"""Names -> parts, imported only when asked for. Other packages add parts through entry points.

The groups are `headstart.hubs`, `headstart.modalities`, `headstart.targets`, `headstart.tasks`,
`headstart.strategies` and `headstart.heads`; an entry point's value is `module:Class`, like the
lines here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any

from headstart.contracts.entry_points import advertised, located
from headstart.contracts.references import Reference, build, parse, parse_named
from headstart.errors import HeadstartError, UnknownNameError

if TYPE_CHECKING:
    from headstart.contracts import Backbone, Hub, Modality, Origin, Strategy, Targets, Task
    from headstart.contracts.head import HeadFitter

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
    "tfhub": "headstart.hubs.tfhub:TfHub",
    "timm": "headstart.hubs.timm:Timm",
    "torchhub": "headstart.hubs.torch_hub:TorchHub",
    "torchvision": "headstart.hubs.torchvision:Torchvision",
    "word2vec": "headstart.hubs.word_vectors:Word2Vec",
}
MODALITIES = {
    "image": "headstart.modalities.image:Image",
    "text": "headstart.modalities.text:Text",
}
TARGETS = {  # kinds of target; where nothing says which, the first that cells suit
    "classes": "headstart.targets.classes:Classes",
    "label sets": "headstart.targets.label_sets:LabelSets",
    "numbers": "headstart.targets.numbers:Numbers",
}
TASKS = {  # the user's words, one line a pair of modality and task
    "image-classification": "headstart.tasks.classification:Classification",
    "image-multi-label": "headstart.tasks.classification.multi_label:MultiLabel",
    "image-regression": "headstart.tasks.regression:Regression",
    "text-classification": "headstart.tasks.classification:Classification",
    "text-multi-label": "headstart.tasks.classification.multi_label:MultiLabel",
    "text-regression": "headstart.tasks.regression:Regression",
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
    "ridge": "headstart.heads.linear:Ridge",
    "svm": "headstart.heads.linear:LinearSupportVectors",
    "xgboost": "headstart.heads.boosting.xgboost:XGBoost",
}
_OWN = {
    "hubs": HUBS,
    "modalities": MODALITIES,
    "targets": TARGETS,
    "tasks": TASKS,
    "strategies": STRATEGIES,
    "heads": HEADS,
}
_SINGULAR = {
    "hubs": "hub",
    "modalities": "modality",
    "targets": "kind of target",
    "tasks": "task",
    "strategies": "strategy",
    "heads": "head",
}

_HOOKS = {  # of strategies, by their earlier names
    "epoch_started": "on_epoch_start",
    "prepare": "on_train_start",
    "rate": "lr_scale",
    "trained": "on_train_end",
}


def names(kind: str) -> dict[str, str]:
    """All known parts of a kind, such as "hubs": name -> module:Class."""
    return advertised(kind) | _OWN[kind]


def part(kind: str, name: str) -> Any:
    """The class behind a name. Raises UnknownNameError with the nearest known names."""
    known = names(kind)
    if name not in known:
        raise UnknownNameError(_SINGULAR[kind], name, known)
    return located(known[name])


def hub(name: str) -> Hub:
    """A hub by name."""
    made: Hub = part("hubs", name)()
    return made


def modality(name: str) -> Modality:
    """A modality by name."""
    made: Modality = part("modalities", name)()
    return made


def targets(name: str) -> Targets:
    """A kind of target by name."""
    made: Targets = part("targets", name)()
    return made


def task(name: str, **settings: Any) -> Task:
    """A task by its full name, such as `image-classification`."""
    made: Task = part("tasks", name)(**settings)
    return made


def task_settings(name: str, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings offered that a task takes, by its constructor's parameters."""
    known = signature(part("tasks", name)).parameters
    return {setting: value for setting, value in offered.items() if setting in known}


def strategy(text: str) -> Strategy:
    """A strategy from `name[?option=value&...]`, its options given to the constructor."""
    name, options = parse_named(text)
    kind = part("strategies", name)
    demand_hooks_of_today(kind, name)
    made: Strategy = build(kind, options, f"strategy {name}")
    return made


def demand_hooks_of_today(kind: type[Strategy], name: str) -> None:
    """Raise HeadstartError where a strategy defines a hook by its earlier name."""
    earlier = [hook for hook in _HOOKS if callable(getattr(kind, hook, None))]
    if earlier:
        raise HeadstartError(
            f"The strategy {name} defines {earlier[0]}, which is not called. "
            f"Rename it to {_HOOKS[earlier[0]]}."
        )


def head(name: str) -> HeadFitter:
    """A head on frozen features by name."""
    made: HeadFitter = part("heads", name)()
    return made


def load_backbone(reference: str | Reference) -> Backbone:
    """Load a backbone by reference, following hubs that only point elsewhere."""
    first = asked = parse(reference) if isinstance(reference, str) else reference
    for _ in range(8):
        where = hub(asked.hub)
        found = where.resolve(asked)
        if found == asked:
            loaded = where.load(asked)
            if asked != first:  # the user knows it by the name that led here
                loaded.origin = replace(_with_terms(loaded.origin, first), reference=str(first))
                loaded.origin = replace(loaded.origin, **_terms(asked))
            return loaded
        asked = found
    raise HeadstartError(f"{reference} leads in a circle. Name the model it stands for.")


def _with_terms(origin: Origin, reference: Reference) -> Origin:
    """The origin with what the hub that was named lists, where the one that loaded knows less."""
    if origin.licence and origin.trained_on:
        return origin
    plain = f"{reference.hub}:{reference.name}"
    card = next((c for c in hub(reference.hub).cards(reference.name) if c.reference == plain), None)
    if card is None:
        return origin
    return replace(
        origin,
        licence=origin.licence or card.licence,
        trained_on=origin.trained_on or card.trained_on,
    )


def _terms(reference: Reference) -> dict[str, Any]:
    """What a saved model's weights say of where they come from, which few hubs read."""
    from headstart.loading.weights import header

    said = header(reference.weights) if reference.weights else {}
    return {name: said[name] for name in ("licence", "trained_on") if name in said}

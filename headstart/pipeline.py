"""The flow, top to bottom: data, backbone, arms, evidence, artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from headstart import artifact, catalog, defaults, evidence, machine
from headstart.artifact import Record
from headstart.budget import Budget
from headstart.contracts import Backbone, Card, Strategy
from headstart.data import Dataset, load_labelled
from headstart.data import load as load_data
from headstart.defaults import Recipe, Settings
from headstart.errors import HeadstartError
from headstart.evidence import Evidence, Outcome, Target
from headstart.features.reading import Reader
from headstart.model import Model
from headstart.progress import Progress, Silent
from headstart.results import Evaluation, Result
from headstart.serve import Predictor
from headstart.workspace import Workspace

TASK, MODALITY = "image-classification", "image"
SAVING = (
    15.0  # seconds of a budget kept for judging, saving and checking the model, half of it at most
)
CHECKED = 8  # raw files that the saved model is compared on in a fresh process


def fit(
    data: str | Path,
    backbone: str,
    out: str | Path,
    *,
    strategy: str | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Result:
    """Transfer a pretrained backbone to labelled data, prove what that was worth, and save the model.

    The strategy is the policy's unless one is named. A run that was killed goes on where it stopped
    when it is called again with the same arguments. Raises HeadstartError for anything the user can
    mend.
    """
    settings, progress = settings or Settings(), progress or Silent()
    with Workspace(Path(out)) as workspace:
        target, source, (name, moves) = _prepare(
            data, backbone, strategy, settings, progress, workspace
        )
        features = evidence.features_arm(target, source)
        arms = {"naive": evidence.naive_arm(target, features), "features": features}
        asked = features
        if moves.epochs(1):
            asked = evidence.strategy_arm(target, source, moves, name, features)
        protocol = "No network was trained from scratch."
        if settings.scratch:
            reference = _reference(target, moves)
            arms["scratch"], protocol = evidence.scratch_arm(target, _rebuild(source), reference)
        arms["asked"] = asked
        kept = evidence.choose({arm: outcome.arm for arm, outcome in arms.items()})
        return _finish(target, source, workspace, arms, kept, protocol)


def pretrain(
    data: str | Path,
    backbone: str,
    out: str | Path,
    *,
    anyway: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Result:
    """Develop a source: train a backbone from random weights on a related, larger set, and save it.

    Raises HeadstartError where it does not beat the naive model by more than its interval, unless
    `anyway`.
    """
    settings, progress = settings or Settings(), progress or Silent()
    with Workspace(Path(out)) as workspace:
        target, source, (_, moves) = _prepare(
            data, backbone, "full-fine-tuning", settings, progress, workspace
        )
        reference = _reference(target, moves)
        made, protocol = evidence.scratch_arm(target, _rebuild(source), reference)
        naive = evidence.naive_arm(target, made)
        lead = evidence.paired(made.arm.scores, naive.arm.scores, settings.seed)
        if lead.low <= 0:
            told = (
                f"The network does not beat the naive model: {lead.value:+.3f} {target.task.metric}, "
                f"95 % interval {lead.low:+.3f} to {lead.high:+.3f}."
            )
            if not anyway:
                raise HeadstartError(
                    f"{told} Give more data or epochs, or save it all the same with --anyway."
                )
            progress.warn(told)
        arms = {"naive": naive, "asked": made}
        return _finish(target, source, workspace, arms, "asked", protocol)


def evaluate(
    model: str | Path,
    data: str | Path,
    *,
    label: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a saved model on labelled data it was not trained on, overlaps with its training named."""
    progress = progress or Silent()
    predictor = load(model)
    dataset = load_labelled(
        data, predictor.reader.modality, predictor.labels, label=label, progress=progress
    )
    items, targets = dataset.split("test"), dataset.targets("test")
    outputs = predictor.outputs(items)
    seen = artifact.trained_on(Path(model))
    overlap = sum(item.digest in seen for item in items)
    scores = predictor.task.scores(outputs, targets)
    return Evaluation.of(predictor.task.metric, scores, targets, dataset, overlap)


def load(folder: str | Path, device: str = "auto") -> Predictor:
    """Open a saved model. Raises HeadstartError where the folder holds none or its weights have
    changed.
    """
    record = artifact.read(Path(folder))
    backbone = catalog.load_backbone(f"checkpoint:{folder}")
    reader = Reader(catalog.modality(record.modality), record.preprocess)
    if backbone.head is None:
        raise HeadstartError(f"{folder} holds a backbone without a head. Fit it to data first.")
    model = Model(backbone.stages, backbone.head)
    return Predictor(
        model, catalog.task(record.task), reader, record.labels, machine.device(device)
    )


def backbones(pattern: str = "*") -> list[Card]:
    """What the hubs have, by shell pattern over `hub:name`, or over names alone; opens no connection.

    Raises HeadstartError where nothing matches.
    """
    hub, colon, name = pattern.partition(":")
    known = catalog.names("hubs")
    if colon and hub not in known:
        catalog.hub(hub)
    wanted = [hub] if colon else sorted(known)
    cards = [
        card for each in wanted for card in catalog.hub(each).cards(name if colon else pattern)
    ]
    if not cards:
        raise HeadstartError(
            f"No backbone matches {pattern!r}. Try a wider pattern, such as '*resnet*'."
        )
    return cards


def strategies() -> dict[str, str]:
    """Every strategy's name and the first line of its documentation."""
    found = {
        name: catalog.part("strategies", name).__doc__ or "" for name in catalog.names("strategies")
    }
    return {name: text.strip().partition("\n")[0] for name, text in sorted(found.items())}


def _prepare(
    data: str | Path,
    backbone: str,
    strategy: str | None,
    settings: Settings,
    progress: Progress,
    workspace: Workspace,
) -> tuple[Target, Backbone, tuple[str, Strategy]]:
    """Everything that can go wrong before work begins: names, weights, data, machine."""
    budget = settings.budget
    clock = Budget(None if budget is None else max(budget / 2, budget - SAVING))
    if strategy is not None:
        catalog.strategy(strategy).epochs(1)
    modality = catalog.modality(MODALITY)
    source = catalog.load_backbone(backbone)
    if source.modality != MODALITY:
        raise HeadstartError(
            f"{TASK} reads {MODALITY}s; {backbone} reads {source.modality}s. Give another."
        )
    dataset = load_data(data, modality, label=settings.label, progress=progress)
    progress.say(str(dataset.report))
    name = strategy or defaults.strategy(len(dataset.split("train")))
    moves = catalog.strategy(name)
    parameters = sum(p.numel() for stage in source.stages.values() for p in stage.parameters())
    target = Target(
        dataset=dataset,
        task=catalog.task(TASK, weights=_class_weights(dataset, settings)),
        reader=Reader(modality, source.preprocess),
        settings=settings,
        accelerator=machine.accelerator(settings, parameters),
        budget=clock,
        progress=progress,
        workspace=workspace.folder,
    )
    if workspace.claim(_run(dataset, source, name, settings)):
        progress.say("An unfinished run of the same kind is here; going on with it.")
    return target, source, (name, moves)


def _run(
    dataset: Dataset, source: Backbone, strategy: str, settings: Settings
) -> Mapping[str, object]:
    """What must be equal for a killed run to be gone on with."""
    return {
        "data": dataset.fingerprint,
        "weights": source.origin.weights_hash if source.origin.pretrained else "random",
        "architecture": str(source.architecture),
        "strategy": strategy,
        "settings": {key: value for key, value in asdict(settings).items() if key != "budget"},
        "versions": artifact.versions(),
    }


def _class_weights(dataset: Dataset, settings: Settings) -> tuple[float, ...] | None:
    if settings.class_weights not in ("auto", "none"):
        raise HeadstartError(
            f"Class weights {settings.class_weights!r} are not known. Give auto or none."
        )
    if settings.class_weights == "none":
        return None
    targets = dataset.targets("train").tolist()
    return defaults.class_weights(tuple(targets.count(n) for n in range(len(dataset.labels))))


def _reference(target: Target, moves: Strategy) -> Recipe:
    """The recipe that the scratch arm doubles: the strategy's, or full fine-tuning's where it trains
    nothing.
    """
    recipe = target.recipe(moves, "scratch")
    if recipe.epochs:
        return recipe
    return target.recipe(catalog.strategy("full-fine-tuning"), "scratch")


def _rebuild(source: Backbone) -> Callable[[], Backbone]:
    """A maker of the same network with random weights, drawn from torch's generator."""
    return lambda: catalog.load_backbone(source.architecture)


def _finish(
    target: Target,
    source: Backbone,
    workspace: Workspace,
    arms: Mapping[str, Outcome],
    kept: str,
    protocol: str,
) -> Result:
    """Write the evidence and the model that won on validation, check both, and put them in their
    place.
    """
    winner, asked = arms[kept], arms["asked"]
    found = Evidence(
        metric=target.task.metric,
        arms={name: outcome.arm for name, outcome in arms.items() if name != "asked"},
        backbone=source.origin.reference,
        data=target.dataset.report.to_json() | {"fingerprint": target.dataset.fingerprint},
        seed=target.settings.seed,
        protocol=protocol,
        checks=dict(asked.checks),
        warnings=list(target.dataset.report.warnings),
    )
    found.arms["chosen"] = winner.arm
    if kept != "asked":
        note = (
            f"{asked.arm.strategy} scored {asked.arm.merit[0]:.3f} on validation, below the simpler "
            f"{winner.arm.strategy} at {winner.arm.merit[0]:.3f}: the simpler one is handed over."
        )
        found.dropped = replace(asked.arm, note=note)
    folder = workspace.draft()
    backbone = _rebuild(source)() if winner.arm.strategy == "scratch" else source
    record = _record(target, backbone, found)
    artifact.save(folder, winner.model, backbone, record, found.to_json())
    artifact.write_splits(folder, target.dataset)
    _check(folder, target, winner.model)
    found.checks["equal in a fresh process"] = True
    artifact.write_evidence(folder, found.to_json())
    return Result(workspace.publish(), found)


def _record(target: Target, backbone: Backbone, found: Evidence) -> Record:
    return Record(
        task=TASK,
        modality=MODALITY,
        architecture=str(backbone.architecture),
        labels=tuple(target.labels),
        preprocess=dict(backbone.preprocess),
        origin=asdict(backbone.origin),
        strategy=found.strategy,
        settings=asdict(target.settings),
        data=found.data,
        weights_sha256="",
        versions=artifact.versions(),
    )


def _check(folder: Path, target: Target, model: Model) -> None:
    """Compare the model in this process with the saved one in a fresh process, on raw files."""
    items = target.dataset.split("test")[:CHECKED]
    target.progress.say("Opening the saved model in a fresh process to compare its answers.")
    here = Predictor(model, target.task, target.reader, target.labels, target.accelerator.device)
    answers = target.task.decode(here.outputs(items), target.labels)
    artifact.verify(folder, items, [answer["probabilities"] for answer in answers])

"""The flow, top to bottom: data, backbone, arms, evidence, artifact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart import artifact, catalog, defaults, evidence, machine
from headstart.contracts import Card
from headstart.data import Schema, load_labelled
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.features.reading import Reader
from headstart.model import Model
from headstart.pipeline.extraction import extract_features, plan_features
from headstart.pipeline.finish import finish
from headstart.pipeline.prepare import claim, prepare, rebuild, reference
from headstart.progress import Progress, Silent
from headstart.references import Reference
from headstart.results import Evaluation, Result
from headstart.serve import Predictor
from headstart.workspace import Workspace

__all__ = [
    "backbones",
    "evaluate",
    "extract_features",
    "fit",
    "load",
    "plan_features",
    "pretrain",
    "strategies",
]


def fit(
    data: str | Path,
    backbone: str,
    out: str | Path,
    *,
    strategy: str | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Result:
    """Transfer a backbone to labelled data, prove what that was worth, save the model.

    The strategy is the policy's unless one is named. A run that was killed goes on where it stopped
    when it is called again with the same arguments. Raises HeadstartError for anything the user can
    mend.
    """
    settings, progress = settings or Settings(), progress or Silent()
    with Workspace(Path(out)) as workspace:
        target, source, (name, moves) = prepare(
            data, backbone, strategy, settings, progress, workspace.folder
        )
        claim(workspace, target, source, name)
        features = evidence.features_arm(target, source)
        arms = {"naive": evidence.naive_arm(target, features), "features": features}
        asked = features
        if moves.epochs(1):
            asked = evidence.strategy_arm(target, source, moves, name, features)
        protocol = "No network was trained from scratch."
        if settings.scratch:
            recipe = reference(target, moves, source)
            rates = defaults.scratch_rates(source.delicate)
            made = evidence.scratch_arm(target, rebuild(source), recipe, rates)
            arms["scratch"], protocol = made
        arms["asked"] = asked
        kept = evidence.choose({arm: outcome.arm for arm, outcome in arms.items()})
        words = evidence.words_arm(target)
        return finish(target, source, workspace, arms, (kept, protocol), words)


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
        target, source, (name, moves) = prepare(
            data, backbone, "full-fine-tuning", settings, progress, workspace.folder
        )
        claim(workspace, target, source, name)
        recipe = reference(target, moves, source)
        rates = defaults.scratch_rates(source.delicate)
        made, protocol = evidence.scratch_arm(target, rebuild(source), recipe, rates)
        naive = evidence.naive_arm(target, made)
        lead = evidence.paired(made.arm.scores, naive.arm.scores, settings.seed)
        if lead.low <= 0:
            told = (
                f"The network does not beat the naive model: {lead.value:+.3f} "
                f"{target.task.metric}, "
                f"95 % interval {lead.low:+.3f} to {lead.high:+.3f}."
            )
            if not anyway:
                raise HeadstartError(
                    f"{told} Give more data or epochs, or save it all the same with --anyway."
                )
            progress.warn(told)
        arms = {"naive": naive, "asked": made}
        return finish(target, source, workspace, arms, ("asked", protocol))


def evaluate(
    model: str | Path,
    data: str | Path,
    *,
    label: str | None = None,
    text: Sequence[str] = (),
    delimiter: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a saved model on labelled data; overlaps with its training are named.

    `label` and `text` name the columns of a manifest, `delimiter` stands between an item's labels.
    """
    progress = progress or Silent()
    predictor = load(model)
    schema = Schema(label, tuple(text), predictor.task.kind, delimiter)
    dataset = load_labelled(
        data, predictor.reader.modality, predictor.labels, schema, progress=progress
    )
    items, targets = dataset.split("test"), dataset.targets("test")
    outputs = predictor.outputs(items)
    seen = artifact.trained_on(Path(model))
    overlap = None if seen is None else sum(item.identity in seen for item in items)
    scores = predictor.task.scores(outputs, targets)
    return Evaluation.of(predictor.task.metric, scores, targets, dataset, overlap)


def load(folder: str | Path, device: str = "auto") -> Predictor:
    """Open a saved model. Raises HeadstartError where there is none or it was changed."""
    record = artifact.read(Path(folder))
    backbone = catalog.load_backbone(Reference("checkpoint", str(folder)))
    modality = catalog.modality(record.modality).fitted(backbone)
    reader = Reader(modality, record.preprocess)
    if backbone.head is None:
        raise HeadstartError(f"{folder} holds a backbone without a head. Fit it to data first.")
    model = Model(backbone.stages, backbone.head)
    task = catalog.task(record.task, **record.task_settings)
    return Predictor(model, task, reader, record.labels, machine.device(device))


def backbones(pattern: str = "*") -> list[Card]:
    """What the hubs have, by shell pattern over `hub:name` or names; opens no connection.

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

"""A saved model that learns new items: a head fitted anew on stored features, judged apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from headstart.artifact import CONFIG, EVIDENCE, HEAD, WEIGHTS
from headstart.data import data_of, demand_data, named
from headstart.data.names import alike
from headstart.drift import FILE as REFERENCE
from headstart.evidence.before_after import BeforeAfter
from headstart.features.extract import is_stored
from headstart.loading import engine_form
from headstart.loading import record as records
from headstart.pipeline.findings import Proof
from headstart.pipeline.finish import Stage, finish
from headstart.pipeline.opening import DataOptions, schema_for
from headstart.pipeline.prepare import RunContext, fitted_modality
from headstart.pipeline.proving import rivals
from headstart.pipeline.refitting.judging import Refitting
from headstart.pipeline.refitting.saved import Items, Reading, Saved
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.plan import FILE as PLAN
from headstart.report.page import FILE as PAGE
from headstart.results.refitted import Refitted
from headstart.runtime.progress import Show, as_progress
from headstart.runtime.workspace import Workspace

_FILES = (  # of a saved model, that its successor has of its own
    *(records.FILE, WEIGHTS, HEAD, EVIDENCE, CONFIG, PLAN, PAGE, REFERENCE, "README.md"),
    engine_form.FOLDER,
)


def refit(
    model: str | Path,
    data: Any,
    out: str | Path | None = None,
    *,
    old: Sequence[Any] = (),
    anyway: bool = False,
    progress: Show = None,
    **columns: Unpack[DataOptions],
) -> Refitted:
    """Teach a saved model new labelled items, and say what that changed on old and on new ones.

    Its network stays, and its head is fitted anew to the items that the model was made with and the
    new ones; features that are stored are not computed again. New classes are legal. Old items that
    were held out stay so; new ones are judged on the test split that the layout names, or on some
    that are held back, or each by a head that did not learn from it where they are few. The new
    model takes the old one's place, or that of `out`, where new items gain and neither they nor old
    ones lose beyond the interval, or `anyway`. `old` says where the old items are, if they moved, a
    place for each data set. Columns are as in training unless they are named. Raises HeadstartError
    for anything the user can mend.
    """
    data, show, folder = data_of(data), as_progress(progress), Path(model)
    demand_data(data)
    with Workspace(folder if out is None else Path(out), proves=out is None) as workspace:
        saved = Saved.of(folder)
        context = RunContext.of(saved.settings, show, workspace.folder)
        backbone = saved.backbone(context)
        reading = Reading(fitted_modality(backbone, saved.settings), show)
        items = Items.of(saved, data, old, schema_for(folder, columns), reading)
        refitting = Refitting(saved, items, backbone, context)
        _say(refitting)
        search = refitting.search()
        before_after = refitting.changes(search)
        record = _record(refitting, search, before_after, data, anyway)
        if record["handed_over"]:
            _hand_over(saved, search, record, workspace)
        return Refitted(workspace.out, folder, record)


def _say(refitting: Refitting) -> None:
    """What is about to be learned, and what is odd about it."""
    items, progress = refitting.items, refitting.context.progress
    experiment = refitting.context.experiment(items.old, refitting.backbone)
    prefix = experiment.prefix(refitting.backbone, len(refitting.backbone.stages))
    held_out = [item for item in items.old.items if item.split == "test"]
    learned = [item for item in items.old.items if item.split != "test"]
    is_cached = is_stored(prefix, learned, experiment.reader) and (
        not held_out or is_stored(replace(prefix, precision="fp32"), held_out, experiment.reader)
    )
    where = "are stored" if is_cached else "are computed once, as not all are stored"
    progress.say(
        f"{len(items.new.items)} new items beside {len(items.old.items)} old ones, whose features "
        f"{where}."
    )
    if items.new_classes:
        progress.say(f"New classes: {', '.join(map(repr, items.new_classes))}.")
    label_of = {alike(label): label for label in items.old.labels}
    for label in items.new_classes:
        if label_of.get(alike(label), label) != label:
            progress.warn(
                f"{label!r} and {label_of[alike(label)]!r} differ in case alone and are two "
                "classes. Write them the same way if they are one."
            )
    if items.overlap:
        changed = f" {items.relabelled} of them have another label now, which counts."
        progress.say(
            f"{items.overlap} items of the new data were known to the model and are no news."
            + changed * bool(items.relabelled)
        )
    if items.gone:
        progress.warn(
            f"{items.gone} of the items that the model was made with are not there any more, and "
            "are left out."
        )


def _record(
    refitting: Refitting,
    search: StrategySearch,
    before_after: tuple[BeforeAfter, BeforeAfter],
    data: Any,
    anyway: bool,
) -> dict[str, Any]:
    """What is said of the refit in the answer and the report."""
    (old, new), items, task = before_after, refitting.items, search.experiment.task
    gained = new.change.value > 0 or (new.change.value == 0 and old.change.value > 0)
    worse = old.is_worse or new.is_worse
    verdict = "hurts" if worse else "helps" if new.is_better else "no evidence"
    return {
        "verdict": verdict,
        "handed_over": anyway or (gained and not worse),
        "anyway": anyway,
        "gained": gained,
        "metric": task.metric,
        "less_is_better": task.sign < 0,
        "data": named(data),
        "network": refitting.saved.record.strategy,
        "new_items": len(items.new.items),
        "new_classes": list(items.new_classes),
        "known": items.overlap,
        "relabelled": items.relabelled,
        "gone": items.gone,
        "new": new.to_json(),
        "old": old.to_json(),
    }


def _hand_over(
    saved: Saved, search: StrategySearch, record: dict[str, Any], workspace: Workspace
) -> None:
    """Write the model with its evidence, check it, and put it in place."""
    if str(workspace.out) == os.path.abspath(saved.folder):
        names = {*_FILES, *(Path(name).parts[0] for name in saved.record.files)}
        workspace.adopt(names)
    proof = Proof(search, rivals(search), search.winner, refit=record)
    try:
        finish(proof, workspace, Stage(level="quick"))
    except BaseException:
        workspace.forget()
        raise

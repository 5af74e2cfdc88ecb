"""How far new items are from those a model was held to, or from a data set's held-out ones."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from headstart import evidence
from headstart.contracts import Encoding
from headstart.contracts.frozen import as_model
from headstart.data import data_of, named
from headstart.data.targets import kind_named
from headstart.defaults import Settings
from headstart.drift import FIT_AGAIN, NO_REFERENCE, Reference, chosen
from headstart.drift.measures import measures_of
from headstart.drift.shift import Answered, Shift
from headstart.errors import DataError, HeadstartError
from headstart.evidence.calibration import folded, temperature
from headstart.loading import record as records
from headstart.pipeline.opening import columns_of, load
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.selection.choosing import prepare
from headstart.pipeline.strategy_spec import FEATURES
from headstart.pipeline.yardstick import HELD_OUT
from headstart.results.shift import Shifted
from headstart.runtime.progress import Progress, Show, as_progress
from headstart.serve import Predictor
from headstart.serve.noticing import shift_between

LOOKED_AT = 2000  # items of the other data; of more a random part


def shift(
    before: Any,
    other: Any,
    *,
    backbone: str | None = None,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Shifted:
    """Compare items without labels with a saved model's held-out ones, or a labelled data set's.

    `before` is a saved model's folder, or labelled data in the features of a `backbone`, on which a
    probe answers. `other` is anything that `predict` takes; of more than 2,000 items a random part
    is looked at. Raises HeadstartError for anything the user can mend.
    """
    show, chosen_settings = as_progress(progress), settings_of(settings, options)
    if backbone is None:
        predictor = _saved(before)
    else:
        predictor = _probed(before, backbone, chosen_settings, show)
    result = shift_of(predictor, other, show, chosen_settings.seed)
    return Shifted(result, data_name(before), data_name(other), backbone is None)


def data_name(data: Any) -> str:
    """What data are called in an answer."""
    return named(data) if isinstance(data, str | Path) else "the data"


def shift_of(predictor: Predictor, other: Any, progress: Progress, seed: int = 0) -> Shift:
    """A model's held-out items against new ones.

    Raises DataError for too few new items, and HeadstartError for a model without a reference.
    """
    reference = predictor.reference
    if reference is None:
        raise HeadstartError(f"{NO_REFERENCE}, so that nothing can be compared. {FIT_AGAIN}")
    new = answered(predictor, other, progress, seed)
    return shift_between(predictor, reference, new, seed)


def answered(predictor: Predictor, data: Any, progress: Progress, seed: int = 0) -> Answered:
    """What a model makes of all that can be read of what `predict` takes."""
    every = list(predictor.inputs(data))
    rng = np.random.default_rng(seed % 2**32)
    if len(every) > LOOKED_AT:
        progress.say(f"Looking at {LOOKED_AT} of {len(every)} items, drawn at random.")
        every = [every[n] for n in np.sort(rng.choice(len(every), LOOKED_AT, replace=False))]
    problems = [predictor.problem(each) for each in every]
    sound = [each for each, problem in zip(every, problems, strict=True) if not problem]
    if len(every) == 1 and not sound:
        raise every[0].unusable(problems[0])
    if not sound:
        first = f"; {every[0].name}: {problems[0]}" if every else ""
        raise DataError(f"No item that can be read was given{first}. Name files, folders or texts.")
    if len(sound) < len(every):
        place = next(n for n, problem in enumerate(problems) if problem)
        progress.warn(
            f"{len(every) - len(sound)} items are left out; the first, {every[place].name}: "
            f"{problems[place]}"
        )
    items = [each.item for each in sound]
    features = predictor.features(items)
    outputs = predictor.headed(features)
    part = [items[place] for place in chosen(len(items), seed)]
    return Answered(
        [each.id or each.name for each in sound],
        features,
        outputs,
        predictor.task.predictions(outputs),
        measures_of(part, predictor.reader.modality),
    )


def _saved(model: Any) -> Predictor:
    here = isinstance(model, str | Path) and (Path(model) / records.FILE).exists()
    if not here:
        raise HeadstartError(
            f"{data_name(model)} is no saved model. Name the backbone whose features are to be "
            "compared (-b), or give a folder that `fit` wrote."
        )
    return load(model)


def _probed(data: Any, backbone: str, settings: Settings, progress: Progress) -> Predictor:
    """A probe on frozen features, held to the validation and test items."""
    plain = replace(settings, scratch=False, evidence="none", tta="none", budget=None)
    context = RunContext.of(plain, progress)
    transfer = prepare(data_of(data), backbone, FEATURES, context)
    experiment, own = transfer.experiment, transfer.backbone
    result, examples = evidence.features_arm(experiment, own), experiment.examples(own)
    outputs = {name: result.arm.outputs[name] for name in HELD_OUT}
    dataset, network, scale = experiment.dataset, result.network, 1.0
    if kind_named(dataset.kind).encoding is Encoding.INDEX:
        scale = temperature(outputs["validation"], dataset.targets("validation"))
        network = folded(network, scale) or network
    items = [item for name in HELD_OUT for item in dataset.split(name)]
    places = chosen(len(items), plain.seed)
    features, answers, targets = (
        np.concatenate(parts)[places]
        for parts in (
            [examples[name][0] for name in HELD_OUT],
            [outputs[name] / scale for name in HELD_OUT],
            [examples[name][1] for name in HELD_OUT],
        )
    )
    measures = measures_of([items[place] for place in places], experiment.reader.modality)
    reference = Reference.of(features, answers, targets, measures)
    schema = columns_of(asdict(plain), dataset.report.to_json(), dataset.kind)
    return Predictor(
        as_model(network),
        experiment.task,
        experiment.reader,
        experiment.labels,
        experiment.accelerator.device,
        schema,
        reference,
    )

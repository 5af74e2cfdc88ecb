"""Translating through another language, and the evidence for or against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, final

import numpy as np

from headstart import artifact, catalog, evidence
from headstart.contracts.metric import Metric
from headstart.contracts.scripts import language
from headstart.contracts.sequences import encoded
from headstart.data import data_of, demand_data, load_labelled
from headstart.data import load as load_data
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.evidence.lookup import neighbours
from headstart.pipeline.opening import load
from headstart.pipeline.schema import schema
from headstart.results.translations import PivotEvidence, Translated, Translations
from headstart.runtime.progress import Show, as_progress
from headstart.serve import Predictor
from headstart.serve.chaining import BEST, translated

_METRIC = "chrf"
_LIKENESS = 0.9  # from which on a text is looked up where nothing was measured


def translate(
    models: str | Path | Sequence[str | Path],
    texts: Sequence[str],
    *,
    via: Sequence[str] = (),
    memory: Any = None,
    likeness: float | None = None,
    progress: Show = None,
) -> Translations:
    """Translations of texts by a saved model, or by several, one behind another.

    `via` names the languages between, as the models' columns call them; they are checked. Texts
    that are as like one of the pairs in `memory` as `likeness` says, from 0 to 1, have its
    translation; without a number it is what the last model's evidence says. Raises HeadstartError
    for models that don't follow one another, and for a memory that can't be used.
    """
    places = [models] if isinstance(models, str | Path) else list(models)
    show, chain = as_progress(progress), opened(places, tuple(via))
    pairs = None if memory is None else remembered(places, chain, memory, likeness)
    rows = [row[0] for row in translated(chain, list(texts))]
    rows = pairs.over(rows) if pairs else rows
    lost = [row for row in rows if row.lost]
    if lost:
        show.warn(
            f"{len(lost)} of {len(rows)} translations lack what is never translated, such as "
            f"{lost[0].lost[0]} in {lost[0].source[:60]!r}."
        )
    return Translations(rows)


def pivot(
    first: str | Path,
    second: str | Path,
    data: Any,
    *,
    direct: str | Path | None = None,
    settings: Settings | None = None,
    progress: Show = None,
) -> PivotEvidence:
    """What translating by a first and then a second model is worth on labelled pairs.

    Compared with a `direct` model where one is named, and with both: of all their answers that
    which is nearest to the others (minimum Bayes risk, Kumar and Byrne 2004). `source` and `target`
    of the settings name the columns. Raises HeadstartError for models and data that don't fit.
    """
    settings, show = settings or Settings(), as_progress(progress)
    place = data_of(data)
    demand_data(place)
    chain = opened([first, second], None)
    own = chain[0]
    columns = schema(settings)
    dataset = load_labelled(place, own.reader.modality, chain[1].labels, columns, progress=show)
    items, targets = dataset.split("test"), dataset.targets("test")
    texts = [own.reader.modality.text(item.read()) or "" for item in items]
    show.say(f"Translating {len(items)} texts through {own.labels[0]}.")
    answers = {"pivot": translated(chain, texts, BEST)}
    metric = catalog.metric_named(_METRIC)
    if direct is not None:
        answers["direct"] = translated([load(direct)], texts, BEST)
        pairs = zip(*answers.values(), strict=True)
        answers["both"] = [[_nearest([*one, *other], metric)] for one, other in pairs]
    outputs = {name: encoded(row[0].text for row in rows) for name, rows in answers.items()}
    draws = evidence.Draws(settings.seed, evidence.families(items))
    judge = evidence.Resampling(metric, targets, np.asarray, draws)
    arms = {name: judge.interval(own_outputs) for name, own_outputs in outputs.items()}
    gain = judge.gain(outputs["pivot"], outputs["direct"]) if direct is not None else None
    return PivotEvidence(metric.name, len(items), arms, gain, metric.signature(targets))


def opened(places: Sequence[str | Path], via: Sequence[str] | None) -> list[Predictor]:
    """Saved models of which each reads what the one before writes.

    Columns that name no language, as `source`, meet in what `via` says; where that is None, they
    are trusted to. Raises HeadstartError where one doesn't, or where they don't meet in the
    languages `via`.
    """
    demand_meeting(places, [_languages(Path(place)) for place in places], via)
    return [load(place) for place in places]


def demand_meeting(
    places: Sequence[str | Path], sides: Sequence[tuple[str, str]], via: Sequence[str] | None
) -> None:
    """Raise HeadstartError where models of these columns don't follow one another, as `opened`."""
    if via and len(via) != len(places) - 1:
        raise HeadstartError(
            f"{len(places)} models meet in {len(places) - 1} languages, and --via names "
            f"{len(via)}. Name one for each place where two meet."
        )
    for number, (one, other) in enumerate(pairwise(sides)):
        names = one[1], other[0]
        spoken = [name for name in names if language(name)]
        bridge = via[number] if via else (spoken or names)[0]
        if any(name != bridge for name in (names if via == () else spoken)):
            more = "" if len(spoken) == len(names) or via is None else ", or name it by --via"
            raise HeadstartError(
                f"{places[number]} writes {one[1]} and {places[number + 1]} reads {other[0]}, "
                f"which are not both {bridge}. Give models that meet in one language{more}."
            )


def remembered(
    places: Sequence[str | Path], chain: Sequence[Predictor], memory: Any, likeness: float | None
) -> Memory:
    """All pairs of a table with the first model's source and the last one's target."""
    if likeness is None:
        own = artifact.read_evidence(Path(places[-1])).get("memory") or {}
        likeness = float(own.get("threshold", _LIKENESS))
    if not 0 <= likeness <= 1:
        raise HeadstartError(f"The likeness {likeness:g} can't be. Give a number from 0 to 1.")
    source, target = _languages(Path(places[0]))[0], chain[-1].labels[0]
    place, modality = data_of(memory), chain[0].reader.modality
    demand_data(place)
    columns = schema(Settings(source=source, target=target))
    items = load_data(place, modality, columns).items
    texts = [modality.text(item.read()) or "" for item in items]
    return Memory(texts, [item.label for item in items], likeness)


def _languages(place: Path) -> tuple[str, str]:
    """The columns that a saved model reads and writes."""
    record = artifact.read(place)
    sources = record.data.get("columns", {}).get("content") or ["source"]
    return str(sources[0]), record.labels[0]


def _nearest(candidates: Sequence[Translated], metric: Metric) -> Translated:
    """That of some translations which is most like the others, of equal ones the first."""
    import torch

    texts = [each.text for each in candidates]
    count = len(texts)
    one, other = np.repeat(texts, count).tolist(), texts * count
    statistics = torch.from_numpy(metric.statistics(encoded(one), encoded(other)))
    likeness = metric.value(statistics.double(), torch.eye(count * count, dtype=torch.float64))
    return candidates[int(likeness.reshape(count, count).mean(1).argmax())]


@final
@dataclass(frozen=True)
class Memory:
    """Texts with their translations, and the likeness from which on one is looked up."""

    sources: Sequence[str]
    targets: Sequence[str]
    threshold: float

    def over(self, rows: Sequence[Translated]) -> list[Translated]:
        """The same rows; those whose text is like one in memory have its translation.

        Such a one has no score of the model, and the text that it was found by as `like`.
        """
        places, likeness = neighbours(self.sources, [row.source for row in rows])
        return [
            Translated(row.source, self.targets[place], 0.0, like=self.sources[place])
            if row.source.strip() and similarity >= self.threshold
            else row
            for row, place, similarity in zip(rows, places[:, 0], likeness[:, 0], strict=True)
        ]

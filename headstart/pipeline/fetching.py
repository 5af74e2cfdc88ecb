"""Bring pretrained models to this machine, and pack them for one that has no network."""

from __future__ import annotations

import glob
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from headstart import catalog
from headstart.contracts import Backbone, Card
from headstart.contracts.references import Reference, parse
from headstart.errors import HeadstartError
from headstart.listing import backbones
from headstart.pipeline.bundling import describe, pack
from headstart.results import Fetched, Model
from headstart.runtime.progress import Progress, Show, as_progress
from headstart.runtime.workspace import Workspace


def fetch(
    references: str | Sequence[str],
    bundle: str | Path | None = None,
    *,
    progress: Show = None,
) -> Fetched:
    """Bring pretrained models here with all that a later run needs of them: each is loaded once.

    A reference with a `*` is a pattern. One that fails doesn't keep the others from coming; the
    answer says why it did. `bundle` is a new folder, into which they are written as saved models:
    on another machine, without a network, `checkpoint:BUNDLE/NAME` is the same backbone. Raises
    HeadstartError where that folder is taken, or nothing could be put in it.
    """
    progress = as_progress(progress)
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        workspace = bundle if bundle is None else stack.enter_context(Workspace(Path(bundle)))
        draft = workspace.draft() if isinstance(workspace, Workspace) else None
        patterns = [references] if isinstance(references, str) else references
        names = list(dict.fromkeys(_each(patterns, failed)))
        models = []
        for number, reference in enumerate(names, 1):
            if len(names) > 1:
                progress.say(f"{number} of {len(names)}: {reference}")
            try:
                models.append(_one(reference, draft, progress))
            except HeadstartError as error:
                failed[reference] = str(error)
            except ImportError as error:
                failed[reference] = f"The package {error.name} is not installed. Install it."
        if not isinstance(workspace, Workspace) or draft is None:
            return Fetched(models, failed)
        if not models:
            reasons = " ".join(dict.fromkeys(failed.values()))
            raise HeadstartError(f"{bundle} was not made, as nothing could be fetched. {reasons}")
        describe(draft, models)
        place = workspace.publish()
    placed = [replace(model, bundled=str(place / str(model.bundled))) for model in models]
    return Fetched(placed, failed, place)


def _each(references: Sequence[str], failed: dict[str, str]) -> Iterator[str]:
    """Every reference that is meant; why a pattern means none is put into `failed`."""
    for reference in references:
        if "*" not in reference:
            yield reference
            continue
        try:
            matches = [card.reference for card in backbones(reference) if _has_weights(card)]
            if not matches:
                raise HeadstartError(f"Nothing that matches {reference!r} has weights. Widen it.")
        except HeadstartError as error:
            failed[reference] = str(error)
        else:
            yield from matches


def _has_weights(card: Card) -> bool:
    """Whether there is anything to fetch: hubs also list networks that nobody pretrained."""
    return card.at_hand or any((card.path, card.trained_on, card.accuracy))


def _one(reference: str, draft: Path | None, progress: Progress) -> Model:
    """Load one model, which fetches it, and pack it where a draft of a bundle is given."""
    began = time.perf_counter()
    backbone = catalog.load_backbone(reference)
    seconds = time.perf_counter() - began
    for note in backbone.notes:
        progress.say(note)
    place, size = _on_disk(parse(reference))
    return Model(
        reference=reference,
        place=place,
        bytes=size,
        licence=backbone.origin.licence,
        trained_on=backbone.origin.trained_on,
        weights_hash=backbone.origin.weights_hash,
        seconds=seconds,
        bundled=None if draft is None else _packed(draft, backbone, progress),
    )


def _packed(draft: Path, backbone: Backbone, progress: Progress) -> str:
    """The name of the model's folder in the bundle."""
    name, whole = pack(draft, backbone)
    if not whole:
        progress.warn(
            f"{backbone.origin.reference} is packed without its pretrained head, which a saved "
            "folder can't hold. Only scores that need that head miss it."
        )
    return name


def _on_disk(reference: Reference) -> tuple[str | None, int | None]:
    """The file or folder that a reference was loaded from, and its size; None where unknown."""
    tag = f"@{reference.weights}" if reference.weights else ""
    cards = list(catalog.hub(reference.hub).cards(f"{reference.name}{tag}"))
    exact = [card for card in cards if card.reference == str(replace(reference, options={}))]
    for card in (exact or cards)[:1]:
        paths = [Path(path) for path in sorted(glob.glob(card.path or ""))]
        if paths:
            place = paths[0] if len(paths) == 1 else paths[0].parent
            return str(place), sum(map(_size, paths))
    for name in (reference.weights, reference.name, reference.name.rpartition(":")[0]):
        if name and Path(name).exists():
            return name, _size(Path(name))
    return None, None


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())

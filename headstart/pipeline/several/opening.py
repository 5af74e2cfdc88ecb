"""A saved model of one task or several, opened to answer all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from headstart.artifact import read_evidence
from headstart.loading import members, record
from headstart.pipeline import opening
from headstart.results import Reported
from headstart.results.several import Results
from headstart.serve import Predictor
from headstart.serve.side_by_side import joined

_NETWORK = ("weights_sha256", "architecture", "modality", "preprocess", "files")


def load(folder: str | Path, device: str = "auto") -> Predictor:
    """Open a saved model. Raises HeadstartError where there is none or it was changed.

    One of several tasks reads each input once, and runs a network that tasks share once. The folder
    may be a stranger's: whatever goes wrong with what stands in it is its own fault.
    """
    place = Path(folder)
    if not members.are_in(place):
        return opening.load(place, device)
    folders = members.read(place)
    each = {name: opening.load(own, device) for name, own in folders.items()}
    networks = networks_of(folders)
    return joined(each, networks, opening.device_for(device))


def networks_of(folders: Mapping[str, Path]) -> dict[str, str]:
    """For each task the first one whose network is the same: its tensors, and how it is fed."""
    first: dict[str, str] = {}
    return {name: first.setdefault(_network(own), name) for name, own in folders.items()}


def _network(folder: Path) -> str:
    entries = record.read(folder)
    if not entries.get("head"):  # the file of weights holds the head, too
        return str(folder)
    looks = (entries.get("settings") or {}).get("tta")
    return json.dumps([*(entries.get(name) for name in _NETWORK), looks], sort_keys=True)


def reported(folder: str | Path) -> Reported:
    """The evidence that a saved model keeps; its page is written where it is missing.

    Of several tasks the answer is a `Results`, which no type of a path can tell.
    Raises HeadstartError where there is no model, or its evidence can't be read.
    """
    place = Path(folder)
    if not members.are_in(place):
        return opening.reported(place)
    return cast(Reported, results(place))


def results(place: Path, fresh: bool = False, stopped: bool = False) -> Results:
    """What is known of each task of a saved model; its page is written where missing or `fresh`."""
    from headstart.report.page import FILE as PAGE
    from headstart.report.several import write_several

    folders = members.read(place)
    for own in folders.values():
        opening.reported(own)  # which checks what it reads
    each = {name: read_evidence(own) for name, own in folders.items()}
    shared = len(set(networks_of(folders).values())) == 1
    names = {name: own.name for name, own in folders.items()}
    opened = Results(place, each, names, shared, stopped, members.run_of(place).get("joint"))
    if fresh or not (place / PAGE).exists():
        write_several(place, opened.sentences(), opened.columns(), opened.rows(), opened.folders)
    return opened

"""A saved model in another form: written, run on raw files in a fresh process, and compared."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

import numpy as np

from headstart import artifact, forms
from headstart.artifact import Record
from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.forms import description
from headstart.forms.form import Form, FormError, Leaving
from headstart.forms.inputs import example, fed
from headstart.loading import members
from headstart.pipeline.exporting import checking
from headstart.pipeline.exporting.checking import HeldOut, own_data
from headstart.pipeline.opening import DataOptions, load
from headstart.report.markdown import render
from headstart.results.exported import ExportedModel
from headstart.runtime.places import demand_path
from headstart.runtime.progress import Progress, Show, as_progress
from headstart.serve import Predictor

if TYPE_CHECKING:
    from headstart.forms.network import Whole

MOST: Final = 300  # items
_EVERY: Final = 3  # of the items to compare on that go, where there are no others
CHECK = "check.json"
_USUAL = ("onnx", "openvino", "torch")


def export(
    model: str | Path,
    to: str,
    out: str | Path,
    *,
    int8: bool = False,
    check: Any = None,
    calibration: Any = None,
    progress: Show = None,
    **columns: Unpack[DataOptions],
) -> ExportedModel:
    """Write a saved model as `onnx`, `openvino`, `page`, `torch` or `sklearn` into a new folder.

    Preprocessing that arrays can hold is inside the file, all else stands in `model.json` beside
    it. The file is then run in its own runtime, in a fresh process, on held-out raw items: those of
    `check`, labelled data, or of the data that the model was fitted to. Nothing is written where an
    answer differs, or with `int8`, whole numbers by NNCF, where 1 % of them do. Their ranges are
    those of `calibration`, labelled or not, or of items that the model was fitted to. Raises
    HeadstartError for what can't be written, and where there is nothing to compare on.
    """
    folder, place = Path(model), Path(os.path.abspath(out))
    leaving = _Export(folder, forms.form(to), to, int8, as_progress(progress))
    _demand_free(place)
    leaving.demand_numbers()
    members.demand_one(folder)
    predictor, record = load(folder, "cpu"), artifact.read(folder)
    _demand_possible(folder, leaving, predictor)
    items = checking.held_out(folder, predictor, check, columns, leaving.progress)
    ranges: Sequence[Item] = ()
    if int8:
        ranges, items = calibration_items(folder, predictor, calibration, items)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as scratch:
            draft = Path(scratch) / "draft"
            draft.mkdir()
            result = leaving.write(draft, predictor, record, items, ranges)
            os.rename(draft, place)
    except FormError as error:
        raise _refused(folder, to, str(error)) from error
    return ExportedModel(place, **result)


@dataclass(frozen=True)
class _Export:
    """What is to be written of which model."""

    folder: Path
    form: Form
    name: str
    int8: bool
    progress: Progress

    def demand_numbers(self) -> None:
        """Raise HeadstartError where whole numbers are wanted of a form that has none."""
        if self.int8 and not self.form.quantises:
            why = "NNCF makes whole numbers of ONNX and OpenVINO files alone"
            raise _refused(self.folder, f"{self.name} in whole numbers", why)

    def write(
        self,
        draft: Path,
        predictor: Predictor,
        record: Record,
        items: HeldOut,
        ranges: Sequence[Item],
    ) -> dict[str, Any]:
        """Write the folder and compare it; answer with what the result holds.

        Raises FormError where it can't be written, HeadstartError where it answers otherwise.
        """
        from headstart.forms.network import Whole

        before = checking.answered(predictor, items)  # as it answers users, mostly without torch
        reader, width = predictor.reader, before.outputs.shape[1]
        values = [reader.decode(items.items[0])]
        sample = example(fed(values, reader.modality, reader.preprocess))
        whole = Whole.of(predictor.model, predictor.task, reader, width, sample)
        _demand_held(self.folder, self.name, whole)
        temperature, precision = _temperature(self.folder), "int8" if self.int8 else "fp32"

        def described(network: Whole) -> dict[str, Any]:
            return description.described(record, network, reader, temperature, precision)

        self.progress.say(f"Writing {self.folder} as {self.name}.")
        facts = self._written(draft, whole, described)
        if self.int8:
            self.progress.say(f"Finding the ranges of whole numbers on {len(ranges)} items.")
            decoded = ([reader.decode(item)] for item in ranges)
            batches = [fed(each, reader.modality, reader.preprocess) for each in decoded]
            self.form.quantise(draft, batches, _text(facts))
        self._complete(draft, facts, record)
        self.progress.say(
            f"Running it in a fresh process on {len(items.items)} held-out items as they are."
        )
        compared = checking.compared(self.folder, draft, self.form, predictor, items, before)
        checking.demand_same(compared, self.folder, self.name, self.int8)
        self._card(draft, facts, compared)
        return compared

    def _written(
        self, draft: Path, whole: Whole, described: Callable[[Whole], dict[str, Any]]
    ) -> dict[str, Any]:
        """Write the file, of a detector for one picture at a time where it can't be for more."""
        facts = described(whole)
        try:
            self.form.write(Leaving(whole, _text(facts), draft))
        except FormError:
            if not whole.finds_boxes:
                raise
            single = whole.alone()
            facts = described(single)
            self.form.write(Leaving(single, _text(facts), draft))
        return facts

    def _complete(self, draft: Path, facts: Mapping[str, Any], record: Record) -> None:
        """Write what inputs are made with, and the description."""
        reads = description.files_of(self.folder, record)
        for name, content in reads.items():
            (draft / name).parent.mkdir(exist_ok=True)  # those of a part lie in a folder of its own
            (draft / name).write_bytes(content)
        own = [name for name in (self.form.file, *self.form.more) if (draft / name).exists()]
        description.write(draft, facts, self.name, [*own, *reads], reads)

    def _card(self, draft: Path, facts: Mapping[str, Any], compared: Mapping[str, Any]) -> None:
        """Write what was measured, for programs and for people."""
        result = ExportedModel(draft, **compared)
        content = {name: value for name, value in result.to_json().items() if name != "out"}
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (draft / CHECK).write_text(f"{text}\n", encoding="utf-8")
        card = render("export.md", facts=facts, form=self.name, file=self.form.file, result=result)
        (draft / "README.md").write_text(card, encoding="utf-8")


def _text(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False)


def _demand_free(place: Path) -> None:
    """Raise HeadstartError where a new folder can't be made."""
    demand_path(place)
    if os.path.lexists(place):
        raise HeadstartError(f"{place} is there already. Name a new folder.")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HeadstartError(
            f"{place} can't be made ({error.strerror}). Name a folder that you may write to."
        ) from None


def _demand_possible(folder: Path, leaving: _Export, predictor: Predictor) -> None:
    """Raise HeadstartError for models that answer by more than rows of one size."""
    to = leaving.name
    if predictor.task.reads_maps:
        _demand_boxes(folder, leaving, predictor)
    if predictor.reader.preprocess.get("crop_mode") == "whole":
        raise _in_no_form(folder, to, "it takes each picture in its own shape, and a form in one")
    parts = predictor.reader.preprocess.get("parts")
    if parts and not forms.form(to).takes_features:
        raise HeadstartError(
            f"{folder} can't leave as {to}: networks of their own read the {' and '.join(parts)} "
            "cells of its rows, and a file holds one. Try --to sklearn for its head, or use "
            "`headstart predict`. Nothing was written."
        )


def _demand_boxes(folder: Path, leaving: _Export, predictor: Predictor) -> None:
    """Raise HeadstartError for answers from maps that aren't boxes a graph can make."""
    from headstart.contracts.detector import DetectorHead

    head, name = predictor.model.head, leaving.name
    if not isinstance(head, DetectorHead):
        raise _in_no_form(folder, name, f"its head makes {predictor.task.kind}, step by step")
    if leaving.form.takes_features:
        raise _refused(folder, name, "scikit-learn has no estimator for boxes")
    if leaving.int8:
        why = "NNCF's ranges are of whole answers, and a detector's stand behind suppression"
        raise _refused(folder, f"{name} in whole numbers", why)


def _demand_held(folder: Path, to: str, whole: Whole) -> None:
    """Raise HeadstartError for a detector whose choice of boxes no graph holds."""
    import torch

    if not whole.finds_boxes:
        return
    try:
        with torch.inference_mode():
            whole.answers(whole.body(whole.alone().inputs()))
    except NotImplementedError as error:
        raise _in_no_form(folder, to, str(error)) from None


def _in_no_form(folder: Path, to: str, why: str) -> HeadstartError:
    return HeadstartError(
        f"{folder} can't leave as {to}: {why}. Use `headstart predict` or `headstart serve`. "
        "Nothing was written."
    )


def _refused(folder: Path, to: str, why: str) -> HeadstartError:
    others = " or ".join(f"--to {name}" for name in _USUAL if name != to)
    return HeadstartError(
        f"{folder} can't leave as {to}: {why}. Try {others}, or use `headstart predict`. "
        "Nothing was written."
    )


def _temperature(folder: Path) -> float | None:
    """What the head's outputs were divided by when the model was calibrated."""
    try:
        calibration = artifact.read_evidence(folder).get("calibration") or {}
        return float(calibration["temperature"]) if calibration.get("kept") else None
    except (HeadstartError, AttributeError, KeyError, TypeError, ValueError):
        return None


def calibration_items(
    folder: Path, predictor: Predictor, calibration: Any, items: HeldOut
) -> tuple[list[Item], HeldOut]:
    """Items for the ranges, at most 300, and those to compare on without them.

    They are those that are named, labelled or not, or are in the data that the model was fitted to;
    where all of these are compared on, a third of them. Raises HeadstartError where none can be
    read.
    """
    data = own_data(folder, "--calibration")[1] if calibration is None else calibration
    apart = {_content(item.read()) for item in items.items}
    requested_items = [
        each.item
        for each in predictor.inputs(Path(data) if isinstance(data, str) else data)
        if not predictor.problem(each) and _content(each.item.read()) not in apart
    ]
    if requested_items:
        order = np.random.default_rng(0).permutation(len(requested_items))[:MOST]
        return [requested_items[place] for place in sorted(order.tolist())], items
    if calibration is not None or len(items.items) < 2 * _EVERY:
        raise HeadstartError(
            f"{data} has no item for the ranges of whole numbers that isn't compared on. "
            "Name others with --calibration, or leave out --int8."
        )
    places = np.arange(len(items.items))
    own = places[::_EVERY][:MOST]
    rest = items.part(np.setdiff1d(places, own), folder)
    return [items.items[place] for place in own], rest


def _content(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()

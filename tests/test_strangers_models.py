"""A saved model from anyone: right, or refused in one sentence, whatever stands in its files."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Fitted
from peak_memory import peak

import headstart as hs
from headstart.loading import record, weights
from headstart.pipeline.opening import reported

ODD: list[Any] = [
    *(None, True, 0, -1, 10**400, 0.5, 1e308, "", "../x", "\0", [], ["a", 1], {}, {"a": {}}),
]
DEEP = "[" * 100_000 + "]" * 100_000


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in JSON: the keys that lead to it."""
    if path:
        yield path
    if isinstance(content, dict | list):
        entries = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in entries:
            yield from places(value, (*path, key))


def placed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The same JSON with something else in one place."""
    key, *rest = path
    copied = dict(content) if isinstance(content, dict) else list(content)
    copied[key] = placed(copied[key], tuple(rest), value) if rest else value
    return copied


def answers(folder: Path, picture: Path) -> None:
    """A prediction, as it is printed."""
    (prediction,) = hs.load(folder).predict([picture])
    assert json.dumps(prediction.to_json(), allow_nan=False)


def scores(folder: Path, picture: Path) -> None:
    """Evaluation on the data that the picture is from, which looks into the plan."""
    assert str(hs.evaluate(folder, picture.parents[1]))


def reports(folder: Path, picture: Path) -> None:
    """The evidence, as it is printed and on its page."""
    (folder / "report.html").unlink(missing_ok=True)
    assert str(reported(folder))


USES = {"headstart.json": answers, "plan.json": scores, "evidence.json": reports}


def right_or_refused(folder: Path, picture: Path, use: Callable[[Path, Path], None]) -> bool:
    """Whether a model can be used so; else it must have been refused as a user's mistake."""
    try:
        use(folder, picture)
    except hs.HeadstartError as error:
        assert str(error).endswith((".", "?")) and "\n" not in str(error), str(error)
        return False
    return True


@pytest.fixture
def copy(fitted: Fitted, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted.folder, tmp_path / "copy"))


@pytest.fixture
def picture(fitted: Fitted) -> Path:
    return sorted((fitted.pictures / "ants").iterdir())[0]


def test_a_changed_entry_of_the_record_is_found(fitted: Fitted, copy: Path, picture: Path) -> None:
    whole = json.loads((copy / record.FILE).read_text())
    draw = random.Random(0)
    for path in places(whole):
        changed = placed(whole, path, draw.choice(ODD))
        if changed == whole:
            continue
        (copy / record.FILE).write_text(json.dumps(changed))
        with pytest.raises(hs.HeadstartError):
            hs.load(copy)


def test_a_forged_record_is_right_or_refused(fitted: Fitted, copy: Path, picture: Path) -> None:
    """Whoever writes a record knows how to hash it."""
    whole = record.read(copy)
    draw = random.Random(1)
    refused = 0
    for path in places(whole):
        if path[0] in ("data", "versions", "settings") and len(path) > 2:
            continue
        value = draw.choice(ODD)
        record.write(copy, placed(whole, path, value))
        refused += not right_or_refused(copy, picture, answers)
    assert refused > 10


@pytest.mark.parametrize("name", ["headstart.json", "evidence.json", "plan.json"])
def test_json_of_any_form_is_right_or_refused(copy: Path, picture: Path, name: str) -> None:
    for text in ("", "{", "[]", "null", "3", '"a"', "{}", '{"a": NaN}', DEEP, "\ud800"):
        (copy / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        right_or_refused(copy, picture, USES[name])


@pytest.mark.parametrize("name", ["evidence.json", "plan.json"])
def test_changed_evidence_is_right_or_refused(copy: Path, picture: Path, name: str) -> None:
    whole = json.loads((copy / name).read_text())
    every = [path for path in places(whole) if len(path) < 4]
    draw = random.Random(2)
    for path in draw.sample(every, min(20, len(every))):
        (copy / name).write_text(json.dumps(placed(whole, path, draw.choice(ODD))))
        right_or_refused(copy, picture, USES[name])


def test_what_is_no_file_is_refused(copy: Path, picture: Path) -> None:
    for name in ("headstart.json", "model.safetensors", "evidence.json", "more.json"):
        folder = Path(shutil.copytree(copy, copy.parent / f"without-{name}"))
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        assert not right_or_refused(folder, picture, answers)
        (folder / name).unlink()
        (folder / name).mkdir()
        right_or_refused(folder, picture, USES.get(name, answers))


def test_a_text_of_absurd_size_is_refused(copy: Path, picture: Path) -> None:
    with open(copy / "config.json", "wb") as file:
        file.truncate(2**30)
    with pytest.raises(hs.WeightsError, match=r"config\.json has 1073741824 bytes, more than"):
        hs.load(copy)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(copy: Path, number: float) -> None:
    state = weights.read(copy / "model.safetensors").state
    state["head.bias"] = torch.full_like(state["head.bias"], number)
    weights.save(state, copy / "model.safetensors", {})
    record.write(copy, record.read(copy) | {"weights_sha256": weights.digest(state)})
    with pytest.raises(hs.WeightsError, match=r"numbers in head\.bias that are not finite"):
        hs.load(copy)


@pytest.mark.parametrize(
    "architecture",
    [
        "seeded:convnet?size=100000",
        "seeded:vit?size=8192",
        "seeded:convnet?width=1000000",
        "seeded:convnet?width=3000",
        "seeded:convnet?width=1e400",
        "torchvision:vit_h_14?pretrained=false",
        "torchvision:resnet18?pretrained=false&size=100000",
        "timm:test_resnet?pretrained=false&size=100000",
        "timm:test_resnet?pretrained=false&layers=[1,1,1000000]",
        "timm:test_resnet?pretrained=false&layers=(1, 1, 1000000)",
        "timm:vit_giant_patch14_224?pretrained=false",
    ],
)
def test_an_architecture_of_absurd_size_is_refused_before_memory_is_taken(
    copy: Path, architecture: str
) -> None:
    record.write(copy, record.read(copy) | {"architecture": architecture})
    before = peak()
    with pytest.raises(hs.HeadstartError) as refusal:
        hs.load(copy)
    assert "(RuntimeError" not in str(refusal.value)
    assert peak() - before < 500_000  # KiB


def test_answers_that_are_not_finite_are_no_answers(copy: Path, picture: Path) -> None:
    """Weights may be finite and too large to compute with."""
    state = weights.read(copy / "model.safetensors").state
    large = {n: torch.full_like(t, 3e38) if t.is_floating_point() else t for n, t in state.items()}
    weights.save(large, copy / "model.safetensors", {})
    record.write(copy, record.read(copy) | {"weights_sha256": weights.digest(large)})
    for use in (answers, scores):
        with pytest.raises(hs.HeadstartError, match="the model's answer to it is no finite number"):
            use(copy, picture)


@pytest.mark.parametrize(
    "entries",
    [
        {"settings": {"missing": [[]]}},
        {"settings": {"text": "letters"}},
        {"settings": {"label": 3}},
        {"data": {"columns": 0}},
        {"data": {"columns": {"content": [["a"]]}}},
        {"data": {"columns": {"label": "letters"}}},
    ],
    ids=str,
)
def test_columns_that_are_no_texts_are_refused(copy: Path, entries: dict[str, Any]) -> None:
    whole = record.read(copy)
    record.write(copy, whole | {name: whole[name] | more for name, more in entries.items()})
    with pytest.raises(hs.HeadstartError, match="a column or a delimiter is no text"):
        hs.load(copy)

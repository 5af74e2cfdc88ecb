"""Settings by name, messages where somebody looks on, and objects as notebooks show them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from conftest import Fitted

import headstart as hs
from headstart.errors import DataError, HeadstartError, UnknownNameError
from headstart.pipeline.options import Options, settings_of
from headstart.runtime import progress
from headstart.runtime.progress import Silent, Terminal, as_progress

WIDER = {
    "adapt_to",
    "budget",
    "drop",
    "label",
    "sources",
    "text",
}  # which take what a user would write


def test_options_are_the_settings() -> None:
    own, settings = get_type_hints(Options), get_type_hints(hs.Settings)
    assert set(own) == {field.name for field in fields(hs.Settings)}
    assert {n: h for n, h in own.items() if n not in WIDER} == {
        n: h for n, h in settings.items() if n not in WIDER
    }


def test_options_count_before_settings() -> None:
    result = settings_of(hs.Settings(seed=1, epochs=2), {"epochs": 5, "budget": "1m30s"})
    assert result == hs.Settings(seed=1, epochs=5, budget=90)
    assert settings_of(None, {"text": "review"}).text == ("review",)
    assert settings_of(None, {"text": ["a", "b"], "label": ["x", "y"]}).label == "x,y"
    assert settings_of(None, {"learning_rate": 1}).learning_rate == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"epoch": 3}, r"Option 'epoch' is not known\. Did you mean 'epochs'"),
        ({"zzz": 3}, r"Option 'zzz' is not known\. Known: .*augment, batch_size"),
        ({"epochs": "3"}, r"epochs '3' is of type str, which it can't be\. Give a whole number\."),
        ({"epochs": True}, r"epochs True is of type bool"),
        ({"scratch": "no"}, r"scratch 'no' is of type str.*Give True or False\."),
        ({"budget": "soon"}, r"'soon' is not a duration"),
        ({"epochs": 0}, r"epochs 0 is too small"),
    ],
)
def test_wrong_options_are_one_sentence(
    option: dict[str, Any], message: str, tmp_path: Path, pictures: Path
) -> None:
    for run in (hs.fit, hs.pretrain):
        with pytest.raises(HeadstartError, match=message):
            run(pictures, "seeded:convnet", tmp_path / "m", **option)
    with pytest.raises(HeadstartError, match=message):
        hs.rank(pictures, ["seeded:convnet"], **option)
    assert not (tmp_path / "m").exists()


def test_wrong_names_of_columns_are_one_sentence(fitted: Fitted) -> None:
    wrong: dict[str, Any] = {"lable": "x"}
    with pytest.raises(UnknownNameError, match=r"Option 'lable' is not known.*'label'"):
        hs.evaluate(fitted.folder, fitted.pictures, **wrong)


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_messages_show_where_somebody_looks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(as_progress(None), Silent)  # as pytest reads what tests write
    assert isinstance(as_progress(True), Terminal)
    own = Silent()
    assert as_progress(own) is own
    monkeypatch.setattr(sys, "stderr", Screen())
    assert isinstance(as_progress(None), Silent)  # as standard output goes into a pipe
    monkeypatch.setattr(sys, "stdout", Screen())
    assert isinstance(as_progress(None), Terminal)
    assert isinstance(as_progress(False), Silent)
    monkeypatch.setattr(sys, "stdout", None)
    assert isinstance(as_progress(None), Silent)


def test_a_notebook_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        """What a kernel of Jupyter runs."""

    class IPython:
        get_ipython = staticmethod(ZMQInteractiveShell)

    monkeypatch.setitem(sys.modules, "IPython", IPython)
    assert progress._in_notebook()
    assert isinstance(as_progress(False), Silent)


def test_a_script_in_a_pipe_is_silent(tmp_path: Path, pictures: Path) -> None:
    script = (
        "import headstart as hs\n"
        f"hs.cache_features({str(pictures)!r}, 'seeded:convnet?width=4', engine='torch')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")


def test_every_public_name_is_there_and_typed() -> None:
    for name in hs.__all__:
        assert getattr(hs, name) is not None
    assert (Path(hs.__file__).parent / "py.typed").is_file()


def test_objects_are_short_and_escaped(fitted: Fitted) -> None:
    predictor = hs.load(fitted.folder)
    answers = predictor.predict(fitted.pictures / "ants")
    evaluation = hs.evaluate(fitted.folder, fitted.pictures)
    assert repr(predictor) == f"<Predictor: 2 classes (ants, bees), on {predictor.device}>"
    assert repr(answers) == "<Predictions: 40 inputs>"
    for each in (predictor, answers, evaluation, fitted.result, hs.reported(fitted.folder)):
        assert repr(each).startswith(f"<{type(each).__name__}: ")
        assert len(repr(each)) < 140
        assert each._repr_html_().startswith("<")
    predictor.labels = ("<b>", "c")
    assert "<b>" not in predictor._repr_html_()


def test_a_predictor_is_a_module_too(fitted: Fitted) -> None:
    predictor = hs.load(fitted.folder, "cpu")
    files = sorted((fitted.pictures / "bees").glob("*.png"))[:5]
    shares = predictor.predict_proba(files)
    inputs = torch.stack([predictor.preprocess(file) for file in files])
    with torch.inference_mode():
        logits = predictor.module(inputs)
        alone = predictor.module(predictor.preprocess(files[0])[None])
    np.testing.assert_allclose(torch.softmax(logits, 1).numpy(), shares, rtol=1e-5)
    np.testing.assert_allclose(alone.numpy(), logits[:1].numpy(), rtol=1e-4, atol=1e-5)
    features = predictor.embed(files)
    assert features.shape == (5, 32)
    with torch.inference_mode():
        again = predictor.model.head(torch.from_numpy(features))
    np.testing.assert_allclose(again.numpy(), logits.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(predictor.predict_proba((files, ["bees"] * 5)), shares, rtol=1e-4)
    for ask in (predictor.predict_proba, predictor.embed, predictor.preprocess):
        with pytest.raises(DataError, match=r"gone\.png can't be used: it does not exist"):
            ask(["gone.png"])
    with pytest.raises(DataError, match=r"5 inputs were given to preprocess"):
        predictor.preprocess(files)


def test_a_frame_of_answers(fitted: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = hs.load(fitted.folder).predict(fitted.pictures / "ants")
    if find_spec("pandas") is not None:
        frame = answers.to_frame()
        assert list(frame["path"]) == [each.path for each in answers]
        assert {"label", "probability", "probability_ants", "error"} <= set(frame.columns)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(HeadstartError, match="needs pandas, which is not installed"):
        answers.to_frame()


def test_a_shell_completes_commands() -> None:
    options = {
        "_HEADSTART_COMPLETE": "complete_bash",
        "COMP_WORDS": "headstart ra",
        "COMP_CWORD": "1",
    }
    command = [sys.executable, "-c", "from headstart.cli import main; main()"]
    program = [*command[:2], "import sys; sys.argv = ['headstart']; " + command[2]]
    ended = subprocess.run(
        program, capture_output=True, text=True, check=False, env=os.environ | options
    )
    assert ended.stdout.split() == ["rank"]

"""A saved model on its way to the Hub: its own files, with a token, and a card that it reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Fitted
from hub_server import Hub, hub
from huggingface_hub import ModelCard

import headstart as hs
from headstart.contracts.references import parse
from headstart.errors import HeadstartError
from headstart.loading import record
from headstart.report.front_matter import front_matter, pipeline_tag


def pushed(folder: Path, served: Hub, *more: str, token: str = "secret") -> Any:
    """The command in a process of its own, which looks for the Hub at this address."""
    proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
    environment = {name: value for name, value in os.environ.items() if name not in proxies}
    environment |= {"HF_ENDPOINT": served.address, "HF_TOKEN": token, "HF_HUB_OFFLINE": "0"}
    environment["HF_HUB_DISABLE_XET"] = "1"  # whose storage is a service of its own
    command = [sys.executable, "-m", "headstart", "push", str(folder), "me/birds", *more]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def copy(fitted: Fitted, tmp_path: Path) -> Path:
    """A saved model beside which something else lies."""
    folder = Path(shutil.copytree(fitted.folder, tmp_path / "birds"))
    (folder / "notes.txt").write_text("mine")
    return folder


def test_a_models_own_files_arrive_and_nothing_else(copy: Path) -> None:
    with hub() as served:
        ended = pushed(copy, served)
    assert ended.returncode == 0, ended.stderr
    own = {"headstart.json", "model.safetensors", "reference.safetensors", "evidence.json"}
    own |= {"README.md", "engine/body.xml", "engine/head.xml", "engine/constants.bin"}
    assert served.files.keys() == own
    assert all(served.files[name] == (copy / name).read_bytes() for name in own)
    assert served.repositories[0]["visibility"] == "private" and len(served.commits) == 1
    for stays in ("notes.txt", "plan.json", "report.html"):
        assert stays in ended.stdout
    assert "secret" not in ended.stdout + ended.stderr


def test_what_arrived_answers_as_the_model_does(copy: Path, fitted: Fitted, tmp_path: Path) -> None:
    with hub() as served:
        assert pushed(copy, served, "--public").returncode == 0
    assert served.repositories[0]["visibility"] == "public"
    for name, content in served.files.items():
        place = tmp_path / "fetched" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    pictures = fitted.pictures / "ants"
    one, other = hs.load(fitted.folder), hs.load(tmp_path / "fetched")
    assert [each.label for each in one.predict(pictures)] == [
        each.label for each in other.predict(pictures)
    ]


@pytest.mark.parametrize(
    ("token", "more", "refuses", "words"),
    [
        ("", (), 0, "HF_TOKEN"),
        ("other", (), 0, "401"),
        ("secret", ("--offline",), 0, "HF_HUB_OFFLINE"),
        ("secret", (), 403, "403"),
    ],
)
def test_a_push_that_may_not_be_is_refused(
    copy: Path, token: str, more: tuple[str, ...], refuses: int, words: str
) -> None:
    with hub(refuses=refuses) as served:
        ended = pushed(copy, served, *more, token=token)
    assert ended.returncode == 2 and words in ended.stderr and not served.files
    assert "Traceback" not in ended.stderr
    assert bool(served.requests) == (words in ("401", "403"))


def test_damaged_models_and_links_elsewhere_stay_here(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "private.json").write_text("{}")
    (copy / "evidence.json").unlink()
    (copy / "evidence.json").symlink_to(tmp_path / "private.json")
    with hub() as served:
        ended = pushed(copy, served)
        assert ended.returncode == 2 and "evidence.json" in ended.stderr
        (copy / "evidence.json").unlink()
        weights = copy / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
        ended = pushed(copy, served)
        assert ended.returncode == 2 and "model.safetensors" in ended.stderr
    assert not served.requests


def test_a_name_that_is_no_repository_is_refused(copy: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("a/b/c", "../birds", "a b", "-x/y"):
        with pytest.raises(HeadstartError, match="OWNER/NAME"):
            hs.push(copy, name)


def test_the_card_is_made_again(copy: Path, fitted: Fitted) -> None:
    (copy / "README.md").write_text("spoilt")
    card = hs.card(copy)
    assert card.text == (fitted.folder / "README.md").read_text(encoding="utf-8")
    assert (copy / "README.md").read_text() == "spoilt" and card.file is None
    assert hs.card(copy, write=True).file == copy / "README.md"
    assert (copy / "README.md").read_text(encoding="utf-8") == card.text
    (copy / "evidence.json").write_text('{"metric": 3}')
    with pytest.raises(HeadstartError, match=r"evidence\.json"):
        hs.card(copy)


def test_the_hub_reads_the_front_matter(fitted: Fitted) -> None:
    data: Any = ModelCard(hs.card(fitted.folder).text, ignore_metadata_errors=False).data
    (result,) = data.eval_results
    value = fitted.result.evidence.to_json()["arms"]["chosen"]["value"]
    assert (result.metric_type, result.metric_value) == ("accuracy", value)
    assert result.task_type == data.pipeline_tag == "image-classification"


@pytest.mark.parametrize(
    ("modality", "kind", "tag"),
    [
        ("image", "classes", "image-classification"),
        ("text", "label sets", "text-classification"),
        ("audio", "classes", "audio-classification"),
        ("table", "numbers", "tabular-regression"),
        ("table", "classes", "tabular-classification"),
        ("image", "boxes", "object-detection"),
        ("audio", "sequences", "automatic-speech-recognition"),
        ("text", "sequences", "translation"),
        ("image", "something", "image-something"),
    ],
)
def test_the_hub_is_told_the_task_in_its_own_words(modality: str, kind: str, tag: str) -> None:
    assert pipeline_tag(f"{modality}-something", modality, kind) == tag


@pytest.mark.parametrize(
    ("reference", "licence", "lines"),
    [
        ("hf:google/vit-base", "MIT", {'base_model: "google/vit-base"', 'license: "mit"'}),
        ("hf:./mine", "CC BY 4.0 or\nlater: true", {'license_name: "cc-by-4.0-or-later-true"'}),
        ("timm:resnet18", None, {'library_name: "timm"'}),
    ],
)
def test_strangers_words_stay_values(
    fitted: Fitted, reference: str, licence: str | None, lines: set[str]
) -> None:
    from dataclasses import replace

    from headstart import artifact

    record = artifact.read(fitted.folder)
    changed = replace(record, origin={**record.origin, "reference": reference, "licence": licence})
    text = front_matter(changed, {"metric": "accuracy"}, "timm")
    assert lines <= set(text.splitlines())
    names = {line.partition(":")[0] for line in text.splitlines()}
    assert names <= {
        *("library_name", "pipeline_tag", "license", "license_name", "base_model", "tags"),
        *("metrics", "model-index"),
    }
    assert ("base_model" in names) == (parse(reference).name == "google/vit-base")


def test_a_record_names_no_file_elsewhere(copy: Path) -> None:
    entries = record.read(copy)
    record.write(copy, entries | {"files": {"../outside.json": "0" * 64}})
    with pytest.raises(HeadstartError, match="lies elsewhere"):
        hs.push(copy, "me/birds")

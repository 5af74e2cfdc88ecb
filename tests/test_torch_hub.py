"""torch.hub: code of repositories, fetched, trusted by what it is, and kept in saved models."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from archives import packed
from conftest import write_pictures
from file_server import Served, connected, serving
from huggingface_hub import constants
from told import run
from torch import nn

import headstart as hs
from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.contracts.references import parse
from headstart.errors import HeadstartError, WeightsError
from headstart.loading.weights import save

TRUST, REPOSITORIES = "HEADSTART_TRUST", "HEADSTART_TRUST_REPOSITORIES"
COMMIT = "c0ffee" + "0" * 34
HUBCONF = """
dependencies = ["torch"]
import os, pathlib, torch
from torch import nn
from models.nets import small as small, Net
import json
pathlib.Path(os.environ["RAN"]).touch()
print("a repository's own chatter")
settings = json.loads((pathlib.Path(__file__).parent / "models" / "sizes.json").read_text())

def switched(pretrained=False, width=6, kind="plain", **more):
    assert type(width) is int and type(kind) is str and not more, (width, kind, more)
    net = Net(width)
    if pretrained:
        nn.init.constant_(net.fc.bias, 7.0)
    return net

def weighed(weights=None):
    net = Net(6)
    if weights is not None:
        nn.init.constant_(net.fc.bias, len(weights))
    return net

def loads():
    state = torch.random.get_rng_state()
    torch.manual_seed(5)
    net = Net(settings["width"])
    torch.random.set_rng_state(state)
    return net

def fails():
    raise RuntimeError("no such layer")

def leaves():
    raise SystemExit(3)

def answers_with_words():
    return "a network"

def asks_the_network():
    import urllib.request
    urllib.request.urlopen(os.environ["ASK"])
    return Net(6)

def open_ended(**options):
    return Net(**options)

def lists():
    import loose.more, models.late
    return Net(6)
"""
NETS = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.fc = nn.Linear(width, 4)

    def forward(self, x):
        return self.fc(self.block(self.stem(x)).mean((2, 3)))

def small(width=6):
    return Net(width)
"""
FILES = {
    "hubconf.py": HUBCONF,
    "models/__init__.py": "",
    "models/nets.py": NETS,
    "loose/more.py": "",
    "models/late.py": "",
    "models/sizes.json": '{"width": 5}',
    "tests/test_nets.py": "raise RuntimeError",
    ".github/build.py": "raise RuntimeError",
    "weights.bin": "not code",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds a repository, in which nothing is trusted yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(TRUST, "")
    monkeypatch.setenv(REPOSITORIES, "")
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    for name, text in FILES.items():
        path = tmp_path / "repo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def github(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server with two refs of the repository."""
    connected(monkeypatch)
    archives = here / "served" / "own.er" / "re-po" / "archive"
    packed(archives / "HEAD.zip", FILES, f"re-po-{COMMIT}", COMMIT)
    changed = {**FILES, "models/sizes.json": '{"width": 3}'}
    packed(archives / "feature" / "x.zip", changed, "re-po-feature-x")
    with serving(here / "served") as address:
        monkeypatch.setenv("HEADSTART_GITHUB", address.address)
        yield address


def load(entry: str = "small", options: str = "trust=true", where: str = "./repo") -> Backbone:
    """A backbone of the repository, for small pictures."""
    return catalog.load_backbone(f"torchhub:{where}/{entry}?size=8&{options}".rstrip("&"))


def rows(backbone: Backbone) -> torch.Tensor:
    """Features of a fixed batch."""
    batch = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        result: torch.Tensor = Model.of(backbone, nn.Identity()).eval()(batch)
    return result


def ran(here: Path) -> bool:
    """Whether the repository's code ran since this was asked last."""
    there = (here / "ran").exists()
    (here / "ran").unlink(missing_ok=True)
    return there


# --- trust ---


@pytest.mark.parametrize("where", ["./repo", "own.er/re-po", "own.er/re-po:feature/x"])
@pytest.mark.parametrize("options", ["", "trust=false"])
def test_nothing_runs_untrusted(here: Path, github: Served, where: str, options: str) -> None:
    with pytest.raises(HeadstartError, match=r"add \?trust=true, or set .* HEADSTART_TRUST=\w{64}"):
        load(options=options, where=where)
    assert not ran(here)
    assert load(where=where).feature_dim == 6
    assert ran(here)


def test_trust_is_for_this_tree_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = load().architecture.options["sha256"]
    monkeypatch.setenv(TRUST, digest)
    load(options="")
    (here / "repo" / "weights.bin").write_text("nor is this run")
    load(options="")
    for name in ("models/nets.py", "models/sizes.json"):
        (here / "repo" / name).write_text(FILES[name] + "\n")
        with pytest.raises(HeadstartError, match="is not trusted"):
            load(options="")
        (here / "repo" / name).write_text(FILES[name])
    (here / "repo" / "models" / "nets.py").rename(here / "repo" / "models" / "net.py")
    with pytest.raises(HeadstartError, match="is not trusted"):
        load(options="")


def test_repositories_are_trusted_by_name_where_they_come_from(
    here: Path, github: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("own.er", "other/re-po", "own.er/re-po2"):
        monkeypatch.setenv(REPOSITORIES, name)
        with pytest.raises(HeadstartError, match="is not trusted"):
            load(options="", where="own.er/re-po")
    monkeypatch.setenv(REPOSITORIES, "./repo, own.er/re-po ,repo")
    with pytest.raises(HeadstartError, match="is not trusted"):
        load(options="")
    assert not ran(here)
    loaded_backbone = load(options="", where="own.er/re-po")
    assert (
        os.environ[TRUST] == loaded_backbone.architecture.options["sha256"]
    )  # for what proves the model


def test_the_flag_trusts_a_repository_by_name(here: Path, github: Served) -> None:
    pictures = write_pictures(here / "pictures", {"ants": 12, "bees": 12})
    reference = "torchhub:own.er/re-po/small?size=8"
    line = ("cache-features", pictures, "-b", reference)
    assert "is code that would run with your rights" in run(*line).sentence()
    assert not ran(here)
    wrong = run(*line, "--trust", "own.er")
    assert "--trust own.er is not OWNER/REPOSITORY" in wrong.sentence()
    done = run(*line, "--trust", "a/b", "--trust", "own.er/re-po")
    assert done.exit_code == 0 and ran(here)


# --- fetching ---


def test_a_repository_is_fetched_once_and_recorded(here: Path, github: Served) -> None:
    backbone = load("loads", where="own.er/re-po")
    assert github.asked == [("own.er/re-po/archive/HEAD.zip", "")]
    options = backbone.architecture.options
    assert (options["repository"], options["ref"]) == ("own.er/re-po", "HEAD")
    assert (options["entry"], options["commit"]) == ("loads", COMMIT)
    assert load("loads", where="./repo").architecture.options["sha256"] == options["sha256"]
    load("small", where="own.er/re-po")
    assert len(github.asked) == 1
    assert load("loads", where="own.er/re-po:feature/x").feature_dim == 3
    assert github.asked[1:] == [("own.er/re-po/archive/feature/x.zip", "")]


def test_offline_opens_no_socket(github: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    load(where="own.er/re-po")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("a socket was opened")

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        load(where="own.er/re-po")
        with pytest.raises(WeightsError, match=r"re-po:v1 could .*\(HF_HUB_OFFLINE forbids it"):
            load(where="own.er/re-po:v1")


def test_code_opens_no_connection_offline(
    here: Path, github: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASK", f"{github}/own.er/re-po/archive/HEAD.zip")
    load("asks_the_network")
    count = len(github.asked)
    assert count == 2  # entry points without a switch are called twice
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HeadstartError, match=r"failed \(.*forbidden.*\)\. HF_HUB_OFFLINE forbids"):
        load("asks_the_network")
    assert len(github.asked) == count
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    load("asks_the_network")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("own.er/absent", r"own\.er/absent:HEAD could not be fetched from .*404: Not Found"),
        ("./absent", "absent is not a folder"),
        ("./pictures", r"pictures has no hubconf\.py"),
        ("repo", "torchhub:repo/small names no entry point. Write torchhub:OWNER/REPOSITORY"),
        ("a/../b", "names no entry point"),
    ],
)
def test_what_is_no_repository_is_one_sentence(
    here: Path, github: Served, where: str, message: str
) -> None:
    (here / "pictures").mkdir()
    with pytest.raises(HeadstartError, match=message):
        load(where=where)


def test_archives_that_lead_outside_are_refused(here: Path, github: Served) -> None:
    archive = github.folder / "own.er" / "re-po" / "archive" / "evil.zip"
    packed(archive, {"hubconf.py": HUBCONF, "../../up.py": ""}, "top")
    with pytest.raises(WeightsError, match="leads outside it"):
        load(where="own.er/re-po:evil")
    assert not list(here.rglob("up.py")) and not ran(here)


def test_too_much_code_is_refused(here: Path) -> None:
    (here / "repo" / "large.txt").write_text(" " * 5_000_000)
    with pytest.raises(HeadstartError, match=r"^repo holds more than 5 MB of code"):
        load()


# --- the entry point ---


def test_what_an_entry_point_gives_is_cut_like_any_network() -> None:
    backbone = load("small", "trust=true&mean=0.5&std=0.25")
    assert (backbone.feature_dim, backbone.head_name, len(backbone.stages)) == (6, "fc", 2)
    assert backbone.preprocess["mean"] == [0.5] * 3
    assert load("small", "trust=true&head=false").feature_dim == 4


def test_options_go_to_the_entry_point(here: Path) -> None:
    assert load("small", "trust=true&width=9").feature_dim == 9
    assert load("switched", "trust=true&width=3&kind=7").feature_dim == 3
    assert load("open_ended", "trust=true&width=2").feature_dim == 2
    assert load("Net").feature_dim == 6  # a class makes networks as well
    with pytest.raises(HeadstartError, match=r"small has no option 'wide'. Its options: width,"):
        load("small", "trust=true&wide=9")
    with pytest.raises(HeadstartError, match=r"failed \(AssertionError"):
        load("switched", "trust=true&wide=9")
    with pytest.raises(HeadstartError, match="size below 1"):
        catalog.load_backbone("torchhub:./repo/small?trust=true&size=0")


def bias(backbone: Backbone) -> float:
    """The head's first bias."""
    assert isinstance(backbone.head, nn.Linear)
    return float(backbone.head.bias[0].detach())


def test_pretrained_is_said_to_entry_points_that_know_it() -> None:
    assert bias(load("switched")) == 7.0
    assert load("switched").origin.pretrained
    bare = load("switched", "trust=true&pretrained=false")
    assert not bare.origin.pretrained and bare.head is None
    assert bias(load("weighed", "trust=true&weights=DEFAULT")) == 7.0
    bare = load("weighed", "trust=true&weights=DEFAULT&pretrained=false")
    assert not bare.origin.pretrained and "weights" in bare.architecture.options
    assert not load("weighed").origin.pretrained


def test_weights_that_are_always_loaded_count_as_pretrained() -> None:
    first, second = load("loads"), load("loads")
    assert first.origin.pretrained and first.origin.weights_hash == second.origin.weights_hash
    bare = [catalog.load_backbone(first.architecture) for _ in range(2)]
    assert not bare[0].origin.pretrained
    assert len({first.origin.weights_hash, *(each.origin.weights_hash for each in bare)}) == 3
    loaded_backbone = load("small")
    assert not loaded_backbone.origin.pretrained and loaded_backbone.head is None
    with pytest.raises(HeadstartError, match="gives random weights, whatever pretrained says"):
        load("small", "trust=true&pretrained=true")


def test_a_file_of_weights_fills_it(here: Path) -> None:
    whole = {
        name: tensor
        for stage in load("loads").prefix()
        for name, tensor in stage.state_dict().items()
    }
    filled = {name: tensor + 1 for name, tensor in whole.items()}
    save({**filled, "fc.weight": torch.ones(2, 5)}, here / "w.safetensors", {})
    backbone = load("loads@w.safetensors")
    assert isinstance(backbone.head, nn.Linear) and backbone.head.out_features == 2
    assert backbone.origin.pretrained


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("fails", r"torchhub:\./repo/fails failed \(RuntimeError: no such layer\)"),
        ("leaves", r"failed \(SystemExit: 3\)"),
        ("answers_with_words", "answers with str, not a torch.nn.Module"),
        ("smal", "Entry point 'smal' is not known. Did you mean 'small'"),
    ],
)
def test_entry_points_that_fail_are_one_sentence(entry: str, message: str) -> None:
    with pytest.raises(HeadstartError, match=message):
        load(entry)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dependencies = ['torch', 'no_such', 'nor_this']", "Run pip install no_such nor_this,"),
        ("import no_such", r"can't be run \(ModuleNotFoundError: .*Install no_such"),
        ("import models.absent", r"can't be run \(ModuleNotFoundError.* Check its options"),
        ("1 / 0", r"The hubconf.py of torchhub:./repo/small can't be run \(ZeroDivisionError"),
        ("def small(:", r"can't be run \(SyntaxError"),
    ],
)
def test_repositories_that_fail_are_one_sentence(here: Path, text: str, message: str) -> None:
    (here / "repo" / "hubconf.py").write_text(text + "\ndef small(): ...\n")
    with pytest.raises(HeadstartError, match=message):
        load()


def test_what_can_be_imported_is_as_before(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "models.py").write_text("own = True")
    monkeypatch.syspath_prepend(str(here / "elsewhere"))
    import models  # type: ignore[import-not-found]  # written above

    paths, modules = list(sys.path), set(sys.modules)
    load("lists")
    assert sys.path == paths
    assert sys.modules["models"] is models and models.own
    new = set(sys.modules) - modules
    assert not [name for name in new if name.startswith(("models.", "loose", "headstart_t"))]
    printed = capsys.readouterr()
    assert printed.out == "" and "chatter" in printed.err
    shutil.copytree(here / "repo", here / "other")
    (here / "other" / "models" / "nets.py").write_text(NETS.replace("width=6", "width=2"))
    assert load(where="./other").feature_dim == 2
    with pytest.raises(HeadstartError):
        load("fails")
    assert sys.path == paths and sys.modules["models"] is models
    del sys.modules["models"]


# --- saved models ---


def keep(backbone: Backbone, folder: Path) -> Path:
    """The folder of a saved model with this backbone, as `fit` writes it."""
    folder.mkdir()
    state = Model.of(backbone, nn.Identity()).backbone_state()
    save(state, folder / "model.safetensors", {})
    architecture = str(backbone.architecture)
    name = parse(architecture).name
    record = {"format": 1, "architecture": architecture.replace(f":{name}?", ":.?", 1)}
    (folder / "headstart.json").write_text(json.dumps(record))
    for file, content in backbone.files.items():
        (folder / file).write_bytes(content)
    return folder


@pytest.mark.parametrize("entry", ["small", "switched", "loads"])
def test_saved_models_take_their_code_along(
    here: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    backbone = load(entry)
    folder = keep(backbone, here / "model")
    shutil.rmtree(here / "repo")
    shutil.rmtree(here / "cache")
    ran(here)
    again = catalog.load_backbone(f"checkpoint:{folder}")
    assert torch.equal(rows(again), rows(backbone)) and ran(here)
    assert again.files == backbone.files
    assert list(backbone.files) == ["repository.zip"]
    digest = backbone.architecture.options["sha256"]
    for allowed in ("", "beef"):
        monkeypatch.setenv(TRUST, allowed)
        monkeypatch.setenv(REPOSITORIES, "./repo,own.er/re-po")
        with pytest.raises(HeadstartError, match=f"is not trusted.*{TRUST}={digest}"):
            catalog.load_backbone(f"checkpoint:{folder}?trust=true")
    assert not ran(here)
    monkeypatch.setenv(TRUST, digest)
    assert catalog.load_backbone(f"checkpoint:{folder}").origin.pretrained
    packed(folder / "repository.zip", {**FILES, "models/late.py": "# more"}, ".")
    with pytest.raises(HeadstartError, match="has changed since the model was made of it"):
        catalog.load_backbone(f"checkpoint:{folder}")


def test_a_record_that_names_a_trusted_repository_is_not_believed(
    here: Path, github: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = keep(load(where="own.er/re-po"), here / "model")
    monkeypatch.setenv(TRUST, "")
    monkeypatch.setenv(REPOSITORIES, "own.er/re-po")
    ran(here)
    with pytest.raises(HeadstartError, match="is not trusted"):
        catalog.load_backbone(f"checkpoint:{folder}")
    assert not ran(here)


@pytest.mark.slow
def test_fit_saves_a_model_that_predicts_in_a_fresh_process(here: Path, github: Served) -> None:
    pictures = write_pictures(here / "pictures", {"ants": 40, "bees": 40})
    settings = hs.Settings(scratch=False, epochs=1)
    reference = "torchhub:own.er/re-po/switched?size=8&trust=true"
    saved = hs.fit(
        pictures, reference, here / "model", strategy="full-fine-tuning", settings=settings
    ).folder
    shutil.rmtree(here / "cache")
    picture = str(next(pictures.rglob("*.png")))
    command = [sys.executable, "-m", "headstart", "predict", str(saved), picture, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)["predictions"][0]
    assert answer["label"] == hs.load(saved).predict([picture])[0].label


# --- cards ---


def test_cards_list_entry_points_without_running_them(here: Path, github: Served) -> None:
    hub = catalog.hub("torchhub")
    assert {card.reference for card in hub.cards("./repo/s*")} == {
        "torchhub:./repo/small",
        "torchhub:./repo/switched",
    }
    assert list(hub.cards("own.er*")) == []
    load(where="own.er/re-po")
    load(where="own.er/re-po:feature/x")
    ran(here)
    result = {card.reference for card in hub.cards("own.er*/loads")}
    assert result == {"torchhub:own.er/re-po/loads", "torchhub:own.er/re-po:feature/x/loads"}
    assert not ran(here)
    (here / "repo" / "hubconf.py").write_text("def (")
    assert list(hub.cards("./repo/*")) == []

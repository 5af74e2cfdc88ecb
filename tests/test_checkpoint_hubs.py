"""Checkpoints as trainers write them, through every hub that fills a network from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import trained_checkpoints as trained
from hypothesis import given
from hypothesis import strategies as st
from timm.models import adapt_input_conv
from torch import Tensor, nn
from torchvision import models

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.defaults import Settings
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.torchvision.building import adapted
from headstart.loading.weights import Weights, fit
from headstart.pipeline.fetching import fetch
from headstart.pipeline.prepare import RunContext
from headstart.runtime.progress import Silent

SIZE = 32
SOURCE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer = nn.Sequential(nn.ReLU(), nn.Conv2d(8, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(self.layer(self.bn1(self.conv1(x))).mean((2, 3)))

class Inside(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Net()

    def forward(self, x):
        return self.model(x)

def net(**options) -> nn.Module:
    return Net()

def inside(**options) -> nn.Module:
    return Inside()
"""
# of each hub: the reference without weights, and what its network calls its head
HUBS = {
    "file": ("file:networks.py:net", "fc"),
    "file, in a module of its own": ("file:networks.py:inside", "fc"),
    "torchhub": ("torchhub:./hub/net", "fc"),
    "torchvision": ("torchvision:shufflenet_v2_x0_5", "fc"),
}
FORMS = {**trained.RAW, **trained.AVERAGED}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with networks of one's own, in which one stands."""
    (tmp_path / "hub").mkdir()
    for name in ("networks.py", "hub/hubconf.py"):
        (tmp_path / name).write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def network(hub: str, seed: int) -> nn.Module:
    """The network that the hub's reference makes, as its author trains it, with 5 classes."""
    torch.manual_seed(seed)
    if hub == "torchvision":
        model: nn.Module = models.get_model("shufflenet_v2_x0_5", weights=None, num_classes=5)
    else:
        namespace: dict[str, type[nn.Module]] = {}
        exec(SOURCE, namespace)
        model = namespace["Net"]()
        model.fc = nn.Linear(6, 5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
    return model.eval()


def load(hub: str, file: str, options: str = "") -> Backbone:
    """The hub's network with a file of weights."""
    trust = "" if hub == "torchvision" else "&trust=true"
    return catalog.load_backbone(f"{HUBS[hub][0]}@{file}?size={SIZE}{trust}{options}")


def same(backbone: Backbone, network: nn.Module) -> bool:
    """Whether the backbone under its own head answers as the network does."""
    batch = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    assert backbone.head is not None
    with torch.no_grad():
        answers = Model.of(backbone, backbone.head).eval()(batch)
        return torch.allclose(answers, network(batch), atol=1e-5)


@pytest.mark.parametrize(
    "hub",
    [pytest.param(hub, marks=pytest.mark.slow if hub == "torchvision" else ()) for hub in HUBS],
)
def test_every_form_is_read_by_every_hub(hub: str, folder: Path) -> None:
    raw, averaged = network(hub, 1), network(hub, 2)
    for form, wrap in FORMS.items():
        states = dict(raw.state_dict()), dict(averaged.state_dict())
        torch.save(wrap(*states, HUBS[hub][1]), "w.ckpt")
        loaded = load(hub, "w.ckpt")
        assert same(loaded, averaged if form in trained.AVERAGED else raw), form
        messages = [note for note in loaded.notes if "averaged" in note]
        assert len(messages) == (form in trained.AVERAGED), form
        if form in trained.AVERAGED:
            assert same(load(hub, "w.ckpt", "&ema=false"), raw), form


class Heard(Silent):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Take the sentence in."""
        self.said.append(text)


def test_a_run_says_which_weights_it_took(folder: Path) -> None:
    state = network("file", 1).state_dict()
    torch.save({"model": state, "model_ema": state}, "w.ckpt")
    progress = Heard()
    reference = "file:networks.py:net@w.ckpt?size=32&trust=true"
    RunContext.of(Settings(), progress).load(reference)
    expected = (
        "w.ckpt holds averaged weights (model_ema), which are used; ema=false takes the raw ones."
    )
    assert progress.said == [expected]
    progress.said.clear()
    fetch([reference], progress=progress)
    assert expected in progress.said


@pytest.mark.parametrize("hub", HUBS)
def test_a_saved_record_says_nothing_of_averages(hub: str, folder: Path) -> None:
    torch.save(network(hub, 1).state_dict(), "w.pth")
    architecture = load(hub, "w.pth", "&ema=false").architecture
    assert "ema" not in architecture.options


@pytest.mark.parametrize("hub", HUBS)
def test_other_weights_are_one_sentence_that_names_the_first(hub: str, folder: Path) -> None:
    state = trained.without(dict(network(hub, 1).state_dict()), "conv1")
    torch.save(trained.prefixed("model.", state), "w.ckpt")
    with pytest.raises(
        WeightsError, match=r"^w\.ckpt does not fit the network: \d+ missing: "
    ) as e:
        load(hub, "w.ckpt")
    assert "conv1." in str(e.value) and "\n" not in str(e.value)


def test_weights_are_no_network(folder: Path) -> None:
    for name in ("w.ckpt", "w.pth.tar", "w.pkl", "w.safetensors"):
        (folder / name).write_bytes(b"weights")
        with pytest.raises(WeightsError, match=r"holds weights without their network\. Write file"):
            catalog.load_backbone(f"file:{name}?trust=true")


# --- channels ---


@given(st.integers(1, 6), st.integers(1, 4), st.sampled_from([torch.float32, torch.float16]))
def test_first_layers_are_adapted_as_timm_does(
    channels: int, before: int, kind: torch.dtype
) -> None:
    weight = torch.randn(2, before, 3, 3).to(kind)
    expected = adapt_input_conv(channels, weight.clone(), base_chans=before)
    assert torch.equal(adapted(weight, channels), expected)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mnasnet0_5"])
def test_other_channels_get_the_weights_of_three(name: str, channels: int, tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs: nn.Module = models.get_model(name, weights=None, num_classes=3)
    torch.save({"state_dict": trained.prefixed("model.", theirs.state_dict())}, tmp_path / "w.ckpt")
    reference = f"torchvision:{name}@{tmp_path}/w.ckpt?size=32&channels={channels}"
    backbone = catalog.load_backbone(reference)
    conv = next(t for t in theirs.state_dict().values() if t.dim() == 4)
    own = next(p for stage in backbone.prefix() for p in stage.parameters() if p.dim() == 4)
    assert torch.equal(own, adapt_input_conv(channels, conv))
    assert len(backbone.preprocess["mean"]) == len(backbone.preprocess["std"]) == channels
    assert catalog.load_backbone(backbone.architecture).preprocess == backbone.preprocess


def test_grey_pictures_in_three_equal_channels_answer_alike(tmp_path: Path) -> None:
    """A network that scales its three channels itself is fed the same, scaled, as one."""
    torch.manual_seed(1)
    theirs: nn.Module = models.get_model(
        "googlenet", weights=None, init_weights=False, transform_input=True, num_classes=3
    )
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    grey = torch.rand(2, 1, 32, 32)
    answers = []
    for channels in (1, 3):
        backbone = catalog.load_backbone(
            f"torchvision:googlenet@{tmp_path}/w.pth?size=32&channels={channels}"
        )
        mean, std = (
            torch.tensor(backbone.preprocess[name])[:, None, None] for name in ("mean", "std")
        )
        with torch.no_grad():
            pictures = (grey.expand(2, channels, 32, 32) - mean) / std
            answers.append(Model.of(backbone, nn.Identity()).eval()(pictures))
    # zeros around the picture are black in one and grey in the other, so edges alone may differ
    assert torch.allclose(answers[0], answers[1], atol=0.2 * float(answers[1].abs().max()))


@pytest.mark.parametrize("option", ["channels=0", "channels=-1", "channels=grey"])
def test_channels_that_cannot_be(option: str) -> None:
    with pytest.raises(HeadstartError, match="channels"):
        catalog.load_backbone(f"torchvision:shufflenet_v2_x0_5?pretrained=false&{option}")


# --- names ---

words = st.sampled_from(["module", "_orig_mod", "model", "net", "backbone", "encoder", "student"])


@given(st.lists(words, max_size=4), st.booleans())
def test_whatever_stands_before_all_names_is_dropped(before: list[str], head: bool) -> None:
    body: dict[str, Tensor] = {
        "stem.weight": torch.ones(2, 3),
        "model.weight": torch.ones(3),
        "encoder.bias": torch.ones(1),
    }
    prefix = "".join(f"{word}." for word in before)
    state = trained.prefixed(prefix, body)
    if head:
        state |= {"head.fc.weight": torch.ones(4, 6), "head.fc.bias": torch.ones(4)}
    fitted = fit(Weights(state), body, "classifier", 6)
    assert fitted.body.keys() == body.keys()
    assert set(fitted.head) == ({"weight", "bias"} if head else set())
    assert fitted.notes == ()


def test_what_stands_beside_the_network_is_left_out_and_said() -> None:
    body = {"model.a": torch.ones(2), "model.b": torch.ones(2)}
    state = {**body, "criterion.weight": torch.ones(3)}
    fitted = fit(Weights(state), body, "head", 2, file="w.ckpt")
    assert fitted.body.keys() == body.keys()
    assert fitted.notes == ("What w.ckpt holds beside the network is left out: criterion.",)
    strict = fit(Weights({"a": torch.ones(2), "alien": torch.ones(1)}), {"a": torch.ones(2)}, "", 2)
    assert "alien" in strict.body


def test_a_networks_own_prefix_is_kept() -> None:
    body = {"model.a.weight": torch.ones(2, 2), "model.b.weight": torch.ones(2, 2)}
    for prefix in ("", "model.", "module.model.", "backbone."):
        bare = {name.removeprefix("model."): tensor for name, tensor in body.items()}
        fitted = fit(Weights(trained.prefixed(prefix, bare)), body, "model.fc", 2)
        assert fitted.body.keys() == body.keys(), prefix

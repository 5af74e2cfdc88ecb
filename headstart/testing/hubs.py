"""What the flow relies on in any hub: its backbones, their origin, and how they are made again."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.artifact import portable
from headstart.contracts import Backbone, Hub
from headstart.contracts.entry_points import located
from headstart.contracts.frozen import is_native
from headstart.contracts.model import Model
from headstart.contracts.references import Reference, parse
from headstart.errors import ContractError, HeadstartError, WeightsError
from headstart.loading import record
from headstart.loading.weights import digest, save
from headstart.testing.demands import Fault, checks_in, demand, is_json, refused

CONTRACT: Final = Hub


@dataclass(frozen=True)
class Sample:
    """A hub, and the reference of one of its backbones, which is small."""

    hub: Hub
    reference: Reference

    def load(self) -> Backbone:
        """The backbone, anew."""
        return catalog.load_backbone(self.reference)


def subject(hub: Hub, example: Any) -> Sample:
    """What the checks take. Raises ContractError for a hub that the catalog does not know."""
    name = _name(hub)
    if example is not None:
        return Sample(hub, parse(str(example)))
    at_hand = [card for card in hub.cards("*") if card.at_hand]
    demand(at_hand, f"lists nothing that is at hand for {name}:*. Name a small backbone.")
    return Sample(hub, parse(min(at_hand, key=lambda card: card.parameters or 0).reference))


def _name(hub: Hub) -> str:
    for name, value in catalog.names("hubs").items():
        if value.endswith(f":{type(hub).__qualname__}") and located(value) is type(hub):
            return name
    raise Fault(
        "has no name in the catalog. Give it a line there, or an entry point in the group "
        "headstart.hubs."
    )


def _pictures(backbone: Backbone, items: int) -> Tensor:
    sides = [backbone.preprocess[side] for side in ("channels", "height", "width")]
    return torch.randn(items, *sides, generator=torch.Generator().manual_seed(0))


def _texts(backbone: Backbone, items: int) -> dict[str, Tensor]:
    """Texts, each shorter than the one before."""
    vocabulary = json.loads(backbone.files["tokenizer.json"])["model"]["vocab"]
    ids = torch.randint(len(vocabulary), (items, 6), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(6) < 6 - torch.arange(items)[:, None]).long()
    return {"input_ids": ids, "mask": mask}


def _sounds(backbone: Backbone, items: int) -> dict[str, Tensor]:
    """Sounds, each with fewer windows than the one before, and at least one."""
    generator = torch.Generator().manual_seed(0)
    hidden = 0.1 * torch.randn(items, items, backbone.preprocess["window"], generator=generator)
    hidden = hidden * backbone.preprocess.get("scale", 1.0)
    mask = (torch.arange(items) < items - torch.arange(items)[:, None]).long()
    return {"hidden": hidden * mask[..., None], "mask": mask}


INPUTS: Final[Mapping[str, Callable[[Backbone, int], Any]]] = {
    "audio": _sounds,
    "image": _pictures,
    "text": _texts,
}


def inputs(backbone: Backbone, items: int = 2) -> Any:
    """A random batch as the backbone wants it. Raises ContractError for unknown modalities."""
    if backbone.modality not in INPUTS:
        raise ContractError(
            f"A backbone for {backbone.modality!r} can't be checked: how to draw inputs for it is "
            "not known. Add a function to headstart.testing.hubs.INPUTS."
        )
    return INPUTS[backbone.modality](backbone, items)


def outputs(backbone: Backbone, batch: Any) -> Tensor:
    """Pooled features in eval mode."""
    model = Model.of(backbone, nn.Identity()).eval()
    with torch.no_grad():
        features: Tensor = model(batch)
    return features


def artifact(folder: Path, backbone: Backbone, head: bool = True) -> Path:
    """Write what the artifact holds of a backbone, under a head of five labels or what writes."""
    folder.mkdir()
    tensors = dict(Model.of(backbone, nn.Identity()).backbone_state())
    if head and backbone.head is not None and is_native(backbone.head):
        tensors |= backbone.head.state_dict()
    elif head:
        layer = nn.Linear(backbone.feature_dim, 5).state_dict()
        tensors |= {f"{backbone.head_name}.{name}": tensor for name, tensor in layer.items()}
    save(tensors, folder / "model.safetensors", {})
    for name, content in backbone.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if backbone.native:
        (folder / "config.json").write_text(json.dumps(dict(backbone.native)))
    record.write(folder, {"architecture": portable(backbone), "origin": {"licence": "MIT"}})
    return folder


def is_made_without_settings(sample: Sample) -> None:
    """A hub is made without arguments: names have options."""
    parameters = list(inspect.signature(type(sample.hub)).parameters)
    demand(not parameters, f"takes the settings {parameters}. Take options of names.")


def features_are_pooled_rows(sample: Sample) -> None:
    """Stages end in (N, feature_dim), with their pooling; there are two, to cut between."""
    backbone = sample.load()
    batch = inputs(backbone, 3)
    with torch.no_grad():
        rows = nn.Sequential(*backbone.stages.values()).eval()(batch)
    demand(
        rows.shape == (3, backbone.feature_dim) and torch.equal(rows, outputs(backbone, batch)),
        f"gives {tuple(rows.shape)} for 3 items, and says {backbone.feature_dim} features. "
        "Pool in the last stage or in pool, and count its features in feature_dim.",
    )
    demand(
        len(backbone.stages) >= 2,
        "gives a network of one stage. Cut it by headstart.loading.stages.find_stages.",
    )


def stages_share_nothing_and_have_their_hash(sample: Sample) -> None:
    """No tensor is in two stages, no name twice, and the origin's hash is that of all."""
    backbone = sample.load()
    states = [stage.state_dict(keep_vars=True) for stage in backbone.prefix()]
    names = [name for state in states for name in state]
    tensors = [id(tensor) for state in states for tensor in state.values()]
    demand(
        len(names) == len(set(names)) and len(tensors) == len(set(tensors)),
        "has tensors, or names of tensors, in two stages at once. "
        "Give each stage its own, under the names of the network's library.",
    )
    whole = Model.of(backbone, nn.Identity()).backbone_state()
    demand(
        backbone.origin.weights_hash == digest(whole),
        "gives a weights_hash that is not that of its tensors. "
        "Compute it by headstart.loading.weights.digest from all stages' tensors.",
    )


def preprocessing_is_json(sample: Sample) -> None:
    """What is saved beside the weights survives a trip through JSON."""
    backbone = sample.load()
    for name, value in (("preprocess", backbone.preprocess), ("native", backbone.native)):
        demand(
            is_json(value, exactly=name == "preprocess"),
            f"has a {name} that is not the same once written as JSON. "
            "Hold strings, numbers, lists and objects with string keys only.",
        )


def architecture_rebuilds_the_network(sample: Sample) -> None:
    """`architecture` makes the same network with random weights, and holds its saved ones."""
    torch.manual_seed(4)  # whatever drew before, so that the two differ
    backbone = sample.load()
    torch.manual_seed(5)
    bare = catalog.load_backbone(str(backbone.architecture))
    demand(
        not bare.origin.pretrained and (bare.head is None or is_native(bare.head)),
        f"gives pretrained weights, or a head, for its architecture {backbone.architecture}. "
        "Let the architecture say pretrained=false, and make random weights for it.",
    )
    differing = [
        name
        for name in ("preprocess", "architecture", "feature_dim", "modality")
        if getattr(bare, name) != getattr(backbone, name)
    ] + (["stages"] if list(bare.stages) != list(backbone.stages) else [])
    demand(
        not differing,
        f"rebuilds the architecture {backbone.architecture} with other {', '.join(differing)}. "
        "Keep in its options what they depend on.",
    )
    demand(
        bare.origin.weights_hash != backbone.origin.weights_hash,
        "makes the same weights for its architecture as for its name. "
        "Draw them anew from torch's global generator.",
    )


def saved_weights_are_loaded_again(sample: Sample) -> None:
    """A folder with the weights, a head and the files answers as the backbone does."""
    backbone = sample.load()
    with _saved(backbone) as again:
        demand(
            again.origin.pretrained and again.origin.weights_hash == backbone.origin.weights_hash,
            "has other weights once they were saved and loaded. "
            "Load them by headstart.loading.weights where the reference names a file.",
        )
        demand(
            again.head is not None and _answers(again.head, backbone.feature_dim),
            f"loses a head saved as {backbone.head_name}. "
            "Read the head under head_name, of any number of labels.",
        )
        batch = inputs(backbone)
        demand(
            torch.equal(outputs(again, batch), outputs(backbone, batch)),
            "answers otherwise once it was saved and loaded. "
            "Keep all that it computes with in tensors and options.",
        )


def _answers(head: nn.Module, width: int) -> bool:
    """Whether a head of five labels answers with so many; what writes is its library's own."""
    return is_native(head) or head(torch.zeros(1, width)).shape == (1, 5)


@contextmanager
def _saved(backbone: Backbone) -> Iterator[Backbone]:
    with TemporaryDirectory() as folder:
        yield catalog.load_backbone(f"checkpoint:{artifact(Path(folder) / 'saved', backbone)}")


def random_weights_follow_the_seed(sample: Sample) -> None:
    """Those of the architecture come from torch's global seed."""
    architecture, hashes = sample.load().architecture, []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        hashes.append(catalog.load_backbone(architecture).origin.weights_hash)
    demand(
        hashes[0] == hashes[1] != hashes[2],
        "draws random weights that don't follow torch's seed. "
        "Draw them from the global generator, and from nothing else.",
    )


def weights_of_another_network_are_refused(sample: Sample) -> None:
    """A file that does not fit is named, with what is left over."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "alien.safetensors"
        save({"alien": torch.ones(2)}, file, {})
        architecture = str(sample.load().architecture).replace("?", f"@{file}?")
        words = ("alien.safetensors does not fit", "left over: alien")
        with refused("weights of another network", WeightsError, *words):
            catalog.load_backbone(architecture)


def unknown_names_and_options_are_refused(sample: Sample) -> None:
    """Each is an error that names it."""
    hub = sample.reference.hub
    with refused("a name that it lacks", HeadstartError, "no-such-thing"):
        catalog.load_backbone(f"{hub}:no-such-thing")
    with refused("an option that it lacks", HeadstartError, "'wrong'"):
        catalog.load_backbone(sample.reference.with_options(wrong="1"))


def cards_load_and_match_the_pattern(sample: Sample) -> None:
    """The hub lists the backbone under its name, and nothing under none."""
    name, hub, modality = sample.reference.name, sample.reference.hub, sample.load().modality
    cards = list(sample.hub.cards(name))
    demand(cards, f"lists no card for {name}, which it loads. Yield one.")
    for card in cards:
        reference = parse(card.reference)
        demand(
            reference.hub == hub and reference.name.startswith(name) and card.modality == modality,
            f"lists {card.reference} ({card.modality}) for {hub}:{name} ({modality}). "
            "Yield what matches the pattern, under the hub's own name.",
        )
    others = [card.reference for card in sample.hub.cards("no such thing*")]
    demand(not others, f"lists {others} for 'no such thing*'. Match the pattern.")


CHECKS: Final = checks_in(__name__)

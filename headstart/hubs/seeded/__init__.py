"""Tiny random networks: a stand-in for real ones in trials and tests, ready in a blink."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, final

import torch
from torch import nn

from headstart.contracts import Backbone, Card, Hub, Origin
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, UnknownNameError
from headstart.hubs.seeded import images, sounds, texts, translator
from headstart.hubs.seeded.design import Design
from headstart.loading.weights import digest, load_with_head, read
from headstart.loading.weights.sizes import check_network

_HEAD: Final = "head"
_LARGEST_SEED: Final = 2**62
_LICENCE: Final = "Apache-2.0"
_DESIGNS: Final[Mapping[str, Callable[[str, Reference], Design]]] = {
    **dict.fromkeys(images.NETWORKS, images.design),
    **dict.fromkeys(texts.NETWORKS, texts.design),
    **dict.fromkeys(sounds.NETWORKS, sounds.design),
}


@final
class Seeded(Hub):
    """Tiny networks whose weights come from a seed, or from a file they were saved in.

    `seeded:convnet?seed=3` always has the same weights and leaves torch's random state alone. With
    `pretrained=false` the weights follow torch's global random state instead, as those of any
    untrained network do. `@file` loads weights saved from the same network, with their head.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """All seeded networks whose name matches the shell pattern."""
        if fnmatchcase(translator.NAME, pattern):
            yield translator.card(_LICENCE)
        for name, design in _DESIGNS.items():
            if fnmatchcase(name, pattern):
                plain = design(name, Reference("seeded", name))
                with torch.random.fork_rng(devices=()):
                    network = plain.make()
                count = sum(parameter.numel() for parameter in network.parameters())
                card = (f"seeded:{name}", plain.modality, count, plain.input)
                yield Card(*card, licence=_LICENCE, trained_on=None, at_hand=True)

    def cards_depend_on(self) -> Sequence[str]:
        """Nothing."""
        return ()

    def load(self, reference: Reference) -> Backbone:
        """Build the network. Raises HeadstartError for unknown names, options and wrong weights."""
        name = _name(reference)
        if name == translator.NAME:
            return translator.backbone(reference, _LICENCE)
        if name not in _DESIGNS:
            raise UnknownNameError("seeded network", name, {*_DESIGNS, translator.NAME})
        design = _DESIGNS[name](name, reference)
        if abs(design.seed) > _LARGEST_SEED:
            raise HeadstartError(f"{reference} has a seed that is too large. Give 0 or the like.")
        file = None if reference.weights is None else read(reference.weights)
        count = None if file is None else file.count
        check_network(design.make, count, str(reference), _sides(design))
        network, head = _grow(design, reference), None
        if file is not None:
            head = load_with_head(network, file.state, _HEAD, str(reference.weights))
        stages, pool, feature_dim = design.cut(network)
        return Backbone(
            stages=stages,
            pool=pool,
            feature_dim=feature_dim,
            modality=design.modality,
            preprocess=design.preprocess,
            origin=Origin(
                reference=str(reference),
                licence=_LICENCE,
                trained_on=None,
                weights_hash=digest(network.state_dict()),
                pretrained=reference.weights is not None,
            ),
            architecture=Reference(
                "seeded", name, options={**design.options, "pretrained": "false"}
            ),
            head=head,
            head_name=_HEAD,
            files=design.files,
        )


def _name(reference: Reference) -> str:
    """The network's name; that of one whose files lie in a saved folder is among the options."""
    if reference.name not in _DESIGNS and Path(reference.name).is_dir():
        return reference.options.get("network", reference.name)
    return reference.name


def _grow(design: Design, reference: Reference) -> nn.Module:
    if not design.pretrained and reference.weights is None:
        return design.make()
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(design.seed)
        return design.make()


def _sides(design: Design) -> list[int] | None:
    """The shape of what the network reads at a time; None for texts, which are cut short."""
    sides = [design.preprocess.get(side) for side in ("channels", "height", "width", "window")]
    return [side for side in sides if side is not None] or None

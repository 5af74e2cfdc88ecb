"""A page that answers about pictures in a browser, by onnxruntime-web, and asks no other place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Final, final

from headstart.forms.form import Arrays, Form, FormError, Leaving, Run
from headstart.forms.inputs import PIXELS
from headstart.forms.onnx import Onnx

# what lies beside the page: files of the npm package onnxruntime-web, in its folder `dist`
RUNTIME: Final = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
_PAGE: Final = {"index.html": "page.html", "page.js": "page.js", "page.css": "page.css"}
_MODES: Final = frozenset({"center", "squash", "border"})
_FILTERS: Final = frozenset({"box", "bilinear", "bicubic", "lanczos"})
_ANSWERS: Final = frozenset({"probabilities", "values"})


@final
class Page(Form):
    """`model.onnx` and `index.html`, which decodes, resizes and asks it as `predict` would."""

    file: ClassVar[str] = Onnx.file
    more: ClassVar[tuple[str, ...]] = tuple(_PAGE)
    quantises: ClassVar[bool] = True

    def write(self, leaving: Leaving) -> None:
        """Write both. Raises FormError for what is no picture, or is fed otherwise than is drawn
        in a browser."""
        _demand_drawn(json.loads(leaving.facts))
        Onnx().write(leaving)
        if any((leaving.folder / name).exists() for name in Onnx.more):
            raise FormError("its weights have more than 2 GB, which no browser loads")
        for name, template in _PAGE.items():
            content = files("headstart").joinpath("templates", template).read_bytes()
            (leaving.folder / name).write_bytes(content)

    def quantise(self, folder: Path, batches: Sequence[Arrays], facts: str) -> None:
        """The file with whole numbers. Raises FormError where NNCF can't make such of it."""
        Onnx().quantise(folder, batches, facts)

    def opened(self, folder: Path) -> Run:
        """The file as onnxruntime runs it."""
        return Onnx().opened(folder)


def _demand_drawn(facts: Mapping[str, Any]) -> None:
    """Raise FormError where a page can't make the inputs, or has nothing to say by the outputs."""
    preprocess = facts["preprocess"]
    if set(facts["inputs"]) != {PIXELS}:
        raise FormError("a page takes pictures alone, as a browser has no tokenizer or spectrogram")
    if preprocess["crop_mode"] not in _MODES or preprocess["interpolation"] not in _FILTERS:
        fed = f"{preprocess['crop_mode']}, {preprocess['interpolation']}"
        raise FormError(f"its pictures are fed as {fed}, which the page doesn't draw")
    if not _ANSWERS & set(facts["outputs"]):
        raise FormError("its task makes answers of the outputs by itself")

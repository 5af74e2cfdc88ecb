"""The forms in which a saved model leaves: files that others run, and one JSON that says all."""

from __future__ import annotations

from typing import Final

from headstart.contracts.entry_points import located
from headstart.errors import UnknownNameError
from headstart.forms.form import Form as Form

FORMS: Final = {
    "onnx": "headstart.forms.onnx:Onnx",
    "openvino": "headstart.forms.openvino:OpenVino",
    "page": "headstart.forms.page:Page",
    "sklearn": "headstart.forms.sklearn:Sklearn",
    "tflite": "headstart.forms.tflite:TfLite",
    "torch": "headstart.forms.torch:ExportedProgram",
}


def form(name: str) -> Form:
    """A form by name. Raises UnknownNameError."""
    if name not in FORMS:
        raise UnknownNameError("form", name, FORMS)
    built: Form = located(FORMS[name])()
    return built

"""Graphs that hear: of samples as they are, behind another graph, or behind a spectrogram."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.errors import HeadstartError, reason
from headstart.hubs.graph import normalising
from headstart.hubs.graph.cutting import Cut
from headstart.hubs.graph.planning import KINDS, GraphSpec, Opened, Positions
from headstart.hubs.graph.reading import read
from headstart.loading import head_removal
from headstart.loading import openvino_graph as graph
from headstart.loading.openvino_graph import Graph
from headstart.loading.sounds.log_mel import LogMel
from headstart.loading.sounds.mel import MelRecipe
from headstart.loading.sounds.options import RATE, heard
from headstart.loading.sounds.presets import PRESETS, recipe
from headstart.loading.sounds.windows import windowed

_FEWEST: Final = 400  # samples of a window: what takes fewer numbers hears no sound
_LONGEST: Final = 1 << 20  # samples that are tried to make as many frames as a graph takes
_KNOWN: Final = {  # graphs by their content: scale of samples, and of what they answer
    "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f": (32_767.0, 0.1, 2.0)
}  # the mel spectrogram of openWakeWord, whose network hears every 80 ms
_OFTEN: Final = (0.08, 1.5)  # hop and fill of what stands behind one of these, in seconds


def hears(spec: GraphSpec, source: Any) -> bool:
    """Whether a graph takes samples, or the user says what it is fed with."""
    if spec.options.frontend or spec.options.rate:
        return True
    shape, kind = source.get_partial_shape(), source.get_element_type().get_type_name()
    if shape.rank.is_dynamic or not 1 <= len(shape) <= 3 or kind not in ("f32", "f16"):
        return False
    *before, last = shape
    single = all(side.is_dynamic or side.get_length() == 1 for side in before)
    return single and (last.is_dynamic or last.get_length() >= _FEWEST)


@final
class Spectrogram(nn.Module):
    """Samples as the spectrogram that a graph takes; without tensors."""

    def __init__(self, mel: MelRecipe) -> None:
        super().__init__()
        self.mel = LogMel(mel)

    def forward(self, samples: Tensor) -> Tensor:
        """(R, S) -> (R, frames · bands)."""
        bands: Tensor = self.mel(samples)
        return bands.flatten(1)


@final
@dataclass(frozen=True)
class Fed:
    """What a graph of sounds takes: so many samples, and how many numbers a row of its own has."""

    samples: int
    numbers: int
    scale: float
    mel: MelRecipe | None = None
    apart: tuple[float, float] = (0.0, 0.0)  # hop and fill in seconds, where it says so


def normalise(spec: GraphSpec, end: Cut, source: Any) -> tuple[Graph, Fed]:
    """The graph with one row of numbers a window in, and how sounds become these.

    Raises HeadstartError where the graph's input has no length that a sound can be given.
    """
    options = spec.options
    if options.frontend and Path(options.frontend).suffix.lower() in KINDS:
        return _behind(spec, end, source)
    shape = _shape(spec, source)
    if options.frontend:
        mel = recipe(options.frontend, options.mel, rate(spec), spec.reference)
        samples = _filled(spec, mel, shape)
        fed = Fed(samples, math.prod(shape[1:]), options.scale, mel)
    else:
        fed = Fed(shape[-1], shape[-1], options.scale)
    return normalising.rows(spec, end, source, shape), fed


def rate(spec: GraphSpec) -> int:
    """The rate that the graph hears at; that of its spectrogram, or 16 kHz, unless given."""
    usual = PRESETS[spec.options.frontend].rate if spec.options.frontend in PRESETS else RATE
    return spec.options.rate or usual


def _shape(spec: GraphSpec, source: Any) -> list[int]:
    """The input's shape with its batch; a length that may be any is the window."""
    partial = list(source.get_partial_shape())
    window = round((spec.options.window or 1.0) * rate(spec))
    sides = [side.get_length() if side.is_static else 0 for side in partial]
    if len(sides) == 1:
        return [sides[0] or window]
    first, *rest = sides
    missing = [place for place, side in enumerate(rest) if not side]
    if missing and not spec.options.frontend:
        rest = [
            side or (window if place == len(rest) - 1 else 1) for place, side in enumerate(rest)
        ]
    if not all(rest):
        raise HeadstartError(
            f"{spec.path} takes {source.get_partial_shape()}, a spectrogram of any length. "
            "Export it for as many frames as it is to hear."
        )
    samples = spec.options.window and round(spec.options.window * rate(spec))
    if samples and not spec.options.frontend and samples != rest[-1]:
        raise HeadstartError(
            f"{spec.reference} says window={spec.options.window:g}, but the graph takes "
            f"{rest[-1]} samples. Leave it out."
        )
    return [first, *rest]


def _filled(spec: GraphSpec, mel: MelRecipe, shape: list[int]) -> int:
    """How many samples fill a spectrogram of this shape. Raises HeadstartError for another."""
    bands = mel.cepstra or mel.bands
    frames = math.prod(shape[1:]) // bands
    if math.prod(shape[1:]) % bands or bands not in shape:
        raise HeadstartError(
            f"{spec.path} takes {'x'.join(map(str, shape[1:]))} numbers, which are no spectrogram "
            f"of {bands} bands. Name another with frontend=, or say mel=bands:NUMBER."
        )
    return (frames - 1) * mel.hop + (1 if mel.centred else mel.frame)


def _behind(spec: GraphSpec, end: Cut, source: Any) -> tuple[Graph, Fed]:
    """A graph behind the one that makes its input of samples, as one."""
    path = spec.path.parent / spec.options.frontend
    if not path.is_file():
        raise HeadstartError(
            f"{path} is not there, which {spec.reference} names as frontend=. Name a file beside "
            f"{spec.path.name}, or a spectrogram: {', '.join(PRESETS)}."
        )
    scale, factor, shift = _KNOWN.get(
        hashlib.sha256(path.read_bytes()).hexdigest(), (spec.options.scale, 1.0, 0.0)
    )
    front = read(path, KINDS[path.suffix.lower()]).model
    shape, operations = _shape(replace_window(spec), source), graph.library().opset13
    samples = _enough(spec, front, math.prod(shape[1:]))
    value = front.get_results()[0].input_value(0)
    value = operations.add(operations.multiply(value, np.float32(factor)), np.float32(shift))
    rank = len(front.inputs[0].partial_shape)
    front.inputs[0].get_node().set_partial_shape(
        graph.library().PartialShape([1] * (rank - 1) + [samples])
    )
    source.output(0).replace(operations.reshape(value, np.array([1, *shape[1:]]), False).output(0))
    entry = front.get_parameters()[0]
    apart = _OFTEN if factor != 1.0 else (0.0, 0.0)
    fed = Fed(samples, samples, scale, apart=apart)
    return normalising.rows(spec, end, entry, [*[1] * (rank - 1), samples]), fed


def replace_window(spec: GraphSpec) -> GraphSpec:
    """The same, whose own input is no window."""
    return replace(spec, options=replace(spec.options, window=0.0))


def _enough(spec: GraphSpec, front: Any, numbers: int) -> int:
    """The fewest samples of which a graph makes so many numbers."""
    rank = len(front.inputs[0].partial_shape)

    def answered(samples: int) -> int:
        trial = front.clone()
        try:
            trial.reshape(graph.library().PartialShape([1] * (rank - 1) + [samples]))
            return int(math.prod(trial.outputs[0].shape))
        except RuntimeError:
            return 0

    low, high = 1, _LONGEST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if answered(middle) >= numbers else (middle + 1, high)
    if answered(low) != numbers:
        raise HeadstartError(
            f"{spec.options.frontend} makes no {numbers} numbers of any sound, as {spec.path} "
            "takes. Name another frontend=."
        )
    return low


def fed_again(spec: GraphSpec, numbers: int) -> Fed:
    """How sounds become rows of a saved graph."""
    options = spec.options
    if not options.frontend:
        return Fed(numbers, numbers, options.scale)
    mel = recipe(options.frontend, options.mel, rate(spec), spec.reference)
    bands = mel.cepstra or mel.bands
    return Fed(_filled(spec, mel, [1, numbers // bands, bands]), numbers, options.scale, mel)


def preprocess(spec: GraphSpec, fed: Fed) -> dict[str, Any]:
    """How sounds are fed."""
    return heard(spec.reference, rate(spec), fed.samples, apart(spec, fed), fed.scale)


def apart(spec: GraphSpec, fed: Fed) -> tuple[float, float]:
    """Hop and fill in seconds, 0 where nothing says them."""
    stated = spec.options.hop, spec.options.fill
    if any(stated) or spec.saved:
        return stated
    return fed.apart


def peaked(spec: GraphSpec, fed: Fed) -> bool:
    """Whether features hold maxima over windows: as said, else for what hears often."""
    is_stated = "peaks" in spec.reference.options or spec.saved
    return spec.options.peaks if is_stated else apart(spec, fed) == _OFTEN


def options_of(spec: GraphSpec, fed: Fed) -> dict[str, str]:
    """The options that rebuild how it is fed, beside those that the user gave."""
    hop, fill = apart(spec, fed)
    peaks = "true" if peaked(spec, fed) else "false"
    own = {"rate": str(rate(spec)), "scale": repr(fed.scale), "hop": repr(hop), "fill": repr(fill)}
    own |= {"peaks": peaks}
    if fed.mel is None:
        own |= {"frontend": "", "mel": ""}
    return own


def assemble(spec: GraphSpec, opened: Opened, fed: Fed) -> Backbone:
    """The backbone that hears windows. Raises as `planning.assemble` does."""
    if not spec.options.pretrained and spec.reference.weights is None:
        opened.shuffle()
    body = head_removal.filled(opened.body, spec.reference)
    plain = head_removal.backbone(
        body,
        reference=spec.with_output(opened.output),
        architecture=opened.architecture,
        pretrained=spec.options.pretrained or spec.reference.weights is not None,
        preprocess=opened.preprocess,
        files=dict([opened.file]),
    )
    parts: dict[str, nn.Module] = {} if fed.mel is None else {"spectrogram": Spectrogram(fed.mel)}
    noise = torch.randn(2, fed.samples, generator=torch.Generator().manual_seed(0))
    try:
        stages, pool, width = windowed(
            {**parts, "graph": body.network},
            Positions(),
            noise * 0.1 * fed.scale,
            ("graph",),
            peaked(spec, fed),
        )
    except Exception as error:  # a network of any author fails in any way
        raise HeadstartError(
            f"{spec.path} can't hear {fed.samples} samples ({reason(error)}). Name another "
            "frontend=, or save it again."
        ) from error
    return replace(plain, modality="audio", stages=stages, pool=pool, feature_dim=width)

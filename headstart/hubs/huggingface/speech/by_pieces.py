"""Whisper and Speech2Text, whose decoder writes what is said piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts import Backbone
from headstart.hubs.huggingface.building import architecture, built, native, origin, untrained
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.loading import load, read_weights
from headstart.hubs.huggingface.parts import Stage, hidden_states
from headstart.hubs.huggingface.planning import library_config
from headstart.hubs.huggingface.reading import CONFIG, PROCESSORS, dumped, read_json
from headstart.hubs.huggingface.speech import SpeechOptions
from headstart.hubs.huggingface.speech.frames import (
    SECONDS,
    MeanOfFrames,
    OnFrames,
    samples_of,
)
from headstart.hubs.huggingface.speech.prompts import GENERATION, pieces_of
from headstart.hubs.huggingface.whisper import Front
from headstart.loading.refusals import misfit
from headstart.loading.sequences.dictation import Dictation
from headstart.loading.sequences.network import penalty
from headstart.loading.sounds.log_mel import LogMel
from headstart.loading.sounds.options import heard
from headstart.loading.sounds.presets import of_kaldi
from headstart.loading.transformers_networks import AutoModelForSpeechSeq2Seq

_ENCODER: Final = "model.encoder"
_LOUD: Final = 32_768.0  # what Kaldi takes samples for


@final
@dataclass(frozen=True)
class _Taken:
    """An encoder taken apart: its stages, how it is fed, and states that a window has."""

    stages: Mapping[str, nn.Module]
    preprocess: dict[str, Any]
    output: str  # the layer behind the decoder
    states: int  # in a row, 0 where each row is one
    shrinks: int = 1  # times that the decoder takes masks for longer than states are


def backbone(layout: Layout, options: SpeechOptions) -> Backbone:
    """The encoder in stages with the decoder as its head.

    Raises HeadstartError for files that can't be used, WeightsError for weights that don't fit.
    """
    config = library_config(layout.raw, layout.encoder / CONFIG)
    network = _network(layout, config)
    path = layout.reader / PROCESSORS[0]
    fed = dict(read_json(path)) if path.is_file() else {}
    take = _whisper if layout.kind == "whisper" else _speech_to_text
    trunk = take(network, fed, layout.what)
    pieces = pieces_of(layout, options, network)
    writer = Dictation(network, trunk.output, pieces, (trunk.states, trunk.shrinks))
    parts = [*trunk.stages.values()]
    own_options = {n: v for n, v in (("language", options.language),) if v}
    own_options |= {"task": options.task} if options.task != "transcribe" else {}
    return Backbone(
        stages=trunk.stages,
        pool=MeanOfFrames(int(config.d_model)),
        feature_dim=int(config.d_model),
        modality="audio",
        preprocess=trunk.preprocess,
        origin=origin(layout, parts),
        architecture=architecture(layout, speech="true", **own_options),
        head=writer,
        delicate=True,
        library="transformers",
        native=native(layout.raw, network, False),
        files={PROCESSORS[0]: dumped(fed), **pieces.files, GENERATION: pieces.generation()},
    )


def _network(layout: Layout, config: Any) -> Any:
    """transformers' network. Raises WeightsError for weights that lack a part of it."""
    auto: Any = AutoModelForSpeechSeq2Seq
    if not layout.pretrained:
        return built(lambda: untrained(auto, config), layout)
    state, what = read_weights(layout)

    def fill() -> nn.Module:
        loaded = load(auto, config, state, what)
        lost = sorted(n for n in loaded.missing if "embed_positions" not in n)
        extra = loaded.unexpected if layout.file is not None else ()
        each = ((lost, "missing"), (extra, "left over"))
        if why := [f"{len(names)} {word}: {', '.join(names[:3])}" for names, word in each if names]:
            raise misfit(what, "; ".join(why))
        return loaded.network

    return built(lambda: untrained(auto, config), layout, fill)


def _layers(network: Any, block: int) -> dict[str, list[OnFrames]]:
    """A part for each layer; the last with the norm behind all."""

    def layer(name: str) -> OnFrames:
        def run(stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
            own = penalty(hidden, mask)
            return hidden_states(stage.get_submodule(name)(hidden, own))

        return OnFrames((name,), run, block)

    def normed(stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        own: Tensor = stage.get_submodule(f"{_ENCODER}.layer_norm")(hidden)
        return own

    count = len(network.get_submodule(_ENCODER).layers)
    parts = {f"layer {n}": [layer(f"{_ENCODER}.layers.{n}")] for n in range(count)}
    parts[f"layer {count - 1}"].append(OnFrames((f"{_ENCODER}.layer_norm",), normed, block))
    return parts


def _whisper(network: Any, fed: dict[str, Any], what: str) -> _Taken:
    """Whisper (Radford et al. 2022): windows of 30 s, each with its states in one row."""
    front = Front.of(network.config, fed, _ENCODER)

    def first(stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        return _on_windows(hidden, mask, lambda rows: front(stage, rows))

    parts = {"embeddings": [OnFrames(front.names, first, 1 << 20)]}
    for name, own in _layers(network, 1 << 20).items():
        parts[name] = [_of_windows(part, front.states) for part in own]
    preprocess = heard(what, front.rate, front.samples, (0.0, 0.0)) | {"pad": "end"}
    stages = {name: Stage(network, own).eval() for name, own in parts.items()}
    return _Taken(stages, preprocess, "proj_out", front.states)


def _of_windows(part: OnFrames, states: int) -> OnFrames:
    """The same on windows, each of which has so many states in one row."""

    def run(stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        def each(rows: Tensor) -> Tensor:
            own = rows.reshape(len(rows), states, -1)
            return part.function(stage, own, mask.new_ones(own.shape[:2]))

        return _on_windows(hidden, mask, each)

    return OnFrames(part.names, run, part.block)


def _on_windows(hidden: Tensor, mask: Tensor, function: Any) -> Tensor:
    """What a function makes of the windows that are there, each in a row again."""
    there = mask.bool()
    own = function(hidden[there]).flatten(1)
    answer: Tensor = own.new_zeros(*mask.shape, own.shape[1])
    answer[there] = own
    return answer


def _speech_to_text(network: Any, fed: dict[str, Any], what: str) -> _Taken:
    """Speech2Text (Wang et al. 2020): four frames of Kaldi's make a state, normalised by sound."""
    config, rate = network.config, int(fed.get("sampling_rate", 16_000))
    recipe = of_kaldi(rate, int(config.input_feat_per_channel), "povey")
    mel, shrinks = LogMel(recipe), 2 ** int(config.num_conv_layers)
    hop = shrinks * recipe.hop
    scale = float(config.d_model) ** 0.5 if config.scale_embedding else 1.0

    def front(stage: nn.Module, rows: Tensor, mask: Tensor) -> Tensor:
        bands = mel.to(rows.device)(samples_of(rows, mask, hop))
        frames = mask.repeat_interleave(shrinks, 1)
        hidden = _levelled(bands, frames, fed).transpose(1, 2)
        for conv in stage.get_submodule(f"{_ENCODER}.conv.conv_layers").children():
            hidden = functional.glu(conv(hidden), dim=1)
            frames = frames[:, ::2]
            hidden = hidden * frames.unsqueeze(1).to(hidden.dtype)
        places = stage.get_submodule(f"{_ENCODER}.embed_positions")
        placed: Tensor = scale * hidden.transpose(1, 2) + places(1 - mask)
        return placed

    block = max(1, round(SECONDS * rate / hop))
    names = (f"{_ENCODER}.conv", f"{_ENCODER}.embed_positions")
    parts = {"embeddings": [OnFrames(names, front, block)], **_layers(network, block)}
    window = hop + recipe.frame - recipe.hop
    preprocess = heard(what, rate, window, (hop / rate, 0.0), _LOUD)
    preprocess |= {"pad": "frames", "block": block}
    stages = {name: Stage(network, own).eval() for name, own in parts.items()}
    return _Taken(stages, preprocess, "lm_head", -block, shrinks)


def _levelled(bands: Tensor, frames: Tensor, fed: Mapping[str, Any]) -> Tensor:
    """Bands (N, T, B) with a mean of 0 and a variance of 1 in each sound, 0 behind its end."""
    share = frames.unsqueeze(2).to(bands.dtype)
    count = share.sum(1, keepdim=True)
    every = bool(fed.get("do_ceptral_normalize", True))  # so spelled there
    if every and fed.get("normalize_means", True):
        bands = bands - (bands * share).sum(1, keepdim=True) / count
    if every and fed.get("normalize_vars", True):
        mean = (bands * share).sum(1, keepdim=True) / count
        power = ((bands - mean).square() * share).sum(1, keepdim=True) / count
        bands = bands / power.sqrt().clamp(min=1e-10)
    return bands * share

"""Encoders of sounds: of samples as they are, or of a spectrogram, each in windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.errors import HeadstartError, reason
from headstart.hubs.huggingface.building import architecture, built, native, origin, untrained
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.loading import HEAD, load, read_weights
from headstart.hubs.huggingface.parts import Part, Stage, hidden_states
from headstart.hubs.huggingface.pictures.parts import Block
from headstart.hubs.huggingface.planning import library_config
from headstart.hubs.huggingface.reading import CONFIG, PROCESSORS, dumped, read_json
from headstart.hubs.huggingface.speech import transcriber
from headstart.hubs.huggingface.whisper import Front
from headstart.loading.refusals import misfit
from headstart.loading.sounds.log_mel import LogMel
from headstart.loading.sounds.mel import MelRecipe
from headstart.loading.sounds.options import SoundInput, heard
from headstart.loading.sounds.presets import of_kaldi
from headstart.loading.sounds.windows import windowed
from headstart.loading.spec import resolve
from headstart.loading.transformers_networks import AutoModel
from headstart.loading.weights import State, apart, linear

_CLAP: Final = "audio_model.audio_encoder"
_SHORTEST: Final = 400  # samples: below them the first layers have nothing left


@final
@dataclass(frozen=True)
class EncoderOfSounds(SoundInput):
    """The options of a reference; how sounds are fed is the feature extractor's unless given.

    `window` is for networks of samples as they are; the others have one of their own.
    """

    pretrained: bool = True


@final
@dataclass(frozen=True)
class Step(Part):
    """What a function makes of inputs, by modules of the network."""

    names: tuple[str, ...]
    function: Callable[[nn.Module, Any], Any]

    def run(self, stage: nn.Module, inputs: Any) -> Any:
        """What the function answers."""
        return self.function(stage, inputs)


@final
@dataclass(frozen=True)
class _Plan:
    """How a network is taken apart, and what it is fed with."""

    samples: int
    stages: Mapping[str, Sequence[Part]]
    pool: Part
    normalise: bool = False


def backbone(layout: Layout) -> Backbone:
    """The encoder in stages. Raises HeadstartError and WeightsError as those of pictures do."""
    options = resolve(EncoderOfSounds, layout.reference)
    config = library_config(layout.raw, layout.encoder / CONFIG)
    network, head, missing = _network(layout, config)
    fed = _extractor(layout)
    rate = int(fed.get("sampling_rate", options.rate))
    plan = _plan(layout, config, fed, round(options.window * rate))
    preprocess = heard(layout.what, rate, plan.samples, (options.hop, options.fill))
    preprocess |= {"normalise": True} if plan.normalise else {}
    inner = {name: Stage(network, parts).eval() for name, parts in plan.stages.items()}
    pool = Stage(network, [plan.pool]).eval()
    stages, mean, width = _windowed(inner, pool, plan.samples, layout.what)
    parts = [*stages.values(), mean]
    lost = sorted(missing & {name for part in parts for name in part.state_dict()})
    if lost:
        raise misfit(layout.what, f"{len(lost)} missing: {', '.join(lost[:3])}")
    return Backbone(
        stages=stages,
        pool=mean,
        feature_dim=width,
        modality="audio",
        preprocess=preprocess,
        origin=origin(layout, parts),
        architecture=architecture(layout),
        head=head,
        head_name=HEAD,
        delicate=True,
        native=native(layout.raw, network, False),
        files={PROCESSORS[0]: dumped(fed)},
        transcriber=transcriber(layout),
    )


def _windowed(
    stages: Mapping[str, nn.Module], pool: nn.Module, samples: int, what: str
) -> tuple[dict[str, nn.Module], nn.Module, int]:
    """The same on windows of so many samples, tried on noise."""
    noise = 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    try:
        return windowed(stages, pool, noise)
    except Exception as error:  # sizes that don't fit the network fail in as many ways
        raise HeadstartError(
            f"{what} can't hear {samples} samples ({reason(error)}). Give a longer window=, or "
            "another model."
        ) from error


def _network(layout: Layout, config: Any) -> tuple[nn.Module, nn.Linear | None, frozenset[str]]:
    """transformers' network, the head of a saved model, and what its weights lack."""
    if not layout.pretrained:
        return built(lambda: untrained(AutoModel, config), layout).eval(), None, frozenset()
    state, what = read_weights(layout)
    own, parts = _apart(state)
    missing: set[str] = set()

    def fill() -> nn.Module:
        loaded = load(AutoModel, config, own, what)
        missing.update(loaded.missing)
        if layout.file is not None and loaded.unexpected:  # the user's own word for these weights
            extra = ", ".join(loaded.unexpected[:3])
            raise misfit(what, f"{len(loaded.unexpected)} left over: {extra}")
        return loaded.network

    network = built(lambda: untrained(AutoModel, config), layout, fill)
    return network.eval(), linear(parts, None, what), frozenset(missing)


def _apart(state: State) -> tuple[State, State]:
    own, parts = apart(state, HEAD)
    return own, parts if {"weight"} <= parts.keys() else {}


def _extractor(layout: Layout) -> dict[str, Any]:
    """The feature extractor's file; nothing where there is none."""
    path = layout.reader / PROCESSORS[0]
    return dict(read_json(path)) if path.is_file() else {}


def _plan(layout: Layout, config: Any, fed: Mapping[str, Any], window: int) -> _Plan:
    kind = layout.kind
    if kind == "whisper":
        return _whisper(config, fed)
    if kind == "audio-spectrogram-transformer":
        return _ast(config, fed)
    if kind == "clap":
        return _clap(config.audio_config, fed)
    return _of_samples(config, fed, max(window, _SHORTEST), kind == "wavlm")


def _of_samples(config: Any, fed: Mapping[str, Any], window: int, whole: bool) -> _Plan:
    """wav2vec 2.0 (Baevski et al. 2020) and its kin; of WavLM the layers share their positions."""
    stable = bool(getattr(config, "do_stable_layer_norm", False))

    def front(stage: nn.Module, samples: Tensor) -> Tensor:
        hidden = stage.get_submodule("feature_extractor")(samples).transpose(1, 2)
        return hidden_states(stage.get_submodule("feature_projection")(hidden))

    def placed(stage: nn.Module, hidden: Tensor) -> Tensor:
        hidden = hidden + stage.get_submodule("encoder.pos_conv_embed")(hidden)
        hidden = hidden if stable else stage.get_submodule("encoder.layer_norm")(hidden)
        return hidden

    first = Step(("feature_extractor", "feature_projection"), front)
    norm = ("encoder.layer_norm",)
    normalise = bool(fed.get("do_normalize", True))
    stages: dict[str, Sequence[Part]] = {"features": [first]}
    if whole:
        stages["encoder"] = [
            Step(("encoder",), lambda stage, x: stage.get_submodule("encoder")(x)[0])
        ]
        return _Plan(window, stages, _mean(), normalise)
    second = Step(("encoder.pos_conv_embed", *(() if stable else norm)), placed)
    stages = {"embeddings": [first, second], **_layers("encoder.layers", config.num_hidden_layers)}
    return _Plan(window, stages, _mean(norm if stable else ()), normalise)


def _layers(prefix: str, count: int) -> dict[str, list[Part]]:
    """A stage for each layer, which attends to all positions."""
    return {f"layer {n}": [Block((f"{prefix}.{n}",), (None,))] for n in range(count)}


def _mean(names: tuple[str, ...] = ()) -> Part:
    """The mean of all positions, behind a norm if one is named."""

    def mean(stage: nn.Module, hidden: Tensor) -> Tensor:
        for name in names:
            hidden = stage.get_submodule(name)(hidden)
        return hidden.mean(1)

    return Step(names, mean)


def _whisper(config: Any, fed: Mapping[str, Any]) -> _Plan:
    """The encoder of Whisper (Radford et al. 2022)."""
    front = Front.of(config, fed, "encoder")
    first: Part = Step(front.names, front)
    stages = {"embeddings": [first], **_layers("encoder.layers", config.encoder_layers)}
    return _Plan(front.samples, stages, _mean(("encoder.layer_norm",)))


def _ast(config: Any, fed: Mapping[str, Any]) -> _Plan:
    """The audio spectrogram transformer (Gong et al. 2021), fed as Kaldi computes filter banks."""
    rate = int(fed.get("sampling_rate", 16_000))
    recipe = of_kaldi(rate, config.num_mel_bins, "symmetric-hann")
    mel, mean, std = LogMel(recipe), fed.get("mean", -4.2677393), fed.get("std", 4.5689974)
    mean, std = (mean, 2 * std) if fed.get("do_normalize", True) else (0.0, 1.0)

    def front(stage: nn.Module, samples: Tensor) -> Tensor:
        bands = mel.to(samples.device)(samples)
        return hidden_states(stage.get_submodule("embeddings")((bands - mean) / std))

    def pooled(stage: nn.Module, hidden: Tensor) -> Tensor:
        hidden = stage.get_submodule("layernorm")(hidden)
        return (hidden[:, 0] + hidden[:, 1]) / 2

    first: Part = Step(("embeddings",), front)
    stages = {"embeddings": [first], **_layers("layers", config.num_hidden_layers)}
    samples = (config.max_length - 1) * recipe.hop + recipe.frame
    return _Plan(samples, stages, Step(("layernorm",), pooled))


def _clap(tower: Any, fed: Mapping[str, Any]) -> _Plan:
    """The audio tower of CLAP (Wu et al. 2022), pooled by itself."""
    rate = int(fed.get("sampling_rate", 48_000))
    fused = fed.get("truncation", "fusion") == "fusion"
    mel = LogMel(
        MelRecipe(
            *(rate, int(fed.get("fft_window_size", 1_024)), int(fed.get("fft_window_size", 1_024))),
            *(int(fed.get("hop_length", 480)), tower.num_mel_bins),
            *(float(fed.get("frequency_min", 0)), float(fed.get("frequency_max", 14_000))),
            scale="htk" if fused else "slaney",
            even=not fused,
            power=2,
            centred=True,
            logarithm="decibel",
            offset=0.0,
            floor=1e-10,
        )
    )

    def whole(stage: nn.Module, samples: Tensor) -> Tensor:
        bands = mel.to(samples.device)(samples)[:, None]
        bands = bands.expand(-1, 4, -1, -1) if tower.enable_fusion else bands
        longer = torch.zeros(len(samples), 1, dtype=torch.bool, device=samples.device)
        encoder: Any = stage.get_submodule(_CLAP)
        answer: Tensor = encoder(bands, is_longer=longer).pooler_output
        return answer

    samples = int(fed.get("max_length_s", 10)) * rate
    stages = {"encoder": [Step((_CLAP,), whole)]}
    return _Plan(samples, stages, Step((), lambda _, features: features))

"""wav2vec 2.0 and its kin, which say a letter a frame (connectionist temporal classification)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Final, final

from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.errors import HeadstartError
from headstart.hubs.huggingface.building import architecture, built, native, origin, untrained
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.loading import load, read_weights
from headstart.hubs.huggingface.parts import Stage, hidden_states
from headstart.hubs.huggingface.planning import library_config
from headstart.hubs.huggingface.reading import CONFIG, PROCESSORS, dumped, read_json
from headstart.hubs.huggingface.speech import SpeechOptions
from headstart.hubs.huggingface.speech.frames import (
    SECONDS,
    Function,
    MeanOfFrames,
    OnFrames,
    alone,
    samples_of,
)
from headstart.loading.refusals import misfit
from headstart.loading.sequences.letter_heads import LAYER, LinearLetterHead
from headstart.loading.sequences.lettering import TOKENIZER, VOCABULARY, files
from headstart.loading.sequences.letters import BLANK, BOUNDARY, UNKNOWN, Letters, read
from headstart.loading.sequences.network import penalty
from headstart.loading.sounds.options import heard
from headstart.loading.transformers_networks import AutoModelForCTC

_LARGEST: Final = 1 << 20  # bytes of letters


def backbone(layout: Layout, options: SpeechOptions) -> Backbone:
    """The encoder in stages, and the layer that says letters, where it was trained.

    Raises HeadstartError for files that can't be used, WeightsError for weights that don't fit.
    """
    config, letters = _config(layout, options)
    network, missing = _network(layout, config)
    fed = _extractor(layout)
    rate = int(fed.get("sampling_rate", 16_000))
    hop, window = _reach(config, layout)
    block = max(1, round(SECONDS * rate / hop))
    stages = _Encoder(network, hop, block).stages(layout.kind == "wavlm")
    parts = [*stages.values()]
    lost = sorted(missing & {name for part in parts for name in part.state_dict()})
    if lost:
        raise misfit(layout.what, f"{len(lost)} missing: {', '.join(lost[:3])}")
    layer: Any = network.get_submodule(LAYER)
    trained = layout.pretrained and f"{LAYER}.weight" not in missing
    mode = options.vocabulary if trained else "new"
    dropout = float(getattr(config, "final_dropout", 0.0))
    own = heard(layout.what, rate, window, (hop / rate, 0.0))
    own |= {"pad": "frames", "block": block, "normalise": bool(fed.get("do_normalize", True))}
    return Backbone(
        stages=stages,
        pool=MeanOfFrames(int(config.hidden_size)),
        feature_dim=int(config.hidden_size),
        modality="audio",
        preprocess=own,
        origin=origin(layout, parts),
        architecture=architecture(layout, speech="true", vocabulary=options.vocabulary),
        head=LinearLetterHead(layer, letters, dropout, mode),
        head_name=LAYER,
        delicate=True,
        library="transformers",
        native=native(layout.raw, network, False),
        files={PROCESSORS[0]: dumped(fed), **files(letters)},
    )


def _config(layout: Layout, options: SpeechOptions) -> tuple[Any, Letters]:
    """config.json as transformers has it, and the letters of the folder, if it names any.

    Raises HeadstartError where they don't fit each other.
    """
    raw = dict(layout.raw)
    if raw.get("add_adapter"):
        raise HeadstartError(
            f"{layout.what} has an adapter behind its encoder, which is not known here. "
            "Give a model without one."
        )
    letters = _letters(layout, int(raw.get("pad_token_id") or 0))
    if letters is None:
        letters = Letters({BLANK: 0, UNKNOWN: 1, BOUNDARY: 2}, 0)
        raw |= {"vocab_size": len(letters.ids), "pad_token_id": 0}
    count = max(letters.ids.values()) + 1
    if int(raw.get("vocab_size", 0)) < count:
        raise HeadstartError(
            f"{layout.what} says {raw.get('vocab_size')} letters in its {CONFIG}, and {count} in "
            f"its {VOCABULARY}. Copy or download it again."
        )
    return library_config(raw, layout.encoder / CONFIG), letters


def _letters(layout: Layout, blank: int) -> Letters | None:
    path = layout.reader / VOCABULARY
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return None
    letters = read(read_json(path), blank)
    if letters is None:
        raise HeadstartError(
            f"{path} holds letters of several languages. Give the folder of a model of one."
        )
    settings = layout.reader / TOKENIZER
    own = read_json(settings) if settings.is_file() else {}
    pad = own.get("pad_token", BLANK)
    blank = letters.ids.get(pad if isinstance(pad, str) else BLANK, blank)
    return replace(letters, blank=blank, boundary=str(own.get("word_delimiter_token") or BOUNDARY))


def _network(layout: Layout, config: Any) -> tuple[nn.Module, frozenset[str]]:
    """transformers' network, and what its weights lack."""
    if not layout.pretrained:
        return built(lambda: untrained(AutoModelForCTC, config), layout), frozenset()
    state, what = read_weights(layout)
    head = state.get(f"{LAYER}.weight")
    if head is not None and len(head) != int(config.vocab_size):  # letters that nothing names
        state = {name: own for name, own in state.items() if not name.startswith(f"{LAYER}.")}
    missing: set[str] = set()

    def fill() -> nn.Module:
        loaded = load(AutoModelForCTC, config, state, what)
        missing.update(loaded.missing)
        if layout.file is not None and loaded.unexpected:
            extra = ", ".join(loaded.unexpected[:3])
            raise misfit(what, f"{len(loaded.unexpected)} left over: {extra}")
        return loaded.network

    return built(lambda: untrained(AutoModelForCTC, config), layout, fill), frozenset(missing)


def _extractor(layout: Layout) -> dict[str, Any]:
    """The feature extractor's file, or what transformers needs to know of it."""
    path = layout.reader / PROCESSORS[0]
    usual = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16_000}
    usual |= {"feature_size": 1, "padding_value": 0.0, "return_attention_mask": True}
    return {**usual, **(read_json(path) if path.is_file() else {})}


def _reach(config: Any, layout: Layout) -> tuple[int, int]:
    """How many samples frames are apart, and how many each hears."""
    strides = [int(stride) for stride in config.conv_stride]
    hop, window = prod(strides), 1
    for place, size in enumerate(config.conv_kernel):
        window += (int(size) - 1) * prod(strides[:place])
    if not hop <= window <= 2 * hop:
        raise HeadstartError(
            f"{layout.what} has frames of {window} samples, {hop} apart, which is not known here. "
            "Give another model."
        )
    return hop, window


@final
@dataclass(frozen=True)
class _Encoder:
    """An encoder under the names of the whole network; of WavLM the layers share positions."""

    network: Any
    hop: int
    block: int

    @property
    def prefix(self) -> str:
        """Before all names but the head's."""
        return str(self.network.base_model_prefix)

    @property
    def stable(self) -> bool:
        """Whether norms stand before what they are for, and one behind all."""
        return bool(getattr(self.network.config, "do_stable_layer_norm", False))

    def stages(self, whole: bool) -> dict[str, nn.Module]:
        """A stage for each layer, or one for a `whole` encoder."""
        parts = self._whole() if whole else self._by_layers()
        return {name: Stage(self.network, own).eval() for name, own in parts.items()}

    def _whole(self) -> dict[str, list[OnFrames]]:
        last = self._part(("encoder",), self._entire)
        return {"features": [self._first()], "encoder": [last]}

    def _by_layers(self) -> dict[str, list[OnFrames]]:
        norm = ("encoder.layer_norm",)
        names = ("encoder.pos_conv_embed", *(() if self.stable else norm))
        parts = {"embeddings": [self._first(), self._part(names, self._placed)]}
        count = int(self.network.config.num_hidden_layers)
        for number in range(count):
            parts[f"layer {number}"] = [self._layer(f"encoder.layers.{number}")]
        if self.stable:
            parts[f"layer {count - 1}"].append(self._part(norm, self._normed))
        return parts

    def _part(self, names: tuple[str, ...], function: Function) -> OnFrames:
        return OnFrames(tuple(f"{self.prefix}.{name}" for name in names), function, self.block)

    def _first(self) -> OnFrames:
        return self._part(("feature_extractor", "feature_projection"), self._front)

    def _layer(self, name: str) -> OnFrames:
        def run(stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
            layer = stage.get_submodule(f"{self.prefix}.{name}")
            return hidden_states(layer(hidden, penalty(hidden, mask)))

        return self._part((name,), run)

    def _front(self, stage: nn.Module, rows: Tensor, mask: Tensor) -> Tensor:
        samples, window = samples_of(rows, mask, self.hop), rows.shape[2]
        extractor = stage.get_submodule(f"{self.prefix}.feature_extractor")

        def conv(sounds: Tensor) -> Tensor:
            own: Tensor = extractor(sounds).transpose(1, 2)
            return own

        if getattr(self.network.config, "feat_extract_norm", "group") == "group":
            sizes = [(n - 1) * self.hop + window for n in mask.sum(1).tolist()]
            hidden = alone(conv, samples, sizes)
        else:
            hidden = conv(samples)
        project = stage.get_submodule(f"{self.prefix}.feature_projection")
        return hidden_states(project(hidden))

    def _placed(self, stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        hidden = hidden * mask.unsqueeze(2).to(hidden.dtype)
        hidden = hidden + stage.get_submodule(f"{self.prefix}.encoder.pos_conv_embed")(hidden)
        return hidden if self.stable else self._normed(stage, hidden, mask)

    def _normed(self, stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        own: Tensor = stage.get_submodule(f"{self.prefix}.encoder.layer_norm")(hidden)
        return own

    def _entire(self, stage: nn.Module, hidden: Tensor, mask: Tensor) -> Tensor:
        encoder = stage.get_submodule(f"{self.prefix}.encoder")
        with warnings.catch_warnings():  # its attention mixes masks of two types
            warnings.simplefilter("ignore", UserWarning)
            own: Any = encoder(hidden.clone(), attention_mask=mask.bool())
        states: Tensor = own[0]
        return states

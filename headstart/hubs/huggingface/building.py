"""Building a text encoder, filling it, and making a backbone of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from headstart.contracts import Backbone, Origin
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError, reason
from headstart.hubs.huggingface import adapters, after
from headstart.hubs.huggingface.cutting import cut, last_norm
from headstart.hubs.huggingface.families import Family
from headstart.hubs.huggingface.fetching import weight_files
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.loading import (
    HEAD,
    Checkpoint,
    Loaded,
    checkpoint,
    fill,
    labelled,
    load,
    read_weights,
)
from headstart.hubs.huggingface.parts import Part
from headstart.hubs.huggingface.planning import TextSpec
from headstart.hubs.huggingface.pooling import OwnPooling, TokenPooling
from headstart.hubs.huggingface.reading import CONFIG, card
from headstart.hubs.huggingface.sentences import written
from headstart.hubs.huggingface.tokens import Tokens, tokens
from headstart.loading.refusals import unfit_config
from headstart.loading.transformers_networks import AutoModel, AutoModelForSequenceClassification
from headstart.loading.weights import State, digest
from headstart.loading.weights.sizes import check_network, numbers


def backbone(spec: TextSpec, family: Family) -> Backbone:
    """The encoder in stages, with what its artifact needs to be opened by its own library.

    Raises HeadstartError where the network or its tokenizer can't be made, WeightsError for
    weights that are missing or belong to another network.
    """
    tokenizer = tokens(spec, spec.config.vocab_size)
    weights = _checkpoint_of(spec, family)
    pooling = _pooling(spec, family, weights, tokenizer)
    own = isinstance(pooling, OwnPooling)
    network, head = _network(spec, family, weights, own)
    steps = [pooling, *attach(network, spec, weights, spec.config.hidden_size * len(pooling.ways))]
    stages, pool = cut(network, family, spec.config, steps)
    length = tokenizer.preprocess["max_length"]
    options = {} if spec.sentences else {"pooling": pooling.ways[0]}
    options |= {"max_length": str(length)}
    width = text_width([*stages.values(), pool], spec.what)
    demand_fit(head, width, weights.what if weights else spec.what, spec.what)
    return Backbone(
        stages=stages,
        pool=pool,
        feature_dim=width,
        modality="text",
        preprocess=tokenizer.preprocess,
        origin=origin(spec.layout, [*stages.values(), pool]),
        architecture=architecture(spec.layout, **options),
        head=head,
        head_name=family.head if own else HEAD,
        delicate=True,
        library="transformers" if own else "sentence-transformers",
        native=native(spec.layout.raw, network, own),
        files={**tokenizer.files, **_sentence_files(spec, pooling, length)},
        folders=folders(spec),
    )


def attach(
    network: nn.Module, spec: TextSpec, weights: Checkpoint | None, width: int
) -> list[Part]:
    """Put the modules after pooling into the network, filled, and answer them as steps.

    `width` is how many features pooling gives. Raises HeadstartError for modules that can't be
    made, WeightsError for weights that are not theirs.
    """
    steps: list[Part] = []
    sentences = spec.sentences
    for module in sentences.after if sentences is not None else ():
        layer, width = after.layer(module, width)
        if layer is not None:
            network.add_module(module.place, layer.eval())
            if weights is not None and module.has_weights:
                after.fill(layer, module, weights.state, spec.layout.root)
        steps.append(after.part(module))
    if sentences is not None and sentences.width is not None and sentences.width < width:
        steps.append(after.Leading(sentences.width))
    return steps


def folders(spec: TextSpec) -> dict[str, str]:
    """By the names that tensors begin with, the folders where sentence-transformers wants them."""
    modules = spec.sentences.after if spec.sentences is not None else ()
    return {f"{module.place}.": module.place for module in modules if module.has_weights}


def _checkpoint_of(spec: TextSpec, family: Family) -> Checkpoint | None:
    if not spec.layout.pretrained:
        return None
    layout, places = spec.layout, tuple(folders(spec))
    state, what = read_weights(layout)
    if layout.adapter is not None and layout.file is None:
        names, what = (family.prefix, family.head), layout.what
        state = with_adapter(layout, names, state, AutoModelForSequenceClassification, spec.config)
    return checkpoint(state, what, family, exact=layout.file is not None, apart=places)


def with_adapter(
    layout: Layout, names: tuple[str, str], state: State, auto: Any, config: Any
) -> State:
    """The weights with the layout's adapter merged into them.

    `names` are the classifier's for the encoder and the last layer, `auto` is transformers' class
    for classification.
    """
    if layout.adapter is None or layout.file is not None:
        return state

    def load_it(classifier: bool, labels: int) -> Loaded:
        kind = auto if classifier else AutoModel
        own = labelled(config, kind, labels)
        built(lambda: untrained(kind, own), layout, nn.Identity)
        return load(kind, own, state, layout.what)

    return adapters.merged(layout.adapter, layout.what, *names, load_it)


def _pooling(
    spec: TextSpec, family: Family, weights: Checkpoint | None, tokenizer: Tokens
) -> TokenPooling | OwnPooling:
    """As asked, or as sentence-transformers knows it, or the model's own where it was trained."""
    way = spec.options.pooling
    trained = weights is not None and weights.has_own_pooling(family)
    if way == "own" or (not way and spec.sentences is None and trained):
        reads = spec.config.classifier_pooling if family.reads == "config" else family.reads
        return OwnPooling(reads, family.own, last_norm(family, own=True))
    steps = last_norm(family, own=False)
    if spec.sentences is not None:
        return TokenPooling(spec.sentences.ways, steps, tokenizer.prompt)
    return TokenPooling((way or "mean",), steps)


def _network(
    spec: TextSpec, family: Family, weights: Checkpoint | None, own: bool
) -> tuple[nn.Module, nn.Linear | None]:
    """transformers' network without its head, and the head that the checkpoint holds."""
    more = {"add_pooling_layer": False} if family.pooler and not own else {}
    auto = AutoModelForSequenceClassification if own else AutoModel
    config = labelled(spec.config, auto, 2)
    filled = None
    if weights is not None:
        filled = partial(fill, auto, config, weights, family, **more)
    network = built(lambda: untrained(auto, config, **more), spec.layout, filled)
    if own:
        network.set_submodule(family.head, nn.Identity())
    return network, weights.head(family.head if own else HEAD) if weights else None


def untrained(auto: Any, config: Any, **more: Any) -> nn.Module:
    """A network of transformers with random weights, by one of its automatic classes."""
    network: nn.Module = auto.from_config(deepcopy(config), trust_remote_code=False, **more)
    return network


def built(
    make: Callable[[], nn.Module], layout: Layout, load: Callable[[], nn.Module] | None = None
) -> nn.Module:
    """What `load`, or else `make`, answers, once the size of the network is known to be sensible.

    `make` gives it random weights. Raises HeadstartError where it can't be built or is larger than
    its weights or the memory.
    """
    files = [layout.file] if layout.file else []
    if not files and layout.pretrained:
        files = weight_files(layout.encoder, layout.what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            count = sum(map(numbers, files)) if files else None
            check_network(make, count, layout.encoder / CONFIG)
            return (load or make)().eval()
    except HeadstartError:
        raise
    except Exception as error:  # sizes that don't fit together fail in as many ways
        raise unfit_config(layout.what, f"can't be built ({reason(error)})") from error


def text_width(parts: Iterable[nn.Module], what: str) -> int:
    """How many features come out, tried on one text of two tokens."""
    ids = torch.zeros(1, 2, dtype=torch.int64)
    try:
        return width_of(parts, {"input_ids": ids, "mask": torch.ones_like(ids)})
    except Exception as error:
        raise unfit_config(what, f"can't read texts ({reason(error)})") from error


def width_of(parts: Iterable[nn.Module], inputs: Any) -> int:
    """How many features come out, of parts that run one after another."""
    with torch.no_grad():
        return int(nn.Sequential(*parts)(inputs).shape[1])


def demand_fit(head: nn.Linear | None, width: int, source: str, what: str) -> None:
    """Raise WeightsError where the head of `source` reads another number of features."""
    if head is not None and head.in_features != width:
        raise WeightsError(
            f"{source} holds a head for {head.in_features} features; {what} gives {width}. "
            "Make features as the head was trained, with ?pooling=."
        )


def origin(layout: Layout, parts: Iterable[nn.Module]) -> Origin:
    """Where it comes from: of what came from the Hub, which commit."""
    reference = layout.reference
    if layout.file is None and layout.commit is not None:
        reference = replace(reference, weights=layout.commit)
    licence, trained_on = card(layout.root) if layout.pretrained else (None, None)
    tensors = {name: t for part in parts for name, t in part.state_dict().items()}
    return Origin(str(reference), licence, trained_on, digest(tensors), layout.pretrained)


def architecture(layout: Layout, **options: str) -> Reference:
    """The same network and preprocessing, whatever the folder it is made from says of them."""
    rebuilt = {**layout.reference.options, **options, "pretrained": "false"}
    return Reference("hf", layout.reference.name, layout.commit, rebuilt)


def native(raw: Mapping[str, Any], network: nn.Module, own: bool) -> dict[str, Any]:
    """config.json for transformers; the artifact fills in the labels of a classifier."""
    labels: dict[str, Any] = {"id2label": {}, "label2id": {}, "problem_type": None} if own else {}
    return {**raw, "architectures": [type(network).__name__], **labels}


def _sentence_files(
    spec: TextSpec, pooling: TokenPooling | OwnPooling, length: int
) -> dict[str, bytes]:
    if isinstance(pooling, OwnPooling):
        return {}
    if spec.sentences is not None:
        return dict(spec.sentences.files)
    return written(pooling.ways, spec.config.hidden_size, length)

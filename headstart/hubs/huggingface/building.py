"""Building a text encoder, filling it, and making a backbone of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification

from headstart.contracts import Backbone, Origin
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.huggingface.cutting import cut, last_norm
from headstart.hubs.huggingface.fetching import weight_files
from headstart.hubs.huggingface.fitting import HEAD, Checkpoint, checkpoint, fill
from headstart.hubs.huggingface.planning import Plan
from headstart.hubs.huggingface.pooling import OwnPooling, TokenPooling
from headstart.hubs.huggingface.reading import TOKENIZER, card
from headstart.hubs.huggingface.sentences import written
from headstart.hubs.huggingface.tokens import preprocessing, tokenizer_files
from headstart.references import Reference
from headstart.weights import digest


def backbone(plan: Plan) -> Backbone:
    """The encoder in stages, with what its artifact needs to be opened by its own library.

    Raises HeadstartError where the network or its tokenizer can't be made, WeightsError for
    weights that are missing or belong to another network.
    """
    tokenizer = tokenizer_files(plan.place.folder, plan.what)
    preprocess = preprocessing(plan, tokenizer[TOKENIZER])
    given = _given(plan)
    pooling = _pooling(plan, given)
    own = isinstance(pooling, OwnPooling)
    network, head = _network(plan, given, own)
    stages = cut(network, plan.family, plan.config, pooling)
    width = _width(stages, plan.what)
    if head is not None and head.in_features != width:
        raise WeightsError(
            f"{given.what if given else plan.what} holds a head for {head.in_features} features; "
            f"{plan.what} gives {width}. Pool as the head was trained, with ?pooling=."
        )
    return Backbone(
        stages=stages,
        feature_dim=width,
        modality="text",
        preprocess=preprocess,
        origin=_origin(plan, stages),
        architecture=_architecture(plan, pooling, preprocess["max_length"]),
        head=head,
        head_name=plan.family.head if own else HEAD,
        delicate=True,
        library="transformers" if own else "sentence-transformers",
        native=_native(plan, network, own),
        files={**tokenizer, **_sentence_files(plan, pooling, preprocess["max_length"])},
    )


def _given(plan: Plan) -> Checkpoint | None:
    if not plan.pretrained:
        return None
    files = [plan.file] if plan.file else weight_files(plan.place.folder, plan.what)
    return checkpoint(files, plan.family, exact=plan.file is not None)


def _pooling(plan: Plan, given: Checkpoint | None) -> TokenPooling | OwnPooling:
    """As asked, or as sentence-transformers knows it, or the model's own where it was trained."""
    asked, family = plan.options.pooling, plan.family
    if asked == "own" or (
        not asked and plan.sentences is None and given is not None and given.has_own_pooling(family)
    ):
        reads = plan.config.classifier_pooling if family.reads == "config" else family.reads
        return OwnPooling(reads, family.own, last_norm(family, own=True))
    steps = last_norm(family, own=False)
    if plan.sentences is not None:
        return TokenPooling(plan.sentences.ways, plan.sentences.unit, steps)
    return TokenPooling((asked or "mean",), False, steps)


def _network(plan: Plan, given: Checkpoint | None, own: bool) -> tuple[nn.Module, nn.Linear | None]:
    """transformers' network without its head, and the head that the checkpoint holds."""
    if given is None:
        return _made(plan, own), None
    whole = given.exact or not own or given.has_own_pooling(plan.family)
    with _unset() if whole else nullcontext():
        network = _made(plan, own)
    return network, fill(network, given, plan.family, own)


def _made(plan: Plan, own: bool) -> nn.Module:
    """The network with random weights, its head an identity."""
    family, config = plan.family, deepcopy(plan.config)
    more: dict[str, Any] = {"add_pooling_layer": False} if family.pooler and not own else {}
    kind: Any = AutoModelForSequenceClassification if own else AutoModel
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = kind.from_config(config, trust_remote_code=False, **more)
    except Exception as error:  # sizes that don't fit together fail in as many ways
        raise HeadstartError(
            f"{plan.what} can't be built ({str(error).strip() or type(error).__name__}). "
            "Mend its config.json, or give another model."
        ) from error
    if own:
        above, _, last = family.head.rpartition(".")
        setattr(network.get_submodule(above), last, nn.Identity())
    return network.eval()


@contextmanager
def _unset() -> Iterator[None]:
    """Leave weights as they lie in memory, where all of them are read from a file next."""
    try:
        module = import_module("transformers.initialization")
    except ImportError:  # before version 5
        module = import_module("transformers.modeling_utils")
    with module.no_init_weights():
        yield


def _width(stages: dict[str, nn.Module], what: str) -> int:
    """How many features come out, tried on one text of two tokens."""
    ids = torch.zeros(1, 2, dtype=torch.int64)
    answer: Any = {"input_ids": ids, "mask": torch.ones_like(ids)}
    try:
        with torch.no_grad():
            for stage in stages.values():
                answer = stage(answer)
    except Exception as error:
        raise HeadstartError(
            f"{what} can't read texts ({str(error).strip() or type(error).__name__}). "
            "Mend its config.json, or give another model."
        ) from error
    return int(answer.shape[1])


def _origin(plan: Plan, stages: Mapping[str, nn.Module]) -> Origin:
    """Where it comes from: of what came from the Hub, which commit."""
    reference = plan.reference
    if plan.file is None and plan.place.commit is not None:
        reference = replace(reference, weights=plan.place.commit)
    licence, trained_on = card(plan.place.folder) if plan.pretrained else (None, None)
    tensors = {name: t for stage in stages.values() for name, t in stage.state_dict().items()}
    return Origin(str(reference), licence, trained_on, digest(tensors), plan.pretrained)


def _architecture(plan: Plan, pooling: TokenPooling | OwnPooling, length: int) -> Reference:
    """The same network and preprocessing, whatever the folder it is made from says of them."""
    options = dict(plan.reference.options)
    if plan.sentences is None:
        options["pooling"] = "own" if isinstance(pooling, OwnPooling) else pooling.ways[0]
    options |= {"max_length": str(length), "pretrained": "false"}
    return Reference("hf", plan.reference.name, plan.place.commit, options)


def _native(plan: Plan, network: Any, own: bool) -> dict[str, Any]:
    """config.json for transformers; the artifact fills in the labels of a classifier."""
    labels: dict[str, Any] = {"id2label": {}, "label2id": {}, "problem_type": None} if own else {}
    return {**plan.raw, "architectures": [type(network).__name__], **labels}


def _sentence_files(
    plan: Plan, pooling: TokenPooling | OwnPooling, length: int
) -> dict[str, bytes]:
    if isinstance(pooling, OwnPooling):
        return {}
    if plan.sentences is not None:
        return dict(plan.sentences.files)
    return written(pooling.ways, plan.config.hidden_size, length)

"""A backbone of an encoder–decoder: the encoder in stages, the decoder as its pretrained head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from torch import nn

from headstart.contracts import Backbone, Origin
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, reason
from headstart.loading.refusals import unfit_config
from headstart.loading.sequences.files import OWN, PieceFiles
from headstart.loading.sequences.network import (
    FAMILIES,
    MeanOfStates,
    configured,
    cut,
    fill,
    untrained,
)
from headstart.loading.sequences.own_tokens import OwnTokens
from headstart.loading.sequences.writer import Writer
from headstart.loading.weights import State, apart, digest, linear
from headstart.loading.weights.sizes import check_network

GENERATION: Final = "generation_config.json"
HEAD: Final = "head"
_ABOUT_LABELS: Final = ("id2label", "label2id", "num_labels", "problem_type")


@final
@dataclass(frozen=True)
class Plan:
    """All that an encoder–decoder is made of; `state` is empty where its weights are random.

    `raw` is its config.json, `mode` whether it is to learn pieces from what it is fitted to.
    """

    reference: Reference
    architecture: Reference
    raw: Mapping[str, Any]
    pieces: PieceFiles | OwnTokens
    state: State
    what: str
    file: str = ""  # of the weights, as messages call it
    mode: str = OWN
    pretrained: bool = True
    licence: str | None = None
    trained_on: str | None = None


def backbone(plan: Plan) -> Backbone:
    """The network of a plan, with what it takes to be opened by transformers.

    Raises HeadstartError where it can't be made, WeightsError for weights of another network.
    """
    config = configured(plan.raw, plan.pieces.count, plan.what)
    network = _network(plan, config)
    state, parts = apart(plan.state, HEAD)
    head: nn.Module | None = linear(parts, None, plan.file)
    family = FAMILIES[config.model_type]
    writes = not state or any(name.startswith(family.decoder) for name in state)
    if state:  # of a classifier, say, there is the encoder alone
        own = {n: t for n, t in network.state_dict().items() if not n.startswith(family.encoder)}
        fill(network, state if writes else {**own, **state}, plan.file)
    kind = type(network).__name__
    stages, writer = cut(network, plan.pieces.vocabulary(config))
    tensors = {n: t for stage in stages.values() for n, t in stage.state_dict().items()}
    native = {n: v for n, v in config.to_diff_dict().items() if n not in _ABOUT_LABELS}
    native |= {"architectures": [kind], "model_type": config.model_type}
    return Backbone(
        stages=stages,
        pool=MeanOfStates(),
        feature_dim=int(config.d_model),
        modality="text",
        preprocess=plan.pieces.preprocess(config, plan.mode),
        origin=Origin(
            reference=str(plan.reference),
            licence=plan.licence,
            trained_on=plan.trained_on,
            weights_hash=digest(tensors),
            pretrained=plan.pretrained,
        ),
        architecture=plan.architecture,
        head=writer if writes else head,
        head_name=HEAD,
        library="transformers",
        native=native,
        files={**plan.pieces.files(), GENERATION: _generation(writer)},
    )


def _generation(writer: Writer) -> bytes:
    """How transformers is to write, as the head does."""
    own = writer.vocabulary.starting()
    own |= {"max_length": writer.vocabulary.longest, "num_beams": writer.beams}
    return json.dumps(own, indent=1).encode()


def _network(plan: Plan, config: Any) -> nn.Module:
    if config.model_type not in FAMILIES:
        raise HeadstartError(
            f"{plan.what} is of the kind {config.model_type!r}, which is not known to write texts. "
            f"Give one of {', '.join(FAMILIES)}."
        )
    try:
        count = sum(tensor.numel() for tensor in plan.state.values()) if plan.state else None
        check_network(lambda: untrained(config), count, plan.what)
        return untrained(config)
    except HeadstartError:
        raise
    except Exception as error:  # sizes that don't fit together fail in as many ways
        raise unfit_config(plan.what, f"can't be built ({reason(error)})") from error

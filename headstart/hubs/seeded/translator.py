"""A small Transformer that translates: Marian's network, reading bytes until it learns pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import torch

from headstart.contracts import Backbone, Card
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.loading.refusals import demand_package
from headstart.loading.spec import HubOptions, resolve

NAME: Final = "translator"
_FILES: Final = ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json")
_LARGEST: Final = 1 << 26  # bytes of a file of pieces
_WRITTEN: Final = ("seed", "pretrained", "network")


@final
@dataclass(frozen=True)
class TranslatorOptions(HubOptions):
    """The options of a translator: its width, layers, heads, and the longest text in pieces.

    `decoder` counts the layers of the side that writes, 0 for as many as of the other.

    `vocabulary` is `joint`, where it learns pieces from the texts that it is fitted to, or `own`.
    """

    seed: int = 0
    width: int = 96
    layers: int = 2
    decoder: int = 0
    heads: int = 4
    positions: int = 256
    dropout: float = 0.1
    vocabulary: str = "joint"
    network: str = ""
    pretrained: bool = True


def card(licence: str) -> Card:
    """What the listing says of it."""
    return Card(f"seeded:{NAME}", "text", None, "text", licence, None, at_hand=True)


def backbone(reference: Reference, licence: str) -> Backbone:
    """The network (Junczys-Dowmunt et al. 2018), its files in the reference's folder if it is one.

    Raises HeadstartError for options and files that can't be used.
    """
    for package in ("transformers", "sentencepiece"):
        demand_package(package, reference, "translation")
    from headstart.loading.sequences.building import Plan
    from headstart.loading.sequences.building import backbone as built
    from headstart.loading.sequences.files import PieceFiles
    from headstart.loading.weights import read

    options = resolve(TranslatorOptions, reference, what=f"seeded:{NAME}")
    _demand(options, reference)
    is_folder = Path(reference.name).is_dir()
    pieces = (
        PieceFiles.read(_read(Path(reference.name)), str(reference))
        if is_folder
        else PieceFiles.of_bytes()
    )
    own = {**options.changed(_WRITTEN), "network": NAME, "pretrained": "false"}
    state = read(reference.weights).state if reference.weights else {}
    plan = Plan(
        reference=reference,
        architecture=Reference("seeded", reference.name, options=own),
        raw=_config(options),
        pieces=pieces,
        state=state,
        what=str(reference),
        file=reference.weights or "",
        mode=options.vocabulary,
        pretrained=bool(state),
        licence=licence,
    )
    if state or not options.pretrained:
        return built(plan)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(options.seed)
        return built(plan)


def _demand(options: TranslatorOptions, reference: Reference) -> None:
    sizes = (options.width, options.layers, options.heads, options.positions)
    if (
        min(sizes) < 1
        or options.decoder < 0
        or options.width % (2 * options.heads)
        or not 0 <= options.dropout < 1
    ):
        raise HeadstartError(
            f"{reference} has a number below 1, or a width that is no multiple of twice its heads. "
            "Give for example width=96&heads=4&layers=2."
        )
    if options.vocabulary not in ("joint", "own"):
        raise HeadstartError(
            f"{reference} has a vocabulary {options.vocabulary!r}. Give joint or own."
        )


def _config(options: TranslatorOptions) -> dict[str, Any]:
    sides = ("encoder", "decoder")
    raw: dict[str, Any] = {"model_type": "marian", "d_model": options.width}
    raw |= {"encoder_layers": options.layers, "decoder_layers": options.decoder or options.layers}
    raw |= {f"{side}_attention_heads": options.heads for side in sides}
    raw |= {f"{side}_ffn_dim": 4 * options.width for side in sides}
    raw |= {"max_position_embeddings": options.positions, "dropout": options.dropout}
    raw |= {"activation_function": "swish", "scale_embedding": True}
    raw |= {"init_std": options.width**-0.5}  # transformers' own, 0.02, is of wide networks
    raw |= {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    return raw | {"forced_eos_token_id": None, "bos_token_id": None}


def _read(folder: Path) -> Mapping[str, bytes]:
    files = {}
    for name in _FILES:
        path = folder / name
        if path.is_file() and path.stat().st_size <= _LARGEST:
            files[name] = path.read_bytes()
    return files

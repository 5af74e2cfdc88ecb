"""The tokenizer's files, and what the model's inputs must look like."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headstart.errors import HeadstartError
from headstart.hubs.huggingface.families import Family
from headstart.hubs.huggingface.planning import Plan
from headstart.hubs.huggingface.reading import BESIDE, TOKENIZER, VOCABULARIES, read_json

LENGTH: Final = 512  # tokens, where nothing asks for fewer or more
_SHORTEST: Final = 3  # one token between the two that most tokenizers put around a text
_SMALL: Final = 1 << 20  # bytes of a vocabulary that is kept beside the tokenizer that holds it


def tokenizer_files(folder: Path, what: str) -> dict[str, bytes]:
    """tokenizer.json without padding and truncation, and what transformers reads beside it.

    Raises HeadstartError where the folder has no tokenizer, or none that can be made into one.
    """
    path = folder / TOKENIZER
    content = path.read_bytes() if path.is_file() else _converted(folder, what)
    try:
        settings = json.loads(content)
        if settings.get("padding") is not None or settings.get("truncation") is not None:
            settings |= {"padding": None, "truncation": None}
            content = json.dumps(settings, ensure_ascii=False).encode()
    except (ValueError, AttributeError, TypeError) as error:
        raise HeadstartError(
            f"{path} can't be read as a tokenizer ({error}). Copy or download it again."
        ) from error
    files = {TOKENIZER: content}
    for name in (*BESIDE, VOCABULARIES[0]):
        beside = folder / name
        if beside.is_file() and (name in BESIDE or beside.stat().st_size <= _SMALL):
            files[name] = beside.read_bytes()
    return files


def preprocessing(plan: Plan, tokenizer: bytes) -> dict[str, Any]:
    """How texts become the model's inputs, JSON-able.

    Raises HeadstartError for a length that the model can't take.
    """
    folder, config = plan.place.folder, plan.config
    settings = json.loads(tokenizer)
    named = {**_object(folder / BESIDE[1]), **_object(folder / BESIDE[0])}
    ids = _ids(settings)
    model = settings.get("model") or {}
    pad = ids.get(_content(named.get("pad_token")), config.pad_token_id)
    unknown = ids.get(_content(named.get("unk_token")) or _content(model.get("unk_token")))
    return {
        "tokenizer": hashlib.sha256(tokenizer).hexdigest(),
        "max_length": _length(plan, named.get("model_max_length")),
        "pad": 0 if pad is None else int(pad),
        "unknown": model.get("unk_id") if unknown is None else unknown,
        "types": plan.family.types and config.type_vocab_size > 1,
    }


def _length(plan: Plan, tokenizer: int | None) -> int:
    """The longest text in tokens: as asked, or what network, tokenizer and pooling allow."""
    asked, positions = plan.options.max_length, _positions(plan.config, plan.family)
    if asked:
        if not _SHORTEST <= asked <= positions:
            raise HeadstartError(
                f"{plan.what}?max_length={asked} is not between {_SHORTEST} and {positions}, "
                "which is what the model can take. Give a number between them."
            )
        return asked
    own = LENGTH
    for path in sorted(plan.place.folder.glob("sentence_*_config.json")):
        own = _object(path).get("max_seq_length") or own
    return int(min(positions, own, tokenizer or positions))


def _positions(config: Any, family: Family) -> int:
    """How many tokens there are positions for; RoBERTa's begin after that of padding."""
    padding = 1 if config.pad_token_id is None else int(config.pad_token_id)
    return int(config.max_position_embeddings) - family.reserved * (padding + 1)


def _object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty where there is no file."""
    return read_json(path) if path.is_file() else {}


def _content(token: Any) -> str:
    """A special token's text, written alone or among its properties."""
    found = token.get("content") if isinstance(token, Mapping) else token
    return found if isinstance(found, str) else ""


def _ids(settings: Mapping[str, Any]) -> dict[str, int]:
    """Token -> id, of the vocabulary and what was added to it."""
    vocabulary = (settings.get("model") or {}).get("vocab") or {}
    if isinstance(vocabulary, list):  # of a unigram model: pairs of a token and its score
        vocabulary = {pair[0]: number for number, pair in enumerate(vocabulary)}
    added = {token["content"]: token["id"] for token in settings.get("added_tokens") or ()}
    return {**vocabulary, **added}


def _converted(folder: Path, what: str) -> bytes:
    """tokenizer.json made by transformers from an older tokenizer's files."""
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise HeadstartError(
            f"{what} has no {TOKENIZER}, nor a vocabulary. Give a model with its tokenizer."
        )
    from transformers import AutoTokenizer

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokenizer = AutoTokenizer.from_pretrained(
                folder, use_fast=True, local_files_only=True, trust_remote_code=False
            )
            text: str = tokenizer.backend_tokenizer.to_str()
    except Exception as error:  # each kind of tokenizer fails in its own way
        reason = str(error).strip().partition("\n")[0].rstrip(".")[:160]
        raise HeadstartError(
            f"{what} has no {TOKENIZER}, and its older tokenizer can't be made into one ({reason})."
            " Give a model that was saved with one."
        ) from error
    return text.encode()

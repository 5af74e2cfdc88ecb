"""The tokenizer as the model's own library makes it, and what the model's inputs must look like."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from headstart.errors import HeadstartError, reason
from headstart.hubs.huggingface.families import Family
from headstart.hubs.huggingface.loading import quiet
from headstart.hubs.huggingface.planning import TextSpec
from headstart.hubs.huggingface.reading import BESIDE, CONFIG, TOKENIZER, VOCABULARIES
from headstart.hubs.huggingface.reading import read_json as _read
from headstart.hubs.huggingface.sentences import own_settings

LENGTH: Final = 512  # tokens, where nothing asks for fewer or more
ENDLESS: Final = 1 << 17  # tokens of a text where nothing bounds them, so that memory is
_SHORTEST: Final = 3  # one token between the two that most tokenizers put around a text
_SMALL: Final = 1 << 20  # bytes of a vocabulary that is kept beside the tokenizer that holds it
_LARGEST: Final = 1 << 29  # bytes of a tokenizer
_ELSEWHERE: Final = (  # entries by which a tokenizer_config.json leads to code or other files
    *("auto_map", "name_or_path", "tokenizer_object", "gguf_file", "chat_template"),
    *("processor_class", "fix_mistral_regex"),
)


@final
@dataclass(frozen=True)
class Tokens:
    """A tokenizer: its files, and the recipe that says how texts become inputs, JSON-able.

    `prompt` is how many tokens a text begins with that are left out of pooling.
    """

    files: Mapping[str, bytes]
    preprocess: Mapping[str, Any]
    prompt: int


def tokens(spec: TextSpec, vectors: int) -> Tokens:
    """The tokenizer of a plan, without padding and the usual truncation, which are ours to do.

    `vectors` is how many tokens the network has a vector for.

    Where tokenizer.json and tokenizer_config.json contradict each other, transformers decides, and
    what it makes of them is kept. Raises HeadstartError where there is no tokenizer, none that can
    be made into one, or a length that the model can't take.
    """
    library = _opened(spec)
    backend = library.backend_tokenizer
    content = json.loads(backend.to_str())
    if spec.sentences is not None and spec.sentences.lower:
        _lower(content)
    if spec.sentences is not None and spec.sentences.static:
        content["post_processor"] = None  # that library adds no special tokens
    # the text of added tokens that the network has no vector for is text
    content["added_tokens"] = [t for t in content["added_tokens"] if t["id"] < vectors]
    length = _length(spec, library, content.get("truncation"))
    content |= {"padding": None, "truncation": None}
    if library.truncation_side == "left" or (spec.family is None and length < ENDLESS):
        content["truncation"] = _truncation(length, library.truncation_side)
    text = json.dumps(content, ensure_ascii=False).encode()
    preprocess = {
        "tokenizer": hashlib.sha256(text).hexdigest(),
        "max_length": length,
        "pad": library.pad_token_id or 0,
        "unknown": _unknown(library, content),
        "types": spec.family is not None and spec.family.types and spec.config.type_vocab_size > 1,
    }
    prompt = spec.sentences.prompt if spec.sentences is not None else ""
    preprocess |= {"prompt": prompt} if prompt else {}
    preprocess |= {"side": "left"} if library.truncation_side == "left" else {}
    preprocess |= {"split": True} if library.split_special_tokens else {}
    skipped = spec.sentences is not None and spec.sentences.without_prompt and prompt
    return Tokens(
        {TOKENIZER: text, **_beside(spec.layout.reader)},
        preprocess,
        _prompt_length(type(backend).from_str(text.decode()), prompt, library) if skipped else 0,
    )


def _opened(spec: TextSpec) -> Any:
    """transformers' tokenizer, made of copies of the files, so that they lead nowhere else."""
    folder, what = spec.layout.reader, spec.what
    static = spec.sentences is not None and spec.sentences.static
    if static:
        folder = spec.layout.encoder
    _check(folder, what)
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    auto: Any = AutoTokenizer
    plain: Any = PreTrainedTokenizerFast
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        copy = Path(place)
        try:
            if static:  # sentence-transformers reads the one file alone
                return plain(tokenizer_file=str(folder / TOKENIZER))
            copied(folder, copy, spec.layout.raw)
            library = auto.from_pretrained(
                copy, use_fast=True, local_files_only=True, trust_remote_code=False
            )
            library.backend_tokenizer.to_str()
        except Exception as error:  # each kind of tokenizer fails in its own way
            raise HeadstartError(
                f"{what} has a tokenizer that transformers can't open ({reason(error)}). "
                f"Give a model that was saved with a {TOKENIZER}."
            ) from error
    return library


def _check(folder: Path, what: str) -> None:
    """Raise HeadstartError where there is no tokenizer, or no JSON where there should be."""
    path = folder / TOKENIZER
    if not path.is_file():
        if any((folder / name).is_file() for name in VOCABULARIES):
            return
        raise HeadstartError(
            f"{what} has no {TOKENIZER}, nor a vocabulary. Give a model with its tokenizer."
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"more than {_LARGEST >> 20} MB")
        model = json.loads(path.read_bytes())["model"]
        dict(model)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise HeadstartError(
            f"{path} can't be read as a tokenizer ({error}). Copy or download it again."
        ) from error


def copied(folder: Path, copy: Path, raw: Mapping[str, Any]) -> None:
    """Copy a tokenizer's files, without what leads elsewhere, and the kind of its model."""
    for name in (TOKENIZER, *BESIDE[1:], *VOCABULARIES):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, copy / name)
    settings = folder / BESIDE[0]
    if settings.is_file():
        (copy / BESIDE[0]).write_bytes(_plain(settings))
    config = {
        n: raw[n] for n in ("model_type", "transformers_version", "tokenizer_class") if n in raw
    }
    (copy / CONFIG).write_text(json.dumps(config), encoding="utf-8")


def _beside(folder: Path) -> dict[str, bytes]:
    """What transformers reads beside tokenizer.json, as it is."""
    files = {}
    for name in (*BESIDE, VOCABULARIES[0]):
        path = folder / name
        if path.is_file() and (name in BESIDE or path.stat().st_size <= _SMALL):
            files[name] = _plain(path) if name == BESIDE[0] else path.read_bytes()
    return files


def _plain(path: Path) -> bytes:
    """tokenizer_config.json without what leads to code or to other files."""
    content = _read(path)
    plain = {n: v for n, v in content.items() if n not in _ELSEWHERE and not n.endswith("_file")}
    return path.read_bytes() if plain == content else json.dumps(plain, indent=2).encode()


def _lower(content: dict[str, Any]) -> None:
    """Put texts in lower case first, as sentence-transformers does for `do_lower_case`."""
    own = content["normalizer"]
    steps = [] if own is None else own["normalizers"] if own["type"] == "Sequence" else [own]
    if all(step["type"] != "Lowercase" for step in steps):
        steps = [{"type": "Lowercase"}, *steps]
        content["normalizer"] = {"type": "Sequence", "normalizers": steps}


def _unknown(library: Any, content: Mapping[str, Any]) -> int | None:
    """The id of what the vocabulary lacks, where it may lack any."""
    model = content.get("model") or {}
    if library.unk_token_id is not None:
        return int(library.unk_token_id)
    number = model.get("unk_id")
    if number is None and isinstance(model.get("unk_token"), str):
        number = library.backend_tokenizer.token_to_id(model["unk_token"])
    return number if isinstance(number, int) else None


def _length(spec: TextSpec, library: Any, truncation: Any) -> int:
    """The longest text in tokens: as asked, or what network, tokenizer and pooling allow."""
    length, positions = spec.options.max_length, _positions(spec.config, spec.family)
    if length:
        if not _SHORTEST <= length <= positions:
            raise HeadstartError(
                f"{spec.what}?max_length={length} is not between {_SHORTEST} and {positions}, "
                "which is what the model can take. Give a number between them."
            )
        return length
    if spec.family is None:
        return min(positions, _whole(truncation.get("max_length")) if truncation else positions)
    own = _whole(own_settings(spec.layout.encoder).get("max_seq_length"))
    own = own or _whole(own_settings(spec.layout.root).get("max_seq_length"))
    if own:
        return min(positions, own)
    usual = positions if spec.sentences is not None else LENGTH
    return min(positions, usual, _whole(library.model_max_length) or positions)


def _truncation(length: int, side: str) -> dict[str, Any]:
    """What tells a library that reads tokenizer.json alone how to cut texts."""
    cuts = {"direction": side.capitalize(), "max_length": length}
    return {**cuts, "strategy": "LongestFirst", "stride": 0}


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _positions(config: Any, family: Family | None) -> int:
    """How many tokens there are positions for; RoBERTa's begin after that of padding."""
    if family is None:
        return ENDLESS
    padding = 1 if config.pad_token_id is None else int(config.pad_token_id)
    return int(config.max_position_embeddings) - family.reserved * (padding + 1)


def _prompt_length(tokenizer: Any, prompt: str, library: Any) -> int:
    """How many tokens a prompt alone has but for a special one at its end."""
    ids = tokenizer.encode(prompt).ids
    return len(ids) - (ids[-1] in library.all_special_ids)

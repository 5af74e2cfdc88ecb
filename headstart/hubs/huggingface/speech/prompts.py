"""The pieces that Whisper and Speech2Text write in, and what they are told before they write."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from headstart.errors import HeadstartError, reason
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.loading import quiet
from headstart.hubs.huggingface.reading import BESIDE, read_json
from headstart.hubs.huggingface.speech import SpeechOptions
from headstart.hubs.huggingface.tokens import copied
from headstart.loading.sequences.dictation import Pieces, opened
from headstart.loading.sequences.vocabulary import from_pieces

GENERATION: Final = "generation_config.json"
_TOKENIZER: Final = "tokenizer.json"
_MODEL, _IDS = "sentencepiece.bpe.model", "vocab.json"
_MOST_BEAMS: Final = 16
_TASKS: Final = ("transcribe", "translate")


def pieces_of(layout: Layout, options: SpeechOptions, network: Any) -> Pieces:
    """Those of a folder. Raises HeadstartError where they can't be read, or options don't fit."""
    path = layout.encoder / GENERATION
    own = read_json(path) if path.is_file() else {}
    own = {name: value for name, value in own.items() if name != "forced_decoder_ids"}
    config = network.config
    positions = int(config.max_target_positions)
    start = own.get("decoder_start_token_id", config.decoder_start_token_id)
    end = own.get("eos_token_id", config.eos_token_id)
    end = end[0] if isinstance(end, list) else end
    pad = own.get("pad_token_id", config.pad_token_id)
    common: dict[str, Any] = {"start": int(start), "end": int(end), "longest": positions}
    common |= {"pad": int(end if pad is None else pad), "beams": _beams(own)}
    if layout.kind == "whisper":
        return _of_whisper(layout, options, own, common)
    _demand_plain(layout, options)
    return _of_speech_to_text(layout, own, common)


def _beams(own: Mapping[str, Any]) -> int:
    count = own.get("num_beams")
    return min(count, _MOST_BEAMS) if isinstance(count, int) and count > 0 else 1


def _of_whisper(
    layout: Layout, options: SpeechOptions, own: dict[str, Any], common: Mapping[str, Any]
) -> Pieces:
    tokenizer, files = _opened(layout)
    languages = own.get("lang_to_id") or {}
    numbers = {_word(name): int(number) for name, number in dict(languages).items()}
    tasks = {name: tokenizer.token_to_id(f"<|{name}|>") for name in _TASKS}
    if options.task not in _TASKS:
        raise HeadstartError(
            f"{layout.what}?task={options.task} is not known. Give one of {', '.join(_TASKS)}."
        )
    language = options.language or (_word(own["language"]) if own.get("language") else "")
    if options.language and not numbers:
        raise HeadstartError(
            f"{layout.what} is of one language, and language={options.language} names one. "
            "Leave it out."
        )
    if language and language not in numbers:
        listed = ", ".join(sorted(numbers)[:8])
        raise HeadstartError(
            f"{layout.what} has no language {language!r}. Give one of its codes, such as {listed}."
        )
    task = tasks[options.task] if numbers else None
    plain = own.get("no_timestamps_token_id", tokenizer.token_to_id("<|notimestamps|>"))
    before = [number for number in (task, plain) if number is not None]
    if numbers:
        own |= {"task": options.task} | ({"language": f"<|{language}|>"} if language else {})
    return Pieces(
        tokenizer=tokenizer,
        languages=[numbers[language]] if language else sorted(numbers.values()),
        before=before,
        suppressed=_numbers(own.get("suppress_tokens")),
        suppressed_first=_numbers(own.get("begin_suppress_tokens")),
        lead=" ",
        own=own,
        files=files,
        **common,
    )


def _word(token: Any) -> str:
    """`en` of `<|en|>`."""
    return str(token).strip("<|>").lower()


def _numbers(value: Any) -> Sequence[int]:
    return [n for n in value if isinstance(n, int) and n >= 0] if isinstance(value, list) else ()


def _opened(layout: Layout) -> tuple[Any, dict[str, bytes]]:
    """The tokenizer that transformers makes of a folder, and its files."""
    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        folder = Path(place)
        copied(layout.reader, folder, layout.raw)
        try:
            own = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            backend = own.backend_tokenizer
            content = backend.to_str().encode()
        except Exception as error:  # each kind of tokenizer fails in its own way
            raise HeadstartError(
                f"{layout.what} has a tokenizer that transformers can't open ({reason(error)}). "
                f"Give a model that was saved with a {_TOKENIZER}."
            ) from error
        files = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "config.json"}
    return opened(content), {**files, _TOKENIZER: content}


def _of_speech_to_text(layout: Layout, own: dict[str, Any], common: Mapping[str, Any]) -> Pieces:
    files = {}
    for name in (_MODEL, _IDS, *BESIDE):
        path = layout.reader / name
        if path.is_file():
            files[name] = path.read_bytes()
    settings = read_json(layout.reader / BESIDE[0]) if BESIDE[0] in files else {}
    if settings.get("lang_codes"):
        raise HeadstartError(
            f"{layout.what} translates what it hears, which is not known here. "
            "Give a model that writes down what is said."
        )
    try:
        ids = {str(name): int(n) for name, n in read_json(layout.reader / _IDS).items()}
        vocabulary = from_pieces(files[_MODEL], ids)
    except (KeyError, ValueError, TypeError, StopIteration) as error:
        raise HeadstartError(
            f"{layout.what} has a vocabulary that can't be used ({error}). Copy or download it "
            "again."
        ) from error
    return Pieces(
        tokenizer=opened(vocabulary),
        upper=bool(settings.get("do_upper_case")),
        lower=bool(settings.get("do_lower_case") or settings.get("do_upper_case")),
        own=own,
        files=files,
        **common,
    )


def _demand_plain(layout: Layout, options: SpeechOptions) -> None:
    if options.language or options.task != _TASKS[0]:
        raise HeadstartError(
            f"{layout.what} is of one language and one task. Leave out language= and task=."
        )

"""The small files of a model's folder: their names, their JSON, the front matter of its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from huggingface_hub import metadata_load

from headstart.errors import HeadstartError
from headstart.loading.refusals import unreadable

CONFIG: Final = "config.json"
ADAPTER: Final = "adapter_config.json"
WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")  # the first that is there
PROCESSORS: Final = ("preprocessor_config.json", "processor_config.json")  # of pictures
TOKENIZER: Final = "tokenizer.json"
BESIDE: Final = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
VOCABULARIES: Final = (
    *("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "spm.model"),
    *("sentencepiece.bpe.model", "tokenizer.model", "source.spm", "target.spm"),
)
_LARGEST: Final = 1 << 26  # bytes of a file that describes a model


def text_of(path: Path) -> str:
    """A small file of text. Raises HeadstartError where it is none."""
    try:
        if path.stat().st_size > _LARGEST:
            raise HeadstartError(
                f"{path} is larger than {_LARGEST >> 20} MB, far more than a description needs. "
                "Copy or download it again."
            )
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises HeadstartError where there is none."""
    text = text_of(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    if not isinstance(content, dict):
        raise HeadstartError(f"{path} holds no JSON object. Copy or download it again.")
    return content


def card(folder: Path) -> tuple[str | None, str | None]:
    """The licence, and the data sets trained on, that the model's card names."""
    path = folder / "README.md"
    try:
        front = (metadata_load(path) if path.is_file() else None) or {}
    except Exception:  # front matter that is no YAML, or an odd encoding
        front = {}
    return _joined(front.get("license")), _joined(front.get("datasets"))


def _joined(value: Any) -> str | None:
    """Text, or a list of it in one line."""
    parts = value if isinstance(value, list) else [value]
    return ", ".join(part for part in parts if isinstance(part, str)) or None


def dumped(content: Any) -> bytes:
    """JSON as a file of a model's folder holds it."""
    return (json.dumps(content, indent=2) + "\n").encode()

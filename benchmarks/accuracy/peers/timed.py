"""What every peer's script takes and writes here, and what pictures and texts are to all of them.

`--until` is when the process will be ended, in seconds since 1970: imports count. What is written
is the label of each test item, in the order of the files' paths or of the table's lines.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "peers"))

BATCH = 32
LEARNED = ("train", "validation")
Labelled = tuple[list[Any], list[str]]  # paths of pictures or texts, and their labels


def arguments(about: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="train/, validation/, test/ or CSV"
    )
    parser.add_argument("--weights", type=Path, help="of timm's mobilenetv2_100, in safetensors")
    parser.add_argument("--size", type=int, help="of pictures, in pixels")
    parser.add_argument("--encoder", type=Path, help="a folder that transformers reads")
    parser.add_argument("--until", type=float, required=True, help="when this process is ended")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    os.environ["HF_HUB_OFFLINE"] = "1"
    return parser.parse_args()


def left(args: argparse.Namespace) -> float:
    """Seconds until the end."""
    return float(args.until) - time.time()


def epochs(args: argparse.Namespace, seconds: float, rest: float, most: int) -> int:
    """How many epochs of so many seconds find time before the rest, a tenth kept in reserve."""
    return max(1, min(most, int((0.9 * left(args) - rest) / seconds)))


def items(args: argparse.Namespace, splits: Sequence[str]) -> Labelled:
    """The items of some splits with their labels, in order."""
    contents: list[Any] = []
    labels: list[str] = []
    for split in splits:
        if args.encoder is None:
            files = sorted((args.data / split).glob("*/*"))
            contents += files
            labels += [file.parent.name for file in files]
            continue
        with (args.data / f"{split}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        contents += [row["text"] for row in rows]
        labels += [row["label"] for row in rows]
    return contents, labels


def write(args: argparse.Namespace, peer: str, predicted: Sequence[str], **more: Any) -> None:
    """Write the labels of the test items."""
    from contract import versions

    record = {"peer": peer, "predicted": list(predicted), "versions": versions(), **more}
    args.out.write_text(json.dumps(record), encoding="utf-8")


def view(size: int, augmented: bool = False) -> Any:
    """The transform of one picture: 7/8 of its shorter side, or a random part, mirrored or not."""
    from torchvision import transforms

    how = transforms.InterpolationMode.BICUBIC
    whole = [transforms.Resize(size * 8 // 7, interpolation=how), transforms.CenterCrop(size)]
    part = [
        transforms.RandomResizedCrop(size, scale=(0.5, 1.0), interpolation=how),
        transforms.RandomHorizontalFlip(),
    ]
    last = [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
    return transforms.Compose([*(part if augmented else whole), *last])


def opened(path: Path) -> Any:
    """A picture in colour."""
    from PIL import Image

    return Image.open(path).convert("RGB")


def features(args: argparse.Namespace, splits: Sequence[str]) -> tuple[Any, list[str]]:
    """Frozen features (N, D) of splits by the pretrained network in fp32, and the labels."""
    import numpy as np
    import torch

    contents, labels = items(args, splits)
    encode = _texts(args) if args.encoder else _pictures(args)
    with torch.inference_mode():
        parts = [encode(contents[n : n + BATCH]).numpy() for n in range(0, len(contents), BATCH)]
    return np.concatenate(parts), labels


def _pictures(args: argparse.Namespace) -> Any:
    import torch
    from timm_model import network

    model = network("mobilenetv2_100", args.weights, 0).eval()
    transform = view(args.size)
    return lambda paths: model(torch.stack([transform(opened(path)) for path in paths]))


def _texts(args: argparse.Namespace) -> Any:
    from torch.nn.functional import normalize
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(args.encoder)
    model = AutoModel.from_pretrained(args.encoder).eval()

    def encode(texts: list[str]) -> Any:
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        hidden, mask = model(**tokens).last_hidden_state, tokens["attention_mask"][..., None]
        return normalize((hidden * mask).sum(1) / mask.sum(1))

    return encode

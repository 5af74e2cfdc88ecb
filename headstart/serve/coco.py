"""Boxes as a COCO file: pictures, categories and annotations with scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError

_FIRST = 1  # number of the first id: evaluators pass over an annotation that is number 0


def write(draft: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of answers. Raises HeadstartError where they hold no boxes."""
    images: list[dict[str, Any]] = []
    boxes: list[tuple[int, Mapping[str, Any]]] = []
    for row in rows:
        if row.get("error"):
            continue
        if "boxes" not in row:
            raise HeadstartError(
                "A .json file holds boxes as COCO has them, and the model answers with none. "
                "Name a file that ends in .jsonl, .csv or .parquet."
            )
        number = len(images) + _FIRST
        width, height = row["size"]
        images.append({"id": number, "file_name": row["path"], "width": width, "height": height})
        boxes += [(number, box) for box in row["boxes"]]
    names = sorted({str(box["label"]) for _, box in boxes})
    ids = {name: number for number, name in enumerate(names, start=_FIRST)}
    document = {
        "images": images,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "annotations": [
            _annotation(place, image, ids[str(box["label"])], box)
            for place, (image, box) in enumerate(boxes, start=_FIRST)
        ],
    }
    draft.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def _annotation(number: int, image: int, category: int, box: Mapping[str, Any]) -> dict[str, Any]:
    left, top, right, bottom = box["box"]
    width, height = round(right - left, 2), round(bottom - top, 2)
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [left, top, width, height],
        "area": round(width * height, 2),
        "iscrowd": 0,
        "score": box["score"],
    }

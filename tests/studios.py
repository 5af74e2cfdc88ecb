"""Studios that are served while a block lasts, and what is given to them."""

from __future__ import annotations

import csv
import io
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import quote

import numpy as np
from local_pages import Visitor, served
from PIL import Image

from headstart.studio.desk import Opening
from headstart.studio.opening import studio

CONVNET = "seeded:convnet"
HUES = {"ants": (200, 80, 20), "bees": (20, 200, 80), "wasps": (80, 20, 200)}


def opened(
    folder: Path, *sources: str, data: Path | None = None
) -> AbstractContextManager[Visitor]:
    """A studio of a session's folder."""
    opening = Opening(folder, sources or (CONVNET,))
    return served(lambda progress: studio(data, opening, progress=progress))


def picture(name: str, number: int, side: int = 32) -> bytes:
    """A small noisy picture in a class's colour, the same for the same number."""
    rng = np.random.default_rng([number, *name.encode()])
    pixels = rng.normal(HUES[name], 40, (side, side, 3)).clip(0, 255).astype("uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def add(visitor: Visitor, raw: bytes, label: str = "", name: str = "a.png") -> dict[str, object]:
    """Give an example, and what the page says."""
    return visitor.give(f"add?label={quote(label)}&name={quote(name)}", raw)


def filled(visitor: Visitor, counts: dict[str, int]) -> None:
    """Give so many pictures a class."""
    for name, count in counts.items():
        for number in range(count):
            assert (
                add(visitor, picture(name, number), name, f"{name}-{number}.png")["status"] == 200
            )


def rows(path: Path) -> list[list[str]]:
    """The cells of a table, its header left out."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]

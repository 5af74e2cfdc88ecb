"""A folder of classes of photos in one file: a table of bytes or paths, or a shard."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def parquet(root: Path, photos: Path) -> Path:
    """A table of their bytes, in row groups of ten."""
    rows = sorted(photos.rglob("*.png"))
    columns = {
        "image": [{"bytes": path.read_bytes(), "path": None} for path in rows],
        "label": [path.parent.name for path in rows],
    }
    pq.write_table(pa.table(columns), root / "train.parquet", row_group_size=10)
    return root / "train.parquet"


def arrow(root: Path, photos: Path) -> Path:
    """The same as a file of Arrow."""
    table = pq.read_table(parquet(root, photos))
    with (
        pa.OSFile(str(root / "a.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as file,
    ):
        file.write_table(table, max_chunksize=10)
    return root / "a.arrow"


def manifest(root: Path, photos: Path) -> Path:
    """A table of their paths."""
    rows = sorted(path.relative_to(root).as_posix() for path in photos.rglob("*.png"))
    lines = [f"{row},{row.split('/')[1]}" for row in rows]
    (root / "list.csv").write_text("\n".join(["what,label", *lines]))
    return root / "list.csv"


def shard(root: Path, photos: Path) -> Path:
    """A WebDataset shard."""
    with tarfile.open(root / "a.tar", "w") as tar:
        for number, path in enumerate(sorted(photos.rglob("*.png"))):
            for ending, content in (("png", path.read_bytes()), ("cls", path.parent.name.encode())):
                member = tarfile.TarInfo(f"{number:04}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return root / "a.tar"

"""Folders that only wrap the one that a data set lies in."""

from __future__ import annotations

from headstart.data.items.folders import holds_classes
from headstart.data.names import split_of
from headstart.data.trees import Folder


def unwrapped(tree: Folder) -> Folder:
    """The folder that the data set lies in, where the others only wrap it."""
    folder = tree
    while True:
        inner = _inner(folder)
        if inner is None:
            return folder
        folder = inner


def _inner(folder: Folder) -> Folder | None:
    """The only folder in it that holds anything, if it holds folders or tables itself."""
    snapshots = folder.folder("snapshots")
    if snapshots and folder.folder("blobs"):  # as the Hugging Face cache keeps a data set
        return _snapshot(folder, snapshots)
    full = [each for each in folder.folders if each.items or _lists(each)]
    if folder.files or folder.tables or len(full) != 1 or split_of(full[0].name):
        return None
    return full[0] if full[0].tables or _wraps(full[0]) else None


def _wraps(folder: Folder) -> bool:
    """Whether class folders or splits lie in it, and no items but a few beside splits."""
    if folder.files:
        return any(inner.split for inner in folder.full) and holds_classes(folder)
    return any(inner.items or _lists(inner) for inner in folder.folders)


def _lists(folder: Folder) -> bool:
    return any(each.tables for each, _ in folder.below())


def _snapshot(folder: Folder, snapshots: Folder) -> Folder | None:
    """The snapshot that the branch `main` is at, else the only one."""
    main = folder.path / "refs" / "main"
    name = main.read_text(encoding="utf-8", errors="replace").strip() if main.is_file() else ""
    only = snapshots.folders[0] if len(snapshots.folders) == 1 else None
    return snapshots.folder(name) or only

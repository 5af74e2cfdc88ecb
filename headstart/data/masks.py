"""Files that mark pictures, such as masks, and lie beside them: no items of their own."""

from __future__ import annotations

import re
from dataclasses import replace

from headstart.data.names import marks_items, only_part
from headstart.data.trees import Folder

_MASK = re.compile(r"(.+?)[ _-]+(mask|masks|segmentation|trimap)([ _-]?\d+)?", re.IGNORECASE)


def without_masks(tree: Folder) -> tuple[Folder, tuple[str, ...]]:
    """The tree without masks as items, and a sentence on each kind of them that is there.

    Files called `NAME_mask` beside the file `NAME` are such, and those in a folder such as `masks`
    or `annotations` beside one that only holds files, such as `images`.
    """
    emptied: list[str] = []
    count = 0

    def cleaned(folder: Folder) -> Folder:
        nonlocal count
        items_here, masks = _files(folder)
        count += len(masks)
        holders = [f for f in folder.full if only_part([f.name]) and not marks_items(f.name)]
        folders = []
        for inner in folder.folders:
            if holders and inner.items and marks_items(inner.name):
                emptied.append(inner.name)
                folders.append(_emptied(inner))
            else:
                folders.append(cleaned(inner))
        if not masks and all(a is b for a, b in zip(folders, folder.folders, strict=True)):
            return folder
        items = len(items_here) + sum(inner.items for inner in folders)
        others = (*folder.others, *masks)
        return replace(folder, files=items_here, others=others, folders=tuple(folders), items=items)

    tree = cleaned(tree)
    names = sorted(set(emptied))
    sentences = [f"Folder {n!r} holds files that belong to items and is not used." for n in names]
    if count:
        what = "1 file is a mask of another and is" if count == 1 else f"{count} files are masks of"
        sentences.append(f"{what} not used." if count == 1 else f"{what} others and are not used.")
    return tree, tuple(sentences)


def _files(folder: Folder) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files of a folder that are items, and those that are masks of others there."""
    stem_of = {name: match[1] for name in folder.files if (match := _MASK.fullmatch(_stem(name)))}
    if not stem_of:
        return folder.files, ()
    stems = {_stem(name) for name in folder.files}
    masks = tuple(name for name, of in stem_of.items() if of in stems)
    return tuple(name for name in folder.files if name not in masks), masks


def _emptied(folder: Folder) -> Folder:
    """The folder with its files as others, so that none is an item; its tables stay."""
    inner = tuple(map(_emptied, folder.folders))
    return replace(folder, files=(), others=(*folder.others, *folder.files), folders=inner, items=0)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name

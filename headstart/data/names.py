"""What the name of a folder or file says: a split, a mere part of the data, or none of both."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from headstart.data.sources import SPLIT_WORDS

UNLABELLED = "unlabelled"  # the word for items that are there for other uses than learning labels
_UNLABELLED_WORDS = frozenset(
    {"unlabeled", "unlabelled", "unsup", "pred", "predict", "prediction", "predictions"}
)
_FILLERS = (  # words that stand beside a split's name and say nothing
    *("datasets", "dataset", "data", "sets", "set", "images", "image", "imgs", "img", "photos"),
    *("photo", "pictures", "picture", "pics", "files", "folder", "split", "seg", "ilsvrc"),
    *("texts", "text", "jpegs", "jpeg", "jpg", "png", "orig", "original", "full", "all"),
)
_PARTS = frozenset({"part", "batch", "chunk", "fold", "shard", *_FILLERS})
_TREATMENTS = frozenset(  # names of folders that hold a class's items in several forms
    {"raw", "cropped", "original", "originals", "augmented", "resized", "masks", "left", "right"}
)
_SUBMISSION = re.compile(r"submi(ssion|t)", re.IGNORECASE)  # forms that competitions hand out
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def alike(name: str) -> str:
    """Equal for names that some file systems take for one: other case or composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def split_of(name: str) -> str | None:
    """The split that a folder is called after: `test_set`, `seg_train`, `Train2`, `valid_images`.

    `unlabelled` for folders such as `seg_pred`; None for all others.
    """
    splits = set()
    for word in re.findall("[a-z]+", _CAMEL.sub(" ", name).lower()):
        if word in _UNLABELLED_WORDS:
            return UNLABELLED
        split = split_word(word)
        if split is None and word not in _FILLERS:
            return None
        splits.add(split)
    splits.discard(None)
    return splits.pop() if len(splits) == 1 else None


def split_word(word: str) -> str | None:
    """The split that a single word names, such as `valid` or `trainset`."""
    word = word.lower().rstrip("0123456789")
    ends = [word.removesuffix(filler) for filler in _FILLERS if word.endswith(filler)]
    return next((SPLIT_WORDS[stem] for stem in (word, *ends) if stem in SPLIT_WORDS), None)


def split_in(stem: str) -> tuple[str, str, str] | None:
    """The split that a table is called after, its word, and what stands before that word."""
    words = re.split(r"[^a-z0-9]+", stem.lower())
    for place, word in enumerate(words):
        split = split_word(word)
        if split is not None:
            return split, word, "_".join(words[:place])
    return None


def lists_no_items(name: str) -> bool:
    """Whether a table is known to list none: `sample_submission.csv`, `_annotations.csv`."""
    return _SUBMISSION.search(name) is not None or name.startswith("_annotations.")


def only_part(names: Iterable[str]) -> bool:
    """Whether folders of these names can only part the data: `part_1`, `images`, `batch2`."""
    stems = {_stem(name) for name in names}
    return len(stems) == 1 and stems <= _PARTS


def number(names: Iterable[str]) -> bool:
    """Whether names count, and name no class where others could: years, `site_a`, `subject-12`."""
    known = sorted(set(names))
    if len(known) == 1 or only_part(known) or all(split_of(name) for name in known):
        return True
    if all(name.lower() in _TREATMENTS for name in known):
        return True
    stems = {_stem(name) for name in known}
    counted = all(re.search(r"\d$|[\W_][A-Za-z]$", name) for name in known)
    return counted and len(stems) == 1


def _stem(name: str) -> str:
    """A name without what counts at its end: digits, or one letter after a sign."""
    return re.sub(r"[\W_]*(\d+|[\W_][a-z])?$", "", name.lower())

"""What the name of a folder or file says: a split, a mere part of the data, or none of both."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
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
    *("audios", "audio", "sounds", "recordings", "clips", "wavs", "wav", "flac", "mp3"),
)
_PARTS = frozenset({"part", "batch", "chunk", "fold", "shard", *_FILLERS})
_TREATMENTS = frozenset(  # names of folders that hold a class's items in several forms
    {"raw", "cropped", "original", "originals", "augmented", "resized", "masks", "left", "right"}
)
_MARKS = frozenset(  # what folders hold that belongs to the items of a folder beside them
    {"masks", "annotation", "annotations", "labels", "trimaps", "segmentations", "groundtruth"}
    | {"gt", "xmls", "bboxes"}
)
_LISTS = frozenset(  # words in the names of folders that hold tables of items
    {"meta", "metadata", "annotation", "annotations", "labels", "label", "groundtruth", "truth"}
    | {"csv", "csvs", "lists", "splits", "tables", "info", "docs"}
)
_PEOPLE = frozenset(  # words that people, their sittings and places are numbered by
    {"actor", "actress", "speaker", "spk", "subject", "subj", "sub", "patient", "person", "donor"}
    | {"participant", "user", "volunteer", "singer", "signer", "writer", "talker", "performer"}
    | {"session", "sess", "trial", "take", "visit", "site", "camera", "cam"}
)
_OWNERS = frozenset(  # words that rows of tables belong together by, besides those of people
    {"client", "customer", "household", "family", "owner", "author", "animal", "device", "machine"}
    | {"account", "student", "pupil", "driver", "worker", "employee", "member", "video", "film"}
    | {"recording", "document", "article", "dialogue", "dialog", "conversation", "thread"}
)
_MAY_BE_TOPICS = frozenset({"subject", "sub", "site", "take", "film", "trial", "article", "thread"})
_NUMBERINGS = frozenset({"id", "ids", "no", "nr", "num", "number", "code", "key", "hash", "uuid"})
_PERSON = re.compile(r"[FMPSfmps]\d{2,}")  # as `S01` and `F03` are
_SUBMISSION = re.compile(r"submi(ssion|t)", re.IGNORECASE)  # forms that competitions hand out
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OF_SYSTEMS = frozenset(  # folders that file systems and archivers leave beside those of a user
    {"__macosx", "__pycache__", "@eadir", "#recycle", "$recycle.bin", "lost+found"}
    | {"system volume information"}
)


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


def splits_among(names: Iterable[str]) -> dict[str, str]:
    """The splits that folders side by side are called after, by their names.

    Where none is by itself, those whose names are alike but for that word: `asl_alphabet_train`.
    """
    every = list(names)
    own = {name: split for name in every if (split := split_of(name))}
    groups: defaultdict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in every:
        words = _words(name)
        for place, word in enumerate(words):
            if split := split_word(word):
                groups[(*words[:place], "", *words[place + 1 :])][name] = split
    alone = [
        group for group in groups.values() if "train" in (s := {*group.values()}) and len(s) > 1
    ]
    return own or (alone[0] if len(alone) == 1 else {})


def split_word(word: str) -> str | None:
    """The split that a single word names, such as `valid` or `trainset`."""
    word = word.lower().rstrip("0123456789")
    ends = [word.removesuffix(filler) for filler in _FILLERS if word.endswith(filler)]
    return next((SPLIT_WORDS[stem] for stem in (word, *ends) if stem in SPLIT_WORDS), None)


def split_in(stem: str) -> tuple[str, str, str] | None:
    """The split that a table is called after, its word, and what stands before that word."""
    words = _words(stem)
    for place, word in enumerate(words):
        split = split_word(word)
        if split is not None:
            return split, word, "_".join(words[:place])
    return None


def passed_over(name: str) -> bool:
    """Whether a file or folder is hidden, or one that no user made."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def lists_no_items(name: str) -> bool:
    """Whether a table is known to list none: `sample_submission.csv`, `_annotations.csv`."""
    return _SUBMISSION.search(name) is not None or name.startswith("_annotations.")


def only_part(names: Iterable[str]) -> bool:
    """Whether folders of these names can only part the data: `part_1`, `images`, `batch2`."""
    stems = {_stem(name) for name in names}
    return len(stems) == 1 and stems <= _PARTS


def marks_items(name: str) -> bool:
    """Whether a folder is called after what belongs to items, such as `masks` or `annotations`."""
    return name.lower().replace("_", "").replace("-", "") in _MARKS


def lists_items(name: str) -> bool:
    """Whether a folder is called after tables that say something of items, such as `meta`."""
    return not _LISTS.isdisjoint(_words(name))


def without_count(name: str) -> str:
    """A name without the number at its end: `pug` of `pug_12` and `pug (3)`."""
    return re.sub(r"[\W_]*\d[\W\d_]*$", "", name)


def number(names: Iterable[str]) -> bool:
    """Whether names count, and name no class where others could: years, `site_a`, `subject-12`."""
    distinct = sorted(set(names))
    if len(distinct) == 1 or only_part(distinct) or all(split_of(name) for name in distinct):
        return True
    if numbers_people(distinct) or all(name.lower() in _TREATMENTS for name in distinct):
        return True
    stems = {_stem(name) for name in distinct}
    is_series = all(re.search(r"\d$|[\W_][A-Za-z]$", name) for name in distinct)
    return is_series and len(stems) == 1


def numbers_people(names: Iterable[str]) -> bool:
    """Whether folders of these names are each of a person, a sitting or a place: `Actor_01`."""
    stems = {name: _words(_stem(name))[-1] for name in names}
    return all(
        _PERSON.fullmatch(name) or (stem in _PEOPLE and name.lower() != stem)
        for name, stem in stems.items()
    )


def names_owner(column: str) -> bool:
    """Whether a column by its name says to whom or what rows belong: `client_id`, `speaker`."""
    words = [word for word in _words(column) if word]
    numbered = len(words) > 1 and words[-1] in _NUMBERINGS
    owner = words[-2] if numbered else words[-1] if words else ""
    return owner in _PEOPLE | _OWNERS and (numbered or owner not in _MAY_BE_TOPICS)


def named_aside(name: str) -> bool:
    """Whether a folder's name sets it apart from classes beside it: `_background_noise_`."""
    return name.startswith("_")


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", _CAMEL.sub(" ", name).lower())


def _stem(name: str) -> str:
    """A name without what counts at its end: digits, or one letter after a sign."""
    return re.sub(r"[\W_]*(\d+|[\W_][a-z])?$", "", name.lower())

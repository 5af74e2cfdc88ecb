"""Word vectors: word2vec (Mikolov et al. 2013), GloVe (Pennington et al. 2014), fastText."""

from __future__ import annotations

import hashlib
from abc import ABC
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar, Final, final

import torch
from torch import Tensor

from headstart.contracts import Backbone, Card, Hub, Origin
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.hubs.word_vectors.layouts import recognised
from headstart.hubs.word_vectors.network import (
    PAD,
    POOLINGS,
    SPECIAL,
    UNKNOWN,
    VECTORS,
    Embeddings,
    Pooling,
    is_lower,
    random_vectors,
    tokenizer,
    vocabulary_of,
)
from headstart.hubs.word_vectors.reading import read
from headstart.loading import refusals
from headstart.loading.spec import HubOptions, resolve
from headstart.loading.weights import State, digest, load_with_head
from headstart.loading.weights import read as read_weights

_TOKENIZER: Final = "tokenizer.json"
_HEAD: Final = "head"
_LOWER: Final = {"auto": None, "yes": True, "no": False}


@final
@dataclass(frozen=True)
class WordOptions(HubOptions):
    """The options of word vectors.

    `pooling` is mean or sif, `words` how many of the file's first words are taken, `lower` whether
    texts are lower-cased (auto: where the file's words are), `max_length` how many words of a text
    are read, `dimension` how many numbers a word has (0: as many as in the file).
    """

    pooling: str = "mean"
    words: int = 100_000
    lower: str = "auto"
    max_length: int = 512
    dimension: int = 0
    pretrained: bool = True


class WordVectors(Hub, ABC):
    """Word vectors in a local file: text or word2vec's binary format, as they are or in gzip.

    `glove:glove.6B.100d.txt?pooling=sif&words=50000` takes the first 50,000 words and weighs them
    by smooth inverse frequency. With `pretrained=false` the vectors are random and follow torch's
    global random state. `@file` loads vectors and head that were saved from the same network. A
    folder that Headstart saved stands for the file it was made from.
    """

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]]  # what such files are called

    def cards(self, pattern: str) -> Iterable[Card]:
        """The files in the current folder that are called as such, and match the shell pattern."""
        files = {path for usual in self.files for path in Path().glob(usual) if path.is_file()}
        for path in sorted(files):
            if not fnmatchcase(path.name, pattern):
                continue
            try:
                form = recognised(path)
            except WeightsError:
                continue  # something else by that name; loading it says what
            count = None if form.words is None else form.words * form.dimension
            yield Card(f"{self.name}:{path.name}", "text", count, "text", None, None, True)

    def cards_depend_on(self) -> Sequence[str]:
        """The files in the current folder that are called as such."""
        return [f"./{usual}" for usual in self.files]

    def load(self, reference: Reference) -> Backbone:
        """Read the words and their vectors, and build the network over them.

        Raises HeadstartError for unknown options, WeightsError for files that are missing, damaged
        or belong to another network.
        """
        options = resolve(WordOptions, reference)
        _check(options, reference)
        state = None if reference.weights is None else read_weights(reference.weights).state
        source = _saved if Path(reference.name).is_dir() else _read
        words = source(reference, options, state)
        embeddings, head = Embeddings(_vectors(words, state), options.pooling), None
        if state is not None:
            head = load_with_head(embeddings, state, _HEAD, str(reference.weights))
        rebuilt = replace(options, dimension=words.dimension, pretrained=False)
        return Backbone(
            stages={"embeddings": embeddings, "pooling": Pooling()},
            feature_dim=words.dimension,
            modality="text",
            preprocess={
                "tokenizer": hashlib.sha256(words.tokenizer).hexdigest(),
                "max_length": options.max_length,
                "pad": PAD,
                "unknown": UNKNOWN,
                "types": False,
            },
            origin=Origin(
                reference=str(reference),
                licence=None,
                trained_on=None,
                weights_hash=digest(embeddings.state_dict()),
                pretrained=options.pretrained or state is not None,
            ),
            architecture=Reference(reference.hub, reference.name, options=rebuilt.changed()),
            head=head,
            files={_TOKENIZER: words.tokenizer},
            notes=words.notes,
        )


@final
class Word2Vec(WordVectors):
    """Vectors by word2vec (Mikolov et al. 2013), such as those of Google News."""

    name = "word2vec"
    files = ("*word2vec*.txt", "*word2vec*.txt.gz", "*.bin", "*.bin.gz")


@final
class GloVe(WordVectors):
    """Vectors by GloVe (Pennington et al. 2014)."""

    name = "glove"
    files = ("*glove*.txt", "*glove*.txt.gz")


@final
class FastText(WordVectors):
    """Vectors by fastText (Bojanowski et al. 2016): of whole words, as its .vec files hold them."""

    name = "fasttext"
    files = ("*.vec", "*.vec.gz")


@final
@dataclass(frozen=True)
class _Words:
    """A vocabulary as a tokenizer, and the vectors that were read with it, if any were."""

    tokenizer: bytes
    count: int
    dimension: int
    vectors: Tensor | None = None
    notes: Sequence[str] = ()


def _check(options: WordOptions, reference: Reference) -> None:
    if options.pooling not in POOLINGS:
        raise UnknownNameError("pooling", options.pooling, POOLINGS)
    if options.lower not in _LOWER:
        raise HeadstartError(
            f"{reference} says lower={options.lower}. Give auto, yes or no, or leave it out."
        )
    if min(options.words, options.max_length) < 1 or options.dimension < 0:
        raise HeadstartError(
            f"{reference} has a number below 1. Give for example words=50000&max_length=512."
        )


def _read(reference: Reference, options: WordOptions, state: State | None) -> _Words:
    """The words of the user's file, with their vectors where those are wanted."""
    path = Path(reference.name)
    file = read(path, options.words, SPECIAL, options.pretrained and state is None)
    if options.dimension not in (0, file.dimension):
        raise WeightsError(
            f"{path} has {file.dimension} numbers for each word, not {options.dimension}. "
            "Leave the option dimension out."
        )
    lower = _LOWER[options.lower]
    content = tokenizer(file.words, is_lower(file.words) if lower is None else lower)
    vectors = None if file.matrix is None else torch.from_numpy(file.matrix)
    out = file.unreadable
    noun = "word" if out == 1 else "words"
    notes = [f"{path}: {out:,} {noun} left out, not UTF-8."] if out else []
    return _Words(content, len(file.words), file.dimension, vectors, notes)


def _saved(reference: Reference, options: WordOptions, state: State | None) -> _Words:
    """The words of a folder that Headstart saved; its weights hold their vectors."""
    path = Path(reference.name) / _TOKENIZER
    if not path.is_file():
        raise WeightsError(f"{path} is not a file. Give a file of word vectors, or a saved folder.")
    if state is None and options.pretrained:
        raise refusals.folder(reference.name, "Give a file of word vectors", WeightsError)
    content = path.read_bytes()
    count, lower = vocabulary_of(content, str(path))
    if count > options.words or _LOWER[options.lower] not in (None, lower):
        raise WeightsError(
            f"{path} holds {count:,} words and {'' if lower else 'no '}lower-casing, which can't "
            "be changed now. Leave the options words and lower out."
        )
    vectors = None if state is None else state.get(VECTORS)
    dimension = options.dimension or (0 if vectors is None else vectors.shape[-1])
    if not dimension:
        raise WeightsError(f"{path} doesn't say how long vectors are. Add ?dimension=300.")
    return _Words(content, count, dimension)


def _vectors(words: _Words, state: State | None) -> Tensor:
    """What the network begins with: read, random, or anything where weights follow."""
    if words.vectors is not None:
        return words.vectors
    if state is None:
        return random_vectors(words.count, words.dimension)
    return torch.zeros(len(SPECIAL) + words.count, words.dimension)

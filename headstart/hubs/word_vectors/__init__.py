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
from torch import Tensor, nn

from headstart.contracts import Backbone, Card, Hub, Origin
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.hubs.word_vectors.network import (
    POOLINGS,
    VECTORS,
    Embeddings,
    Pooling,
    random_vectors,
)
from headstart.hubs.word_vectors.opening import recognised
from headstart.hubs.word_vectors.reading import read
from headstart.hubs.word_vectors.tokens import (
    PAD,
    SPECIAL,
    UNKNOWN,
    is_lower,
    known,
    tokenizer,
)
from headstart.loading.spec import HubOptions, resolve
from headstart.loading.weights import State, apart, digest, linear, load_into
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
        found = {path for usual in self.files for path in Path().glob(usual) if path.is_file()}
        for path in sorted(found):
            if not fnmatchcase(path.name, pattern):
                continue
            try:
                shown = recognised(path)
            except WeightsError:
                continue  # something else by that name; loading it says what
            count = None if shown.words is None else shown.words * shown.dimension
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
        embeddings = Embeddings(_vectors(words, options, state), options.pooling)
        head = None if state is None else _fill(embeddings, state, str(reference.weights))
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
            architecture=_architecture(reference, options, words.dimension),
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
    found = read(path, options.words, SPECIAL, options.pretrained and state is None)
    if options.dimension not in (0, found.dimension):
        raise WeightsError(
            f"{path} has {found.dimension} numbers for each word, not {options.dimension}. "
            "Leave the option dimension out."
        )
    lower = _LOWER[options.lower]
    content = tokenizer(found.words, is_lower(found.words) if lower is None else lower)
    vectors = None if found.matrix is None else torch.from_numpy(found.matrix)
    out = found.unreadable
    noun = "word" if out == 1 else "words"
    notes = [f"{path}: {out:,} {noun} left out, not UTF-8."] if out else []
    return _Words(content, len(found.words), found.dimension, vectors, notes)


def _saved(reference: Reference, options: WordOptions, state: State | None) -> _Words:
    """The words of a folder that Headstart saved; its weights hold their vectors."""
    path = Path(reference.name) / _TOKENIZER
    if not path.is_file():
        raise WeightsError(f"{path} is not a file. Give a file of word vectors, or a saved folder.")
    if state is None and options.pretrained:
        raise WeightsError(
            f"{reference.name} is a folder. Give a file of word vectors; a model that Headstart "
            f"saved is checkpoint:{reference.name}."
        )
    content = path.read_bytes()
    found = known(content, str(path))
    if found.words > options.words or _LOWER[options.lower] not in (None, found.lower):
        raise WeightsError(
            f"{path} holds {found.words:,} words and {'' if found.lower else 'no '}lower-casing, "
            "which can't be changed now. Leave the options words and lower out."
        )
    held = None if state is None else state.get(VECTORS)
    dimension = options.dimension or (0 if held is None else held.shape[-1])
    if not dimension:
        raise WeightsError(f"{path} doesn't say how long vectors are. Add ?dimension=300.")
    return _Words(content, found.words, dimension)


def _vectors(words: _Words, options: WordOptions, state: State | None) -> Tensor:
    """What the network begins with: read, random, or anything where weights follow."""
    if words.vectors is not None:
        return words.vectors
    if state is None:
        return random_vectors(words.count, words.dimension)
    return torch.zeros(len(SPECIAL) + words.count, words.dimension)


def _fill(embeddings: Embeddings, state: State, what: str) -> nn.Module | None:
    """Load the weights into the network, and answer the head that they hold, if any."""
    body, head = apart(state, _HEAD)
    load_into(embeddings, body, what)
    return linear(head, None, what)


def _architecture(reference: Reference, options: WordOptions, dimension: int) -> Reference:
    """What rebuilds the network: the settings that aren't the usual ones, and its size."""
    rebuilt = replace(options, dimension=dimension, pretrained=False)
    return Reference(reference.hub, reference.name, options=rebuilt.changed())

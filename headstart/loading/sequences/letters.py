"""Letters that a network hears frame by frame, and how texts are read from them.

Connectionist temporal classification (Graves et al. 2006): each frame says a letter or nothing, the
same letter in a row counts once, and the loss is over all ways in which frames may say a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.nn import functional

from headstart.contracts.spoken import plain

BLANK, UNKNOWN, BOUNDARY = "<pad>", "<unk>", "|"
SPECIAL: Final = ("<s>", "</s>", UNKNOWN, BLANK)
States = Mapping[str, Tensor]


@final
@dataclass(frozen=True)
class Letters:
    """The number of each letter; `blank` is that of no letter, `boundary` stands between words.

    Texts are taken in lower case and without punctuation, or in upper case where letters are such.
    """

    ids: Mapping[str, int]
    blank: int
    boundary: str = BOUNDARY

    @classmethod
    def of(cls, texts: Iterable[str]) -> Letters:
        """Those of texts, in order, behind what transformers' vocabularies begin with."""
        letters = sorted({*"".join(map(plain, texts))} - {" "})
        names = [BLANK, UNKNOWN, BOUNDARY, *letters]
        return cls({name: number for number, name in enumerate(names)}, 0)

    @property
    def texts(self) -> Sequence[str]:
        """The letters themselves."""
        return [n for n in self.ids if n not in (*SPECIAL, self.boundary) and not _is_special(n)]

    def grown(self, texts: Iterable[str]) -> Letters:
        """With the letters of texts behind; what is there keeps its number."""
        alphabet = {*map(self._cased, self.ids)}
        ids = dict(self.ids)
        for letter in Letters.of(map(self._cased, map(plain, texts))).texts:
            if self._cased(letter) not in alphabet:
                ids.setdefault(self._cased(letter), len(ids))
        if self.boundary not in ids and " " not in ids:
            ids[self.boundary] = len(ids)
        return Letters(ids, self.blank, self.boundary)

    def spelled(self, text: str) -> list[int]:
        """The numbers of a text's letters; those that have none are left out."""
        space = self.boundary if self.boundary in self.ids else " "
        letters = (space if letter == " " else letter for letter in self._cased(plain(text)))
        return [self.ids[letter] for letter in letters if letter in self.ids]

    def lacking(self, text: str) -> set[str]:
        """The letters of a text that have no number."""
        return {*self._cased(plain(text))} - self.ids.keys() - {" "}

    def text(self, numbers: Iterable[int]) -> str:
        """What the likeliest letter of each frame says: repeated ones once, without blanks.

        Signs that are no letters are passed over before, as transformers does.
        """
        heard = (n for n in numbers if n == self.blank or not _is_special(self._names.get(n, "")))
        once = [number for number, _ in groupby(heard) if number != self.blank]
        names = (self._names.get(number, "") for number in once)
        letters = (" " if name == self.boundary else name for name in names)
        return " ".join("".join(letters).split())

    def frames(self, text: str) -> int:
        """How many frames a text takes at least: one a letter, and one between two that repeat."""
        own = self.spelled(text)
        return len(own) + sum(one == other for one, other in pairwise(own))

    def file(self) -> bytes:
        """vocab.json."""
        return (json.dumps(dict(self.ids), ensure_ascii=False, indent=1) + "\n").encode()

    @cached_property
    def _names(self) -> dict[int, str]:
        return {number: name for name, number in self.ids.items()}

    @cached_property
    def _upper(self) -> bool:
        cased = [name for name in self.texts if name.lower() != name.upper()]
        return bool(cased) and all(name == name.upper() for name in cased)

    def _cased(self, text: str) -> str:
        return text.upper() if self._upper else text


def loss(logits: Tensor, mask: Tensor, texts: Sequence[str], letters: Letters) -> Tensor:
    """The mean loss by letter of texts, from logits (N, T, V) of the frames in `mask` (N, T).

    A text that takes more frames than there are counts for nothing.
    """
    spelled = [letters.spelled(text) for text in texts]
    flat = torch.tensor([n for row in spelled for n in row], dtype=torch.long)
    lengths = torch.tensor([len(row) for row in spelled], dtype=torch.long)
    log_probabilities = logits.float().log_softmax(-1).transpose(0, 1)
    each = functional.ctc_loss(
        log_probabilities.cpu() if log_probabilities.device.type == "mps" else log_probabilities,
        flat.to(log_probabilities.device),
        mask.sum(1).to(torch.long),
        lengths.to(log_probabilities.device),
        blank=letters.blank,
        reduction="none",
        zero_infinity=True,
    )
    return (each / lengths.clamp(min=1).to(each.device)).mean()


def heard(logits: Tensor, mask: Tensor, letters: Letters) -> list[str]:
    """The texts of the likeliest letter in each frame, of logits (N, T, V)."""
    best = logits.argmax(-1).cpu()
    sizes = mask.sum(1).tolist()
    return [letters.text(row[:size].tolist()) for row, size in zip(best, sizes, strict=True)]


def read(content: Any, blank: int) -> Letters | None:
    """The letters of a vocab.json; None where it is none, or one of several languages."""
    if not isinstance(content, dict) or not content:
        return None
    if not all(isinstance(number, int) for number in content.values()):
        return None
    return Letters({str(name): number for name, number in content.items()}, blank)


def _is_special(name: str) -> bool:
    return len(name) > 1 and name[0] in "<[" and name[-1] in ">]"

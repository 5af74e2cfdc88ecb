"""How near texts are to those that were wanted: chrF and BLEU, as sacrebleu counts them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import numpy as np

from headstart.contracts.metric import SEQUENCES, Metric
from headstart.contracts.scripts import scripts
from headstart.contracts.sequences import decoded
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import Tensor

_ORDERS: Final = 4  # of BLEU's runs of words
_CHARACTERS: Final = 6  # of chrF's runs of letters
_BETA: Final = 2.0  # how often recall counts as much as precision
_TOKENIZERS: Final = (  # by the script that most references have: what is needed, and its package
    ("HANGUL", "ko-mecab", "mecab_ko"),
    ("HIRAGANA", "ja-mecab", "MeCab"),
    ("KATAKANA", "ja-mecab", "MeCab"),
    ("CJK", "zh", ""),
)
_SPACELESS: Final = "char"  # where such a package is missing


def _library() -> Any:
    """Sacrebleu's metrics. Raises HeadstartError where it is not installed."""
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise HeadstartError(
            "chrF and BLEU need the package sacrebleu. Install it by "
            "`pip install 'headstart[translation]'`."
        ) from error
    return metrics


def _counted(metric: Any, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """What sacrebleu counts in each text, (N, K)."""
    answers, references = decoded(predictions), decoded(targets)
    if not answers:
        return np.empty((0, 1))
    return np.array(metric._extract_corpus_statistics(answers, [references]), dtype=np.float64)


@final
class ChrF(Metric):
    """The F score of runs of 1 to 6 characters, recall counting twice (Popović 2015): chrF2.

    Predictions and targets are code points (N, L); a hundredth of sacrebleu's corpus score.
    """

    name: ClassVar[str] = "chrF"
    kinds: ClassVar[tuple[str, ...]] = (SEQUENCES,)

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Of each length of runs how many there are in the answer, the reference, and both."""
        return _counted(_library().CHRF(), predictions, targets)

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """F of the mean precision and recall over the lengths that both have."""
        sums = (weights @ statistics).reshape(len(weights), _CHARACTERS, 3)
        in_answer, in_target, both = sums.unbind(dim=2)
        there = (in_answer > 0) & (in_target > 0)
        lengths = there.sum(dim=1).clamp_min(1)
        precision = (there * both / in_answer.clamp_min(1e-9)).sum(dim=1) / lengths
        recall = (there * both / in_target.clamp_min(1e-9)).sum(dim=1) / lengths
        below = _BETA**2 * precision + recall
        return (1 + _BETA**2) * precision * recall / below.clamp_min(1e-30)

    def signature(self, targets: np.ndarray) -> str:
        """How sacrebleu counts."""
        return _signed(_library().CHRF(), targets)


@final
class Bleu(Metric):
    """The geometric mean of the precision of runs of 1 to 4 words, less for short answers.

    After Papineni et al. 2002, smoothed as mteval-v13a does; a hundredth of sacrebleu's corpus
    score. Words are those of Korean or Japanese morphology where MeCab is there, else characters.
    """

    name: ClassVar[str] = "BLEU"
    kinds: ClassVar[tuple[str, ...]] = (SEQUENCES,)

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Length of the answer and the reference; of each length of runs those in both, and all."""
        return _counted(self._counter(targets), predictions, targets)

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """The brevity penalty times the mean precision; 0 where there is none of some length."""
        import torch

        sums = weights @ statistics
        in_answer, in_target = sums[:, 0], sums[:, 1]
        both, total = sums[:, 2 : 2 + _ORDERS], sums[:, 2 + _ORDERS :]
        missed = 2.0 ** ((both == 0) & (total > 0)).cumsum(dim=1)  # the NIST smoothing
        precisions = torch.where(both > 0, both, 1 / missed) / total.clamp_min(1e-9)
        penalty = torch.exp((1 - in_target / in_answer.clamp_min(1e-9)).clamp_max(0))
        sound = (total > 0).all(dim=1) & (both > 0).any(dim=1)
        return torch.where(sound, penalty * precisions.log().mean(dim=1).exp(), 0.0)

    def signature(self, targets: np.ndarray) -> str:
        """How sacrebleu counts, and what it takes for words."""
        return _signed(self._counter(targets), targets)

    @staticmethod
    def _counter(targets: np.ndarray) -> Any:
        counts = scripts("".join(decoded(targets)))
        tokenizer = "13a"
        for script, tokenizer_name, package in _TOKENIZERS:
            if counts[script] > 0.1 * counts.total():
                tokenizer = tokenizer_name if not package or find_spec(package) else _SPACELESS
                break
        return _library().BLEU(tokenize=tokenizer, force=True)


def _signed(metric: Any, targets: np.ndarray) -> str:
    if len(targets):
        metric.corpus_score([""] * len(targets), [decoded(targets)])  # counts the references
    return str(metric.get_signature())

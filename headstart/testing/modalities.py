"""What the flow relies on in any modality, whatever its inputs are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from headstart.contracts import Check, Modality
from headstart.testing.demands import checks_in, demand

CONTRACT: Final = Modality


def subject(modality: Modality, example: Any) -> Modality:
    """What the checks take."""
    if example is not None:
        check = modality.check(example)
        demand(
            check.problem is None,
            f"can't use the example: {check.problem}. Give the bytes of an item.",
        )
    return modality


def _anything() -> list[bytes]:
    """Bytes of no kind in particular, the same each time."""
    rng = np.random.default_rng(0)
    words = [rng.bytes(int(length)) for length in rng.integers(1, 200, 60)]
    return [b"", b"\0", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", "fünf Wörter".encode(), *words]


def says_which_files_and_columns_it_reads(modality: Modality) -> None:
    """Suffixes are lower case with their dot; columns are named once each."""
    wrong = sorted(s for s in modality.suffixes if not s.startswith(".") or s != s.lower())
    demand(not wrong, f"has the suffixes {wrong}. Write them as '.wav'.")
    columns = list(modality.columns)
    demand(
        columns and len(set(columns)) == len(columns),
        f"has the columns {columns}. Name at least one, each once.",
    )


def empty_content_is_a_problem(modality: Modality) -> None:
    """No bytes are no item."""
    problem = modality.check(b"").problem
    demand(problem, "finds nothing wrong with no bytes at all. Let check say so.")


def checks_answer_whatever_the_bytes(modality: Modality) -> None:
    """A check answers alike each time, in one line, and identifies only what is usable."""
    for raw in _anything():
        check_answers(modality, raw)


def check_answers(modality: Modality, raw: bytes) -> None:
    """That of some bytes does."""
    check = modality.check(raw)
    demand(isinstance(check, Check), f"checks {raw[:9]!r} as {check!r}. Answer a Check.")
    demand(check == modality.check(raw), "checks alike bytes unlike. Draw no numbers.")
    usable = check.problem is None
    demand(
        usable or (check.problem and "\n" not in check.problem),
        f"calls {raw[:9]!r} a problem without a line that says why. "
        "Say it in one line, or answer None.",
    )
    demand(
        usable or not (check.identity or check.sketch),
        f"gives {raw[:9]!r} an identity, which it can't use. "
        "Leave identity and sketch empty where there is a problem.",
    )
    demand(
        check.sketch == "" or len(bytes.fromhex(check.sketch)) == 32,
        f"has a sketch of {len(check.sketch)} digits. Write 256 bits as 64 hexadecimal digits.",
    )


def words_are_text_whatever_the_bytes(modality: Modality) -> None:
    """`text` answers with a string or None."""
    for raw in _anything():
        words = modality.text(raw)
        demand(
            words is None or isinstance(words, str),
            f"has {type(words).__name__} for the words of {raw[:9]!r}. Answer a string, or None.",
        )


def content_in_a_manifest_is_text(modality: Modality) -> None:
    """Exactly the modalities whose cells hold the content itself can use a sentence."""
    usable = modality.check("fünf Wörter, darunter ein 👍".encode()).problem is None
    demand(
        modality.inline == usable,
        f"says inline = {modality.inline}, yet {'reads' if usable else 'refuses'} a sentence. "
        "Set inline where cells of a manifest hold the content itself.",
    )


def items_are_alike_unless_it_is_ragged(modality: Modality) -> None:
    """Items of a modality that is not ragged all have the size 1."""
    demand(
        modality.ragged or modality.size(object()) == 1,
        "gives items a size and is not ragged. Set ragged.",
    )
    demand(not modality.remarks([], {}), "remarks on no items. Answer nothing there.")


def says_what_it_offers(modality: Modality) -> None:
    """`in_arrays` says that there are `arrays`, `plays` that items can be `played`."""
    for flag, method in (("in_arrays", "arrays"), ("plays", "played")):
        offers = getattr(type(modality), method) is not getattr(Modality, method)
        demand(
            getattr(modality, flag) == offers,
            f"says {flag} = {not offers}, yet {'has' if offers else 'lacks'} {method}. "
            f"Set {flag} = {offers}.",
        )


CHECKS: Final = checks_in(__name__)

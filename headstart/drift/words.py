"""What a shift is in plain words."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from headstart.drift.reference import TOKENS_A_WORD
from headstart.drift.shift import Shift

_SPLIT = 2.0  # times the tokens a word took before, from which on a language is not known


def moved(shift: Shift) -> str:
    """One sentence: what moved, if anything."""
    if not shift.moved:
        return "No evidence of a shift."
    inputs, mix = shift.inputs_moved, shift.mix_moved
    if inputs and mix:
        return "The inputs moved, and so did the mix of the model's answers."
    if mix:
        return "The class mix moved; within each answer the inputs look as before."
    if inputs:
        return "The inputs moved; whether the class mix did, too, can't be told then."
    return "The items differ from the usual ones, but not clearly by inputs or class mix alone."


def accuracy(shift: Shift) -> str:
    """One sentence: what accuracy to expect, and how far that can be trusted."""
    if shift.expected is None:
        return ""
    low, high = shift.expected.low, shift.expected.high
    text = (
        f"Accuracy to expect, without labels: {low:.2f} to {high:.2f}, where the held-out items "
        f"had {shift.expected.held_out:.2f}."
    )
    if shift.expected.outside:
        text += (
            f" {shift.expected.unfamiliar:.0%} of the items are beyond anything seen, so that no "
            "estimate can be relied on."
        )
    return text


def in_one_line(shift: Shift) -> str:
    """What other commands say of a shift."""
    return " ".join([*again(shift), moved(shift), *language(shift), accuracy(shift)]).rstrip()


def again(shift: Shift) -> Iterator[str]:
    """A sentence on new items that are held-out ones themselves, where there are."""
    if shift.repeated:
        those = (
            "1 of the items is a held-out one"
            if shift.repeated == 1
            else (f"{shift.repeated} of the items are held-out ones")
        )
        yield f"{those} and left out here, as an item can't be unlike itself."


def command(name: str, *places: str) -> str:
    """A command on some places as it is typed."""
    return shlex.join(["headstart", name, *places])


def language(shift: Shift) -> Iterator[str]:
    """A sentence on texts in a language that the encoder does not know, where they are."""
    for row in shift.measures:
        if row["name"] == TOKENS_A_WORD and row["now"] >= _SPLIT * row["before"]:
            yield (
                f"Texts take {row['now']:.1f} tokens a word, against {row['before']:.1f} before: "
                "the encoder hardly knows this language or spelling."
            )

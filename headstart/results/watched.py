"""What watching a stream found, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.drift.shift import Shift
from headstart.drift.watching import LENGTH, Event, facts
from headstart.drift.words import command, in_one_line
from headstart.report.notebook import Printed

_HARMLESS = 0.05  # accuracy that may be lost, at worst, before anything is to be done


@dataclass(frozen=True, repr=False)
class Watched(Printed):
    """The alarms of a stream of so many items, in their order, and those that could not be read.

    `places` are the model and the stream, where both lie in files, for advice to name.
    """

    events: Sequence[Event]
    items: int
    unread: int = 0
    places: tuple[str, ...] = ()

    @property
    def alarms(self) -> Sequence[Event]:
        """Those events at which something had moved."""
        return [event for event in self.events if event.is_alarm]

    def to_json(self) -> dict[str, Any]:
        """{"items", "unread", "events": [{"after", "window", "alarm", "said", "advice", …}]}."""
        return {
            "items": self.items,
            "unread": self.unread,
            "events": [facts(event) | _words(event, self.places) for event in self.events],
        }

    def __str__(self) -> str:
        lines = [line(event, self.places) for event in self.events]
        unread = f" {self.unread} could not be read." if self.unread else ""
        if not self.alarms:
            lines = [
                f"No alarm in {self.items} items. Where nothing moves there is one in at most 5 % "
                f"of streams of {LENGTH}."
            ]
        return "\n".join(lines) + unread


def line(event: Event, places: tuple[str, ...] = ()) -> str:
    """An event in a sentence or two."""
    words = _words(event, places)
    return f"After {event.after} items: {words['said']} {words['advice']}".strip()


def _words(event: Event, places: tuple[str, ...]) -> dict[str, str]:
    if event.shift is None:
        return {"said": "As before again.", "advice": ""}
    if event.errors is not None:
        wrong, total = event.errors
        rose = f"Errors rose: {wrong} of {total} labelled items were answered wrongly."
        return {"said": f"{rose} {in_one_line(event.shift)}", "advice": _REFIT}
    return {"said": in_one_line(event.shift), "advice": advice(event.shift, places)}


_REFIT = "What to do: refit the model with the newly labelled items (headstart refit)."


def advice(shift: Shift, places: tuple[str, ...] = ()) -> str:
    """What to do about a shift."""
    change = shift.expected
    if change is None or change.outside or shift.inputs_moved:
        if change and not change.outside and change.low >= change.held_out - _HARMLESS:
            return "What to do: nothing yet; no harm is expected."
        how = f" ({command('suggest', *places)})" if places else ""
        return (
            f"What to do: label 20 of these items{how}, see how many answers are right, and refit "
            "the model with them where too few are; or fit anew with --adapt-to where none can be "
            "labelled."
        )
    if shift.mix_moved:
        return (
            "What to do: weigh answers by the new shares of the classes, or refit with items in "
            "that mix; the inputs of each class look as before."
        )
    return "What to do: nothing yet; look again after more items."

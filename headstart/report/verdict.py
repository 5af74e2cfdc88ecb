"""The verdict in words: what was found, what it means, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headstart.report import headline, refit, words
from headstart.report.contents import between

_MEANING = {
    "helps": (
        "What the backbone learned elsewhere is of use for this task: the whole interval of the "
        "gain lies above zero."
    ),
    "hurts": (
        "The same network does better from random weights: the whole interval of the gain lies "
        "below zero. What the backbone learned elsewhere stands in the way here."
    ),
    "no evidence": (
        "The interval of the gain holds zero: on these held-out items the transfer and a network "
        "from random weights can't be told apart."
    ),
    "unknown": (
        "Without the same network trained from random weights, nobody can say what the pretrained "
        "weights were worth."
    ),
    "unlearned": (
        "A network that learned nothing is beaten by any other, so that being better than it says "
        "nothing of what the pretrained weights were worth."
    ),
    "developed": "No pretrained weights were used, so there is no transfer to judge.",
    "evaluated": "What the transfer was worth stands in the report of the model itself.",
}
_NEXT = {
    "helps": "Use the model.",
    "hurts": (
        "Try a backbone that was trained on data more like yours, or the same one with more of its "
        "stages trained."
    ),
    "no evidence": (
        "Label more held-out items, which narrows the interval, or give several backbones to "
        "choose from."
    ),
    "unknown": "To know, run `headstart prove` on the model, with a larger budget if it had one.",
    "unlearned": (
        "To know, let the network from scratch learn: fit again with more time, more epochs, or "
        "more labelled items."
    ),
    "evaluated": "Look at the classes and items where the model is wrong.",
    "developed": "Use the model, or its network as the backbone of another task.",
}


_MEANING_FOR_ROWS = {
    "helps": (
        "Learning from the other tables, too, is better than the table's rows alone: the whole "
        "interval of the gain lies above zero."
    ),
    "hurts": (
        "The table's rows alone do better: the whole interval of the gain lies below zero. What "
        "the other tables say does not hold here."
    ),
    "no evidence": (
        "The interval of the gain holds zero: on these rows learning from the other tables and "
        "from the table's rows alone can't be told apart."
    ),
    "unknown": "The model has learned from this table alone, so there is no transfer to judge.",
}
_NEXT_FOR_ROWS = {
    "helps": "Use the model.",
    "hurts": "Leave out --from, or other tables' columns that are not the same thing.",
    "no evidence": "Use the model; with more rows of its own a table needs others less and less.",
    "unknown": "Where rows are few, name another table of the kind with --from.",
}
_MEANING_FOR_CELLS = {
    "helps": (
        "Reading the table's texts and pictures is better than its plain columns alone: the whole "
        "interval of the gain lies above zero."
    ),
    "hurts": (
        "The table's plain columns alone do better: the whole interval of the gain lies below "
        "zero. What texts and pictures say only distracts here."
    ),
    "no evidence": (
        "The interval of the gain holds zero: on these rows reading texts and pictures and going "
        "by plain columns alone can't be told apart."
    ),
    "unknown": "There are no plain columns, so there is nothing to judge texts and pictures by.",
}
_NEXT_FOR_CELLS = {
    "helps": "Use the model.",
    "hurts": "Name -b table:columns, which reads plain columns alone, or another text= or image=.",
    "no evidence": "Name -b table:columns, which is simpler, or give more rows, which tell.",
    "unknown": "Look at how much better it is than always giving one answer.",
}
_ROWS = {True: (_MEANING_FOR_ROWS, _NEXT_FOR_ROWS)} | {
    "columns": (_MEANING_FOR_CELLS, _NEXT_FOR_CELLS)
}
_UNTRAINED = "Same network, not pretrained"
_ALONE = {True: "The table's rows alone", "columns": "The plain columns alone"}


@dataclass(frozen=True)
class Tile:
    """One number that says much: its title, itself, and its interval or unit."""

    title: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """An arm as a bar from 0 to 1, with its interval; `kind` is transfer, scratch or other."""

    name: str
    kind: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """The head of the page; `mood` is `helps`, `hurts`, `no-evidence`, `unknown` or `developed`.

    `plain` is what it means in words; `title` and `rest` are the headline with its numbers.
    """

    mood: str
    title: str
    rest: str
    plain: tuple[str, ...]
    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...]
    bars: tuple[Bar, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, evidence: Mapping[str, Any]) -> Verdict:
        """The verdict of an evidence record."""
        mood = evidence["verdict"]
        if "adaptation" in evidence:
            return cls._adapted(evidence["adaptation"], evidence)
        if "refit" in evidence:
            return cls._refitted(evidence["refit"], evidence)
        if evidence["gain"] is None and evidence["strategy"] == "scratch":
            mood = "developed"
        title, _, rest = headline(dict(evidence)).partition(": ")
        case = "unlearned" if mood == "unknown" and evidence["gain"] is not None else mood
        meaning, following = (
            usual | own
            for usual, own in zip(
                (_MEANING, _NEXT), _ROWS.get(evidence.get("alone", False), ({}, {})), strict=True
            )
        )
        sentences = [
            meaning[case],
            f"What to do next: {following[case]} {_look_at(evidence)}".strip(),
        ]
        sentences += [words.protocol_words(evidence), *words.further(evidence)]
        if "dropped" in evidence:
            sentences.append(evidence["dropped"].get("note", ""))
        return cls(
            mood.replace(" ", "-"),
            title,
            rest,
            words.plainly(evidence),
            tuple(sentence for sentence in sentences if sentence),
            tuple(_tiles(evidence)),
            tuple(_bars(evidence)),
            tuple(evidence.get("warnings", ())),
        )

    @classmethod
    def _adapted(cls, record: Mapping[str, Any], evidence: Mapping[str, Any]) -> Verdict:
        """The verdict on adapting to a target, over source only."""
        title, _, rest = record["headline"].partition(": ")
        mood = {"source only": "unknown"}.get(record["verdict"], record["verdict"])
        gain = next(row for row in record["methods"] if row["name"] == record["chosen"]).get("gain")
        tiles = [Tile("Handed over", record["chosen"], f"chosen by {record['by']}")]
        if gain and record["verdict"] != "source only":
            low, value, high = (f"{100 * gain[name]:+.1f}" for name in ("low", "value", "high"))
            tiles.insert(0, Tile("Gain over source only", value, f"{low} to {high} points"))
        return cls(
            mood.replace(" ", "-"),
            title,
            rest,
            (record["why"],),
            tuple(record["said"]),
            tuple(tiles),
            (),
            tuple(evidence.get("warnings", ())),
        )

    @classmethod
    def _refitted(cls, record: Mapping[str, Any], evidence: Mapping[str, Any]) -> Verdict:
        """The verdict on later items, over the model as it was."""
        title, _, rest = refit.headline(record).partition(": ")
        tiles = []
        for name in ("new", "old"):
            ahead, low, high = words.gains(record[name]["change"], record)
            tiles.append(Tile(f"On {name} items", ahead.partition(" ")[0], f"{low} to {high}"))
        protocol = words.protocol_words(evidence)
        sentences = (*refit.sentences(record), protocol, *words.familiar(evidence))
        return cls(
            record["verdict"].replace(" ", "-"),
            title,
            rest,
            (),
            tuple(filter(None, sentences)),
            tuple(tiles),
            tuple(_bars(evidence)),
            tuple(evidence.get("warnings", ())),
        )


def _look_at(evidence: Mapping[str, Any]) -> str:
    """What of the page to turn to, where there is something."""
    items = evidence.get("items") or {}
    hints = []
    if items.get("suspects"):
        hints.append("Check the likely label errors below before you label more.")
    hurt = (evidence.get("classes") or {}).get("hurt")
    if hurt:
        hints.append(f"Look at the classes that transfer hurts: {', '.join(map(str, hurt[:5]))}.")
    return " ".join(hints)


def _bars(evidence: Mapping[str, Any]) -> Iterator[Bar]:
    """The model, scratch, and what needs no network, where they are shares of right answers."""
    arms = evidence["arms"]
    texts = "sentences" in evidence and not evidence.get("less_is_better")
    if len(arms) == 1 or not (texts or words.is_share(evidence["metric"])):
        return
    own = "This model"
    if evidence["strategy"] == "scratch":
        arms = {name: arm for name, arm in arms.items() if name != "scratch"}
        own = "This model, from random weights"
    bar_arms = (
        ("chosen", own, "transfer" if evidence["strategy"] != "scratch" else "scratch"),
        ("scratch", _ALONE.get(evidence.get("alone", False), _UNTRAINED), "scratch"),
        ("tf-idf", "Counting words (TF-IDF)", "other"),
        ("translation-memory", "Looking the nearest text up", "other"),
        ("nearest-item", "Looking the nearest item up", "other"),
        ("naive", "Copying the source" if texts else "Always one answer", "other"),
    )
    for key, name, kind in bar_arms:
        if key in arms:
            low, high = (min(max(arms[key][bound], 0.0), 1.0) for bound in ("low", "high"))
            yield Bar(name, kind, arms[key]["value"], low, high)


def _tiles(evidence: Mapping[str, Any]) -> list[Tile]:
    arm, gain = evidence["arms"]["chosen"], evidence["gain"]
    tiles = []
    if gain is not None and evidence["verdict"] != "unknown":
        ahead, low, high = words.gains(gain, evidence)
        unit = "; plus is better" if evidence.get("less_is_better") else " points"
        tiles.append(
            Tile(
                f"Gain over {words.yardstick(evidence)}",
                ahead.partition(" ")[0],
                f"{low} to {high}{unit}",
            )
        )
    tiles.append(Tile(words.capital(evidence["metric"]), f"{arm['value']:.3f}", between(arm)))
    label_ratio = _saved((evidence.get("labels") or {}).get("saved") or {})
    if label_ratio:
        tiles.append(label_ratio)
    if evidence["verdict"] != "evaluated":
        tiles.append(Tile("Time", duration(arm["seconds"]), f"{arm['steps']:,} steps"))
    return tiles


def _saved(factor: Mapping[str, Any]) -> Tile | None:
    """How many times the labels scratch needs; a bound where that is all there is."""
    value, low, high = (factor.get(name) for name in ("value", "low", "high"))
    title = "Labels from scratch"
    if value is not None:
        edges = f"{low:.2g}" if low is not None else "?", f"{high:.2g}" if high is not None else "?"
        return Tile(title, f"{value:.2g} ×", f"{edges[0]} to {edges[1]} times as many")
    if low is not None:
        return Tile(title, f"> {low:.2g} ×", "times as many, at least")
    if high is not None:
        return Tile(title, f"< {high:.2g} ×", "times as many, at most")
    return None


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"

"""What a record says in plain words: the same sentences in a terminal, a notebook and a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from headstart.report.sentences import said_of_texts

_THINGS = {"audio": "sounds", "image": "pictures", "text": "texts"}
_RIGHT = ("accuracy", "balanced accuracy")  # metrics that are shares of right answers
_UNFAMILIAR = 0.05
_LEAST_SETS = 9  # held-out items, from which on sets can be made
_FEW = 100  # held-out items below which they are counted out, as hundredths would be invented
Evidence = Mapping[str, Any]


def plainly(evidence: Evidence) -> tuple[str, ...]:
    """What the numbers mean, in a sentence or two without jargon."""
    sentences = [_model(evidence)]
    if evidence["verdict"] != "evaluated":
        sentences.append(_compared(evidence))
    return tuple(sentences)


def further(evidence: Evidence) -> Iterator[str]:
    """What else was measured of the gain, where it was: over a simple method, no worse by, by whom.

    Reads `over_baseline`, `sentences`, `memory`, `noninferior`, `by_seed`, `gain.trainings` and
    `proof`.
    """
    simple = evidence.get("over_baseline")
    if simple and simple["name"] != "naive":  # a bar so low that the arms say it
        gain, low, high = gains(simple, evidence)
        yield (
            f"Over the strongest simple method ({simple['name']}): {gain}, "
            f"95 % interval {low} to {high}."
        )
    if evidence.get("sentences"):
        yield from said_of_texts(evidence["sentences"])
    if evidence.get("memory"):
        yield _beside_memory(evidence)
    if evidence.get("noninferior"):
        yield str(evidence["noninferior"])
    likeness = evidence.get("likeness") or {}
    if likeness.get("far") or "overlap" in likeness:  # else the naive model's row says as much
        yield from likeness["said"]
    yield from familiar(evidence)
    if (evidence.get("splits") or {}).get("said"):
        yield str(evidence["splits"]["said"])
    if evidence.get("shift"):
        yield f"Beside the items it was held to: {evidence['shift']}"
    yield from _trained(evidence)
    if evidence.get("proof") == "unfinished":
        yield (
            "The proof is unfinished: the network from scratch was not trained to its end. "
            "`headstart prove MODEL` goes on with it."
        )
    if evidence.get("proof") == "stopped":
        yield "The run was stopped before all of its evidence was gathered."


def _beside_memory(evidence: Evidence) -> str:
    """What the model is worth where texts that are nearly known are looked up."""
    own = evidence["memory"]
    (ahead, low, high), (more, least, most) = (
        gains(own[name], evidence) for name in ("over_memory", "over_model")
    )
    return (
        f"With a memory of its training pairs, for texts of likeness {own['threshold']:g} or more "
        f"({own['matches']} of {own['items']}; chosen on validation): {evidence['metric']} "
        f"{own['value']:.3f}, {own['low']:.3f} to {own['high']:.3f}; {ahead} ({low} to {high}) "
        f"over the memory alone, {more} ({least} to {most}) over the model alone. "
        "`headstart translate MODEL TEXT --memory PAIRS` answers so."
    )


def _trained(evidence: Evidence) -> Iterator[str]:
    """How many trainings the gain is that of."""
    trainings = _trainings(evidence)
    assumed = (evidence.get("gain") or {}).get("assumed", 0.0)
    if assumed:
        yield (
            "Each was trained once: the gain's interval allows for other trainings, which are "
            f"taken to differ by a standard deviation of {_amount(assumed, evidence)}."
        )
    if trainings > 1 and not evidence.get("alone"):
        yield f"The gain is that of {trainings} trainings each, from seeds of their own."


def familiar(evidence: Evidence) -> Iterator[str]:
    """What an answer's familiarity and set mean for this model. Reads `reference`."""
    reference = evidence.get("reference")
    if not reference:
        return
    items, least = int(reference["items"]), float(reference["least"])
    whose = "items of the target" if "adaptation" in evidence else "held-out items"
    yield (
        f"Each answer says how familiar its input is: the share of usual inputs that lie as far "
        f"out, measured on {items} {whose}, and so never below {least:.3f}. "
        + ("" if least <= _UNFAMILIAR else "That is too few to call anything unlike what was seen.")
    ).strip()
    if reference.get("sets"):
        yield "Beside it stands what holds the truth in 90 % of such inputs."
    elif items < _LEAST_SETS:
        yield f"{items} held-out items are too few to say what holds the truth in 90 %."


def gains(gain: Mapping[str, Any], evidence: Evidence) -> tuple[str, str, str]:
    """A gain with its unit, and its bounds, as words."""
    from headstart.evidence import Interval, gained  # late, as it needs torch

    interval = Interval(*(gain[key] for key in ("value", "low", "high")))
    return gained(interval, evidence["metric"], bool(evidence.get("less_is_better")))


def _amount(value: float, evidence: Evidence) -> str:
    return f"{value:.3g}" if evidence.get("less_is_better") else f"{100 * value:.1f} points"


def protocol_words(evidence: Evidence) -> str:
    """On what items the arms were judged, and by what protocol."""
    judge, protocol = evidence.get("judge") or {}, evidence.get("protocol", "")
    if judge.get("by") == "folds":
        times = f"{judge['repeats']} × " if judge.get("repeats", 1) > 1 else ""
        on = (
            f"Judged by {times}{judge['folds']} folds of all {judge['items']} items; the model "
            "handed over is made from all of them."
        )
    else:
        on = (
            f"Measured on {evidence['held_out']} held-out items." if _has_held_out(evidence) else ""
        )
    return f"{on} {protocol}".strip()


def other_metrics(rows: Iterable[Mapping[str, Any]]) -> str:
    """What other metrics say, in a line, empty where there are none."""
    parts = (f"{r['metric']} {r['value']:.3f} ({r['low']:.3f} – {r['high']:.3f})" for r in rows)
    line = ", ".join(parts)
    return f"By other metrics: {line}." if line else ""


def capital(metric: str) -> str:
    """A metric's name at the beginning of a sentence."""
    return metric[:1].upper() + metric[1:]


def things(evidence: Evidence, count: int = 2) -> str:
    """What the items are called: pictures, texts, or items where that is not known."""
    name = _THINGS.get((evidence.get("made") or {}).get("modality", ""), "items")
    return name if count != 1 else name[:-1]


def is_share(metric: str) -> bool:
    """Whether a metric is a share of right answers."""
    return metric in _RIGHT


def _has_held_out(evidence: Evidence) -> bool:
    return evidence["verdict"] != "evaluated" and bool(evidence.get("held_out"))


def _trainings(evidence: Evidence) -> int:
    count = (evidence.get("gain") or {}).get("trainings")
    return int(count or len((evidence.get("by_seed") or {}).get("chosen", ())))


def _model(evidence: Evidence) -> str:
    """How good the model handed over is."""
    metric, value = evidence["metric"], evidence["arms"]["chosen"]["value"]
    name = "The pretrained model" if _transferred(evidence) else "The model"
    unseen = f"{things(evidence)} it has not seen"
    if metric == "accuracy":
        return f"{name} is right on {_of(value, evidence, unseen)}."
    if metric == "balanced accuracy":
        right = f"{name} is right on {_hundredths(value)} of 100 {unseen}"
        return f"{right}, where every class counts the same."
    if metric == "r2" and value > 0:
        return (
            f"{name} explains {_hundredths(value)} % of how the numbers of {unseen} differ from "
            "one another."
        )
    if metric == "r2":
        return f"For {unseen}, {name[0].lower()}{name[1:]} is no better than their mean."
    if evidence.get("less_is_better"):
        return f"{name} has a {metric} of {value:.3f} on {unseen}; less is better."
    return f"{name} scores {value:.3f} of {metric} on {unseen}."


@final
@dataclass(frozen=True)
class _Yardstick:
    """What a transfer is compared with: its name, its best, and what the difference is worth."""

    name: str
    best: str
    transfer: str
    unknown: str


_SCRATCH = _Yardstick(
    "scratch",
    "The same network without pretraining",
    "pretraining",
    "What its pretraining was worth is not known",
)
_YARDSTICKS = {
    True: _Yardstick(
        "the table's rows alone",
        "The best of the table's rows alone",
        "learning from the other tables",
        "It has learned from no other table (--from)",
    ),
    "columns": _Yardstick(
        "the plain columns alone",
        "The best of the table's plain columns alone",
        "reading its texts and pictures",
        "What its texts and pictures are worth is not known",
    ),
}


def yardstick(evidence: Evidence) -> str:
    """What a transfer is compared with: a network from scratch, rows without other tables, or
    columns without texts and pictures."""
    return _YARDSTICKS.get(evidence.get("alone", False), _SCRATCH).name


def _compared(evidence: Evidence) -> str:
    """How good it would be otherwise, and what follows."""
    arms, verdict, share = evidence["arms"], evidence["verdict"], is_share(evidence["metric"])
    gain, scratch = evidence["gain"], arms.get("scratch")
    own = _YARDSTICKS.get(evidence.get("alone", False), _SCRATCH)
    if gain is None and evidence["strategy"] == "scratch":
        return "It began from random weights: nothing was transferred."
    if gain is None or scratch is None or verdict == "unknown":
        naive = arms.get("naive")
        unknown = own.unknown
        if naive is None or not share:
            return f"{unknown}."
        return (
            f"Always giving one answer is right on {_score(naive['value'], evidence)}. {unknown}."
        )
    what = own.transfer
    conclusion = {
        "helps": f", so {what} is worth {_worth(gain, evidence)}",
        "hurts": f", so {what} costs {_worth(gain, evidence)}",
        "no evidence": f": too little apart to say whether {what} helps here",
    }[verdict]
    value, subject = scratch["value"], own.best
    if evidence["strategy"] == "scratch":  # it won: the transfer is what it is compared with
        sign = -1 if evidence.get("less_is_better") else 1
        value, subject = value + sign * gain["value"], "The same network with pretraining"
    scores = "is right on" if share else "scores"
    return f"{subject} {scores} {_score(value, evidence)}{conclusion}."


def _transferred(evidence: Evidence) -> bool:
    verdict, strategy = str(evidence["verdict"]), str(evidence["strategy"])
    return verdict != "evaluated" and strategy != "scratch"


def _worth(gain: Mapping[str, Any], evidence: Evidence) -> str:
    """The size of a gain without its sign."""
    if not is_share(evidence["metric"]):
        return f"{abs(gain['value']):.3f}"
    low, high = sorted(abs(100 * gain[bound]) for bound in ("low", "high"))
    answers = "right answers in 100"
    return f"{abs(100 * gain['value']):.0f} {answers} (likely {low:.0f} to {high:.0f})"


def _score(value: float, evidence: Evidence) -> str:
    return _of(value, evidence) if is_share(evidence["metric"]) else f"{value:.3f}"


def _of(value: float, evidence: Evidence, unseen: str = "") -> str:
    """A share of right answers: counted where items are few, else so many of a hundred."""
    count = int(evidence.get("held_out") or 0)
    few = (
        0 < count < _FEW
        and evidence["metric"] == "accuracy"
        and (evidence.get("judge") or {}).get("by") != "folds"
    )
    if few and abs(value * count - round(value * count)) < 0.01:
        return f"{round(value * count)} of {f'the {count} {unseen}' if unseen else count}"
    return f"{_hundredths(value)} of 100 {unseen}".strip() if unseen else _hundredths(value)


def _hundredths(value: float) -> str:
    """A share as a number of a hundred: all or none only where it is."""
    rounded = round(100 * value)
    if rounded == 100 and value < 1:
        return "more than 99"
    if rounded == 0 and value > 0:
        return "fewer than 1"
    return str(rounded)

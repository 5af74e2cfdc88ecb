"""The policy: rate, epochs and strategy for this much data, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.errors import HeadstartError


@dataclass(frozen=True)
class Settings:
    """What a user may set for a run; None and "auto" leave it to the policy below.

    `budget` is in seconds of wall-clock time for the whole run.
    """

    seed: int = 0
    seeds: int | None = None  # trainings of the transfer and of scratch that the gain is taken over
    judge: str = "auto"  # auto, holdout, cv: on held-out items, or by folds of all
    budget: float | None = None
    scratch: bool = True
    evidence: str = "full"  # none, quick, full: what is measured besides the arms
    cache: bool = True
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    precision: str = "auto"  # auto, fp32, bf16
    engine: str = "auto"  # auto, torch, openvino: what runs the frozen part
    device: str = "auto"  # auto, cpu, cuda, mps
    augment: str = "auto"  # auto, yes, no
    tta: str = "none"  # none, flip, scales, flip+scales: other looks that answers are averaged over
    views: int = 0  # stored random views of each training item, where the front is frozen
    class_weights: str = "auto"  # auto, none
    head: str = "logistic"  # the task's own probe, or one of the catalog: fitted on frozen features
    label: str | None = None  # the label column of a manifest, or several with commas between
    text: tuple[str, ...] = ()  # its one or two columns of text
    image: str | None = None  # its column of paths to pictures
    source: str | None = None  # its column of texts to translate
    target: str | None = None  # its column of texts that are the answers
    drop: tuple[str, ...] = ()  # columns that rows of a table are read without
    sources: tuple[str, ...] = ()  # other labelled tables, to learn from beside this one
    map: str | None = None  # a file that says which of their columns are which
    class_level: int | None = None  # which folders are the classes, where they are nested
    targets: str = "auto"  # auto, classes, numbers, label-sets, or a kind that a package adds
    delimiter: str | None = None  # between the labels of one item
    missing: str | None = None  # words, with commas between, that stand for no label in a table
    group: str | None = None  # a manifest's column of groups, of which the worst is looked for
    adapt_to: str | None = None  # data of another domain, whose labels, if any, nothing learns from
    adaptation: str = "auto"  # auto, "source only", or one of the catalog: how, where adapt_to is
    target_labels: str | None = None  # a table of a few labels of that domain, to choose by
    joint: str = "no"  # no, equal, uncertainty: several tasks train one network, weighed so
    metric: str | None = None  # of the catalog: what models are chosen and judged by
    offline: bool = False
    on: str = "local"  # or ray, ray:ADDRESS: where features and independent trainings are computed
    workers: int | None = None  # processes there; None is one for each core
    track: str | None = None  # mlflow, tensorboard, wandb: where fit and pretrain are followed


GROUPS = "\n"  # in `label`, between columns that are each a task, or several with commas


def label_columns(names: Sequence[str]) -> str:
    """Label columns as settings hold them: with commas, unless one of several has some itself."""
    return (GROUPS if len(names) > 1 and any("," in name for name in names) else ",").join(names)


CHOICES = {
    "evidence": ("none", "quick", "full"),
    "judge": ("auto", "holdout", "cv"),
    "precision": ("auto", "fp32", "bf16"),
    "engine": ("auto", "torch", "openvino"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "augment": ("auto", "yes", "no"),
    "class_weights": ("auto", "none"),
    "joint": ("no", "equal", "uncertainty"),
    "tta": ("none", "flip", "scales", "flip+scales"),
}
MOST = {"seed": 2**62}  # which a generator of random numbers still takes in
LEAST = {
    "seed": 0,
    "seeds": 1,
    "views": 0,
    "epochs": 1,
    "batch_size": 1,
    "class_level": 1,
    "workers": 1,
}


def check(settings: Settings) -> None:
    """Raise HeadstartError for a setting that no run can have."""
    for name, choices in CHOICES.items():
        value = getattr(settings, name)
        if value not in choices:
            raise HeadstartError(
                f"{name.replace('_', '-')} {value!r} is not known. "
                f"Give one of {', '.join(choices)}."
            )
    if settings.views and settings.augment == "no":
        raise HeadstartError(
            f"views {settings.views} and augment 'no' contradict each other. Give one of them."
        )
    for name, least in LEAST.items():
        value = getattr(settings, name)
        if value is not None and value < least:
            raise HeadstartError(f"{name} {value} is too small. Give {least} or more.")
    for name, most in MOST.items():
        if getattr(settings, name) > most:
            raise HeadstartError(
                f"{name} {getattr(settings, name)} is too large. Give {most} or less."
            )
    for name in ("learning_rate", "budget"):
        value = getattr(settings, name)
        if value is not None and not 0 < value < float("inf"):
            raise HeadstartError(f"{name} {value} can't be. Give a number above 0.")


def looks(tta: str) -> tuple[str, ...]:
    """The looks at an item besides the plain one that features are averaged over, where it counts.

    Raises HeadstartError where they are not known.
    """
    if tta not in CHOICES["tta"]:
        raise HeadstartError(f"tta {tta!r} is not known. Give one of {', '.join(CHOICES['tta'])}.")
    return () if tta == "none" else tuple(tta.split("+"))


@dataclass(frozen=True)
class Recipe:
    """How one training goes: `epochs` at most, by AdamW at `learning_rate` with a cosine."""

    label: str
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup: float = 0.05  # share of all steps
    patience: int = 5  # epochs without a better validation score
    clip: float = 1.0  # gradient norm


SCRATCH_RATES: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
DELICATE_SCRATCH_RATES = (1e-4, 3e-4, 1e-3)
FEW, PLENTY = 50, 1_000  # items a label; items
FOLDED, LEAST_HELD_OUT = 300, 30  # items, and held-out ones, below which folds judge
FOLDS = 5  # in which all items are judged
SETTLED = 2_000  # items to learn from, from which trainings differ little
QUICK = 30.0  # seconds that another training of transfer and scratch may take where none are named
SCRATCH_MORE_STEPS = 2  # times the transfer's, after He et al. 2019 and Kornblith et al. 2019

# The network from scratch may take so many times as long as the transfer, or so many seconds; but
# never fewer steps than the transfer it is compared with, or than so many of fine-tuning's own.
SCRATCH_TIMES, SCRATCH_SECONDS, SCRATCH_STEPS = 4.0, 60.0, 500
SCRATCH_ON_MAPS = 300.0  # seconds beside a transfer on stored maps, without an accelerator


def strategy(train_items: int) -> str:
    """The strategy for this many training items.

    Below some hundreds the probe on frozen features is hard to beat (BYOL, Table 3: linear beats
    scratch on every set under 5,100 images, and fine-tuning adds least there); the last stages cost
    little, as they train on stored activations; above, LP-FT keeps what fine-tuning distorts (Kumar
    et al. 2022); with plenty of labels plain fine-tuning catches up.
    """
    if train_items < 150:
        return "feature-extraction"
    if train_items < 1_000:
        return "last-stages"
    if train_items < 20_000:
        return "lp-ft"
    return "full-fine-tuning"


def judge(items: int, held_out: int, has_test_split: bool) -> str:
    """How a model is judged: on a `holdout` of all items, or by `cv`, folds in which each is once.

    Few held-out items leave an interval too wide to tell anything, and they are lost to learning;
    but a test split that the user names is the user's word.
    """
    if held_out and (has_test_split or (items >= FOLDED and held_out >= LEAST_HELD_OUT)):
        return "holdout"
    return "cv"


def repeats(trains: bool) -> int:
    """How often items are shared out to folds anew: where only heads are fitted, it costs little.

    More would hardly narrow the interval: the folds of one sharing-out overlap as well.
    """
    return 1 if trains else 4


def trainings(train_items: int) -> int:
    """Trainings that a gain is taken over, where time allows: the fewer items, the more luck."""
    return 3 if train_items < SETTLED else 1


def training_spread(train_items: int) -> float:
    """Standard deviation of a gain over trainings where only one was run, in units of the score.

    Five points for 300 items to learn from or fewer; it falls with the root of their number.
    """
    return float(0.05 * min(1.0, (300 / max(train_items, 1)) ** 0.5))


def ladder(train_items: int, labels: int, delicate: bool) -> tuple[str, ...]:
    """The strategies that are tried where none is to be named, from cheap to dear.

    Features alone come before all of them. Contrast pays below some 50 items a label, for encoders
    of sentences (Tunstall et al. 2022); adapters for pretrained transformers (Hu et al. 2021); the
    probe as a start only until labels are plenty.
    """
    rungs = ["last-stages"]
    if delicate and train_items < FEW * labels:
        rungs.append("few-shot")
    rungs.append("lp-ft")
    if delicate:
        rungs.append("lora")
    if train_items >= PLENTY:
        rungs.append("full-fine-tuning?decay=0.9")
    return tuple(rungs)


def epochs(train_items: int) -> int:
    """Passes over the items: hundreds of steps for small sets (after BiT's hyper-rule)."""
    if train_items < 150:
        return 30
    if train_items < 5_000:
        return 12
    if train_items < 20_000:
        return 6
    return 3


def batch_size(train_items: int) -> int:
    """Items a step: 32, and fewer where that would leave under 8 steps an epoch."""
    return max(4, min(32, train_items // 8))


def learning_rate(from_probe: bool, delicate_width: int | None = None) -> float:
    """AdamW's base rate: low after a fitted head, higher otherwise.

    Pretrained transformers forget at such rates; theirs goes by their width. At BERT's it is the
    highest that Devlin et al. 2018 search, and the best one falls as networks widen (Yang et al.
    2021).
    """
    if delicate_width is not None:
        return 5e-5 * min(4.0, 768 / delicate_width)
    return 2e-4 if from_probe else 1e-3


def scratch_rates(delicate: bool) -> tuple[float, ...]:
    """The rates that training from random weights chooses from."""
    return DELICATE_SCRATCH_RATES if delicate else SCRATCH_RATES


def smoothing(train_items: int) -> float:
    """Share of a target spread over all labels: where training is long enough to overfit.

    A tenth, as for ImageNet (Szegedy et al. 2016), for sets that the whole network is trained on.
    """
    return 0.1 if train_items >= 1_000 else 0.0


def class_weights(counts: tuple[int, ...]) -> tuple[float, ...] | None:
    """One weight a label, inverse to its frequency, where one label is 3 times another."""
    if min(counts) * 3 >= max(counts):
        return None
    total = sum(counts)
    return tuple(total / (len(counts) * max(count, 1)) for count in counts)

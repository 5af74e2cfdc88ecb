"""The strategy of a run as a user writes it, `name[?option=value&...]`, with the head it fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, final

from headstart import catalog, defaults
from headstart.contracts import Backbone, Strategy, Task
from headstart.contracts.references import parse_named
from headstart.defaults import Settings
from headstart.errors import HeadstartError, UnknownNameError

FEATURES: Final = "feature-extraction"
_AUTO, _LOGISTIC = "auto", "logistic"
_OWN_HEADS = ("probe", "trained", _LOGISTIC)  # heads that the strategy knows itself


@final
@dataclass(frozen=True)
class StrategySpec:
    """What moves the weights, and by name the head on frozen features where that is no probe.

    It prints as it was written, which is the name of its arm. `named` is whether the user chose it,
    `trains` whether it moves any weight by gradient; the policy's strategies may.
    """

    text: str
    head: str | None = None
    explicit: bool = True
    trains: bool = True

    @classmethod
    def of(cls, text: str | None, settings: Settings | None = None) -> StrategySpec:
        """Read a strategy and ask it everything once; None leaves it to the policy, or `settings`.

        Raises HeadstartError for one that isn't known, can't be, or ends with another head than
        the settings name.
        """
        explicit, text = text is not None, _with_head(text, settings)
        if text in (None, _AUTO):
            return cls(_AUTO, explicit=explicit)
        name, options = parse_named(text)
        head = options.get("head", _OWN_HEADS[0])
        if name != FEATURES or head in _OWN_HEADS:
            spec = cls(text, None, explicit)
        else:
            spec = cls(text, head, explicit)
            if head.partition("@")[0] not in catalog.names("heads"):
                raise UnknownNameError("head", head, {*catalog.names("heads"), *_OWN_HEADS})
            catalog.head(head).demand()
        strategy = spec.build()
        strategy.lr_scale(0, 1)
        strategy.frozen_stages(0, 1)
        return replace(spec, trains=bool(strategy.epochs(1)))

    @property
    def auto(self) -> bool:
        """Whether several of the policy's strategies are to be tried."""
        return self.text == _AUTO

    def for_items(
        self, count: int, task: Task | None = None, backbone: Backbone | None = None
    ) -> StrategySpec:
        """The policy's strategy for so many training items, where the user named none.

        One that begins untrained where the task has no probe, or the ladder that the task has; of a
        network that can't be trained the features alone, or several where it names heads that are
        worth a try.
        """
        several = (task and task.ladder) or (backbone and backbone.heads)
        if self.explicit or not self.auto or several:
            return self
        trainable = backbone is None or backbone.differentiable
        name = defaults.strategy(count) if trainable else FEATURES
        if task is not None and not task.has_probe:
            name = "full-fine-tuning" if trainable else f"{FEATURES}?head=trained"
        return replace(StrategySpec.of(name), explicit=False)

    def build(self) -> Strategy:
        """What it does to the weights, anew: whatever the head, features are extracted alike."""
        return catalog.strategy(FEATURES if self.head else self.text)

    def __str__(self) -> str:
        return self.text


def learns_from_sources(name: str) -> bool:
    """Whether a strategy's head learns from other tables, too."""
    head = StrategySpec.of(name).head if name not in ("naive", "scratch") else None
    return head is not None and catalog.head(head).sourced


def strategies() -> dict[str, str]:
    """Every strategy's name and the first line of its documentation."""
    names = sorted(catalog.names("strategies"))
    texts = {name: catalog.part("strategies", name).__doc__ or "" for name in names}
    return {name: text.strip().partition("\n")[0] for name, text in texts.items()}


def _with_head(text: str | None, settings: Settings | None) -> str | None:
    """The strategy, where the settings name another head the one that fits that."""
    head = settings.head if settings else _LOGISTIC
    if head == _LOGISTIC:
        return text
    spec = f"{FEATURES}?head={head}"
    if text not in (None, FEATURES, spec):
        raise HeadstartError(
            f"The head {head} is fitted on frozen features, which {text} doesn't end with. "
            f"Leave out the strategy, or the head."
        )
    return spec

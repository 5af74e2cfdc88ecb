"""The freezing family: one rule, which stages stay frozen in which epoch, with six settings.

Frozen means parameters and buffers: a frozen stage takes no gradient and stays in eval mode, so
that its BatchNorm statistics stand still.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, ClassVar, final

from headstart.contracts import Strategy
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor, nn

    from headstart.contracts.model import Model


class Freezing(Strategy):
    """The rule itself; subclasses say how many stages stay frozen, and the rates."""

    def on_epoch_start(self, epoch: int, model: Model) -> None:
        """Freeze the first stages, free the others. Called after every `model.train()`."""
        frozen = self.frozen_stages(epoch, len(model.stages))
        for position, stage in enumerate(model.stages):
            stage.requires_grad_(position >= frozen)
            if position < frozen:
                stage.eval()
            elif self.keeps_statistics():
                _keep_statistics(stage)
        if self.keeps_statistics():
            _keep_statistics(model.pool)

    def keeps_statistics(self) -> bool:
        """Whether BatchNorm keeps its statistics in stages that train.

        By default after a probe: it was fitted on features normalised by them, and batches of a
        small set would shift them under it (Kumar et al. 2022 keep them too).
        """
        return self.starts_from_probe()


class _Blending(Freezing):
    """A strategy that goes part of the way back: `share` of each trained weight is kept."""

    name: ClassVar[str]
    share: float

    def epochs(self, default: int) -> int:
        """The policy's number. Raises HeadstartError where `share` is no share."""
        if not 0 <= self.share <= 1:
            raise HeadstartError(
                f"{self.name}?share={self.share:g} is not from 0 to 1. Give for example 0.5."
            )
        return default

    def on_train_start(self, model: Model) -> None:
        """Keep the weights it starts from, where it goes back to them."""
        self._start: dict[str, Tensor] = {}
        if self.share == 1.0:
            return
        self._start = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def on_train_end(self, model: Model) -> None:
        """Blend the trained weights with those it started from."""
        if self._start:
            model.blend(self._start, self.share)
        del self._start


@final
class FeatureExtraction(Freezing):
    """Keep the whole backbone frozen and fit only a head on its features.

    `head` is `probe` (logistic regression, picked on validation) or `trained` (gradient steps).

    Reference: Donahue et al. 2014 (DeCAF); Kornblith et al. 2019 for the protocol.
    Relations: the cheapest member of the family; `last-stages` with `count=0`.
    Use when: there are few labels (some hundreds) or little time; also the arm every other strategy
    must beat.
    """

    def __init__(self, head: str = "probe") -> None:
        self.head = head

    def starts_from_probe(self) -> bool:
        """Whether the head is the probe."""
        if self.head not in ("probe", "trained"):
            raise HeadstartError(
                f"feature-extraction?head={self.head} is not known. Give probe or trained."
            )
        return self.head == "probe"

    def epochs(self, default: int) -> int:
        """None for a probe: it is already the answer."""
        return 0 if self.starts_from_probe() else default

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """All of them."""
        return stages


@final
class LastStages(_Blending):
    """Train the last `count` stages with the head; those before stay frozen and run only once.

    Each weight ends as `share` of the trained one and the rest of the one before.

    Reference: Yosinski et al. 2014; for `share` Wortsman et al. 2022 (WiSE-FT).
    Relations: `feature-extraction` trains none, `full-fine-tuning` all; with `probe` it is LP-FT on
    the end.
    Use when: features alone fall short but a full pass over the network in every epoch is too slow.
    """

    name: ClassVar[str] = "last-stages"

    def __init__(
        self, count: int = 2, probe: bool = True, decay: float = 0.9, share: float = 1.0
    ) -> None:
        self.count = count
        self.probe = probe
        self.decay = decay
        self.share = share

    def starts_from_probe(self) -> bool:
        """As set."""
        return self.probe

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """All but the last `count`."""
        if self.count < 0:
            raise HeadstartError(f"last-stages?count={self.count} is negative. Give 0 or more.")
        return max(0, stages - self.count)

    def lr_scale(self, stage: int, stages: int) -> float:
        """`decay` a stage, from the head down."""
        return _decayed("last-stages", self.decay, stages - stage)


@final
class GradualUnfreezing(Freezing):
    """Thaw the network from the top, one group of stages an epoch, lower ones slower.

    Reference: Howard and Ruder 2018 (ULMFiT): rates fall by 2.6 from group to group.
    Relations: ends as `full-fine-tuning` with discriminative rates; `lp-ft` is the two-phase form.
    Use when: a fresh head would spoil good lower stages, above all for text and few labels.
    """

    def __init__(self, groups: int = 4, fall: float = 2.6, probe: bool = False) -> None:
        self.groups = groups
        self.fall = fall
        self.probe = probe

    def starts_from_probe(self) -> bool:
        """As set."""
        return self.probe

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """One group fewer each epoch; the first epoch trains the head alone."""
        if self.groups < 1:
            raise HeadstartError(
                f"gradual-unfreezing?groups={self.groups} is below 1. Give 1 or more."
            )
        thawed = -(-stages * min(epoch, self.groups) // self.groups)
        return stages - thawed

    def lr_scale(self, stage: int, stages: int) -> float:
        """1 for the head, then divided by `fall` for each group below it."""
        if not 1 <= self.fall < inf:
            raise HeadstartError(
                f"gradual-unfreezing?fall={self.fall:g} is not 1 or more. Give for example 2.6."
            )
        if stage == stages:
            return 1.0
        group = (stages - 1 - stage) * self.groups // stages
        return float(self.fall ** -(group + 1))


@final
class FullFineTuning(Freezing):
    """Train every stage from the pretrained weights, `decay` slower with each from the head.

    Reference: Girshick et al. 2014; layer-wise decay after Clark et al. 2020 (ELECTRA).
    Relations: `lp-ft` starts from a fitted head and is kinder to the features.
    Use when: there are thousands of labels, or the target looks little like what the network was
    trained on.
    """

    def __init__(self, decay: float = 1.0) -> None:
        self.decay = decay

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """None."""
        return 0

    def lr_scale(self, stage: int, stages: int) -> float:
        """`decay` a stage, from the head down."""
        return _decayed("full-fine-tuning", self.decay, stages - stage)


@final
class LinearProbeThenFineTune(Freezing):
    """Fit the head on frozen features first, then train everything at low, layer-decayed rates.

    `statistics` is `kept` or `moving`: whether BatchNorm's follow the target while it trains.

    Reference: Kumar et al. 2022 (LP-FT): +1 % in, +10 % out of distribution over fine-tuning.
    Relations: `full-fine-tuning` from a better start; `last-stages` stops part of the way down.
    Use when: in doubt, with some thousands of labels; it starts where feature extraction ends.
    """

    def __init__(self, decay: float = 0.9, statistics: str = "kept") -> None:
        self.decay = decay
        self.statistics = statistics

    def starts_from_probe(self) -> bool:
        """Always: it is the first phase."""
        return True

    def keeps_statistics(self) -> bool:
        """As set."""
        return self.statistics == "kept"

    def epochs(self, default: int) -> int:
        """The policy's number. Raises HeadstartError where `statistics` is not known."""
        if self.statistics not in ("kept", "moving"):
            raise HeadstartError(
                f"lp-ft?statistics={self.statistics} is not known. Give kept or moving."
            )
        return default

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """None: the first phase is the probe."""
        return 0

    def lr_scale(self, stage: int, stages: int) -> float:
        """`decay` a stage, from the head down."""
        return _decayed("lp-ft", self.decay, stages - stage)


@final
class WiseFineTuning(_Blending):
    """Fine-tune from a fitted head, then go part of the way back to where that began.

    Each weight ends as `share` of the trained one and the rest of the one before, the head's too.
    All else is as in `lp-ft` with this `decay`.

    Reference: Wortsman et al. 2022 (WiSE-FT): +4 to +6 points on shifted data, none lost at home.
    Relations: `lp-ft` at `share=1`; `feature-extraction` at `share=0`.
    Use when: there are few labels, or what comes later will look unlike what was labelled.
    """

    name: ClassVar[str] = "wise-ft"

    def __init__(self, share: float = 0.5, decay: float = 0.9) -> None:
        self.share = share
        self.decay = decay

    def starts_from_probe(self) -> bool:
        """Always: it goes back to it."""
        return True

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """None: the first phase is the probe."""
        return 0

    def lr_scale(self, stage: int, stages: int) -> float:
        """`decay` a stage, from the head down."""
        return _decayed("wise-ft", self.decay, stages - stage)


def _decayed(name: str, decay: float, distance: int) -> float:
    if not 0 < decay <= 1:
        raise HeadstartError(
            f"{name}?decay={decay:g} is not above 0 and at most 1. Give for example 0.9."
        )
    return float(decay**distance)


def _keep_statistics(stage: nn.Module) -> None:
    from torch import nn

    for module in stage.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()

"""Few labels: pull items of one class together, those of others apart, then fit the head again."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, final

from headstart.contracts import Strategy
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor

    from headstart.contracts.model import Model, Step

_NEVER = -1e9  # a score that takes no share, yet leaves a batch of one finite


@final
class FewShot(Strategy):
    """Fine-tune with a contrastive loss over the pairs of each batch, and end with a probe.

    Features of one class are pulled together and pushed from the others', by their cosine over
    `temperature`; this counts `weight` times beside the head's own loss. Rates fall by `decay` a
    stage from the head, for at most `rounds` epochs. BatchNorm keeps its statistics. Pairs are only
    those within a batch, so that the cost grows with the items and not with their square.

    Reference: Tunstall et al. 2022 (SetFit), with the loss of Khosla et al. 2020 (SupCon).
    Relations: `lp-ft` with `weight=0` and no probe at the end.
    Use when: there are fewer than some 50 labels a class, above all for encoders of sentences.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        weight: float = 1.0,
        decay: float = 0.9,
        rounds: int = 10,
    ) -> None:
        self.temperature = temperature
        self.weight = weight
        self.decay = decay
        self.rounds = rounds

    def starts_from_probe(self) -> bool:
        """Always."""
        return True

    def ends_with_probe(self) -> bool:
        """Always: features of one class lie closer together than when the head was fitted."""
        return True

    def frozen_stages(self, epoch: int, stages: int) -> int:
        """None."""
        return 0

    def epochs(self, default: int) -> int:
        """The policy's number, but at most `rounds`. Raises HeadstartError for wrong settings."""
        for name, value, right, such in (
            ("temperature", self.temperature, 0 < self.temperature < inf, 0.1),
            ("weight", self.weight, 0 <= self.weight < inf, 1),
            ("decay", self.decay, 0 < self.decay <= 1, 0.9),
            ("rounds", self.rounds, self.rounds >= 1, 10),
        ):
            if not right:
                raise HeadstartError(
                    f"few-shot?{name}={value:g} can't be. Give for example {such}."
                )
        return min(default, self.rounds)

    def lr_scale(self, stage: int, stages: int) -> float:
        """`decay` a stage, from the head down."""
        return float(self.decay ** (stages - stage))

    def on_epoch_start(self, epoch: int, model: Model) -> None:
        """Train all stages, but keep BatchNorm's statistics: the head was fitted on them."""
        from torch.nn import modules

        model.stages.requires_grad_(True)
        for module in (*model.stages.modules(), *model.pool.modules()):
            if isinstance(module, modules.batchnorm._BatchNorm):
                module.eval()

    def loss(self, step: Step, unlabelled: Step | None = None) -> Tensor:
        """The head's loss plus `weight` times the contrast.

        Raises HeadstartError where targets are not classes.
        """
        if step.targets.dim() != 1 or step.targets.is_floating_point():
            raise HeadstartError(
                "few-shot needs classes, but these targets are numbers or sets of labels. "
                "Give another strategy, such as lp-ft."
            )
        return step.loss + self.weight * _contrast(step.features, step.targets, self.temperature)


def _contrast(features: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Khosla et al. 2020, equation 2, over features (N, D) and classes (N,): a scalar.

    The mean, over items with a partner (another one of their class), of how unlikely these partners
    are among all other items. Zero where no item has one.
    """
    import torch
    from torch.nn import functional

    with torch.autocast(features.device.type, enabled=False):  # bf16 has too few digits for cosines
        directions = functional.normalize(features.float().flatten(1), dim=1)
        likeness = directions @ directions.T / temperature
    itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    partners = (targets[:, None] == targets) & ~itself
    shares = likeness.masked_fill(itself, _NEVER).log_softmax(dim=1)
    counts = partners.sum(dim=1)
    each = -(shares * partners).sum(dim=1) / counts.clamp(min=1)
    return each.sum() / (counts > 0).sum().clamp(min=1)

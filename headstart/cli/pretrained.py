"""The commands that find pretrained models and bring them here: backbones, fetch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.answers import Answer, Incomplete
from headstart.runtime.progress import Progress

if TYPE_CHECKING:
    from headstart.contracts import Card


@dataclass(frozen=True)
class Backbones:
    """The backbones that match a pattern."""

    cards: Sequence[Card]

    def to_json(self) -> dict[str, Any]:
        """{"backbones": [{"reference", "modality", "parameters", "accuracy", "year", …}]}."""
        return {
            "backbones": [  # but where weights are looked for, which is between hub and index
                {name: value for name, value in asdict(card).items() if name != "path"}
                for card in self.cards
            ]
        }

    def __str__(self) -> str:
        rows = [
            (
                card.reference,
                f"{card.parameters / 1e6:.1f}M" if card.parameters is not None else "?",
                "?" if card.accuracy is None else f"{card.accuracy:.1f} %",
                card.input,
                card.licence or "?",
                card.trained_on or "?",
                "yes" if card.at_hand else "no",
            )
            for card in self.cards
        ]
        titles = (
            *("reference", "parameters", "ImageNet top-1"),
            *("input", "licence", "trained on", "at hand"),
        )
        from headstart.report import as_columns

        return as_columns(titles, rows)


def backbones(  # noqa: PLR0913  # a flag each
    pattern: Annotated[
        str, typer.Argument(help="A shell pattern, such as 'timm:*mobilenet*'.")
    ] = "*",
    modality: Annotated[str | None, typer.Option(help="image or text.")] = None,
    hub: Annotated[str | None, typer.Option(help="Of this hub alone.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="A shell pattern, such as 'apache*'; case is ignored.")
    ] = None,
    min_parameters: Annotated[str | None, typer.Option(help="At least so many: 500K, 5M.")] = None,
    max_parameters: Annotated[str | None, typer.Option(help="At most so many: 30M, 1.5B.")] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(help="Published top-1 on ImageNet-1k, in percent.")
    ] = None,
    at_hand: Annotated[
        bool, typer.Option("--at-hand", help="Only those whose weights are on this machine.")
    ] = False,
    sort: Annotated[
        str | None, typer.Option(help="By parameters, accuracy (the best first) or name.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Show at most so many; 0 shows all.")] = 0,
    *,
    progress: Progress,
) -> Answer:
    """List pretrained models: size, input, licence, trained on, weights at hand or not."""
    from headstart import listing
    from headstart.listing.filters import CardFilter, count

    least, most = (None if n is None else count(n) for n in (min_parameters, max_parameters))
    filters = CardFilter(modality, hub, licence, least, most, min_accuracy, at_hand, sort, limit)
    return Backbones(listing.backbones(pattern, filters, progress))


def fetch(
    references: Annotated[
        list[str], typer.Argument(help="hub:name, then @weights and ?option=value; or with *.")
    ],
    bundle: Annotated[
        str | None,
        typer.Option(help="Also write them into this new folder, for a machine without network."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Open no connection: only check that all is here.")
    ] = False,
    *,
    progress: Progress,
) -> Answer | Incomplete:
    """Bring pretrained models to this machine, with all that a later run needs of them."""
    from headstart.pipeline.fetching import fetch as bring

    models = bring(references, bundle, progress=progress)
    failures = f"{len(models.failed)} could not be fetched"
    return Incomplete(models, failures) if models.failed else models

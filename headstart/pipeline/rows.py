"""A backbone fitted to rows: how columns are written, and what cells that are items usually are.

Labels are never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from headstart.contracts import Backbone, Modality
from headstart.data import Item
from headstart.features.cells import RowParts
from headstart.features.extract import Prefix, extract
from headstart.features.reading import Reader
from headstart.runtime.progress import Progress

_CELLS: Final = 500  # rows whose cells say what is usual: more change the means little


def fitted_to_rows(
    backbone: Backbone, modality: Modality, items: Sequence[Item], prefix: Prefix, show: Progress
) -> Backbone:
    """The backbone with its columns fitted to these items, and the features of cells centred.

    `prefix` says how its parts are run. Raises DataError where no column is left to learn from.
    """
    whole = modality.prepared(backbone, (item.read() for item in items))
    if not whole.parts or whole is backbone:
        return whole
    import torch

    from headstart.contracts.joined import Joined
    from headstart.loading.weights import digest

    (name, plain), specs = *whole.stages.items(), whole.preprocess["columns"]
    wide = [(each["kind"], each["width"]) for each in specs if "width" in each]
    network = Joined(dict(plain.get_submodule("parts").named_children()), wide)
    own, some = modality.fitted(whole), sorted(items, key=lambda item: item.digest)[:_CELLS]
    rows = RowParts.of(whole, some, Reader(own, whole.preprocess))
    features = {
        kind: extract(prefix.of_part(part), part.items, part.reader, show).features()
        for kind, part in rows.parts.items()
    }
    for place, (_, cells) in enumerate(rows.by_column(network, features)):
        network.settle(place, torch.from_numpy(cells))
    origin = replace(whole.origin, weights_hash=digest(network.state_dict()))
    return replace(whole, stages={name: network.eval()}, origin=origin)

"""Which kind of raw input a data set holds, where no backbone says it."""

from __future__ import annotations

from collections.abc import Mapping

from headstart.contracts import Modality
from headstart.data.items import find
from headstart.data.schema import Schema
from headstart.data.sources import Data
from headstart.errors import DataError


def recognise(data: Data, modalities: Mapping[str, Modality], schema: Schema) -> str:
    """The name of the modality that finds most items there, the first of them where several do.

    Nothing is opened but manifests. Where a column of texts was named, it is a modality whose
    content stands in columns; where one of paths was, it is another. Raises DataError, the
    first modality's, where none finds any.
    """
    counts: dict[str, int] = {}
    errors: list[DataError] = []
    for name, modality in modalities.items():
        if (schema.content and not modality.inline) or (schema.files and modality.inline):
            continue
        try:
            found = find(data, modality, schema)
        except DataError as error:
            errors.append(error)
            continue
        counts[name] = sum(row.source is not None for row in found.rows)
    if not any(counts.values()):
        raise next(
            iter(errors), DataError(f"{data} holds no item of a known kind. Give files of one.")
        )
    return max(counts, key=lambda name: counts[name])

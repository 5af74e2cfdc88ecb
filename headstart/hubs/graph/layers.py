"""The middle layers of a graph: the maps that all that follows depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from headstart.hubs.graph.reading import Opened, computed

_FEWEST: Final = 4  # positions of a map, and channels


def layers(opened: Opened, features: Any) -> list[str]:
    """Names of the maps before the features, input side first."""
    if opened.kind == "tflite":  # whose converter forgets most names
        decoded = opened.reader.decode(opened.reader.load(str(opened.path)))
        names = [min(value.get_names()) for value in _crossed_alone(decoded) if value.get_names()]
        values = _converted(opened, names)
    else:
        values = _crossed_alone(opened.model)
        names = [next(iter(sorted(value.get_names())), "") for value in values]
    outputs = zip(names, values, strict=True)
    maps = [name for name, value in outputs if name and _is_map(value)]
    last = opened.name(features, 0)
    maps = maps[: maps.index(last)] if last in maps else maps
    short = [name.partition(";")[0] for name in maps]  # one of those that were folded into it
    return [own if short.count(own) == 1 else name for own, name in zip(short, maps, strict=True)]


def _crossed_alone(model: Any) -> list[Any]:
    """The answers that nothing goes around, in order."""
    order = computed(model)
    places = {node.get_name(): place for place, node in enumerate(order)}
    values, furthest = [], 0
    for place, node in enumerate(order):
        reach = [_reach(value, places) for value in node.outputs()]
        if furthest <= place and len(reach) == 1:
            values.append(node.output(0))
        furthest = max(furthest, *reach)
    return values


def _reach(value: Any, places: dict[str, int]) -> int:
    """The place of the last operation that needs an answer; results need it no further."""
    readers = (reader.get_node().get_name() for reader in value.get_target_inputs())
    return max((places.get(name, 0) for name in readers), default=0)


def _converted(opened: Opened, names: Sequence[str]) -> list[Any]:
    """The tensors of these names, in a network of OpenVINO."""
    source = opened.reader.load(str(opened.path))
    places = [source.get_place_by_tensor_name(name) for name in names]
    source.override_all_outputs(places)
    model = opened.reader.convert(source)
    return [result.input_value(0) for result in model.get_results()]


def _is_map(value: Any) -> bool:
    """Whether it has channels and several positions."""
    shape = value.partial_shape
    if shape.rank.is_dynamic or len(shape) != 4:
        return False
    sides = sorted(side.get_length() if side.is_static else _FEWEST for side in list(shape)[1:])
    return sides[-1] >= _FEWEST and sides[0] > 1

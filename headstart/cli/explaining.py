"""What `predict --explain` answers: predictions, and what in the inputs spoke for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data import Input
from headstart.errors import HeadstartError
from headstart.explain import Explanation, PictureExplanation, TextExplanation, explain
from headstart.report import as_columns
from headstart.runtime.places import demand_path
from headstart.serve import Predictions, Predictor

_BAR = 12  # signs of the heaviest word's bar


@dataclass(frozen=True)
class Explained:
    """Predictions, each with its explanation and the file of its heat map, where it has them."""

    predictions: Predictions
    explanations: Sequence[Explanation | None]
    overlays: Sequence[Path | None]

    def to_json(self) -> dict[str, Any]:
        """{"predictions": [{"path", "label", …, "explanation": {…}, "overlay"}]}."""
        rows = zip(self.predictions, self.explanations, self.overlays, strict=True)
        return {
            "predictions": [
                prediction.to_json()
                | ({"explanation": why.to_json()} if why else {})
                | ({"overlay": str(overlay)} if overlay else {})
                for prediction, why, overlay in rows
            ]
        }

    def __str__(self) -> str:
        parts = [str(self.predictions)]
        for why, overlay in zip(self.explanations, self.overlays, strict=True):
            if why is None:
                continue
            lines = [f"{why.path}: {why.label}, {why.output.value:+.3f}", why.method]
            if overlay:
                lines.append(f"Heat map in {overlay}")
            if isinstance(why, TextExplanation):
                lines.append(_words(why))
            parts.append("\n".join(lines))
        return "\n\n".join(parts)


def explained(predictor: Predictor, inputs: Iterable[Input], out: str | None) -> Explained:
    """Explain predictions, and write heat maps into the folder `out`, or beside the pictures.

    Raises HeadstartError for a folder that can't be one, and as `Predictor.predict` does.
    """
    if out is not None:
        _make(Path(out))
    every = list(inputs)
    sound = [not predictor.problem(each) for each in every]
    usable = [each for each, here in zip(every, sound, strict=True) if here]
    # before any prediction: what a network keeps from one without gradients would spoil them
    explanations = iter(explain(predictor, usable) if usable else ())
    whys = [next(explanations) if here else None for here in sound]
    predictions = predictor.predict(every)
    places: set[Path] = set()
    overlays = [_save(why, out, places) for why in whys]
    return Explained(predictions, whys, overlays)


def _make(folder: Path) -> None:
    demand_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise HeadstartError(f"{folder} is a file. Name a folder for the heat maps.") from None


def _save(why: Explanation | None, out: str | None, places: set[Path]) -> Path | None:
    if not isinstance(why, PictureExplanation):
        return None
    picture = Path(why.path)
    folder = Path(out) if out is not None else picture.parent
    path, number = folder / f"{picture.name}.explained.png", 1
    while path in places:  # pictures of one name from several folders
        number += 1
        path = folder / f"{picture.name}.explained-{number}.png"
    places.add(path)
    why.save(path)
    return path


def _words(why: TextExplanation) -> str:
    most = max((abs(word.weight) for word in why.words), default=0.0) or 1.0
    rows = [
        (
            word.text,
            f"{word.weight:+.3f}",
            ("+" if word.weight > 0 else "-") * round(_BAR * abs(word.weight) / most),
        )
        for word in why.words
    ]
    words = (
        f"Of the output {why.output.value:+.3f} a text of padding has "
        f"{why.output.value - why.difference:+.3f}; the weights are the rest, "
        f"off by {why.delta:+.2g}."
    )
    return f"{as_columns(('word', 'weight', ''), rows)}\n{words}"

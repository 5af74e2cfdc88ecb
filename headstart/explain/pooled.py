"""Grad-CAM without torch, where features are the means of a map and the head is linear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from headstart.data import Item
from headstart.explain.answers import Output, PictureExplanation
from headstart.serve import Predictor
from headstart.serve.running import WithoutTorch

_LEAST = 2  # cells of a side, of which fewer show nothing


@dataclass(frozen=True)
class PooledMap:
    """A saved model's answers by place: what makes the maps, and the head's slopes (labels, C)."""

    predictor: Predictor
    running: WithoutTorch
    maps: Callable[[np.ndarray], np.ndarray]
    slopes: np.ndarray

    @classmethod
    def of(cls, predictor: Predictor) -> PooledMap | None:
        """That of a model; None where it answers through torch, or otherwise."""
        running = predictor.running
        if not isinstance(running, WithoutTorch):
            return None
        maps, slopes = running.form.pooled(), running.form.slopes()
        if maps is None or slopes is None:
            return None
        return cls(predictor, running, maps, slopes)

    def explain(self, name: str, item: Item) -> PictureExplanation | None:
        """A heat map over one picture, for the output that `Output.of` picks; None without a map.

        The gradient of a linear head on a map's means is the same at each place, so that this is
        what Grad-CAM (Selvaraju et al. 2017) finds on that map.
        """
        reader = self.running.reader
        view = reader.decode(item)
        inputs = reader.collated([view])
        (cells,) = self.maps(inputs)
        if min(cells.shape[1:]) < _LEAST:
            return None
        question = Output.of(self.predictor, self.running.headed(cells.mean((1, 2))[None]))
        heat = np.maximum(np.tensordot(self.slopes[question.place], cells, 1), 0)
        pixels = np.asarray(view).transpose(1, 2, 0)
        high, wide = pixels.shape[:2]
        heat = np.asarray(Image.fromarray(heat).resize((wide, high), Image.Resampling.BILINEAR))
        heat = heat / heat.max() if heat.max() > 0 else heat
        method = f"Grad-CAM on {cells.shape[1]} x {cells.shape[2]} cells of the map that is pooled."
        picture = np.broadcast_to(pixels, (high, wide, 3))
        return PictureExplanation(name, question, method, heat, picture)

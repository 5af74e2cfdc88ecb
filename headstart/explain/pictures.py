"""Where in a picture the evidence lies: Grad-CAM where the network keeps a map, else occlusion."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.model import Model
from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.explain.answers import Output, PictureExplanation
from headstart.features.engine import to_device
from headstart.serve import Predictor

_PATCHES = 7  # an occluding patch is this part of a side, and moves by half of itself
_AT_ONCE = 16  # occluded pictures in a batch
_NEAR = 1.5  # times by which a map's ratio of sides may differ from the picture's


def explain_picture(predictor: Predictor, name: str, item: Item) -> PictureExplanation:
    """A heat map over one picture, for the output that `Asked` picks.

    Grad-CAM (Selvaraju et al. 2017) on the last stage that answers with a map of (C, H, W). It is
    as coarse as that map, and shows what speaks for the output, not against it. Where no stage has
    a map, as in vision transformers, or no gradient comes back to it: occlusion (Zeiler and Fergus
    2014), which covers part after part with the mean colour and asks what that costs. The heat is
    divided by its largest value, and is 0 all over where nothing speaks for the output. Raises
    HeadstartError for items that are no pictures.
    """
    view = predictor.reader.decode(item)
    inputs = predictor.reader.modality.collate([view], predictor.reader.preprocess)
    if not isinstance(inputs, Tensor) or inputs.dim() != 4:
        raise HeadstartError(f"{name} can't be explained: it is no picture. Leave --explain out.")
    inputs = to_device(inputs, predictor.device)
    with torch.no_grad():
        question = Output.of(predictor, predictor.model(inputs))
    heat, method = _evidence(predictor.model, inputs, question.place)
    heat = heat.clamp(min=0)
    heat = heat / heat.max() if heat.max() > 0 else heat
    pixels = np.asarray(view).transpose(1, 2, 0)
    picture = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return PictureExplanation(name, question, method, heat.cpu().numpy(), picture)


def _evidence(model: Model, inputs: Tensor, place: int) -> tuple[Tensor, str]:
    """A map (h, w) of what speaks for the output, not yet scaled, and a sentence on the method."""
    stage, size = _last_map(model, inputs)
    if stage is None:
        reason = "as no stage of the network answers with a map"
    else:
        try:
            heat = _grad_cam(model, inputs, place, stage)
        except RuntimeError as error:  # what was saved as a graph may have no gradient
            reason = f"as no gradient comes back ({str(error).partition(chr(10))[0].rstrip('.')})"
        else:
            cells = f"{size[0]} x {size[1]} cells of the stage {model.names[stage]}"
            return heat, f"Grad-CAM on {cells}."
    heat, window = _occlusion(model, inputs, place)
    return heat, f"Occlusion by patches of {window[0]} x {window[1]} pixels, {reason}."


def _last_map(model: Model, inputs: Tensor) -> tuple[int | None, tuple[int, int]]:
    """The last stage with a map, and that map's height and width.

    A map has sides in the ratio of the picture's: some networks put the channels last.
    """
    last: tuple[int | None, tuple[int, int]] = None, (0, 0)
    ratio = inputs.shape[2] / inputs.shape[3]
    activation = inputs
    with torch.no_grad():
        for place, stage in enumerate(model.stages):
            activation = stage(activation)
            one = isinstance(activation, Tensor) and activation.dim() == 4
            if not one or min(activation.shape[2:]) < 2:
                continue
            height, width = activation.shape[2:]
            if 1 / _NEAR < height / width / ratio < _NEAR:
                last = place, (height, width)
    return last


def _grad_cam(model: Model, inputs: Tensor, place: int, stage: int) -> Tensor:
    from captum.attr import LayerAttribution, LayerGradCam

    followed = inputs.detach().clone().requires_grad_()  # also where all weights are frozen
    method = LayerGradCam(model, model.stages[stage])
    heat = method.attribute(followed, target=place, relu_attributions=True)
    size = inputs.shape[2], inputs.shape[3]
    heat_map: Tensor = LayerAttribution.interpolate(heat.detach(), size, "bilinear")[0, 0]
    return heat_map


def _occlusion(model: Model, inputs: Tensor, place: int) -> tuple[Tensor, tuple[int, int]]:
    from captum.attr import Occlusion

    channels, height, width = inputs.shape[1:]
    window = max(1, height // _PATCHES), max(1, width // _PATCHES)
    with torch.no_grad():
        heat = Occlusion(model).attribute(
            inputs,
            sliding_window_shapes=(channels, *window),
            strides=(channels, *(max(1, side // 2) for side in window)),
            target=place,
            baselines=0,  # of normalised inputs: the mean colour
            perturbations_per_eval=_AT_ONCE,
        )
    heat_map: Tensor = heat[0].mean(0)
    return heat_map, window

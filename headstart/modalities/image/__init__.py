"""Pictures: checked, decoded to bytes per channel, and put into batches as the backbone expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from headstart.contracts import Check, Modality, Preprocess
from headstart.contracts.places import Extent, Motion
from headstart.errors import DataError
from headstart.modalities.image.letterbox import letterbox_motion, letterboxed
from headstart.modalities.image.opened import TURNS
from headstart.modalities.image.opening import SUFFIXES, is_picture, open_picture
from headstart.modalities.image.resizing import stretched
from headstart.modalities.image.sketch import sketch, squashed
from headstart.modalities.image.statistics import colours, edges
from headstart.modalities.image.views import accepted, random_view, whole_view

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import Tensor

_AS_SEEN = {"channels": 3, "crop": 1.0, "crop_mode": "whole"}  # as people see a picture
_AS_SEEN |= {"interpolation": "bilinear", "mean": (), "std": ()}
_LARGER = 1.15
_STRIDE = 32  # px, that most networks shrink a side by


def _larger(side: int) -> int:
    """A whole number of strides, where that is larger."""
    whole = int(_LARGER * side) // _STRIDE * _STRIDE
    return whole if whole > side else round(_LARGER * side)


@final
class Image(Modality):
    """Pictures in the formats of photos, scans and scientific and medical pictures.

    The preprocessing is a mapping with `channels` (1 or 3), `height`, `width` (pixels), `crop`
    (the share of the resized picture that is kept), `crop_mode` (center, squash, border; whole: in
    its own shape, its shorter side at most as long as it is resized to; or letterbox: in its own
    shape at the upper left, grey beside it), `interpolation`
    (nearest, box, bilinear, bicubic, lanczos), and `mean`, `std` (one number a channel, for values
    from 0 to 1). It may also hold `crop_origin` ("floor" where a crop between two pixels begins at
    the lower one, else it is rounded to the even one).
    """

    version: ClassVar[int] = 4  # of what `decode` gives; raise it whenever a pixel changes
    suffixes: ClassVar[frozenset[str]] = SUFFIXES
    has_extent: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = (
        *("image", "file_name", "path", "file", "img", "filename", "filepath", "file_path"),
        *("image_path", "img_path", "image_name", "image_file", "image_id", "img_name", "fname"),
    )

    varied: ClassVar[bool] = True
    in_arrays: ClassVar[bool] = True
    pixels: ClassVar[bool] = True

    def accepts(self, preprocess: Preprocess) -> bool:
        """Whether all of it is known and of a plausible size."""
        return accepted(preprocess)

    def recognises(self, head: bytes) -> bool:
        """Whether a file of any name begins as a picture does, by its first 1,024 bytes."""
        return is_picture(head)

    def check(self, raw: bytes) -> Check:
        """Read the file wholly; say why it can't be used, or what is peculiar about it."""
        try:
            picture = open_picture(raw)
            return Check(notes=picture.notes, sketch=sketch(picture))
        except DataError as error:
            return Check(problem=str(error))

    def extent(self, raw: bytes) -> Extent:
        """The picture's width and height, upright. Raises DataError for what is no picture."""
        picture = open_picture(raw)
        return Extent(*picture.size, turn=TURNS.index(picture.turn))

    def motion(self, preprocess: Preprocess, rng: np.random.Generator) -> Motion | None:
        """How a random view of a whole picture is mirrored and made smaller; None for crops."""
        return letterbox_motion(rng) if preprocess["crop_mode"] == "letterbox" else None

    def problem(self, raw: bytes) -> str | None:
        """None: `decode` reads the file wholly, too."""

    def decode(
        self, raw: bytes, preprocess: Preprocess, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """The picture as the backbone sees it: uint8, (channels, height, width).

        Without `rng` this is timm's evaluation transform, at most two levels of 255 off in photos
        and less than .01 on average, save for a JPEG at least six times the resized picture in both
        directions. That one is decoded at 1/2, 1/4 or 1/8 of its size, at least three times the
        resized picture, which moves photos by less than one level on average.

        With `rng`, a random part with 35 % to all of the area and a ratio of 3/4 to 4/3 (Szegedy et
        al., 2015), mirrored half the time where it is in colour; below 64 px half of the area at
        least, never mirrored. Raises DataError when the picture can't be decoded.
        """
        picture = open_picture(raw)
        if preprocess["crop_mode"] == "letterbox":
            pixels = letterboxed(
                picture, preprocess, None if rng is None else letterbox_motion(rng)
            )
        elif rng is None:
            pixels = whole_view(picture, preprocess)
        else:
            pixels = random_view(picture, preprocess, rng)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)

    def look(self, inputs: Any, name: str) -> Any | None:
        """A batch mirrored ("flip"), or enlarged to about 1.15 times its size ("scales")."""
        if name not in ("flip", "scales"):
            return None
        if isinstance(inputs, np.ndarray):
            sides = [_larger(side) for side in inputs.shape[1:3]]
            return inputs[:, :, ::-1].copy() if name == "flip" else stretched(inputs, sides)
        if name == "flip":
            return inputs.flip(-1)
        import torch
        from torch.nn import functional

        sides = [_larger(int(side)) for side in inputs.shape[2:]]
        larger = functional.interpolate(inputs, size=sides, mode="bilinear", align_corners=False)
        return larger.contiguous(memory_format=torch.channels_last)

    def statistics(self, raw: bytes) -> dict[str, np.ndarray]:
        """Numbers on the colours (160,) and the edges (576,) of the picture at 64 by 64 pixels."""
        pixels = np.asarray(squashed(open_picture(raw)).convert("RGB")).transpose(2, 0, 1)
        return {"colour": colours(pixels), "edges": edges(pixels)}

    def shown(self, raw: bytes, side: int) -> np.ndarray:
        """The picture in its own shape, 8 bits deep."""
        pixels = self.decode(raw, {**_AS_SEEN, "height": side, "width": side})
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))

    def collate(self, items: Sequence[np.ndarray], preprocess: Preprocess) -> Tensor:
        """A batch of decoded pictures, (N, channels, height, width) float32, normalised.

        In memory the channels come last, as convolutions like it best.
        """
        import torch

        return torch.from_numpy(self.arrays(items, preprocess)).permute(0, 3, 1, 2)

    def blank(self, preprocess: Preprocess) -> Tensor:
        """One picture of zeros."""
        import torch

        return torch.zeros(1, *(preprocess[side] for side in ("channels", "height", "width")))

    def arrays(self, items: Sequence[np.ndarray], preprocess: Preprocess) -> np.ndarray:
        """The same batch, (N, height, width, channels) float32."""
        channels, height, width = items[0].shape
        mean, std = (np.tile(np.float32(preprocess[name]), width) for name in ("mean", "std"))
        batch = np.empty((len(items), height, width * channels), np.float32)
        # by numpy: torch's threads would wait for cores that decoders and engines compute on
        for rows, item in zip(batch, items, strict=True):  # one fits into the cache
            pixels = item.transpose(1, 2, 0).reshape(rows.shape)
            np.divide(pixels, np.float32(255), out=rows)
            rows -= mean
            rows /= std
        return batch.reshape(len(items), height, width, channels)

"""Reading Caffe's files: descriptions of networks as text, weights and means as bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from torch import Tensor

from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.caffe.messages import Blob, Net, upgraded

_LONGEST: Final = 8 << 20  # bytes of a description; that of a ResNet-152 has 90 thousand
_LARGEST: Final = (2 << 30) - 1  # bytes of a message; protobuf itself has this limit
_FORM: Final = "caffe:FILE.prototxt@FILE.caffemodel"


def read_text(path: Path) -> bytes:
    """The content of a description. Raises HeadstartError where it can't be had or is too long."""
    content = _read(path, _LONGEST, HeadstartError, f"Write {_FORM}")
    if b"\0" in content:
        raise HeadstartError(f"{path} is not text. Write {_FORM}.")
    return content


def parse(content: bytes, path: Path) -> tuple[Any, list[Any]]:
    """A description as Caffe's message, and its layers in the present format.

    Raises HeadstartError where it is none, or in Caffe's first format.
    """
    net = Net()
    try:
        # comments are in any encoding
        text_format.Parse(content.decode("utf-8", "replace"), net, allow_unknown_field=True)
    except (text_format.ParseError, ValueError, RecursionError) as error:
        reason = re.sub(r"\s+", " ", str(error)).rstrip(".")[:200]
        raise HeadstartError(
            f"{path} is not a description of a network ({reason}). Mend it, or write {_FORM}."
        ) from None
    present = layers(net, path)
    if not present:
        raise HeadstartError(
            f"{path} describes no layers. Give the description of a network, such as "
            "deploy.prototxt, not of a solver."
        )
    return net, present


def layers(net: Any, path: Path) -> list[Any]:
    """The layers of a network in the present format, without their weights."""
    if any(old.HasField("layer") for old in net.layers):
        raise HeadstartError(
            f"{path} is in Caffe's first format (V0), which is not read. "
            "Convert it with Caffe's own upgrade_net_proto_text or upgrade_net_proto_binary."
        )
    return [upgraded(old) for old in net.layers] + list(net.layer)


def read_weights(path: Path) -> Any:
    """A file of weights as Caffe's message.

    Raises WeightsError where it can't be read, is damaged, or holds no weights.
    """
    content = _read(path, _LARGEST, WeightsError, "Give a .caffemodel file")
    if content.startswith(b"\x89HDF"):
        raise WeightsError(f"{path} is HDF5, which is not read. Save it as a .caffemodel file.")
    net = _parsed(Net(), content, path)
    if not any(layer.blobs for layer in [*net.layer, *net.layers]):
        raise WeightsError(f"{path} holds no layers with weights. Give a .caffemodel file.")
    return net


def blobs_by_layer(net: Any) -> Mapping[str, Sequence[Any]]:
    """The blobs of the layers that have any, by the layers' names."""
    return {layer.name: layer.blobs for layer in [*net.layers, *net.layer] if layer.blobs}


def read_mean(path: Path) -> list[float]:
    """The mean of each channel of a mean picture, in its order of channels."""
    blob = _parsed(Blob(), _read(path, _LARGEST, WeightsError, "Give mean= instead"), path)
    picture = tensor(blob, str(path))
    if picture.dim() not in (3, 4) or picture.numel() == 0:
        raise WeightsError(f"{path} holds no picture. Give mean= instead.")
    channels = picture.reshape(*picture.shape[-3:])
    return [float(value) for value in channels.double().mean((1, 2))]


def tensor(blob: Any, what: str) -> Tensor:
    """The numbers of a blob. Raises WeightsError where they are not as many as its shape says."""
    doubles = bool(blob.double_data)
    raw = b"".join(blob.double_data if doubles else blob.data)
    kind = np.dtype("<f8" if doubles else "<f4")
    shape = (
        list(blob.shape.dim)
        if blob.HasField("shape")
        else [blob.num, blob.channels, blob.height, blob.width]
    )
    if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != len(raw):
        raise WeightsError(
            f"{what} says that it has {'×'.join(map(str, shape))} numbers, but "
            f"{len(raw) // kind.itemsize} are there. Copy or download the file again."
        )
    return torch.from_numpy(np.frombuffer(raw, kind).astype(np.float32)).reshape(shape)


def _parsed(message: Any, content: bytes, path: Path) -> Any:
    try:
        message.ParseFromString(content)
    except DecodeError:
        raise WeightsError(
            f"{path} is damaged, or not a file of Caffe. Copy or download it again."
        ) from None
    return message


def _read(path: Path, most: int, kind: type[HeadstartError], advice: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise kind(f"{path} can't be read ({error.strerror}). {advice}.") from None
    if len(content) > most:
        raise kind(f"{path} is larger than {most >> 20} MiB. {advice}.")
    return content

"""Weights by their address: in torch's own folder on this machine, or downloaded into it."""

from __future__ import annotations

import re
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Final

import torch
from huggingface_hub import constants

from headstart.errors import WeightsError
from headstart.hubs.torchvision.listing import stored

_HASH: Final = re.compile(r"-([0-9a-f]{8,})\.\w+$")  # the start of the file's sha256, in its name


def fetch(url: str, what: str) -> Path:
    """The file of this address, downloaded where it is not at hand, and compared with its hash.

    Raises WeightsError where it is neither here nor to be had.
    """
    path = stored(url)
    if path.is_file():
        return path
    advice = (
        f"Give a local file with {what}@FILE, or take random weights with {what}?pretrained=false."
    )
    if constants.HF_HUB_OFFLINE:
        raise WeightsError(
            f"The weights of {what} are not in {path.parent}, and HF_HUB_OFFLINE keeps them from "
            f"being fetched from {url}. {advice}"
        )
    named = _HASH.search(path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            url, str(path), named and named[1], progress=sys.stderr.isatty()
        )
    except (OSError, RuntimeError, ValueError, HTTPException) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")[:160]
        raise WeightsError(
            f"The weights of {what} could not be fetched from {url} "
            f"({type(error).__name__}: {reason}). {advice}"
        ) from error
    return path

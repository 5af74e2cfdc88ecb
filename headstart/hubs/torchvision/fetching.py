"""Weights by their address: in torch's own folder on this machine, or downloaded into it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from headstart.hubs.torchvision.listing import stored
from headstart.loading import downloads

_HASH: Final = re.compile(r"-([0-9a-f]{8,})\.\w+$")  # the start of the file's sha256, in its name


def fetch(url: str, what: str) -> Path:
    """The file of this address, downloaded where it is not at hand, and compared with its hash.

    Raises WeightsError where it is neither here nor to be had.
    """
    path = stored(url)
    named = _HASH.search(path.name)
    return downloads.fetch(
        url,
        path,
        sha256=named[1] if named else "",
        what=f"The file of weights of {what}",
        advice=f"Give a local file with {what}@FILE, or take random weights with "
        f"{what}?pretrained=false.",
    )

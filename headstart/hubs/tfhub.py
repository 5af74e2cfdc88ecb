"""TensorFlow Hub by handle: archives fetched once, compared ever after, and read by `graph`."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, final

from headstart.contracts import Card
from headstart.contracts.hub import PointingHub
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.loading.downloads import fetch_folder, records
from headstart.runtime.places import cache_folder

ADDRESS: Final = "HEADSTART_TFHUB"  # names a mirror in the environment
CACHE: Final = "TFHUB_CACHE_DIR"  # of TensorFlow Hub's own library, which has the same layout
_HUB: Final = "https://tfhub.dev"
_FORMAT: Final = "tf-hub-format"
_HANDLE: Final = re.compile(r"[\w.-]+(/[\w.-]+)+")
_ARCHIVES: Final = (".tar.gz", ".tgz", ".zip")
_SAVED_MODEL: Final = "saved_model.pb"
_GRAPHS: Final = frozenset({".onnx", ".tflite", ".xml"})
_ZERO_TO_ONE: Final = {"mean": "0", "std": "1"}  # what images of the Hub are to be
_LICENCE: Final = "Apache-2.0"
_IMAGENET: Final = "ImageNet-1k"
_SLIM: Final = "google/imagenet/{}/feature_vector/5"
_EFFICIENT: Final = "tensorflow/efficientnet/{}/feature-vector/1"
_EFFICIENT_2: Final = "google/imagenet/efficientnet_v2_imagenet1k_{}/feature_vector/2"
KNOWN: Final[Mapping[str, tuple[int, int]]] = {  # pixels, and parameters without a classifier
    _SLIM.format("inception_v3"): (299, 21_802_784),
    _SLIM.format("mobilenet_v2_035_224"): (224, 410_208),
    _SLIM.format("mobilenet_v2_050_224"): (224, 706_224),
    _SLIM.format("mobilenet_v2_075_224"): (224, 1_382_064),
    _SLIM.format("mobilenet_v2_100_224"): (224, 2_257_984),
    _SLIM.format("mobilenet_v2_130_224"): (224, 3_766_048),
    _SLIM.format("mobilenet_v2_140_224"): (224, 4_363_712),
    _SLIM.format("resnet_v2_50"): (224, 23_564_800),
    _SLIM.format("resnet_v2_101"): (224, 42_626_560),
    _SLIM.format("resnet_v2_152"): (224, 58_331_648),
    _EFFICIENT.format("b0"): (224, 4_049_564),
    _EFFICIENT.format("b1"): (240, 6_575_232),
    _EFFICIENT.format("b2"): (260, 7_768_562),
    _EFFICIENT.format("b3"): (300, 10_783_528),
    _EFFICIENT_2.format("b0"): (224, 5_919_312),
    _EFFICIENT_2.format("b1"): (240, 6_931_124),
    _EFFICIENT_2.format("b2"): (260, 8_769_374),
    _EFFICIENT_2.format("b3"): (300, 12_930_622),
}


@final
class TfHub(PointingHub):
    """Image models of TensorFlow Hub, as SavedModels that OpenVINO reads.

    `tfhub:google/imagenet/mobilenet_v2_100_224/feature_vector/5` is fetched from tfhub.dev, or from
    the mirror that HEADSTART_TFHUB names; a whole address may stand in place of the handle. The
    archive holds a SavedModel, or exactly one .onnx, .tflite or .xml file. `sha256` is the one it
    must have. Everything else is for the hub `graph`, save that pictures are fed from 0 to 1.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """Well-known handles, and all that were fetched, by shell pattern; offline."""
        fetched = set(_fetched())
        for handle in sorted(fetched | set(KNOWN)):
            if not fnmatchcase(handle, pattern):
                continue
            size, parameters = KNOWN.get(handle, (None, None))
            yield Card(
                reference=f"tfhub:{handle}",
                modality="image",
                parameters=parameters,
                input=f"3x{size}x{size}" if size else "",
                licence=_LICENCE if size else None,
                trained_on=_IMAGENET if size else None,
                at_hand=handle in fetched,
            )

    def cards_depend_on(self) -> Sequence[str] | None:
        """The cache's records, and what says where the cache is and what is fetched from where."""
        return (f"${ADDRESS}", f"${CACHE}", f"{_cache()}/*.json")

    def resolve(self, reference: Reference) -> Reference:
        """The unpacked graph, fetched where it isn't at hand, with the same options.

        Raises HeadstartError for what is no handle, WeightsError where it can't be had, has another
        hash than it should, or holds no graph.
        """
        address = _address(reference)
        whole = address.lower().endswith(_ARCHIVES)
        folder = _cache() / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
        what = f"tfhub:{reference.name}"
        fetch_folder(
            address if whole else f"{address}?{_FORMAT}=compressed",
            folder,
            sha256=reference.options.get("sha256", ""),
            what=what,
            advice="Check the handle and the connection, and try again; what arrived is kept.",
        )
        graph = _graph(folder, what)
        options = reference.with_options(**{"sha256": None, _FORMAT: None}).options
        if graph.is_dir():
            options = {**_ZERO_TO_ONE, **_options_of(reference.name), **options}
        return replace(reference, hub="graph", name=str(graph), options=options)


def _address(reference: Reference) -> str:
    """The handle as TensorFlow Hub's library would have it: an address without a format."""
    name = reference.name.rstrip("/")
    if name.startswith(("https://", "http://")):
        return name
    if not _HANDLE.fullmatch(name) or ".." in name.split("/"):
        raise HeadstartError(
            f"tfhub:{name} is not a handle of TensorFlow Hub. Give one such as "
            f"tfhub:{_SLIM.format('mobilenet_v2_100_224')}, or a whole address."
        )
    return f"{_hub()}/{name}"


def _hub() -> str:
    return os.environ.get(ADDRESS, "").rstrip("/") or _HUB


def _cache() -> Path:
    return Path(os.environ.get(CACHE) or cache_folder() / "tfhub")


def _fetched() -> Iterator[str]:
    """The handles that were fetched; whole addresses for what lies elsewhere than on the Hub."""
    for _, record in records(_cache()):
        yield record.url.partition("?")[0].removeprefix(f"{_hub()}/")


def _options_of(handle: str) -> dict[str, str]:
    """What the handle tells of the network: its size, and whether it ends in features."""
    size = {"size": str(KNOWN[handle][0])} if handle in KNOWN else {}
    return size | ({"head": "false"} if "feature_vector" in handle.replace("-", "_") else {})


def _graph(folder: Path, what: str) -> Path:
    """The SavedModel's folder, or the one graph file."""
    models = sorted(path.parent for path in folder.rglob(_SAVED_MODEL))
    if folder in models or len(models) == 1:
        return folder if folder in models else models[0]
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _GRAPHS)
    if len(files) == 1 and not models:
        return files[0]
    raise WeightsError(
        f"{what} holds {len(models)} SavedModels and {len(files)} other graphs, so that it isn't "
        "clear what is meant. Give the address of an archive that holds one."
    )

"""A reference to an entry point, with everything settled before any code of it runs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.hubs.torch_hub import fetching
from headstart.hubs.torch_hub.fetching import Code
from headstart.loading.preprocess import PictureInput
from headstart.loading.spec import LoadSpec, resolve
from headstart.runtime import trust

_GITHUB: Final = re.compile(r"([\w.-]+/[\w.-]+)(?::(.+))?/([A-Za-z_]\w*)")
_LOCAL: Final = re.compile(r"(.+)/([A-Za-z_]\w*)")
_HERE: Final = (".", "/", "~")  # how the name of a local folder begins
_FORM: Final = "torchhub:OWNER/REPOSITORY[:REF]/ENTRY or torchhub:./FOLDER/ENTRY"
_WRITTEN: Final = ("ema", "trust", "pretrained", "entry", "repository", "ref", "commit", "sha256")


@final
@dataclass(frozen=True)
class TorchHubOptions(PictureInput):
    """The options that are ours. From `entry` on they say what a saved model was made of."""

    head: bool = True
    ema: bool = True
    trust: bool = False
    pretrained: bool = True
    entry: str = ""
    repository: str = ""
    ref: str = ""
    commit: str = ""
    sha256: str = ""


@final
@dataclass(frozen=True)
class Place:
    """Where an entry point is: on GitHub, or in a folder; `saved` is that of a saved model."""

    entry: str
    repository: str = ""
    ref: str = ""
    folder: Path | None = None
    saved: bool = False


@final
@dataclass(frozen=True)
class TorchHubSpec(LoadSpec[TorchHubOptions]):
    """What to run, and what to feed its network with. `code` is what the user trusts."""

    place: Place
    code: Code
    keywords: dict[str, str]  # for the entry point, as given
    preprocess: dict[str, Any]

    @property
    def architecture(self) -> Reference:
        """What rebuilds the same network with random weights, here or in a saved model."""
        origin = {
            "entry": self.place.entry,
            "repository": self.place.repository,
            "ref": self.place.ref,
            "commit": self.code.commit,
            "sha256": self.code.sha256,
        }
        origin = {name: value for name, value in origin.items() if value}
        changed = self.options.changed(_WRITTEN)
        return self.rebuilt({**self.keywords, **changed, "trust": "true", **origin})


def settle(reference: Reference) -> TorchHubSpec:
    """Read the options, get the code, and make sure that the user lets it run.

    Raises HeadstartError for bad options, and code that is missing, changed or not trusted;
    WeightsError where it can't be fetched.
    """
    own = {field.name for field in fields(TorchHubOptions)}
    keywords = {name: value for name, value in reference.options.items() if name not in own}
    options = resolve(TorchHubOptions, reference.with_options(**dict.fromkeys(keywords)))
    preprocess = options.preprocess(reference)
    place = _place(reference.name, options)
    code = _code(place, options)
    trust.demand_same(f"The code of torchhub:{reference.name}", code.sha256, options.sha256)
    _demand_trust(reference, place, code)
    return TorchHubSpec(reference, options, place, code, keywords, preprocess)


def _place(name: str, options: TorchHubOptions) -> Place:
    folder = Path(name).expanduser()
    if (folder / fetching.SAVED).is_file() and options.entry:
        return Place(options.entry, options.repository, options.ref, folder, saved=True)
    if name.startswith(_HERE):
        if match := _LOCAL.fullmatch(name):
            return Place(match[2], folder=Path(match[1]).expanduser())
    elif match := _GITHUB.fullmatch(name):
        return Place(match[3], match[1], match[2] or fetching.DEFAULT)
    raise HeadstartError(f"torchhub:{name} names no entry point. Write {_FORM}.")


def _code(place: Place, options: TorchHubOptions) -> Code:
    if place.folder is None:
        return fetching.from_github(place.repository, place.ref)
    if place.saved:
        return fetching.from_saved(place.folder, options.commit)
    return fetching.from_folder(place.folder)


def _demand_trust(reference: Reference, place: Place, code: Code) -> None:
    """Raise HeadstartError unless this code may run.

    A repository that is trusted by name has to come from GitHub: what a folder says of itself may
    be anything.
    """
    if place.folder is None:
        path = Path(f"{place.repository}:{place.ref}")
        trusted = os.environ.get(trust.REPOSITORIES, "").split(",")
        if place.repository in [name.strip() for name in trusted]:
            reference = Reference("torchhub", reference.name, options={"trust": "true"})
    else:
        path = place.folder / (fetching.SAVED if place.saved else fetching.ENTRIES)
    trust.demand(reference, path, code.sha256)

"""What is asked of places that data lie in, and what they answer, whatever their protocol."""

from __future__ import annotations

import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar, final

from headstart.data.remote.addresses import ANONYMOUS, SCHEMES, scheme_of, shown, user_of
from headstart.errors import DataError, RemoteError, reason

_T = TypeVar("_T")
_PAUSES: Final = (0.2, 1.0)  # seconds before another attempt; AWS's client makes its own
_LONGEST: Final = timedelta(seconds=60)  # of attempts of Google's client, which makes them for 15'
_NETWORK: Final = "Check the address and the connection, and run the command again."
_CHANGED: Final = "has changed since it was listed. Run the command again"


class Fault(Exception):
    """Why something can't be had: words for the user, and what to do.

    `passing` says that another attempt may succeed, `absent` that there is no such file, `denied`
    that whoever asks may not know.
    """

    def __init__(
        self,
        why: str,
        advice: str = _NETWORK,
        *,
        passing: bool = False,
        absent: bool = False,
        denied: bool = False,
    ) -> None:
        super().__init__(why)
        self.advice = advice
        self.passing = passing
        self.absent = absent
        self.denied = denied


@dataclass(frozen=True)
class State:
    """The size of a file in bytes, and what is equal as long as its content is the same.

    `tag` says the same more surely where it is known; a listing knows it of no object.
    """

    size: int
    version: str
    tag: str = ""


class Store(ABC):
    """Files by address. Each of these raises Fault where it can't answer."""

    lists: bool = True  # whether the files of a folder can be asked for
    keys: str = ""  # how a key is given, as none in an address is sent

    @abstractmethod
    def state(self, text: str) -> State | None:
        """The state of a file; None where none is there."""

    @abstractmethod
    def listing(self, text: str) -> Iterator[tuple[str, State]]:
        """The files below a folder, by their names relative to it."""

    @abstractmethod
    def read(self, text: str, start: int, size: int) -> tuple[bytes, State]:
        """So many bytes of a file from `start` on, or as many as it has, and its state."""


@final
class Buckets(Store):
    """Buckets of S3, and of what speaks like it, and of Google, by the client in pyarrow."""

    keys = ", and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"

    def state(self, text: str) -> State | None:
        """By what is asked of a single object."""
        from pyarrow.fs import FileType

        files, path = _bucket(text)
        info = _answer_of(lambda: files.get_file_info(path))
        return _state(info) if info.type == FileType.File else None

    def listing(self, text: str) -> Iterator[tuple[str, State]]:
        """A thousand objects with each question; keys that end with a slash are none."""
        from pyarrow.fs import FileSelector, FileType

        files, path = _bucket(text)
        selector = FileSelector(path, recursive=True)
        for info in _answer_of(lambda: files.get_file_info(selector)):
            if info.type == FileType.File:
                yield info.path[len(path) + 1 :], _state(info)

    def read(self, text: str, start: int, size: int) -> tuple[bytes, State]:
        """The object as it is when it is opened: one question for its state, one for the part."""
        files, path = _bucket(text)

        def work() -> tuple[bytes, State]:
            with files.open_input_file(path) as file:
                whole: int = file.size()
                facts = {name: value.decode() for name, value in (file.metadata() or {}).items()}
                end = max(start, min(whole, start + size))
                version = _version(whole, facts.get("Last-Modified", ""))
                state = State(whole, version, facts.get("ETag", ""))
                return file.read_at(end - start, start), state

        content, state = _answer_of(work)
        return content, state if state.version else (self.state(text) or state)


def _state(info: Any) -> State:
    when = info.mtime.strftime("%Y-%m-%dT%H:%M:%SZ") if info.mtime else ""
    return State(info.size, _version(info.size, when))


def _version(size: int, when: str) -> str:
    return f"{size} {when}" if when else ""


@lru_cache(maxsize=16)
def _client(scheme: str, bucket: str, anonymous: bool, settings: tuple[str, ...]) -> Any:
    """The client for a bucket, by the settings of the environment that AWS's own tools read."""
    from pyarrow import fs

    if scheme == "gs":
        return fs.GcsFileSystem(anonymous=anonymous, retry_time_limit=_LONGEST)
    endpoint, region = settings
    if not endpoint and not region:
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        anonymous=anonymous,
        region=region or "us-east-1",
        endpoint_override=endpoint or None,
        connect_timeout=10,
        request_timeout=30,
    )


def _bucket(text: str) -> tuple[Any, str]:
    """The client that knows a bucket, and what it calls the object.

    `s3://anonymous@bucket/…` asks without a key.
    """
    scheme, _, path = text.partition("://")
    anonymous = path.startswith(f"{ANONYMOUS}@")
    path = path.removeprefix(f"{ANONYMOUS}@")
    variable = os.environ.get
    endpoint = variable("AWS_ENDPOINT_URL_S3") or variable("AWS_ENDPOINT_URL") or ""
    region = variable("AWS_REGION") or variable("AWS_DEFAULT_REGION") or ""
    bucket = path.partition("/")[0]
    client = _answer_of(lambda: _client(scheme, bucket, anonymous, (endpoint, region)))
    return client, path


_DENIED: Final = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that may read it."
_WORDS: Final = {
    "NO_SUCH_BUCKET": ("there is no such bucket", "Check the address."),
    "ACCESS_DENIED": ("access is denied", _DENIED),
    "INVALID_ACCESS_KEY_ID": ("the key is not known there", _DENIED),
    "SIGNATURE_DOES_NOT_MATCH": ("the secret does not fit the key", _DENIED),
    "INVALID_SIGNATURE": ("the secret does not fit the key", _DENIED),
    "UNRECOGNIZED_CLIENT": ("the key is not known there", _DENIED),
}


def _answer_of(work: Callable[[], _T]) -> _T:
    """What a client of pyarrow answers. Raises Fault in its place of an error."""
    try:
        return work()
    except FileNotFoundError as error:
        raise Fault("nothing is there", "Check the address.", absent=True) from error
    except OSError as error:
        text = str(error)
        code = re.search(r"AWS Error ([A-Z_]+)", text)
        if code and code[1] in _WORDS:
            raise Fault(*_WORDS[code[1]], denied=code[1] == "ACCESS_DENIED") from error
        if "Bucket" in text and "not found" in text:
            raise Fault(*_WORDS["NO_SUCH_BUCKET"]) from error
        if code and code[1] == "NETWORK_CONNECTION":
            raise Fault("the connection failed") from error
        why = f"the store answered {code[1]}" if code else reason(error)
        raise Fault(why, passing=True) from error
    except ValueError as error:  # what no object can be called
        raise Fault(reason(error), "Check the address.") from error


@lru_cache(maxsize=1)
def _by_scheme() -> dict[str, Store]:
    from headstart.data.remote.web import Web

    web = Web()
    return {"s3": Buckets(), "gs": Buckets(), "http": web, "https": web}


def store_of(text: str) -> Store:
    """What reads an address.

    Raises DataError for a scheme that nothing reads, an address that names a user, and any where
    HF_HUB_OFFLINE is set, as `--offline` does.
    """
    store = _by_scheme().get(scheme_of(text))
    if store is None:
        raise DataError(
            f"{shown(text)} is an address that can't be read. Give one of "
            f"{', '.join(f'{name}://' for name in SCHEMES)}, or copy or mount it on this machine, "
            "and give the path there."
        )
    if user_of(text):
        raise DataError(
            f"{shown(text)} can't be read: it names a user, and none is sent. Give an address "
            f"without one{store.keys}."
        )
    from huggingface_hub import constants  # late: predicting alone does without

    if constants.HF_HUB_OFFLINE:
        raise DataError(
            f"{shown(text)} is an address, and offline no connection may be opened. Leave out "
            "--offline and HF_HUB_OFFLINE, or give a path."
        )
    return store


def patiently(text: str, work: Callable[[Store], _T]) -> _T:
    """What a store answers, asked again where it fails.

    Raises DataError for a file that isn't there, and else RemoteError; both name the address.
    """
    store, pauses = store_of(text), iter(_PAUSES)
    while True:
        try:
            return work(store)
        except Fault as fault:
            pause = next(pauses, None) if fault.passing else None
            if pause is None:
                kind = DataError if fault.absent else RemoteError
                raise kind(f"{shown(text)} can't be read: {fault}. {fault.advice}") from fault
        time.sleep(pause)


def demand_same(text: str, version: str, state: State, in_parts: bool) -> None:
    """Raise RemoteError where a file is another than when it was listed, or its last part read."""
    tag = _TAGS.setdefault((text, version), state.tag) if in_parts else state.tag
    if (version and state.version != version) or tag != state.tag:
        _TAGS.pop((text, version), None)
        raise RemoteError(f"{shown(text)} {_CHANGED}, and leave the data alone while it runs.")


_TAGS: Final[dict[tuple[str, str], str]] = {}  # of files that are read in parts

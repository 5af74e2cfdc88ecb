"""A saved model on its way to the Hugging Face Hub, and its card written again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from headstart import artifact, catalog
from headstart.artifact import Record
from headstart.contracts.references import Reference
from headstart.drift import FILE as REFERENCE
from headstart.errors import HeadstartError, reason
from headstart.loading import engine_form
from headstart.loading import record as records
from headstart.results.pushed import CardText, Pushed
from headstart.runtime.progress import Show, as_progress

TOKEN: Final = "HF_TOKEN"
_MESSAGE: Final = "Upload a model made by Headstart"


def card(model: str | Path, *, write: bool = False) -> CardText:
    """A saved model's card, made anew of its record and its evidence; written where wanted.

    Raises HeadstartError where there is no model, or its evidence can't be read.
    """
    folder = Path(model)
    record = artifact.read(folder)
    evidence = artifact.read_evidence(folder)
    library = catalog.load_backbone(Reference("checkpoint", str(folder))).library
    with artifact.as_written(folder):
        text = artifact.card(record, evidence, library)
    if write:
        artifact.write_card(folder, text)
    return CardText(text, folder / artifact.CARD if write else None)


def push(
    model: str | Path, repository: str, *, public: bool = False, progress: Show = None
) -> Pushed:
    """Upload a saved model's own files to `OWNER/NAME` on the Hub, as one commit.

    The token is read from `HF_TOKEN` alone, and the address from `HF_ENDPOINT`. The repository is
    made where it isn't there, private unless `public`. What shows the data stays here: the report,
    whose page holds some of them, and the plan; so does whatever else lies in the folder. Raises
    HeadstartError where the model is damaged, offline, without a token, and for what the Hub
    refuses.
    """
    folder, say = Path(model), as_progress(progress)
    record = artifact.read(folder)
    names = list(own_files(folder, record))
    _demand_inside(folder, names)
    token = os.environ.get(TOKEN, "").strip()
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise HeadstartError(
            f"{repository} can't be reached: HF_HUB_OFFLINE forbids connections. "
            "Leave out --offline, and unset it."
        )
    if not token:
        raise HeadstartError(
            f"{repository} can't be written without a token. Set {TOKEN} to one that may write."
        )
    say.say(f"Uploading {len(names)} files of {folder} to {repository}.")
    address = _uploaded(folder, names, repository, token, public)
    stays = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).as_posix() not in names
    )
    return Pushed(repository, address, tuple(names), tuple(stays), public)


def own_files(folder: Path, record: Record) -> Iterator[str]:
    """The names of the files that a saved model consists of: what its record names, and its card.

    No name but the record's own and those of this version of Headstart is taken.
    """
    yield records.FILE
    yield artifact.WEIGHTS
    if record.head:
        yield artifact.HEAD
    yield from sorted(record.files)
    if record.reference:
        yield REFERENCE
    for name in sorted(record.engine.keys() & engine_form.NAMES):
        yield f"{engine_form.FOLDER}/{name}"
    places = {Path(name).parent / artifact.WEIGHTS for name in record.files}
    more = {place.as_posix() for place in places if len(place.parts) > 1}
    for name in (artifact.CONFIG, artifact.CARD, artifact.EVIDENCE, *sorted(more)):
        if (folder / name).exists():
            yield name


def _demand_inside(folder: Path, names: list[str]) -> None:
    """Raise HeadstartError for a file that is a link to somewhere else."""
    root = folder.resolve()
    for name in names:
        place = (folder / name).resolve()
        if not place.is_relative_to(root) or not place.is_file():
            raise HeadstartError(
                f"{folder / name} is no file in the saved model itself. Copy the model again."
            )


def _uploaded(folder: Path, names: list[str], repository: str, token: str, public: bool) -> str:
    """The address of the repository once all is there."""
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = HfApi(token=token)
    files: list[Any] = [CommitOperationAdd(name, folder / name) for name in names]
    try:
        address = api.create_repo(repository, private=not public, exist_ok=True)
        api.create_commit(repository, files, commit_message=_MESSAGE)
        return str(address)
    except HFValidationError:
        raise HeadstartError(
            f"{repository!r} is no repository of the Hub. Give OWNER/NAME, of letters, digits, "
            "'-', '_' and '.'."
        ) from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        raise HeadstartError(
            f"The Hub refuses {repository} ({status}: {reason(error)}). "
            f"Check its name, and that {TOKEN} may write there."
        ) from None
    except OSError as error:
        raise _unreachable(repository, error) from None
    except Exception as error:  # its client's own kinds for what never reached the Hub
        if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore2", "requests"):
            raise _unreachable(repository, error) from None
        raise


def _unreachable(repository: str, error: Exception) -> HeadstartError:
    return HeadstartError(
        f"{repository} can't be reached ({reason(error)}). Check the connection, and run the "
        "command again."
    )

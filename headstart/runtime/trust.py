"""Consent to run code, given for exact contents, and kept for this process and those it starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from headstart.contracts.references import Reference
from headstart.errors import HeadstartError

VARIABLE: Final = "HEADSTART_TRUST"
REPOSITORIES: Final = "HEADSTART_TRUST_REPOSITORIES"  # names, with commas, for the hub that fetches
_ANYTHING: Final = "1"
_RECORD: Final = "headstart.json"  # stands beside weights that Headstart saved


def demand(reference: Reference, path: Path, sha256: str) -> None:
    """Raise HeadstartError unless the user lets this content run as code.

    A reference that leads into a saved model was written by whoever saved it, so that its
    `trust=true` says nothing. What is allowed once is allowed to the processes that follow, such
    as the one in which a saved model is proved: for this content only.
    """
    allowed = [part.strip() for part in os.environ.get(VARIABLE, "").split(",") if part.strip()]
    if _ANYTHING in allowed or sha256 in allowed:
        return
    beside = Path(reference.weights).parent if reference.weights else None
    is_artifact = Path(reference.name).is_dir() or (
        beside is not None and (beside / _RECORD).exists()
    )
    if reference.option("trust", False) and not is_artifact:
        os.environ[VARIABLE] = ",".join([*allowed, sha256])
        return
    advice = "" if is_artifact else "add ?trust=true, or "
    raise HeadstartError(
        f"{path} is code that would run with your rights, and is not trusted. If you know who "
        f"wrote it, {advice}set the environment variable {VARIABLE}={sha256}."
    )


def demand_same(what: str | Path, sha256: str, recorded: str) -> None:
    """Raise HeadstartError where code isn't what a saved model was made of, if that says so."""
    if recorded not in ("", sha256):
        raise HeadstartError(
            f"{what} has changed since the model was made of it: its SHA-256 is {sha256}, not "
            f"{recorded}. Put the old content back."
        )

"""The folder beside the output where a run keeps its checkpoints until it is whole."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from headstart.errors import HeadstartError
from headstart.runtime.places import demand_path

_RECORD = "headstart.json"
_AT_ONCE = {"linux": ("renameat2", 2), "darwin": ("renameatx_np", 2)}  # both: exchange the names
_HERE = {"linux": -100, "darwin": -2}  # AT_FDCWD: names count from the working directory


class Workspace:
    """`OUT.unfinished`, held by one run at a time; its artifact moves to OUT once checked.

    A model may be handed over before the run ends: OUT then holds it, and the folder what the run
    goes on from. `proves` is for a run on a model that is there already; `shares` says that models
    of other tasks lie beside it, whose network may be the same. Entering raises HeadstartError
    where OUT holds anything else or can't be made.
    """

    def __init__(self, out: Path, proves: bool = False, shares: bool = False) -> None:
        demand_path(out)
        self.shares = shares
        self.out = Path(os.path.abspath(out))
        self.folder = self.out.with_name(f"{self.out.name}.unfinished")
        self._proves = proves
        self._draft = self.folder / "artifact"
        self._handed = self.folder / "handed-over.json"  # what OUT holds, if it is this run's
        self._lock = FileLock(str(self.out.with_name(f".{self.out.name}.lock")))

    def __enter__(self) -> Workspace:
        self._demand_free()
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self.folder.mkdir(exist_ok=True)
        except Timeout:
            raise HeadstartError(
                f"{self.out} is being written by another run. Wait for it, or name another folder."
            ) from None
        except OSError as error:
            self._unlock()
            raise HeadstartError(
                f"{self.out} can't be made ({error.strerror}). Name a folder that you may write to."
            ) from None
        try:
            self._demand_free()  # another run may have ended between the look and the lock
        except HeadstartError:
            self.__exit__(None, None, None)
            raise
        return self

    def _demand_free(self) -> None:
        if self._proves:
            if not (self.out / _RECORD).exists():
                raise HeadstartError(
                    f"{self.out} is not a saved model: it has no {_RECORD}. "
                    "Give the folder that `fit` wrote."
                )
            return
        if self.handed_over:
            return
        if self.out.is_file() or (self.out.is_dir() and any(self.out.iterdir())):
            what = "already holds a model" if (self.out / _RECORD).exists() else "is not empty"
            raise HeadstartError(f"{self.out} {what}. Name a new folder, or remove this one first.")

    @property
    def handed_over(self) -> bool:
        """Whether OUT holds a model that this folder's run put there before its end."""
        return (self.out / _RECORD).is_file() and _hash(self.out) in self._handed_over()["records"]

    def claim(self, run: Mapping[str, Any]) -> bool:
        """Say what this run is; answer whether an unfinished one like it left checkpoints.

        Checkpoints of another run are removed. Raises HeadstartError where such a run has handed
        over a model at OUT.
        """
        record = self.folder / "run.json"
        same = record.exists() and record.read_text(encoding="utf-8") == _text(run)
        if not same:
            if self.handed_over:
                raise HeadstartError(
                    f"{self.out} holds a model whose proof another run left unfinished. Go on with "
                    f"it by `headstart prove {self.out}`, name a new folder, or remove this one."
                )
            self._clear()
            self._write("run.json", run)
        return same and (self.handed_over or any(self.folder.rglob("*.checkpoint")))

    def claim_proof(self, run: Mapping[str, Any]) -> None:
        """Say what a proof is of; checkpoints stay if the run that left them was of the same."""
        try:
            record = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            same = bool(record) and all(
                record.get(name, value) == value for name, value in run.items()
            )
        except (OSError, ValueError, AttributeError):
            same = False
        if not same:
            self._clear()
            self._write("run.json", run)

    def adopt(self, files: Iterable[str]) -> None:
        """Let what OUT holds give way to the next draft: these files of it, others stay there."""
        self._write(self._handed.name, {"records": [_hash(self.out)], "files": sorted(set(files))})

    def forget(self) -> None:
        """Let what OUT holds be no business of this folder's, as before it was adopted."""
        self._handed.unlink(missing_ok=True)

    def draft(self) -> Path:
        """An empty folder for the artifact."""
        shutil.rmtree(self._draft, ignore_errors=True)
        self._draft.mkdir()
        return self._draft

    def hand_over(self) -> Path:
        """Move the drafted artifact to its place, where another may lie, and keep the rest.

        Whoever opens OUT finds the one or the other, whole. Files of others stay there.
        """
        entries = self._handed_over()
        files = sorted(each.name for each in self._draft.iterdir())
        if (self._draft / _RECORD).exists():
            records = [*entries["records"], _hash(self._draft)]
            self._write(self._handed.name, {"records": records, "files": files})
        if not self.handed_over:
            if self.out.is_dir():
                self.out.rmdir()  # empty, or entering would have refused
            os.replace(self._draft, self.out)
            return self.out
        _exchange(self._draft, self.out)
        for entry in self._draft.iterdir():
            if entry.name not in (*entries["files"], *files):
                os.replace(entry, self.out / entry.name)
        shutil.rmtree(self._draft)
        return self.out

    def renew(self) -> Path:
        """Let each file of the draft take the place of that in OUT; the rest stays there."""
        for entry in sorted(self._draft.iterdir()):
            os.replace(entry, self.out / entry.name)
        self._draft.rmdir()
        return self.out

    def publish(self) -> Path:
        """Move the drafted artifact to its place and remove the rest."""
        self.hand_over()
        return self.end()

    def end(self) -> Path:
        """Remove all but what OUT holds."""
        shutil.rmtree(self.folder)
        return self.out

    def _clear(self) -> None:
        for entry in self.folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def _write(self, name: str, what: Mapping[str, Any]) -> None:
        draft = self.folder / f"{name}.writing"
        draft.write_text(_text(what), encoding="utf-8")
        os.replace(draft, self.folder / name)  # whoever looks finds all of it or nothing

    def _handed_over(self) -> dict[str, list[str]]:
        """The hashes of records that were handed over, and the names of the last one's files."""
        try:
            entries = json.loads(self._handed.read_text(encoding="utf-8"))
            return {"records": list(entries["records"]), "files": list(entries["files"])}
        except (OSError, ValueError, LookupError, TypeError):
            return {"records": [], "files": []}

    def __exit__(self, *_: object) -> None:
        resumable = self.folder.is_dir() and any(self.folder.rglob("*.checkpoint"))
        if self.folder.is_dir() and not resumable and not self.handed_over:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._unlock()

    def _unlock(self) -> None:
        """Remove the lock's file while it is held: nobody can lock a file that is gone."""
        if self._lock.is_locked:
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


def _text(what: Mapping[str, Any]) -> str:
    return json.dumps(dict(what), sort_keys=True, indent=1)


def _hash(folder: Path) -> str:
    return hashlib.sha256((folder / _RECORD).read_bytes()).hexdigest()


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places: at once where the system can, else one after the other."""
    if not _at_once(one, other):
        aside = one.with_name("aside")
        os.replace(other, aside)
        os.replace(one, other)
        os.replace(aside, one)


def _at_once(one: Path, other: Path) -> bool:
    """Whether the system let two folders change places in one step (`RENAME_EXCHANGE`)."""
    name, flag = _AT_ONCE.get(sys.platform, ("", 0))
    if not name:
        return False
    change = getattr(ctypes.CDLL(None), name, None)
    here = _HERE[sys.platform]
    return change is not None and 0 == change(
        here, os.fsencode(one), here, os.fsencode(other), flag
    )

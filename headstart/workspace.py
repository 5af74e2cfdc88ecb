"""The folder beside the output where a run keeps its checkpoints until it is whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from headstart.errors import HeadstartError


class Workspace:
    """`OUT.unfinished`, held by one run at a time; its artifact moves to OUT once checked.

    Entering raises HeadstartError where OUT already holds something or can't be made.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(os.path.abspath(out))
        self.folder = self.out.with_name(f"{self.out.name}.unfinished")
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
        if self.out.is_file() or (self.out.is_dir() and any(self.out.iterdir())):
            what = (
                "already holds a model"
                if (self.out / "headstart.json").exists()
                else "is not empty"
            )
            raise HeadstartError(f"{self.out} {what}. Name a new folder, or remove this one first.")

    def claim(self, run: Mapping[str, Any]) -> bool:
        """Say what this run is; answer whether an unfinished one like it left checkpoints.

        Checkpoints of another run are removed.
        """
        record = self.folder / "run.json"
        text = json.dumps(dict(run), sort_keys=True, indent=1)
        same = record.exists() and record.read_text(encoding="utf-8") == text
        if not same:
            for entry in self.folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            record.write_text(text, encoding="utf-8")
        return same and any(self.folder.rglob("*.checkpoint"))

    def draft(self) -> Path:
        """An empty folder for the artifact."""
        folder = self.folder / "artifact"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def publish(self) -> Path:
        """Move the drafted artifact to its place and remove the rest."""
        if self.out.is_dir():
            self.out.rmdir()  # empty, or entering would have refused
        os.replace(self.folder / "artifact", self.out)
        shutil.rmtree(self.folder)
        return self.out

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.folder.is_dir() and not any(self.folder.rglob("*.checkpoint")):
            shutil.rmtree(self.folder, ignore_errors=True)
        self._unlock()

    def _unlock(self) -> None:
        """Remove the lock's file while it is held: nobody can lock a file that is gone."""
        if self._lock.is_locked:
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()

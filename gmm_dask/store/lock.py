"""One driver for a run: a lock file that the dead do not keep."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gmm_dask.errors import ResourceError
from gmm_dask.store.files import (
    LOCAL,
    Files,
    aside,
    explain,
    make_folders,
    sweep_drafts,
    write_durable,
)
from gmm_dask.store.heartbeat import EVERY_SECONDS, Heartbeat
from gmm_dask.store.holder import Holder, holder_of
from gmm_dask.store.owner import this_process, to_json

LIMIT_SECONDS = 60.0
ATTEMPTS = 5


class RunLock:
    """Holds a run for one driver, with a heartbeat, as a context manager.

    Parameters
    ----------
    path : str or Path
        The lock file, usually ``run.lock`` in the run's folder; the heartbeat goes beside it into
        ``heartbeat.json``.
    limit : float
        Seconds of silence after which a holder whose process cannot be seen counts as dead, and
        one whose process hangs loses the run.
    every : float
        Seconds between two beats.
    details : callable, optional
        Returns plain JSON to be told with each beat.
    files : Files
    """

    def __init__(
        self,
        path: str | Path,
        limit: float = LIMIT_SECONDS,
        every: float = EVERY_SECONDS,
        details: Callable[[], Mapping[str, Any]] | None = None,
        files: Files = LOCAL,
    ) -> None:
        self.path = Path(path)
        self.limit = limit
        self.owner = this_process()
        self._files = files
        beats = self.path.with_name("heartbeat.json")
        self._heartbeat = Heartbeat(beats, self.owner, every, details, files, self.is_held)

    def acquire(self) -> None:
        """Take the lock and start the heartbeat.

        Raises
        ------
        ResourceError
            At once if another driver holds the run; with its host and process.
        StoreError
            If the file system refuses.
        """
        try:
            make_folders(self._files, self.path.parent)
            self._take()
            names = [self.path.name, self._heartbeat.path.name]
            sweep_drafts(self._files, self.path.parent, names, self._files.modified(self.path))
            self._heartbeat.start()
        except OSError as error:
            advice = "Check permissions and free space."
            raise explain(error, f"cannot lock {self.path}", advice) from error

    def release(self) -> None:
        """Stop the heartbeat and give the lock back, if it is still this one's."""
        self._heartbeat.stop()
        with contextlib.suppress(OSError):
            if self.is_held():
                self._files.delete(self.path)

    def is_held(self) -> bool:
        """Return whether the lock file is this one's; true while that cannot be read."""
        try:
            holder = holder_of(self.path, files=self._files)
        except OSError:
            return True
        return holder is not None and holder.owner == self.owner

    def check(self) -> None:
        """Raise ResourceError if the run was taken over while this driver hung."""
        if not self.is_held():
            raise ResourceError(
                f"{self.path} is gone or names another driver: this one was silent for more than "
                f"{self.limit:.0f} s and lost the run, or the file was deleted. It stops here"
            )

    def _take(self) -> None:
        draft = aside(self.path, self.owner.token)
        write_durable(self._files, draft, json.dumps(to_json(self.owner), indent=1).encode())
        try:
            # The draft was written this moment, by the clock that also dates lock and heartbeat
            self._compete(draft, self._files.modified(draft))
        finally:
            with contextlib.suppress(OSError):
                self._files.delete(draft)

    def _compete(self, draft: Path, now: float) -> None:
        """Publish the draft as the lock; evict a dead holder first."""
        for _ in range(ATTEMPTS):
            with contextlib.suppress(FileExistsError):
                self._files.publish(draft, self.path)
                self._files.sync_folder(self.path.parent)
                return
            holder = holder_of(self.path, now, self._files)
            if holder is not None and holder.keeps(self.limit):
                raise _refusal(self.path, holder)
            if holder is not None:
                self._evict(holder)
        raise ResourceError(f"{self.path} changes hands again and again; try later")

    def _evict(self, dead: Holder) -> None:
        """Take a dead holder's file away; of several who try, one does, and never a live one's."""
        grave = aside(self.path)
        try:
            self._files.replace(self.path, grave)
        except FileNotFoundError:
            return
        found = holder_of(grave, files=self._files, beats=self._heartbeat.path)
        if found is not None and found.owner != dead.owner:
            # Another driver was quicker and its new lock was taken by mistake: put it back
            with contextlib.suppress(FileExistsError):
                self._files.publish(grave, self.path)
            self._files.delete(grave)
            raise _refusal(self.path, found)
        self._files.delete(grave)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _refusal(path: Path, holder: Holder) -> ResourceError:
    who = str(holder.owner) if holder.owner else "a driver that has just started"
    return ResourceError(
        f"another driver has this run: {who}, last heartbeat {holder.silent:.0f} s ago ({path}). "
        "Wait for it, stop it, or choose another run folder"
    )

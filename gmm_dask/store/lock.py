"""One driver for a run: a lock file that the dead do not keep."""

from __future__ import annotations

import contextlib
import json
import time
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
from gmm_dask.store.holder import holder_of, refusal
from gmm_dask.store.owner import this_process, to_json
from gmm_dask.store.takeover import evict

LIMIT_SECONDS = 60.0
ATTEMPTS = 20
PAUSE_SECONDS = 0.05


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
            try:
                self._take()
                self._begin()
            except BaseException:
                # Also an error after the lock appeared: this process lives, and would keep it
                self.release()
                raise
        except OSError as error:
            advice = "Check permissions and free space."
            raise explain(error, f"cannot lock {self.path}", advice) from error

    def release(self) -> None:
        """Stop the heartbeat and give the lock back, if it is still this one's."""
        self._heartbeat.stop()
        with contextlib.suppress(OSError):
            if self._is_mine():
                self._files.delete(self.path)

    def is_held(self) -> bool:
        """Return whether the lock file is this one's; true while that cannot be read."""
        return self._is_mine() is not False

    def _is_mine(self) -> bool | None:
        try:
            holder = holder_of(self.path, files=self._files)
        except OSError:
            return None
        return holder is not None and holder.owner == self.owner

    def check(self) -> None:
        """Raise ResourceError if the run was taken over while this driver hung."""
        if not self.is_held():
            raise ResourceError(
                f"{self.path} is gone or names another driver: this one was silent for more than "
                f"{self.limit:.0f} s and lost the run, or the file was deleted. It stops here"
            )

    def _begin(self) -> None:
        """Clear up after crashed drivers and start to beat."""
        names = [self.path.name, self._heartbeat.path.name]
        sweep_drafts(self._files, self.path.parent, names, self._files.modified(self.path))
        self._heartbeat.start()

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
        """Publish the draft as the lock; take it from a dead holder first."""
        for _ in range(ATTEMPTS):
            with contextlib.suppress(FileExistsError):
                self._files.publish(draft, self.path)
                self._files.sync_folder(self.path.parent)
                return
            holder = holder_of(self.path, now, self._files)
            if holder is not None and holder.keeps(self.limit):
                raise refusal(self.path, holder)
            if holder is not None and not evict(self.path, holder, draft, self.limit, self._files):
                time.sleep(PAUSE_SECONDS)
        raise ResourceError(f"{self.path} is being taken over by another driver; try later")

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

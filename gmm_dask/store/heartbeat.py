"""A file rewritten every few seconds: others see from it that a run lives and how far it is."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gmm_dask.errors import FormatError
from gmm_dask.store.files import LOCAL, Files, aside
from gmm_dask.store.manifest import parse_json
from gmm_dask.store.owner import Owner, from_json, this_process, to_json

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
LARGEST = 1 << 20


@dataclass(frozen=True)
class Beat:
    """One reading of a heartbeat file.

    Parameters
    ----------
    owner : Owner
    age : float
        Seconds since it was written.
    stopped : bool
        The run ended in order and will not write again.
    details : mapping
        What the driver added: pass, live fits, seconds left.
    """

    owner: Owner
    age: float
    stopped: bool
    details: Mapping[str, Any]


class Heartbeat:
    """Writes the file from a daemon thread, and a last time when stopped.

    A beat that cannot be written (disk full) is logged once and tried again: a fit does not end
    for want of a heartbeat.

    Parameters
    ----------
    path : Path
        Usually ``heartbeat.json`` in the run's folder.
    owner : Owner, optional
    every : float
        Seconds between two beats.
    details : callable, optional
        Returns plain JSON to be told with each beat; called from the thread.
    files : Files
    is_held : callable, optional
        Whether the run is still the owner's; the thread ends without a word when it is not.
    """

    def __init__(
        self,
        path: Path,
        owner: Owner | None = None,
        every: float = EVERY_SECONDS,
        details: Callable[[], Mapping[str, Any]] | None = None,
        files: Files = LOCAL,
        is_held: Callable[[], bool] = lambda: True,
    ) -> None:
        self.path = path
        self.owner = owner or this_process()
        self.every = every
        self._details = details
        self._files = files
        self._is_held = is_held
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = False

    def beat(self, stopped: bool = False) -> None:
        """Write the file once, in one step.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        content = {
            "owner": to_json(self.owner),
            "time": datetime.now(UTC).isoformat(),
            "every": self.every,
            "stopped": stopped,
            "details": dict(self._details()) if self._details else {},
        }
        # One draft name for each owner, so that a kill leaves at most one of them behind. Not
        # synced: after a power cut nobody is alive.
        draft = aside(self.path, self.owner.token)
        self._files.write(draft, json.dumps(content, indent=1).encode())
        self._files.replace(draft, self.path)

    def start(self) -> None:
        """Write the first beat now and the others from a thread."""
        self.beat()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and leave a beat that says the run ended in order."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            if self._is_held():
                self._try(stopped=True)

    def _run(self) -> None:
        while not self._stop.wait(self.every) and self._is_held():
            self._try()

    def _try(self, stopped: bool = False) -> None:
        try:
            self.beat(stopped)
            self._failed = False
        except Exception as error:
            # The details are the caller's: whatever they raise must not end the thread either
            if not self._failed:
                log.warning("heartbeat %s cannot be written: %s", self.path, error)
            self._failed = True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def read_beat(path: Path, now: float, files: Files = LOCAL) -> Beat | None:
    """Return the last beat, None if there is none that can be read.

    Parameters
    ----------
    path : Path
    now : float
        Seconds since the epoch, by the clock of the file system that holds the file if possible.
    files : Files
    """
    with contextlib.suppress(OSError, FormatError):
        content = parse_json(files.read(path, LARGEST), str(path))
        age = max(0.0, now - files.modified(path))
        owner = from_json(content.get("owner") if isinstance(content, dict) else None)
        details = content.get("details")
        known = details if isinstance(details, dict) else {}
        return Beat(owner, age, content.get("stopped") is True, known)
    return None

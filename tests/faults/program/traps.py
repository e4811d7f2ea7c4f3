"""Faults that wait in a worker: loaded by ``dask worker --preload``, armed by files.

A file ``<trap>-<row>`` in the folder of `TRAPS` arms a trap for the piece of rows that starts
there. Whoever springs it has removed the file before, so one file kills one worker; the greedy
trap stays.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRAPS = "GMM_DASK_TRAPS"
MEASURE, WRITE, GREEDY = "measure", "write", "greedy"


@dataclass(frozen=True)
class Traps:
    """The folder of the traps, as a test sees it."""

    folder: Path

    def arm(self, trap: str, row: int) -> None:
        """Set a trap for the rows from `row`."""
        (self.folder / f"{trap}-{row}").touch()

    def clear(self) -> list[str]:
        """Remove the traps; return those that nobody sprang."""
        armed = sorted(path.name for path in self.folder.iterdir())
        for name in armed:
            (self.folder / name).unlink()
        return armed


def dask_setup(worker: Any) -> None:
    """Put the traps into this worker."""
    from gmm_dask.folds.e_step import EStep
    from pipeline.sinks.base import Sink

    folder = Path(os.environ[TRAPS])
    _trap(EStep, "measure", lambda args: _before(folder, args[1].start))
    _trap(Sink, "write_part", lambda args: None, lambda args: _kill(folder, WRITE, args[0]))


def _trap(
    owner: type,
    name: str,
    before: Callable[[Any], None],
    after: Callable[[Any], None] = lambda args: None,
) -> None:
    whole = getattr(owner, name)

    def trapped(self: Any, *args: Any) -> Any:
        before(args)
        answer = whole(self, *args)
        after(args)
        return answer

    setattr(owner, name, trapped)


def _before(folder: Path, row: int) -> None:
    _kill(folder, MEASURE, row)
    if (folder / f"{GREEDY}-{row}").exists():
        _eat()


def _kill(folder: Path, trap: str, row: int) -> None:
    try:
        (folder / f"{trap}-{row}").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _eat() -> None:
    """Take memory until the nanny has seen enough."""
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(1) * 2**23))
        time.sleep(0.01)

"""A scheduler and its workers, started on the command line as users start them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.end_to_end.program import Started, eventually

DASK = str(Path(sys.executable).with_name("dask"))
LOOPBACK = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")


class Servers:
    """A scheduler of its own, and workers that are added to it.

    Parameters
    ----------
    folder : Path
        For the scheduler's file and for what all of them print.
    words : tuple of str
        Added to the command lines of the scheduler and of every worker.
    env : mapping
        Added to the environment of the scheduler.
    """

    def __init__(self, folder: Path, *words: str, env: Mapping[str, str] | None = None) -> None:
        self.folder, self.words = folder, words
        self.file = folder / "scheduler.json"
        self.started: list[Started] = []
        self._start("scheduler", "--port", "0", env=env)
        try:
            eventually(self.file.is_file)
        except BaseException:
            self.close()
            raise

    def add(self, number: int, *words: str, env: Mapping[str, str] | None = None) -> Started:
        """Start workers of one thread each."""
        return self._start("worker", "--nworkers", str(number), "--nthreads", "1", *words, env=env)

    def _start(self, *words: str, env: Mapping[str, str] | None) -> Started:
        place = self.folder / f"{words[0]}-{len(self.started)}"
        place.mkdir()
        common = (*LOOPBACK, *self.words, "--scheduler-file", str(self.file))
        self.started.append(Started((DASK, *words, *common), place, env))
        return self.started[-1]

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return str(json.loads(self.file.read_text())["address"])

    def section(self, **settings: Any) -> dict[str, Any]:
        """The ``cluster`` section that names this scheduler."""
        named = {"type": "address", "scheduler_file": str(self.file), "timeout": "60s"}
        return {**named, **settings}

    @property
    def workers(self) -> list[psutil.Process]:
        """The processes of all workers."""
        return [worker for started in self.started for worker in started.workers]

    def close(self) -> None:
        """End the workers and then the scheduler."""
        for started in reversed(self.started):
            started.close()

"""Harm at a chosen moment: in a task of a chosen pass, or at random through a whole fit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from distributed import LocalCluster

from gmm_dask import DaskEngine, tree
from gmm_dask.blocks import Block
from gmm_dask.stats import Fold
from tests.faults.fits import take
from tests.faults.harness import Faults, eventually


@dataclass(frozen=True)
class Trap(Fold[Any, Any, Any]):
    """Asks what another fold asks, and does harm on the way.

    Parameters
    ----------
    inner : Fold
    where : {"measure", "merge"}
        The kind of task that kills.
    marks : str
        Start of the paths that count the kills, over all processes.
    times : int
        Kills in all.
    row : int
        In measure, only the block of this row kills.
    pid : int
        Whom it kills; 0 is the worker itself.
    pause : float
        Seconds that each block takes longer.
    """

    inner: Fold[Any, Any, Any]
    where: str = ""
    marks: str = ""
    times: int = 1
    row: int = 0
    pid: int = 0
    pause: float = 0.0

    def prepare(self) -> Any:
        return self.inner.prepare()

    def measure(self, prepared: Any, block: Block) -> Any:
        time.sleep(self.pause)
        if self.where == "measure" and block.start <= self.row < block.start + len(block):
            self._spring()
        return self.inner.measure(prepared, block)

    def merge(self, a: Any, b: Any) -> Any:
        if self.where == "merge":
            self._spring()
        return self.inner.merge(a, b)

    def finish(self, stats: Any) -> Any:
        return self.inner.finish(stats)

    def working_bytes(self, rows: int) -> int:
        return self.inner.working_bytes(rows)

    @property
    def stats_bytes(self) -> int:
        return self.inner.stats_bytes

    @property
    def fingerprint(self) -> str:
        return tree.fingerprint(("trap", self.inner.fingerprint))

    def _spring(self) -> None:
        if any(take(f"{self.marks}-{i}") for i in range(self.times)):
            os.kill(self.pid or os.getpid(), signal.SIGKILL)


def sprung(marks: str) -> int:
    """Return how many kills a trap has done."""
    path = Path(marks)
    return len(list(path.parent.glob(f"{path.name}-*")))


class TrappedEngine(DaskEngine):
    """A Dask engine in whose passes `trap` may change what is asked.

    Parameters
    ----------
    trap : callable
        ``trap(number, fold) -> fold``, for the passes numbered from 0.
    """

    trap: Callable[[int, Any], Any] = staticmethod(lambda number, fold: fold)

    def fold(self, fold: Any, source: Any) -> Any:
        return super().fold(self.trap(len(self.history), fold), source)


def workers_of(cluster: LocalCluster) -> dict[int, str]:
    """Return the addresses of the workers that take part, by process."""
    known = set(cluster.scheduler.workers)
    nannies = list(cluster.workers.values())
    return {n.pid: n.worker_address for n in nannies if n.pid and n.worker_address in known}


def kill(pid: int) -> None:
    """Kill a process at once."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_for(cluster: LocalCluster, n_workers: int) -> None:
    """Wait until a cluster has so many workers."""
    eventually(lambda: len(cluster.scheduler.workers) == n_workers)


@contextmanager
def storm(
    cluster: LocalCluster, rng: np.random.Generator, faults: Faults, mean: float, most: int
) -> Iterator[None]:
    """Kill a worker, chosen at random, after every exponential time of this mean (seconds).

    At most so many: on a busy machine workers start more slowly than they would be killed.
    """
    over = threading.Event()
    dead: set[int] = set()

    def rage() -> None:
        while len(dead) < most and not over.wait(rng.exponential(mean)):
            alive = sorted(set(workers_of(cluster)) - dead)
            if alive:
                victim = alive[int(rng.integers(len(alive)))]
                dead.add(victim)  # a process that was not yet buried would count twice
                kill(victim)
                faults.add("kill")

    thread = threading.Thread(target=rage)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()

"""One small fit that all these tests disturb, and what it comes to in peace."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gmm_dask import CheckpointSettings, Engine, Fold, Grid, LocalEngine, run_grid, tree
from gmm_dask.blocks import Block
from gmm_dask.draws import CELL

N_ROWS = 22_000
PLAN: dict[str, Any] = {"block_rows": 4096, "fan_in": 2}  # six blocks, a tree of three levels
# a start in several passes, then six of EM: a tolerance that is never reached
GRID = Grid((3,), ("full", "diag"), init_params="k-means||", tol=1e-14, max_iter=6, seed=5)


@dataclass(frozen=True)
class Blobs:
    """Rows of three clouds that overlap, made from their absolute numbers.

    Parameters
    ----------
    n_rows : int
    kill_at : int
        Reading this row kills the process, as long as `mark` does not exist.
    shift_after : str
        Path; once it exists, every value is larger by one.
    """

    n_rows: int = N_ROWS
    kill_at: int = -1
    mark: str = ""
    shift_after: str = ""

    columns = ("a", "b", "c")
    dtype = np.dtype(np.float64)

    @property
    def fingerprint(self) -> str:
        return tree.fingerprint(("blobs", self.n_rows))

    def read(self, lo: int, hi: int) -> Block:
        if lo <= self.kill_at < hi and take(self.mark):
            os.kill(os.getpid(), signal.SIGKILL)
        cells = range(lo // CELL, (hi - 1) // CELL + 1)
        rows = np.concatenate([_cell(i) for i in cells])[lo - cells[0] * CELL :][: hi - lo]
        shifted = bool(self.shift_after) and Path(self.shift_after).exists()
        return Block(rows + 1.0 if shifted else rows, lo)


def _cell(index: int) -> Any:
    rng = np.random.default_rng([17, index])
    cloud = rng.integers(0, 3, CELL)
    spread = np.array([[1.0, 0.3, 2.0], [0.5, 1.5, 0.7], [1.2, 0.9, 0.4]])
    return cloud[:, None] * np.array([1.5, -1.0, 0.5]) + spread[cloud] * rng.normal(size=(CELL, 3))


def take(mark: str) -> bool:
    """Return whether this call, of all processes', was the first with this mark."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def fitted(
    engine: Engine,
    source: Any = None,
    grid: Grid = GRID,
    checkpoint: CheckpointSettings | None = None,
    watch: Any = None,
) -> str:
    """Return the SHA-256 of all parameters of a fit."""
    watchers = [watch] if watch else []
    result = run_grid(source or Blobs(), grid, engine, checkpoint=checkpoint, watch=watchers)
    return tree.fingerprint(tuple(candidate.mixture for candidate in result.candidates))


@dataclass(frozen=True)
class Nothing(Fold[Any, Any, Any]):
    """The smallest question."""

    def prepare(self) -> None:
        return None

    def measure(self, prepared: Any, block: Any) -> Any:
        return (np.array(len(block)),)

    def finish(self, stats: Any) -> Any:
        return stats

    def working_bytes(self, rows: int) -> int:
        return 0

    @property
    def stats_bytes(self) -> int:
        return 8


@cache
def in_peace(n_rows: int = N_ROWS) -> str:
    """Return the hash of the fit on one thread, without Dask."""
    return fitted(LocalEngine(1, **PLAN), Blobs(n_rows))

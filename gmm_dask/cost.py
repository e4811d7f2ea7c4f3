"""What a pass will take, from measured kernels: an estimate for plans, not a promise."""

from __future__ import annotations

import statistics
import time
from functools import cache

import numpy as np

from gmm_dask.blocks import Frame
from gmm_dask.engine.plan import Plan
from gmm_dask.families.floors import RelativeFloor
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.kernels import table
from gmm_dask.search import Grid

# Nanoseconds of one thread for a row, times 1, D, D^2, and for a row and component, times 1, D,
# D^2: `python scripts/benchmark sweep`, components that overlap.
COST_MODEL = "2026-11-20, AMD EPYC Zen 4"
NANOSECONDS = {
    "full": (0.07, 0.69, 0.023, 1.04, 0.186, 0.0429),
    "tied": (0.0, 1.64, 0.042, 1.0, 0.184, 0.0),
    "diag": (1.13, 0.35, 0.01, 0.96, 0.2, 0.0),
    "spherical": (1.31, 0.13, 0.022, 0.96, 0.194, 0.0),
}
REFERENCE = ("full", 10, 20)  # what `machine_factor` times
TASK_SECONDS = 0.0015
PASS_SECONDS = 0.03
FIT_SECONDS = 0.001  # factorisations before a pass and the M-step after it


def row_seconds(covariance_type: str, n_components: int, n_columns: int) -> float:
    """Return the seconds that one thread takes for one row of one fit, where components overlap.

    Parameters
    ----------
    covariance_type : {"full", "tied", "diag", "spherical"}
    n_components, n_columns : int
    """
    powers = np.array([1.0, n_columns, n_columns**2])
    of_row, of_component = np.split(np.array(NANOSECONDS[covariance_type]), 2)
    return float(powers @ (of_row + n_components * of_component)) * 1e-9


def pass_seconds(plan: Plan, grid: Grid, n_columns: int, threads: int) -> float:
    """Return the seconds of a pass of all fits of a grid on Dask, rows at hand.

    Components that lie apart are cheaper, up to ten times at 32 columns; reading overlaps with
    the work and counts where it takes longer than that.

    Parameters
    ----------
    plan : Plan
    grid : Grid
    n_columns : int
        Columns that the mixture sees.
    threads : int
        Of all workers.
    """
    fits = [(K, kind) for kind in grid.covariance_type for K in grid.n_components]
    a_row = grid.n_init * sum(row_seconds(kind, K, n_columns) for K, kind in fits)
    rounds = -(-plan.n_blocks // threads)
    rows = min(rounds * plan.block_rows, plan.n_rows)
    tasks = plan.n_blocks + sum(len(level) for level in plan.tree)
    of_fits = grid.n_init * len(fits) * FIT_SECONDS
    return PASS_SECONDS + of_fits + tasks * TASK_SECONDS + rows * a_row


@cache
def machine_factor() -> float:
    """Return how much slower this machine is now than the one of the cost model.

    Runs a small kernel for some milliseconds, or about 0.1 s where it must be compiled.
    """
    kind, D, K = REFERENCE
    rng = np.random.default_rng(0)
    params = GaussianParams(rng.normal(size=(K, D)), np.repeat(np.eye(D)[None], K, axis=0))
    prepared = Gaussian(kind, RelativeFloor(np.ones(D))).prepare(params, Frame.identity(D))
    ready, rows = table.ready(prepared, np.full(K, -np.log(K))), rng.normal(size=(4096, D))
    table.measure(ready, rows)
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        table.measure(ready, rows)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) / (len(rows) * row_seconds(kind, K, D))

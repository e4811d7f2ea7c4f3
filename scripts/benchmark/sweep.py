"""The sweep behind `gmm-dask plan`: kernel seconds by covariance type, D and K.

    python scripts/benchmark sweep

prints, for each covariance type, nanoseconds a row and component of components that overlap (the
dense work) and the coefficients that `gmm_dask.kernels.cost` holds.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import own
from cases import Case, make_data

from gmm_dask.kernels import table

COLUMNS = (1, 2, 3, 5, 8, 10, 16, 24, 32, 48, 64)
COMPONENTS = (2, 5, 20, 100)
WORK = 4e7  # multiplications a timing


def points(covariance_type: str, rounds: int) -> list[tuple[int, int, float]]:
    """Return (D, K, nanoseconds a row) on one thread."""
    found = []
    for D in COLUMNS:
        for K in COMPONENTS:
            n = int(np.clip(WORK / (K * D * (D + 20)), 2048, 200_000))
            case = Case(covariance_type, D, K, n, n, 0, 0, spread=0.4)
            data = make_data(case, n)
            ready = own.begin(case, data, own.on_threads(1)).fit.ask().prepare()
            seconds = []
            for _ in range(rounds):
                began = time.thread_time()
                table.measure(ready, data.rows)
                seconds.append(time.thread_time() - began)
            found.append((D, K, statistics.median(seconds) / n * 1e9))
    return found


def coefficients(found: list[tuple[int, int, float]]) -> tuple[list[float], float]:
    """Return nanoseconds times 1, D, D^2 a row and times 1, D, D^2 a component, and the error.

    Least squares of relative errors, no coefficient negative; the error is the 90th percentile of
    the relative deviations.
    """
    from scipy.optimize import nnls

    D, K, ns = (np.array(column, float) for column in zip(*found, strict=True))
    terms = np.stack([D**0, D, D**2, K, K * D, K * D**2], axis=1)
    solution = nnls(terms / ns[:, None], np.ones_like(ns))[0]
    deviation = np.abs(terms @ solution / ns - 1)
    return [round(float(value), 4) for value in solution], float(np.quantile(deviation, 0.9))


def sweep(rounds: int) -> dict[str, Any]:
    """Return points and coefficients of every covariance type."""
    record = {}
    for kind in ("full", "tied", "diag", "spherical"):
        found = points(kind, rounds)
        solution, error = coefficients(found)
        record[kind] = {"points": found, "coefficients": solution, "error": error}
        print(kind, solution, f"90 % within {error:.0%}", flush=True)
    return record

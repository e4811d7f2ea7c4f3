"""Times one EM iteration of the kernels against scikit-learn and the NumPy oracle, per core.

Everything runs on one thread in this process, interleaved, and CPU seconds are counted, so that
other work on the machine disturbs little; ratios of medians over rounds. Columns:

ns          CPU nanoseconds per row and component of an E-step with statistics
bound       what the multiplications of the dense pass would take at this machine's measured
            matrix product speed, plus one exponential (0.6 ns); sparse rows can beat it
x sklearn   scikit-learn's time over ours: one iteration, the slope of fits of 1 and 4 iterations
x oracle    the oracle's time over ours
float32     our time over that with float32 tiles (compute_dtype: float32)
two         speed-up of two threads over one, by wall clock (needs two idle cores)

Usage: python scripts/benchmark_kernels.py [--rounds 5] [--scale 1.0] [--only full,diag]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from gmm_dask.blocks import Frame
from gmm_dask.families.floors import Ridge
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.kernels import reference, table

# covariance type, D, K, rows, spread of the means in standard deviations
CASES = (
    ("full", 3, 10, 400_000, 2.0),
    ("full", 10, 20, 200_000, 2.0),
    ("full", 32, 50, 40_000, 2.0),
    ("full", 32, 50, 20_000, 0.5),
    ("full", 50, 100, 40_000, 2.0),
    ("full", 50, 100, 10_000, 0.5),
    ("tied", 10, 20, 200_000, 2.0),
    ("tied", 32, 50, 40_000, 2.0),
    ("diag", 10, 20, 200_000, 2.0),
    ("diag", 32, 50, 60_000, 2.0),
    ("spherical", 10, 20, 200_000, 2.0),
)


def example(kind, D, K, n, spread):
    """Return rows, and parameters from which an EM iteration starts."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, spread, (K, D))
    shapes = rng.normal(0, 0.5, (K, D, D)) / np.sqrt(D) + np.eye(D)
    labels = rng.integers(K, size=n)
    rows = np.empty((n, D))
    for k in range(K):
        of_k = labels == k
        rows[of_k] = rng.normal(size=(of_k.sum(), D)) @ shapes[k].T + centres[k]
    matrices = shapes @ shapes.transpose(0, 2, 1)
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    covariances = {
        "full": matrices,
        "tied": matrices.mean(axis=0),
        "diag": diagonal.copy(),
        "spherical": diagonal.mean(axis=1),
    }[kind]
    return rows, GaussianParams(centres + rng.normal(0, 0.1, (K, D)), covariances)


def sklearn_iteration(kind, rows, params):
    """Return CPU seconds of one iteration and the mean log-likelihood at the start."""
    K = len(params.means)
    S = params.covariances
    precisions = np.linalg.inv(S) if kind in ("full", "tied") else 1 / S
    seconds, first = [], 0.0
    for iterations in (1, 4):
        model = GaussianMixture(
            K, covariance_type=kind, max_iter=iterations, tol=0, init_params="random_from_data",
            weights_init=np.full(K, 1 / K), means_init=params.means, precisions_init=precisions,
        )  # fmt: skip
        start = time.thread_time()
        model.fit(rows)
        seconds.append(time.thread_time() - start)
        first = first or model.lower_bound_
    return (seconds[1] - seconds[0]) / 3, first


def cpu(function):
    start = time.thread_time()
    result = function()
    return time.thread_time() - start, result


def wall(pool, model, halves, one):
    """Return how much faster two threads are, by the wall clock."""
    start = time.perf_counter()
    list(pool.map(lambda half: table.measure(model, half), halves))
    two = time.perf_counter() - start
    start = time.perf_counter()
    table.measure(model, one)
    return (time.perf_counter() - start) / two


def gflops(n=1024):
    """Return the speed of a matrix product on one thread, in GFLOP/s."""
    a = np.random.default_rng(0).normal(size=(n, n))
    return max(2e-9 * n**3 / cpu(lambda: a @ a)[0] for _ in range(3))


def bound(kind, D, speed):
    """Return nanoseconds per row and component of the dense pass at full speed."""
    terms = {"full": 1 + D + D * (D + 1) // 2, "diag": 1 + 2 * D}.get(kind, 1 + D)
    return 4 * terms / speed + 0.6


def measure(case, rounds, scale, speed, pool):
    """Print one line of the table."""
    kind, D, K, n, spread = case
    n = max(int(n * scale), 2000)
    rows, params = example(kind, D, K, n, spread)
    prepared = Gaussian(kind, Ridge(np.zeros(D), np.ones(D))).prepare(params, Frame.identity(D))
    log_weights = np.full(K, -np.log(K))
    model = table.ready(prepared, log_weights)
    table.measure(model, rows[:500])
    table.measure(table.ready(prepared, log_weights, compute_dtype="float32"), rows[:500])
    few = rows[: max(n // 20, 1000)]
    found = []
    for _ in range(rounds):
        theirs, likelihood = sklearn_iteration(kind, rows, params)
        ours, sums = cpu(lambda: table.measure(table.ready(prepared, log_weights), rows))
        single, _ = cpu(
            lambda: table.measure(table.ready(prepared, log_weights, compute_dtype="float32"), rows)
        )
        oracle, _ = cpu(lambda: reference.e_step(prepared, log_weights, few))
        two = wall(pool, model, (rows[: n // 2], rows[n // 2 :]), rows)
        found.append((ours, theirs, oracle / len(few) * n, ours / single, two))
        assert abs(float(sums.log_likelihood) / n - likelihood) < 1e-9 * abs(likelihood)
    ours, sklearn, oracle, gain, two = (median(column) for column in zip(*found, strict=True))
    ns = ours / n / K * 1e9
    label = f"{kind} {D}, {K}, spread {spread:g}"
    print(
        f"{label:28} {n:8d} {ns:8.2f} {bound(kind, D, speed):8.2f} {sklearn / ours:10.1f} "
        f"{oracle / ours:9.1f} {gain:8.2f} {two:6.2f}  {table.describe(prepared)}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of rows")
    parser.add_argument("--only", default="full,tied,diag,spherical", help="covariance types")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    with threadpool_limits(1), ThreadPoolExecutor(2) as pool:
        speed = gflops()
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, matrix "
              f"product {speed:.0f} GFLOP/s on one thread")  # fmt: skip
        print(f"{'':28} {'rows':>8} {'ns':>8} {'bound':>8} {'x sklearn':>10} "
              f"{'x oracle':>9} {'float32':>8} {'two':>6}  method")  # fmt: skip
        for case in CASES:
            if case[0] in options.only.split(","):
                measure(case, options.rounds, options.scale, speed, pool)


if __name__ == "__main__":
    main()

"""What a pass costs with many components, beside what it costs with 100 of them.

Full covariances; clusters with means drawn some standard deviations from the origin in each column
and unequal shapes; the mixture asked about is a little off the truth, as in an EM iteration. All
numbers of components are timed in turn, round after round, on one thread of this process, and CPU
seconds are counted; medians over rounds. Columns:

ns          CPU nanoseconds per row of an E-step with statistics
ratio       to K = 100
exact       the same by whole tiles, without skipping (on a tenth of the rows)
ready       CPU milliseconds to make a pass ready, once per pass and process
differs     of the mean log-likelihood from that without skipping, in nats per row
bound       what `near.skipped_bound` allows it to be

Usage: python scripts/benchmark_many.py [--rows 100000] [--rounds 5] [--cases 10:6,10:4,32:6,32:3]
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from gmm_dask.blocks import Frame
from gmm_dask.families.floors import Ridge
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.kernels import table
from gmm_dask.kernels.near import skipped_bound

MANY = (100, 200, 500, 1000)


def example(D, K, n, spread):
    """Return rows of K clusters, and the prepared components of a mixture near them."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, spread, (K, D))
    shapes = rng.normal(0, 0.5, (K, D, D)) / np.sqrt(D) + np.eye(D)
    labels = rng.integers(K, size=n)
    rows = np.empty((n, D))
    for k in range(K):
        of_k = labels == k
        rows[of_k] = rng.normal(size=(of_k.sum(), D)) @ shapes[k].T + centres[k]
    params = GaussianParams(
        centres + rng.normal(0, 0.1, (K, D)), shapes @ shapes.transpose(0, 2, 1)
    )
    return rows, Gaussian("full", Ridge(np.zeros(D), np.ones(D))).prepare(params, Frame.identity(D))


def cpu(function):
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def measure(case, K, n):
    """Return how to time a pass, and what is said of it."""
    D, spread = case
    rows, prepared = example(D, K, n, spread)
    log_weights = np.full(K, -np.log(K))
    ready = cpu(lambda: table.ready(prepared, log_weights))[0]
    model = table.ready(prepared, log_weights)
    few, plain = rows[: n // 10], model.exact if model.near else model
    table.measure(model, few)
    theirs = table.measure(plain, few)
    differs = float(table.measure(model, few).log_likelihood - theirs.log_likelihood) / len(few)
    return {
        "ours": lambda: cpu(lambda: table.measure(model, rows))[0] / n * 1e9,
        "exact": lambda: cpu(lambda: table.measure(plain, few))[0] / len(few) * 1e9,
        "ready": ready * 1e3,
        "differs": differs,
        "method": table.describe_ready(model),
        "bound": skipped_bound(K, D) if model.near else 0.0,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", default="10:6,10:4,32:6,32:3", help="columns:spread")
    options = parser.parse_args()
    print(f"{'D':>3} {'spread':>6} {'K':>5} {'ns':>7} {'ratio':>6} {'exact':>7} {'ready':>7} "
          f"{'differs':>9} {'bound':>8}  method")  # fmt: skip
    for text in options.cases.split(","):
        D, spread = int(text.split(":")[0]), float(text.split(":")[1])
        found = {K: measure((D, spread), K, options.rows) for K in MANY}
        times = [
            [(f["ours"](), f["exact"]()) for f in found.values()] for _ in range(options.rounds)
        ]
        first = median(row[0][0] for row in times)
        for i, (K, f) in enumerate(found.items()):
            ours, exact = (median(row[i][which] for row in times) for which in (0, 1))
            print(f"{D:3d} {spread:6g} {K:5d} {ours:7.0f} {ours / first:6.2f} {exact:7.0f} "
                  f"{f['ready']:7.0f} {f['differs']:9.1e} {f['bound']:8.1e}  {f['method']}",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    with threadpool_limits(1):
        main()

"""Checks that the log-likelihood of rows with errors never falls from one pass of EM to the next.

On 600,000 rows with covariances of their own and 20 components by default, where a reference code
falls (github.com/jobovy/extreme-deconvolution, issue 28). The largest fall that is taken for
rounding is 1e-12 of the log-likelihood. The exit status is 1 where it fell further.

Usage: python scripts/check_monotone.py [--rows 600000] [--columns 5] [--components 20]
       [--passes 60] [--seed 0]
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings

import numpy as np

from gmm_dask import GaussianMixture

ROUNDING = 1e-12


def noisy_rows(n, D, K, seed):
    """Return rows (n, D) of components that overlap, and their errors (n, D, D).

    Errors are as wide as the components, correlated, and of a size that differs by 100 between
    rows; a tenth of the rows is exact in one direction.
    """
    rng = np.random.default_rng(seed)
    means, widths = 3 * rng.normal(size=(K, D)), rng.uniform(0.2, 1.5, size=(K, D))
    label = rng.choice(K, size=n, p=rng.dirichlet(np.full(K, 2.0)))
    true = means[label] + widths[label] * rng.normal(size=(n, D))
    half = rng.normal(size=(n, D, D)) * 10 ** rng.uniform(-1.0, 1.0, size=(n, 1, 1)) / D
    half[: n // 10, :, 0] = 0.0
    errors = (half @ rng.normal(size=(n, D, 1)))[:, :, 0]
    return true + errors, half @ half.transpose(0, 2, 1)


def bounds_of(n, D, K, passes, seed):
    """Return the log-likelihood per row after each pass of plain EM."""
    rows, noise = noisy_rows(n, D, K, seed)
    words = {"init_params": "k-means++", "tol": 1e-300, "max_iter": passes, "random_state": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that max_iter came first
        return np.array(GaussianMixture(K, **words).fit(rows, noise=noise).lower_bounds_)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=600_000)
    parser.add_argument("--columns", type=int, default=5)
    parser.add_argument("--components", type=int, default=20)
    parser.add_argument("--passes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.process_time()
    size = (options.rows, options.columns, options.components)
    bounds = bounds_of(*size, options.passes, options.seed)
    gains = np.diff(bounds)
    worst = float((gains / np.abs(bounds[1:])).min())
    print(
        f"{options.rows:,} rows, D={options.columns}, K={options.components}, seed {options.seed}"
    )
    print(
        f"{len(bounds)} passes, "
        f"log-likelihood per row {bounds[0]:.6f} to {bounds[-1]:.6f}, smallest gain "
        f"{gains.min():.3g} per row, {time.process_time() - start:.0f} CPU seconds"
    )
    if worst < -ROUNDING:
        print(f"it fell by {-worst:.3g} of itself, {ROUNDING:g} is rounding", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

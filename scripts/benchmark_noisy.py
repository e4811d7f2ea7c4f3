"""Times the E-step of rows with errors, holes and weights, per core, in one run.

One thread, CPU seconds, interleaved; medians over rounds. Columns:

ns        CPU nanoseconds per row and component of an E-step with statistics
density   the same for log joint densities alone
x oracle  the plain NumPy oracle's time over ours
wanted    nanoseconds that the project asks of itself

Then whole passes of the engine over rows with holes (some patterns, about a tenth of the numbers
missing) and over rows with weights, beside the pass over complete rows without weights.

Usage: python scripts/benchmark_noisy.py [--rounds 5] [--scale 1.0]
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from gmm_dask.blocks import ArraySource, Frame, Observed, RowLayout
from gmm_dask.engine.local import LocalEngine
from gmm_dask.families.floors import Ridge
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels import noisy, reference_noisy
from gmm_dask.mixture import Mixture
from gmm_dask.observed import Observer

# covariance type, errors, D, K, rows, nanoseconds wanted (None: nothing is asked)
CASES = (
    ("full", "full", 5, 10, 100_000, 300),
    ("full", "diag", 5, 10, 100_000, 300),
    ("diag", "full", 5, 10, 100_000, None),
    ("diag", "diag", 5, 10, 100_000, 50),
    ("full", "full", 10, 10, 50_000, None),
    ("full", "diag", 10, 10, 50_000, None),
    ("diag", "diag", 10, 10, 100_000, None),
    ("full", "full", 32, 10, 2_000, None),
)
PATTERNS = (1, 10, 100)


def mixture_of(kind, D, K):
    """Return components that overlap."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(K, D, D)) / np.sqrt(D)
    full = half @ half.transpose(0, 2, 1) + 0.3 * np.eye(D)
    covariances = full if kind == "full" else np.diagonal(full, axis1=1, axis2=2).copy()
    params = GaussianParams(2 * rng.normal(size=(K, D)), covariances)
    family = Gaussian(kind, Ridge(np.zeros(D), np.ones(D)))
    return Mixture(family, params, np.full((1, K), 1 / K), Frame.identity(D))


def rows_of(mixture, n, errors):
    """Return rows of a mixture, and their errors."""
    rng = np.random.default_rng(1)
    D = mixture.n_columns
    noise = rng.gamma(1.0, size=(n, D))
    if errors == "full":
        half = rng.normal(size=(n, D, D)) / np.sqrt(D)
        noise = half @ half.transpose(0, 2, 1)
    label = rng.integers(mixture.n_components, size=n)
    return mixture.params.means[label] + 1.5 * rng.normal(size=(n, D)), noise


def cpu(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def measure(case, rounds, scale):
    """Print one line of the first table."""
    kind, errors, D, K, n, wanted = case
    n = max(int(n * scale), 500)
    mixture = mixture_of(kind, D, K)
    model = Observer(mixture).marginal(np.arange(D)).noisy
    rows, noise = rows_of(mixture, n, errors)
    ones, few = np.ones(n), slice(0, max(n // 50, 200))
    arguments = model, rows, noise, ones
    a = noisy.e_step(model, rows[few], noise[few], ones[few])
    b = reference_noisy.e_step(model, rows[few], noise[few], ones[few])
    assert abs(a.log_likelihood - b.log_likelihood) < 1e-9 * abs(b.log_likelihood)
    noisy.log_joint(model, rows[few], noise[few])
    found = []
    for _ in range(rounds):
        ours = cpu(lambda: noisy.e_step(*arguments)) / n
        density = cpu(lambda: noisy.log_joint(*arguments[:3])) / n
        oracle = cpu(lambda: reference_noisy.e_step(model, rows[few], noise[few], ones[few]))
        found.append((ours / K * 1e9, density / K * 1e9, oracle / few.stop / ours))
    ns, density, ratio = (median(column) for column in zip(*found, strict=True))
    label = f"{kind} model, {errors} errors, D={D}, K={K}"
    print(f"{label:42} {n:8d} {ns:9.1f} {density:9.1f} {ratio:9.0f} {wanted or '':>8}", flush=True)


def with_holes(rows, patterns):
    """Return rows of which a tenth of the numbers is missing, in so many patterns."""
    rng = np.random.default_rng(2)
    drawn = rng.random((1000 * patterns, rows.shape[1])) < 0.1
    drawn[0], drawn[:, 0] = False, False
    first = np.sort(np.unique(drawn, axis=0, return_index=True)[1])[:patterns]
    holes = drawn[first]
    assert len(holes) == patterns
    return np.where(holes[rng.integers(patterns, size=len(rows))], np.nan, rows)


def passes(D, K, n, rounds):
    """Print times over that of complete rows."""
    mixture = mixture_of("full", D, K)
    rows, _ = rows_of(mixture, n, "diag")
    weight = np.random.default_rng(3).gamma(2.0, size=n)
    holes, weighted = RowLayout(D, missing=True), RowLayout(D, sample_weight=True)
    asked = {"complete": (EStep(mixture), ArraySource(rows))}
    for p in [p for p in PATTERNS if p <= 2 ** (D - 2)]:  # more are hardly ever drawn
        fold = EStep(mixture, RowShare.all_rows(holes))
        asked[f"{p} patterns"] = fold, ArraySource(with_holes(rows, p))
    fold = EStep(mixture, RowShare.all_rows(weighted))
    asked["weights"] = fold, ArraySource(weighted.join(Observed(rows, weight)))
    found = {name: [] for name in asked}
    with LocalEngine(1) as engine:
        for question in asked.values():
            engine.fold(*question)
        for _ in range(rounds):
            seconds = {name: cpu(partial(engine.fold, *q)) for name, q in asked.items()}
            for name, value in seconds.items():
                found[name].append(value / seconds["complete"])
    del found["complete"]
    cells = ", ".join(f"{name} {median(values):.2f}" for name, values in found.items())
    print(f"full model, D={D}, K={K}, {n} rows, over the complete pass: {cells}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only-passes", action="store_true", help="leave the first table out")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of rows")
    options = parser.parse_args()
    with threadpool_limits(1):
        print(f"{'':42} {'rows':>8} {'ns':>9} {'density':>9} {'x oracle':>9} {'wanted':>8}")
        for case in () if options.only_passes else CASES:
            measure(case, options.rounds, options.scale)
        for D, K in ((5, 10), (10, 20)):
            passes(D, K, int(1_000_000 * options.scale), options.rounds)


if __name__ == "__main__":
    main()

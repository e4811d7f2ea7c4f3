"""How many passes a fit needs, and which optimum it reaches; nothing here is a test.

    python scripts/benchmark_convergence.py [--rows 200000] [--seeds 20] [--sets overlapping ...]

Sets of 20 components in 10 dimensions: well separated, overlapping and heavily overlapping. For
each seed of the starts:

EM        plain EM from one k-means start, to 1e-6 per row of the optimum of its basin
SQUAREM   the same start, accelerated
race      what `gmm-dask run` does: five starts, nested samples, halving, SQUAREM

and beside them scikit-learn with its defaults and with tol=1e-6. Passes are rows visited / N,
samples, starts and scores included; `gap` is the distance per row to the optimum of the basin
(found by going on to 1e-11), `below best` that to the best optimum known: the largest of all fits
here and of EM from the parameters that made the data. `reach` is the share of seeds within 1e-4.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from gmm_dask import ArraySource, Grid, LocalEngine, PassDone, find_frame, run_grid
from gmm_dask.drive import drive
from gmm_dask.fits.em import EM
from gmm_dask.fits.restart import Restart
from gmm_dask.fits.squarem import Squarem
from gmm_dask.initial import Ground
from gmm_dask.search import restarts

K, D = 20, 10
SPREAD = {"separated": 3.0, "overlapping": 1.2, "heavily overlapping": 0.7}
NEAR = 1e-6
SAME = 1e-4
EXTRA = 3  # the frame, the sample and the score are a pass each


class Set(NamedTuple):
    """Rows, and the mixture that made them."""

    rows: np.ndarray
    truth: dict[str, np.ndarray]


class End(NamedTuple):
    """Where a method came to, for one seed."""

    passes: float
    seconds: float
    bound: float
    gap: float


def make_set(name: str, n_rows: int) -> Set:
    """Return rows of a mixture with correlated, unequal components."""
    rng = np.random.default_rng(11)
    means = SPREAD[name] * rng.normal(size=(K, D))
    factors = np.eye(D) + 0.5 * rng.normal(size=(K, D, D)) / np.sqrt(D)
    factors *= np.exp(0.3 * rng.normal(size=(K, 1, 1)))
    weights = rng.dirichlet(np.full(K, 5.0))
    labels = rng.choice(K, size=n_rows, p=weights)
    rows = np.empty((n_rows, D))
    for k in range(K):
        of_k = labels == k
        rows[of_k] = rng.normal(size=(of_k.sum(), D)) @ factors[k].T + means[k]
    covariances = factors @ factors.transpose(0, 2, 1)
    return Set(rows, {"weights": weights, "means": means, "covariances": covariances})


def polished(fit: Restart, source: ArraySource, engine: LocalEngine) -> float:
    """Return the optimum of the basin in which a fit ended."""
    assert fit.em is not None
    em = Squarem(fit.em.mixture, 1e-11, 3000)
    return drive([replace(fit, em=em)], engine, source).fits[0].lower_bound


def single(data: Set, seed: int, accelerate: bool, engine: LocalEngine) -> End:
    """Run one k-means start until it is near the optimum of its basin."""
    source = ArraySource(data.rows)
    grid = Grid((K,), ("full",), 1, "kmeans", 1e-9, 4000, seed=seed, accelerate=accelerate)
    began = time.process_time()
    visits: list[tuple[float, float]] = []
    last: list[PassDone] = []

    def watch(done: PassDone) -> None:
        visits.append((len(visits) + 1.0, done.fits[0].lower_bound))
        last[:] = [done]

    run_grid(source, grid, engine, watch=[watch])
    optimum = polished(last[0].fits[0], source, engine)
    near = next((n for n, bound in visits if bound >= optimum - NEAR), float(len(visits)))
    spent = (time.process_time() - began) * near / len(visits)
    return End(near + EXTRA, spent, optimum, NEAR)


def race(data: Set, seed: int, engine: LocalEngine) -> End:
    """Run what the pipeline does, with its own stopping rule."""
    source, rows = ArraySource(data.rows), len(data.rows)
    grid = Grid((K,), ("full",), 5, "auto", NEAR, 1000, seed=seed, accelerate=True, race=True)
    visited: list[float] = []
    last: list[PassDone] = []

    def watch(done: PassDone) -> None:
        visited.append((done.sample or rows) / rows)
        last[:] = [done]

    began = time.process_time()
    result = run_grid(source, grid, engine, watch=[watch])
    spent = time.process_time() - began
    best = result.candidates[0]
    winner = next(fit for fit in last[0].fits if fit.index == best.best.number)
    optimum = polished(winner, source, engine)
    return End(
        sum(visited) + EXTRA,
        spent,
        best.log_likelihood_per_row,
        optimum - best.log_likelihood_per_row,
    )


def sklearn_fit(data: Set, seed: int, tol: float) -> End:
    """Run scikit-learn from one start."""
    began = time.process_time()
    model = GaussianMixture(K, tol=tol, max_iter=1000, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data.rows)
    spent = time.process_time() - began
    return End(float(model.n_iter_), spent, float(model.lower_bound_), float("nan"))


def from_truth(data: Set, engine: LocalEngine) -> float:
    """Return the optimum that EM reaches from the parameters that made the data."""
    source = ArraySource(data.rows)
    frame, _ = find_frame(engine, source)
    grid = Grid((K,), ("full",), tol=1e-11, max_iter=3000, accelerate=True)
    fit = restarts(grid, Ground(frame, data.rows[:1000]), data.truth)[0]
    assert isinstance(fit.em, EM | Squarem)
    return drive([fit], engine, source).fits[0].lower_bound


def figures(ends: list[End], best: float) -> dict[str, float]:
    """Return medians over seeds."""
    below = [best - end.bound for end in ends]
    return {
        "passes": statistics.median(end.passes for end in ends),
        "cpu_seconds": statistics.median(end.seconds for end in ends),
        "gap": statistics.median(end.gap for end in ends),
        "below_best": statistics.median(below),
        "reach": sum(value < SAME for value in below) / len(below),
        "seeds": len(ends),
    }


def run_set(name: str, n_rows: int, seeds: int, peer_seeds: int) -> dict[str, Any]:
    """Return the figures of every method on one set."""
    data, engine = make_set(name, n_rows), LocalEngine()
    methods: dict[str, tuple[int, Callable[[int], End]]] = {
        "EM": (seeds, lambda seed: single(data, seed, False, engine)),
        "SQUAREM": (seeds, lambda seed: single(data, seed, True, engine)),
        "race": (seeds, lambda seed: race(data, seed, engine)),
        "scikit-learn": (peer_seeds, lambda seed: sklearn_fit(data, seed, 1e-3)),
        "scikit-learn, tol 1e-6": (peer_seeds, lambda seed: sklearn_fit(data, seed, 1e-6)),
    }
    ends = {m: [run(seed) for seed in range(n)] for m, (n, run) in methods.items()}
    best = max(from_truth(data, engine), *(end.bound for found in ends.values() for end in found))
    return {"rows": n_rows, "best": best, **{m: figures(found, best) for m, found in ends.items()}}


def as_lines(name: str, found: dict[str, Any]) -> list[str]:
    """Return the table of one set."""
    lines = [f"{name}, N = {found['rows']:,}, best {found['best']:.6f} per row"]
    for method, row in found.items():
        if isinstance(row, dict):
            lines.append(
                f"  {method:24} {row['passes']:8.1f} passes {row['cpu_seconds']:8.1f} CPU s  gap "
                f"{row['gap']:8.1e}  below best {row['below_best']:8.1e}  reach {row['reach']:.0%}"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--peer-seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="*", default=list(SPREAD))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    record = {}
    for name in options.sets:
        record[name] = run_set(name, options.rows, options.seeds, options.peer_seeds)
        print("\n".join(as_lines(name, record[name])), flush=True)
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

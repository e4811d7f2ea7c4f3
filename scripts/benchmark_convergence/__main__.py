"""How many passes a fit needs, and which optimum it reaches; nothing here is a test.

    python scripts/benchmark_convergence [--rows 200000] [--seeds 20] [--sets overlapping ...]
    python scripts/benchmark_convergence optima [--rows 200000] [--sets overlapping ...]

Sets of 20 components in 10 dimensions: well separated, overlapping and heavily overlapping; and
real ones (`faithful`, `wreath`, `gvhd`, `pbmc`, from GMM_DASK_DATA). For each seed of the starts:

EM        plain EM from one k-means start, to 1e-6 per row of the optimum of its basin
SQUAREM   the same start, accelerated
race      what `gmm-dask run` does: five starts, nested samples, halving, SQUAREM

and beside them scikit-learn with its defaults, from one start and from five. Passes are rows
visited / N, samples, starts and scores included; `gap` is the distance per row to the optimum of
the basin (found by going on to 1e-11), `below best` that to the best optimum known: of all fits
here, and of 200 starts of scikit-learn (`optima`, kept in scripts/results/optima.json). `reach` is
the share of seeds within 1e-4. Table, record and plot go to scripts/results.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from optima import OPTIMA, fitted, known, store
from record import as_lines, keep
from sets import SPREAD, Set, get_set

from gmm_dask import ArraySource, Grid, LocalEngine, PassDone, run_grid
from gmm_dask.drive import drive
from gmm_dask.fits.restart import Restart
from gmm_dask.fits.squarem import Squarem

NEAR = 1e-6
SAME = 1e-4
EXTRA = 3  # the frame, the sample and the score are a pass each


class End(NamedTuple):
    """Where a method came to, for one seed."""

    passes: float
    seconds: float
    bound: float
    gap: float


def polished(fit: Restart, source: ArraySource, engine: LocalEngine) -> float:
    """Return the optimum of the basin in which a fit ended."""
    assert fit.em is not None
    em = Squarem(fit.em.mixture, 1e-11, 3000)
    return drive([replace(fit, em=em)], engine, source).fits[0].lower_bound


def single(data: Set, seed: int, accelerate: bool, engine: LocalEngine) -> End:
    """Run one k-means start until it is near the optimum of its basin."""
    source = ArraySource(data.rows)
    grid = Grid(
        (data.n_components,), ("full",), 1, "kmeans", 1e-9, 4000, seed=seed, accelerate=accelerate
    )
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
    grid = Grid(
        (data.n_components,),
        ("full",),
        5,
        "auto",
        NEAR,
        1000,
        seed=seed,
        accelerate=True,
        race=True,
    )
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


def sklearn_fit(data: Set, seed: int, n_init: int) -> End:
    """Run scikit-learn as it comes."""
    began = time.process_time()
    found = [
        fitted(data.rows, data.n_components, random_state=n_init * seed + restart)
        for restart in range(n_init)
    ]
    spent = time.process_time() - began
    best = max(found, key=lambda model: model.lower_bound_)
    passes = float(sum(model.n_iter_ for model in found))
    return End(passes, spent, float(best.score(data.rows)), float("nan"))


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
    data, engine = get_set(name, n_rows), LocalEngine()
    methods: dict[str, tuple[int, Callable[[int], End]]] = {
        "EM": (seeds, lambda seed: single(data, seed, False, engine)),
        "SQUAREM": (seeds, lambda seed: single(data, seed, True, engine)),
        "race": (seeds, lambda seed: race(data, seed, engine)),
        "scikit-learn": (peer_seeds, lambda seed: sklearn_fit(data, seed, 1)),
        "scikit-learn, 5 starts": (peer_seeds, lambda seed: sklearn_fit(data, seed, 5)),
    }
    ends = {m: [run(seed) for seed in range(n)] for m, (n, run) in methods.items()}
    independent = known(name, len(data.rows))
    best = max(independent, *(end.bound for found in ends.values() for end in found))
    return {
        "rows": len(data.rows),
        "best": best,
        "best_of_200_scikit_learn": independent,
        **{m: figures(found, best) for m, found in ends.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("methods", "optima"), nargs="?", default="methods")
    parser.add_argument("--rows", type=int, default=200_000, help="of the sets that are made")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--peer-seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="*", default=[*SPREAD])
    parser.add_argument("--out", type=Path, default=OPTIMA.parent)
    options = parser.parse_args()
    for name in options.sets:
        if options.what == "optima":
            store(name, options.rows)
            continue
        found = run_set(name, options.rows, options.seeds, options.peer_seeds)
        print("\n".join(as_lines(name, found)), flush=True)
        keep(options.out, name, found)


if __name__ == "__main__":
    main()

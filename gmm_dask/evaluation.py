"""From finished fits to candidates with all their criteria, by one pass over the data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gmm_dask.blocks import Source
from gmm_dask.drive import Fits
from gmm_dask.engine.base import Engine
from gmm_dask.fits.restart import Restart
from gmm_dask.folds.compare import Compare, Comparison
from gmm_dask.folds.confusion import Confusion
from gmm_dask.folds.score import Score
from gmm_dask.search import Grid
from gmm_dask.selection import Candidate, best_restarts, labellings, ordered_mixture
from gmm_dask.stability import NOT_COMPARED, agreements, comparisons
from gmm_dask.stats import Fold, batch


def evaluate(
    engine: Engine,
    source: Source,
    grid: Grid,
    fits: Fits,
    *,
    stability: bool = False,
) -> tuple[tuple[Candidate, ...], Comparison | None]:
    """Return the candidates with their criteria, and held-out log densities side by side.

    Parameters
    ----------
    engine : Engine
    source : Source
    grid : Grid
        Its rows are those of the fits; the others are held out.
    fits : tuple of Restart
    stability : bool
        Compare the labels of restarts and of neighbouring K as well; see `stability.comparisons`
        for the cost.
    """
    groups, rows = best_restarts(fits), grid.rows
    mixtures = tuple(ordered_mixture(restart) for restart, _ in groups)
    folds: list[Fold[Any, Any, Any]] = [Score(mixture, rows) for mixture in mixtures]
    held = replace(rows, inside=not rows.inside) if rows is not None and rows.is_part else None
    if held:
        about = tuple(restart.lower_bound for restart, _ in groups)
        folds.append(Compare(mixtures, about, held))
    compared = comparisons(labellings(fits) if stability else ())
    if compared.pairs:
        folds.append(Confusion(compared.mixtures, compared.pairs, rows))
    answers = engine.fold(batch(folds), source)
    found = agreements(compared, answers[-1]) if compared.pairs else (NOT_COMPARED,) * len(groups)
    candidates = [
        Candidate(
            mixtures[i], summaries, _bounds(restart), answers[i], grid.tol, agreement=found[i]
        )
        for i, (restart, summaries) in enumerate(groups)
    ]
    if not held:
        return tuple(candidates), None
    comparison: Comparison = answers[len(groups)]
    errors = comparison.standard_error()
    return tuple(
        replace(c, held_out=float(comparison.mean[i]), held_out_error=float(errors[i]))
        for i, c in enumerate(candidates)
    ), comparison


def _bounds(restart: Restart) -> tuple[float, ...]:
    assert restart.em is not None  # `best_restarts` returns no others
    return restart.em.lower_bounds

"""From constructor words to a grid of one candidate, and what a fit prints meanwhile."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from gmm_dask.angled import Shape
from gmm_dask.blocks import RowLayout
from gmm_dask.drive import PassDone
from gmm_dask.errors import DegenerateWarning
from gmm_dask.estimator.compound import compound_words
from gmm_dask.estimator.frozen import TEMPERATURES, held_of
from gmm_dask.fits.base import Outcome
from gmm_dask.folds.rows import RowShare
from gmm_dask.laws.named import law_of, law_word
from gmm_dask.many import GridResult
from gmm_dask.search import Grid
from gmm_dask.selection import Candidate


def grid_of(model: Any, seed: int, n_init: int, layout: RowLayout, shape: Shape) -> Grid:
    """Return the grid that an estimator's words ask for.

    Parameters
    ----------
    model : GaussianMixture
    seed, n_init : int
    layout : RowLayout
        How rows are to be taken.
    shape : Shape
        Which columns are angles, and whether there is a background.
    """
    return Grid(
        (int(model.n_components),),
        (model.covariance_type,),
        n_init,
        model.init_params,
        float(model.tol),
        int(model.max_iter),
        model.reg_covar,
        seed,
        rows=RowShare.all_rows(layout),
        shape=shape,
        law=law_of(model.weights),
        held=held_of(model.frozen, model.shared),
        temperature=TEMPERATURES[model.assignment],
        covariance_prior=bool(model.covariance_prior),
    )


def layout_of(grid: Grid, n_columns: int) -> RowLayout:
    """Return how the rows of a grid are taken."""
    found = grid.rows.layout if grid.rows is not None else None
    return found or RowLayout(n_columns)


def words_of(candidate: Candidate, grid: Grid) -> dict[str, Any]:
    """Return the constructor words with which an estimator would fit a candidate of a grid."""
    layout = layout_of(grid, candidate.mixture.n_columns)
    names = ("tol", "reg_covar", "max_iter", "n_init", "init_params")
    return {
        "n_components": candidate.n_components,
        "covariance_type": candidate.covariance_type,
        **{name: getattr(grid, name) for name in names},
        "random_state": grid.seed,
        "missing": "marginalize" if layout.missing else "error",
        "compute_dtype": layout.compute_dtype,
        **compound_words(grid.shape),
        "weights": law_word(grid.law),
        "assignment": "soft" if grid.temperature else "hard",
        "covariance_prior": grid.covariance_prior,
    }


def warn_of(result: GridResult) -> None:
    """Warn where the only candidate of a fit did not converge, or has a degenerate component."""
    best = result.candidates[0].best
    if best.outcome != Outcome.CONVERGED.name and not result.interrupted:
        message = f"best restart: {Outcome[best.outcome].value}"
        warnings.warn(message, ConvergenceWarning, stacklevel=3)
    if best.problems:
        warnings.warn("; ".join(best.problems), DegenerateWarning, stacklevel=3)


def printer(verbose: Any, interval: Any) -> Callable[[PassDone], None] | None:
    """Return a watcher that prints a line every so many passes, None where nothing is asked."""
    if not verbose:
        return None
    every = max(int(interval), 1)

    def show(done: PassDone) -> None:
        if done.number % every == 0 or not done.live:
            bound = done.best.lower_bound
            print(f"pass {done.number}  {done.live} live  log-likelihood per row {bound:.7f}")

    return show

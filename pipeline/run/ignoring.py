"""A second fit that takes the values as exact: what the errors of the rows did to the widths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from gmm_dask import Engine, GridResult, run_grid
from pipeline.report.panels import Widths
from pipeline.run.fitting import Fitted
from pipeline.run.layouts import in_source_terms
from pipeline.run.results import Shown
from pipeline.stages.steps import FloatArray

PASSES = 40
"""At most: it begins where the chosen mixture is."""
TOL = 1e-4
"""Log-likelihood per row: widths are compared, not tested."""


def errors_ignored(fitted: Fitted, shown: Shown, engine: Engine) -> Widths | None:
    """Return the widths of a fit that ignores the errors; None where rows have none.

    Of as many components and the same type, begun at the chosen mixture.

    Parameters
    ----------
    fitted : Fitted
    shown : Shown
        The chosen mixture.
    engine : Engine
    """
    if not fitted.layout.noise or fitted.surveyed is None:
        return None
    result = _fit(fitted, engine)
    candidate = result.candidates[0]
    other = Shown(replace(fitted, result=result, chosen=0))
    order = pairs(shown, other)
    error = np.zeros(shown.std.shape[1])
    error[: len(fitted.surveyed.error)] = fitted.surveyed.error
    return Widths(
        std=other.std[order],
        weights=other.weights[order],
        error=error,
        log_likelihood_per_row=candidate.log_likelihood_per_row,
        converged=candidate.converged,
    )


def _fit(fitted: Fitted, engine: Engine) -> GridResult:
    mixture, rows = fitted.candidate.mixture, fitted.grid.rows
    assert rows is not None, "rows with errors are taken in some way"
    assert rows.layout is not None, "rows with errors have a layout"
    grid = replace(
        fitted.grid,
        n_components=(mixture.n_components,),
        covariance_type=(mixture.family.covariance_type,),
        n_init=1,
        tol=max(fitted.grid.tol, TOL),
        max_iter=PASSES,
        rows=replace(rows, layout=rows.layout._replace(exact=True)),
        race=False,
    )
    start = {
        "weights": mixture.weights[0],
        "means": mixture.means,
        "covariances": mixture.covariances,
    }
    with in_source_terms(fitted.table):
        return run_grid(fitted.source, grid, engine, given=start)


def pairs(one: Shown, other: Shown) -> npt.NDArray[np.int64]:
    """Return which component (K,) of another mixture each component became.

    The pairing of the smallest sum of squared distances of means, in both widths.
    """
    apart = one.means[:, None, :] - other.means[None, :, :]
    size = one.std[:, None, :] ** 2 + other.std[None, :, :] ** 2
    cost: FloatArray = (apart**2 / np.where(size > 0, size, 1.0)).sum(axis=2)
    return np.asarray(linear_sum_assignment(cost)[1], dtype=np.int64)

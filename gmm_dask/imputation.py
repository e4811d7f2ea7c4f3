"""Missing values expected and drawn, and true values behind noise, row by row.

References
----------
Ghahramani and Jordan 1994, NIPS 6:120 (conditional means and covariances); Bovy, Hogg and Roweis
2011, Ann. Appl. Stat. 5:1657, equations 15 and 16 (true values); Rubin 1987, Multiple Imputation
for Nonresponse in Surveys (why draws, not means, are used to carry uncertainty).
"""

from __future__ import annotations

import numpy as np

from gmm_dask import draws
from gmm_dask.blocks import FloatArray, IntArray, Observed
from gmm_dask.kernels import noisy
from gmm_dask.marginals import Marginal
from gmm_dask.observed import Observer
from gmm_dask.pieces import patterns, taken

PURPOSE = "missing values"


def imputed(observer: Observer, rows: Observed) -> tuple[FloatArray, FloatArray]:
    """Return rows (n, D) with missing values expected, and the covariance (n, D, D) of these.

    Source units. Values that are there stay as they are, whatever their noise, with covariance 0.

    Parameters
    ----------
    observer : Observer
    rows : Observed
    """
    mean, covariance = observer.true_values(rows)
    holes = np.isnan(rows.values)
    covariance *= holes[:, :, None] & holes[:, None, :]
    return np.where(holes, mean, rows.values), covariance


def drawn(observer: Observer, rows: Observed, row: IntArray, seed: int, draw: int) -> FloatArray:
    """Return rows (n, D) with missing values drawn from their joint distribution given the rest.

    Parameters
    ----------
    observer : Observer
    rows : Observed
    row : (n,)
        Absolute row numbers: a row's draw depends on nothing else.
    seed, draw : int
        Key of the random numbers.
    """
    D = observer.mixture.n_columns
    picks, normal = random_numbers(row, D, seed, draw)
    edges = np.cumsum(observer.posterior(rows)[1], axis=1)
    labels = (picks[:, None] * edges[:, -1:] >= edges[:, :-1]).sum(axis=1)
    true = np.empty((len(row), D))
    for columns, places in patterns(rows.values):
        model, part = observer.marginal(columns), taken(rows, places, columns)
        means = observer.mixture.params.means
        true[places] = _of_pattern(means, model, part, labels[places], normal[places])
    holes = np.isnan(rows.values)
    return np.where(holes, observer.mixture.frame.backward(true), rows.values)


def random_numbers(row: IntArray, D: int, seed: int, draw: int) -> tuple[FloatArray, FloatArray]:
    """Return for each row a uniform number (n,) and D normal ones (n, D), by absolute row."""
    if not len(row):
        return np.empty(0), np.empty((0, D))
    lo, hi = int(row[0]), int(row[-1]) + 1

    def of_cell(generator: np.random.Generator) -> FloatArray:
        numbers: FloatArray = np.empty((draws.CELL, D + 1))
        numbers[:, 0] = generator.random(draws.CELL)
        numbers[:, 1:] = generator.standard_normal((draws.CELL, D))
        return numbers

    found = draws.by_rows(of_cell, seed, PURPOSE, draw, lo, hi)[row - lo]
    return found[:, 0], found[:, 1:]


def _of_pattern(
    means: FloatArray, model: Marginal, part: Observed, labels: IntArray, normal: FloatArray
) -> FloatArray:
    """Return draws of true rows (n, D), in the frame, of rows with the same columns observed."""
    true = np.empty_like(normal)
    for k in np.unique(labels):
        mine = np.flatnonzero(labels == k)
        step, covariance = expected(model, part, mine, int(k))
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        true[mine] = means[k] + step + (root @ normal[mine, :, None])[:, :, 0]
    return true


def expected(
    model: Marginal, part: Observed, places: IntArray, k: int
) -> tuple[FloatArray, FloatArray]:
    """Return expected true rows about the component's mean (m, D), and their covariances.

    In the frame; covariances (m, D, D), or one (1, D, D) for all rows where they have no noise.

    Parameters
    ----------
    model : Marginal
        Of the columns that the rows have.
    part : Observed
        Rows in these columns.
    places : (m,)
        Which of the rows.
    k : int
    """
    scale, d = model.prepared.scale, len(model.columns)
    y = (part.values[places].astype(np.float64) - model.prepared.shift) / scale
    lift, spare, of_k = model.lift[k], model.spare[k], model.noisy.means[k]
    if part.noise is None or not d:
        return (y - of_k) @ lift.T, spare[None]
    noise = part.noise[places] / (scale**2 if part.noise.ndim == 2 else np.outer(scale, scale))
    found = noisy.posterior(of_k, model.noisy.covariance(k), y, noise)
    left = found.spare if found.spare.ndim == 3 else found.spare[:, :, None] * np.eye(d)
    return found.step @ lift.T, lift @ left @ lift.T + spare

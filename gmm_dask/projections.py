"""Rows that measure combinations of the columns, brought to the columns themselves.

A row ``w = R v + e`` has its own projection R and errors e of covariance C. Where R, in the columns
that it touches, can be undone, the row says as much as values of these columns do, the others
missing: then weights of rows, holes and noise serve it, exactly.

References
----------
Bovy, Hogg and Roweis 2011, Ann. Appl. Stat. 5:1657, equation 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gmm_dask.blocks import BoolArray, FloatArray, IntArray
from gmm_dask.errors import DataError

CONDITION = 1e8
"""Beyond this, undoing a projection would lose half of the digits."""


def unproject(observed: Any, projections: Any, noise: Any) -> tuple[FloatArray, FloatArray]:
    """Return rows of values, NaN where nothing is known, and the noise of these.

    The likelihood of a mixture is that of the projected rows up to a factor for each row that
    depends on its R alone: fits, responsibilities and true values are the same, log densities are
    per volume of the columns instead of the measurements.

    Parameters
    ----------
    observed : (N, M)
        NaN where a measurement is missing.
    projections : (N, M, D)
        R of each row.
    noise : (N, M) variances or (N, M, M) covariances
        Of the measurements; an infinite variance says that one is missing.

    Returns
    -------
    X : (N, D)
    noise : (N, D, D)
        For ``GaussianMixture(missing="marginalize").fit(X, noise=noise)``.

    Raises
    ------
    DataError
        Shapes do not fit; or the measurements of a row are fewer than the columns that they
        combine, or not independent of each other, so that no value of a column follows from them
        (a speed along the line of sight, from three components of which none is measured).

    Examples
    --------
    >>> import numpy as np
    >>> from gmm_dask import unproject
    >>> turned = np.array([[[0.0, 1.0], [-1.0, 0.0]]])
    >>> X, noise = unproject([[3.0, 4.0]], turned, [[0.1, 0.2]])
    >>> X, np.diagonal(noise[0])
    (array([[-4.,  3.]]), array([0.2, 0.1]))
    """
    w, R, C = _checked(observed, projections, noise)
    there = ~(np.isnan(w) | np.isposinf(np.diagonal(C, axis1=1, axis2=2)))
    touched = ((R != 0) & there[:, :, None]).any(axis=1)
    N, D = touched.shape
    values, covariances = np.full((N, D), np.nan), np.zeros((N, D, D))
    groups, member = np.unique(np.hstack([there, touched]), axis=0, return_inverse=True)
    for index, group in enumerate(groups):
        places = np.flatnonzero(member.ravel() == index)
        rows, columns = np.flatnonzero(group[: w.shape[1]]), np.flatnonzero(group[w.shape[1] :])
        undo = _inverse(R[places[:, None, None], rows[:, None], columns], places)
        inside = C[places[:, None, None], rows[:, None], rows]
        values[places[:, None], columns] = (undo @ w[places[:, None], rows, None])[:, :, 0]
        back = undo @ inside @ undo.transpose(0, 2, 1)
        covariances[places[:, None, None], columns[:, None], columns] = back
    return values, 0.5 * (covariances + covariances.transpose(0, 2, 1))


def _inverse(R: FloatArray, places: IntArray) -> FloatArray:
    """Return the inverses of projections (n, m, d) of some rows."""
    n, m, d = R.shape
    bad: BoolArray = np.full(n, m != d)
    if m == d and m:
        size = np.abs(R).max(axis=1, keepdims=True)
        condition = np.linalg.cond(R / size)
        bad = ~(condition < CONDITION)
    if bad.any():
        raise DataError(
            f"row {places[int(bad.argmax())]}: its {m} measurements combine {d} columns, and "
            "cannot be solved for them; needed: as many independent measurements as columns that "
            "they touch"
        )
    return np.linalg.inv(R).astype(np.float64, copy=False)


def _checked(observed: Any, projections: Any, noise: Any) -> tuple[FloatArray, ...]:
    w, R, C = (np.asarray(part, dtype=np.float64) for part in (observed, projections, noise))
    if w.ndim != 2 or R.ndim != 3 or R.shape[:2] != w.shape or C.shape not in _noises(w):
        raise DataError(
            f"measurements of shape {w.shape}, projections {R.shape} and noise {C.shape} came; "
            "(N, M), (N, M, D), and (N, M) or (N, M, M) are needed"
        )
    if not np.isfinite(R).all():
        row = int((~np.isfinite(R)).any(axis=(1, 2)).argmax())
        raise DataError(f"row {row}: its projection has NaN or infinite numbers")
    return w, R, C if C.ndim == 3 else np.where(np.eye(w.shape[1]) == 1, C[:, :, None], 0.0)


def _noises(w: FloatArray) -> tuple[tuple[int, ...], ...]:
    return w.shape, (*w.shape, w.shape[1])

"""Guesses at the columns of rows that measure combinations of them: what a fit begins with.

A row ``w = R v + e`` does not say what v is. Of all that explain it exactly the one nearest to a
common centre is taken; EM, which needs no guess, goes on from there. Directions in which rows vary
but are not measured come out too narrow by it, and EM widens them.
"""

from __future__ import annotations

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray, Observed
from gmm_dask.errors import DataError

RIDGE = 1e-10
"""Of the trace: rows that repeat themselves have no unique solution, but a smallest one."""


def completed(rows: Observed, centre: FloatArray, scale: FloatArray) -> Observed:
    """Return rows of all columns: rows of the columns as they are, others guessed.

    Parameters
    ----------
    rows : Observed
    centre : (D,)
        Source units.
    scale : (D,)
        By which distances from the centre are measured in each column.

    Returns
    -------
    Observed
        Of values (n, D), NaN where a row says nothing of a column; without noise.
    """
    if rows.projection is None:
        return rows
    there = ~np.isnan(rows.values)
    R = np.where(there[:, :, None], rows.projection, 0.0) * scale
    rest = np.where(there, rows.values - rows.projection @ centre, 0.0)
    square = R @ R.transpose(0, 2, 1)
    size = np.trace(square, axis1=1, axis2=2)
    level = np.where(size > 0, size, 1.0)[:, None, None] * RIDGE
    lacking = ~there[:, :, None] * np.eye(there.shape[1])
    solved = np.linalg.solve(square + level * np.eye(there.shape[1]) + lacking, rest[:, :, None])
    guess = centre + scale * (R.transpose(0, 2, 1) @ solved)[:, :, 0]
    return Observed(np.where((R != 0).any(axis=1), guess, np.nan), rows.sample_weight)


def first_guess(rows: Observed) -> FloatArray:
    """Return values (n, D) of some rows without knowing a centre: it is found by least squares."""
    if rows.projection is None:
        return rows.values
    # what is no number is refused later, with its row
    there = np.isfinite(rows.values) & np.isfinite(rows.projection).all(axis=2)
    rows = rows._replace(
        values=np.where(there, rows.values, np.nan),
        projection=np.where(there[:, :, None], rows.projection, 0.0),
    )
    assert rows.projection is not None
    R = rows.projection[there]
    size = np.sqrt((R**2).mean(axis=0)) if len(R) else np.zeros(R.shape[1])
    scale = 1.0 / np.where(size > 0, size, 1.0)
    centre = scale * np.linalg.lstsq(R * scale, rows.values[there], rcond=1e-8)[0]
    return completed(rows, centre, scale).values


def check_projection(rows: Observed, row: IntArray, *, missing: bool) -> None:
    """Raise DataError if a measurement or a projection is no number.

    Parameters
    ----------
    rows : Observed
    row : (n,)
        Absolute row numbers.
    missing : bool
        Whether NaN means a measurement that was not made.
    """
    if rows.projection is None:
        return
    wrong = ~np.isfinite(rows.projection).all(axis=(1, 2))
    if wrong.any():
        i = int(wrong.argmax())
        raise DataError(
            f"row {row[i]}: its projection is {rows.projection[i].tolist()}; finite numbers are "
            "needed"
        )
    bad = np.isinf(rows.values) if missing else ~np.isfinite(rows.values)
    if bad.any():
        i = int(bad.any(axis=1).argmax())
        advice = "" if missing else '; missing="marginalize" takes NaN for what was not measured'
        raise DataError(
            f"row {row[i]}: its measurements are {rows.values[i].tolist()}; finite numbers are "
            f"needed{advice}"
        )

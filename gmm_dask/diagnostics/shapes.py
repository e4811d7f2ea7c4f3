"""How far one component, and one column, is from the shape that a mixture gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.levels import SHARES
from gmm_dask.diagnostics.shares import TailShare, tail_share
from gmm_dask.folds.tails import BEYOND, PIT_BINS, PROBABILITIES
from gmm_dask.mixture import Mixture

LEAST_EXPECTED = 5.0
"""Rows that a bin of the chi-square needs; bins with fewer are joined."""
WIDE = 3.0
"""Times larger deviations, at nearly the same mean, from which a component may be noise."""


@dataclass(frozen=True)
class ComponentShape:
    """Squared distances of a component's rows against the chi-square distribution.

    Parameters
    ----------
    component : int
    n_rows : float
        Responsibilities.
    statistic, degrees_of_freedom, p_value : float
        Of the chi-square over bins; conservative where parameters come from the same rows.
    distance : float
        Largest difference between found and expected shares closer than an edge: the effect.
    tails : tuple of TailShare
        Rows beyond the distance that a share of them exceeds.
    found, expected : (B,)
        Rows by bin.
    """

    component: int
    n_rows: float
    statistic: float
    degrees_of_freedom: int
    p_value: float
    distance: float
    tails: tuple[TailShare, ...]
    found: FloatArray
    expected: FloatArray


@dataclass(frozen=True)
class ColumnShape:
    """Probability integrals of one column, given those before it.

    Parameters
    ----------
    column : int
    n_rows : float
    distance : float
        Kolmogorov's: largest difference between found and expected shares below a value.
    noise : float
        Distance that one in twenty samples of true rows exceeds; a bound where parameters come
        from the same rows.
    histogram : (20,)
        Rows by twentieths; equal in truth.
    """

    column: int
    n_rows: float
    distance: float
    noise: float
    histogram: FloatArray


def component_shape(
    component: int,
    n_rows: float,
    weight: float,
    mass: FloatArray,
    squares: FloatArray,
    level: float,
    same_rows: bool,
) -> ComponentShape:
    """Return one component's distances against the chi-square distribution.

    A row adds its responsibility to one bin, so the spread of the sums is less than that of
    counts: ``C = diag(squares) - mass mass^T / N``, and ``(O - E)^T C^-1 (O - E)`` is chi-square
    in truth, with one degree less where weights come from the same rows.
    """
    expected = n_rows * weight * PROBABILITIES
    parts = _joined(expected)
    found, wanted, square = (np.add.reduceat(x, parts) for x in (mass, expected, squares))
    spread = np.diag(np.maximum(square, 1e-300)) - np.outer(found, found) / max(n_rows, 1.0)
    off = found - wanted
    statistic = float(off @ np.linalg.pinv(spread, hermitian=True) @ off)
    rank = int(np.linalg.matrix_rank(spread, hermitian=True))  # one less where K is 1
    freedom = min(len(parts) - bool(same_rows), rank)
    own = max(float(mass.sum()), 1e-300)
    distance = float(np.abs(np.cumsum(mass / own - PROBABILITIES)).max())
    p = float(chi2.sf(statistic, freedom)) if freedom > 0 else np.nan
    tails = distances_of(mass, squares, level)
    return ComponentShape(
        component, float(mass.sum()), statistic, freedom, p, distance, tails, mass, expected
    )


def _joined(expected: FloatArray) -> list[int]:
    """Return where joined bins begin, so that each expects enough rows; at least one."""
    begins, room = [0], 0.0
    for i, rows in enumerate(expected):
        if room >= LEAST_EXPECTED and expected[i:].sum() >= LEAST_EXPECTED:
            begins.append(i)
            room = 0.0
        room += float(rows)
    return begins


def distances_of(mass: FloatArray, squares: FloatArray, level: float) -> tuple[TailShare, ...]:
    """Return the rows beyond the distances of the tail, from 1e-2 on."""
    shares = []
    n = float(mass.sum())
    for i, share in enumerate(BEYOND):
        if share <= SHARES[0]:
            found, square = float(mass[i + 1 :].sum()), float(squares[i + 1 :].sum())
            spread = square / found if square > 0 else 1.0  # tiny squares underflow
            shares.append(tail_share(share, n, found, level, spread=spread))
    return tuple(shares)


def column_shape(column: int, counts: FloatArray) -> ColumnShape:
    """Return the probability integrals of one column, from their histogram."""
    n = float(counts.sum())
    steps = np.arange(1, PIT_BINS + 1) / PIT_BINS
    distance = float(np.abs(np.cumsum(counts) / max(n, 1.0) - steps).max()) if n else np.nan
    noise = 1.358 / np.sqrt(n) if n else np.nan
    return ColumnShape(column, n, distance, float(noise), counts.reshape(20, -1).sum(axis=1))


def wide_components(mixture: Mixture) -> tuple[tuple[int, int], ...]:
    """Return pairs (wide, inner): the first lies about the mean of the second, much wider."""
    means, S = mixture.params.means, mixture.family.dense(mixture.params)
    D = mixture.n_columns
    size = np.linalg.slogdet(S)[1] / (2 * D)
    found = []
    for j in range(len(S)):
        apart = means - means[j]
        square = np.einsum("kd,kd->k", apart, np.linalg.solve(S[j], apart.T).T)
        inside = (square < D) & (size[j] - size > np.log(WIDE))
        found += [(j, int(k)) for k in np.flatnonzero(inside)]
    return tuple(found)

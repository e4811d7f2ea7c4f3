"""von Mises log densities and moments of angles.

Differences of angles enter as ``h = sin((a - mu) / 2)``: ``1 - cos(a - mu) = 2 h^2`` keeps its
digits where the cosine would have rounded to one.

References
----------
Mardia and Jupp 2000, Directional Statistics, section 3.5.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import i0e

from gmm_dask.blocks import FloatArray
from gmm_dask.tree import add


class AngleMoments(NamedTuple):
    """Sums of rows that have the angle, about the asking directions."""

    count: FloatArray  # type: ignore[assignment]  # the field's own name, over tuple.count
    """(K, C): sum of resp."""
    versine: FloatArray
    """(K, C): sum of resp * (1 - cos(a - mu))."""
    sine: FloatArray
    """(K, C): sum of resp * sin(a - mu)."""


class HalfAngles(NamedTuple):
    """Half the angles of rows or directions, (n, C) each; NaN where missing."""

    sine: FloatArray
    cosine: FloatArray


def zero_moments(n_components: int, n_angles: int) -> AngleMoments:
    """Return the moments of no rows."""
    shape = (n_components, n_angles)
    return AngleMoments(np.zeros(shape), np.zeros(shape), np.zeros(shape))


def halves(angles: FloatArray) -> HalfAngles:
    """Return sines and cosines of half of some angles (n, C), radians."""
    return HalfAngles(np.sin(0.5 * angles), np.cos(0.5 * angles))


def log_norm(kappa: FloatArray) -> FloatArray:
    """Return the log density at the mean direction, per radian; never overflows."""
    norm: FloatArray = -np.log(2 * np.pi) - np.log(i0e(kappa))
    return norm


def log_prob(rows: HalfAngles, means: FloatArray, kappa: FloatArray) -> FloatArray:
    """Return the log density (n, K) of rows, summed over the angles that they have, per radian.

    Parameters
    ----------
    rows : HalfAngles
    means, kappa : (K, C)
        Mean directions in radians, concentrations from 0.
    """
    result = np.zeros((len(rows.sine), len(means)))
    centre = halves(means)
    at_mean = log_norm(kappa)
    for c in range(means.shape[1]):
        h = _half_sine(rows, centre, c)
        term = at_mean[:, c] - 2.0 * kappa[:, c] * h**2
        result += np.where(np.isnan(term), 0.0, term)
    return result


def moments(rows: HalfAngles, means: FloatArray, resp: FloatArray) -> AngleMoments:
    """Return the sums about directions, given responsibilities (n, K) times row weights."""
    sums = zero_moments(*means.shape)
    centre = halves(means)
    for c in range(means.shape[1]):
        there = ~np.isnan(rows.sine[:, c])
        part = HalfAngles(rows.sine[there], rows.cosine[there])
        share = resp[there]
        h, g = _half_sine(part, centre, c), _half_cosine(part, centre, c)
        found = (np.ones_like(h), 2.0 * h**2, 2.0 * h * g)
        sums = add(sums, _in_column(c, means.shape, [(share * x).sum(axis=0) for x in found]))
    return sums


def _in_column(c: int, shape: tuple[int, ...], columns: list[FloatArray]) -> AngleMoments:
    result = zero_moments(*shape)
    for array, column in zip(result, columns, strict=True):
        array[:, c] = column
    return result


def _half_sine(rows: HalfAngles, centre: HalfAngles, c: int) -> FloatArray:
    """Return sin((a - mu) / 2) for angle c, (n, K)."""
    result: FloatArray = np.outer(rows.sine[:, c], centre.cosine[:, c])
    result -= np.outer(rows.cosine[:, c], centre.sine[:, c])
    return result


def _half_cosine(rows: HalfAngles, centre: HalfAngles, c: int) -> FloatArray:
    """Return cos((a - mu) / 2) for angle c, (n, K)."""
    result: FloatArray = np.outer(rows.cosine[:, c], centre.cosine[:, c])
    result += np.outer(rows.sine[:, c], centre.sine[:, c])
    return result

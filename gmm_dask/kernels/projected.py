"""Rows that measure combinations of the columns, ``w = R v + e``: NumPy, a tile of rows at a time.

Given component k, w is normal about ``R m`` with ``T = R V R^T + C``, and v given w has the mean
``b = m + V R^T T^-1 (w - R m)`` and the covariance ``B = V - V R^T T^-1 R V``. What a row lacks is
taken out by a zero in its R and y and a one in its C, which leaves T as if it were not there.

References
----------
Bovy, Hogg and Roweis 2011, Ann. Appl. Stat. 5:1657, equations 15 and 16.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import DataError
from gmm_dask.kernels.reference import log_sum_exp
from gmm_dask.kernels.reference_noisy import NoisyModel, NoisySums
from gmm_dask.kernels.types import LOG_PROB_MIN, GaussianMoments, second_shape

TILE = 1024


class Measured(NamedTuple):
    """Rows as they are measured: w, R and C where there is a value, else 0, 0 and 1."""

    values: FloatArray
    """(n, d)."""
    projection: FloatArray
    """(n, d, D) from the frame."""
    noise: FloatArray
    """(n, d, d)."""
    n_there: FloatArray
    """(n,) values that are there."""

    def tile(self, lo: int) -> Measured:
        """Return the rows of one tile."""
        return Measured(*(part[lo : lo + TILE] for part in self))


class Posterior(NamedTuple):
    """What rows say about their true values, given one component."""

    log_prob: FloatArray
    """(n,) log density of what was measured, in its units."""
    step: FloatArray
    """(n, D) expected true value minus the component's mean."""
    known: FloatArray
    """(n, d, D) W with ``V - W^T W`` the covariance of the true value."""


def posterior(mean: FloatArray, V: FloatArray, rows: Measured) -> Posterior:
    """Return densities and expected true values under one component.

    Parameters
    ----------
    mean : (D,)
    V : (D, D)
    rows : Measured

    Raises
    ------
    DataError
        The covariance of a row's measurements is not positive definite.
    """
    R = rows.projection
    y = rows.values - R @ mean
    across = R @ V
    T = across @ R.transpose(0, 2, 1) + rows.noise
    lower = _cholesky(T)
    both = np.linalg.solve(lower, np.concatenate([across, y[:, :, None]], axis=2))
    W, z = both[:, :, :-1], both[:, :, -1]
    log_det = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    log_prob = -0.5 * (z**2).sum(axis=1) - log_det - 0.5 * rows.n_there * np.log(2 * np.pi)
    return Posterior(log_prob, (z[:, None, :] @ W)[:, 0, :], W)


def _cholesky(T: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.cholesky(T), dtype=np.float64)
    except np.linalg.LinAlgError:
        smallest = np.linalg.eigvalsh(T)[:, 0]
        i = int(smallest.argmin())
        raise DataError(
            f"the measurements of a row have the covariance {T[i].tolist()} (smallest eigenvalue "
            f"{smallest[i]:.3g}); it must be positive definite: measurements without errors must "
            "not be combinations of each other, nor of no column"
        ) from None


def log_joint(model: NoisyModel, rows: Measured) -> FloatArray:
    """Return log weights plus log densities (n, K), at least -1e300."""
    found = np.empty((len(rows.values), len(model.means)))
    with np.errstate(over="ignore", invalid="ignore"):
        for lo in range(0, len(found), TILE):
            for k, mean in enumerate(model.means):
                of_k = posterior(mean, dense(model, k), rows.tile(lo))
                found[lo : lo + TILE, k] = of_k.log_prob
    return np.fmax(found + model.log_weights, LOG_PROB_MIN)


def dense(model: NoisyModel, k: int) -> FloatArray:
    """Return the covariance of a component as a matrix (D, D)."""
    V = model.covariance(k)
    return np.diag(V) if V.ndim == 1 else V


def e_step(model: NoisyModel, rows: Measured, sample_weight: FloatArray) -> NoisySums:
    """Return the sums of expected true values about the means, their covariances included.

    Parameters
    ----------
    model : NoisyModel
    rows : Measured
    sample_weight : (n,)
    """
    K, D = model.means.shape
    count, first, second, likelihood = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D)), 0.0
    for lo in range(0, len(rows.values), TILE):
        tile, weight = rows.tile(lo), sample_weight[lo : lo + TILE]
        found = [posterior(mean, dense(model, k), tile) for k, mean in enumerate(model.means)]
        joint = np.stack([of_k.log_prob for of_k in found], axis=1) + model.log_weights
        joint = np.fmax(joint, LOG_PROB_MIN)
        norm = log_sum_exp(joint)
        resp = np.exp(joint - norm[:, None]) * weight[:, None]
        likelihood += float(norm @ weight)
        count += resp.sum(axis=0)
        for k, (_, step, W) in enumerate(found):
            first[k] += resp[:, k] @ step
            second[k] += (step * resp[:, k, None]).T @ step
            flat = W.reshape(-1, D)
            second[k] -= (flat * np.repeat(resp[:, k], W.shape[1])[:, None]).T @ flat
    for k in range(K):
        second[k] += count[k] * dense(model, k)
    return NoisySums(likelihood, count, GaussianMoments(first, in_shape(model, second)))


def in_shape(model: NoisyModel, second: FloatArray) -> FloatArray:
    """Return second moments (K, D, D) in the shape of the covariances."""
    kind = model.covariance_type
    if kind == "full":
        return second
    if kind == "tied":
        tied: FloatArray = second.sum(axis=0)
        return tied
    diagonal = np.diagonal(second, axis1=1, axis2=2)
    found: FloatArray = diagonal.copy() if kind == "diag" else diagonal.sum(axis=1)
    assert found.shape == second_shape(kind, *model.means.shape)
    return found

"""Rows with errors of their own, the plain slow oracle: the E-step of extreme deconvolution.

A row is ``w = v + e``, its true value v from the mixture, its error e normal with a covariance C
known for this row. Then w is normal about the component's mean with ``T = V + C``, and v given w
has mean ``b = m + V T^-1 (w - m)`` and covariance ``B = V - V T^-1 V``. Sums of b and of ``b b^T +
B`` take the place of those of the rows, so the M-step is the ordinary one.

References
----------
Bovy, Hogg and Roweis 2011, Ann. Appl. Stat. 5:1657, equations 15 and 16.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels.reference import log_sum_exp
from gmm_dask.kernels.types import LOG_PROB_MIN, GaussianMoments, second_shape

TILE = 1024


class Posterior(NamedTuple):
    """What rows say about their true values, given one component."""

    log_prob: FloatArray
    """(n,) log density of the row, per unit volume of the frame."""
    step: FloatArray
    """(n, D) expected true value minus the component's mean."""
    spare: FloatArray
    """Covariance of the true value: (n, D, D); (n, D) where both covariances are diagonal."""


def posterior(
    mean: FloatArray, covariance: FloatArray, rows: FloatArray, noise: FloatArray
) -> Posterior:
    """Return densities and expected true values under one component.

    Parameters
    ----------
    mean : (D,)
    covariance : (D, D), or (D,) variances
    rows : (n, D)
        In the frame.
    noise : (n, D) variances or (n, D, D) covariances
        In the frame; zeros are allowed.
    """
    y = rows - mean
    if covariance.ndim == 1 and noise.ndim == 2:
        return _diagonal(covariance, y, noise)
    V = np.diag(covariance) if covariance.ndim == 1 else covariance
    T = V + (noise if noise.ndim == 3 else noise[:, :, None] * np.eye(len(mean)))
    lower = np.linalg.cholesky(T)
    z = np.linalg.solve(lower, y[:, :, None])[:, :, 0]
    W = np.linalg.solve(lower, np.broadcast_to(V, T.shape))
    log_det = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    log_prob = -0.5 * (z**2).sum(axis=1) - log_det - 0.5 * len(mean) * np.log(2 * np.pi)
    step = np.einsum("nji,nj->ni", W, z)
    return Posterior(log_prob, step, V - W.transpose(0, 2, 1) @ W)


def _diagonal(variance: FloatArray, y: FloatArray, noise: FloatArray) -> Posterior:
    total = variance + noise
    log_prob = -0.5 * (y**2 / total + np.log(2 * np.pi * total)).sum(axis=1)
    gain = variance / total
    return Posterior(log_prob, gain * y, gain * noise)


class NoisySums(NamedTuple):
    """Sums of an E-step over noisy rows."""

    log_likelihood: float
    count: FloatArray  # type: ignore[assignment]  # the field's own name, over tuple.count
    """(K,)."""
    moments: GaussianMoments
    """Of expected true values about the asking means, their covariances included."""


class NoisyModel(NamedTuple):
    """A mixture as seen by rows with errors; all in the frame."""

    covariance_type: str
    means: FloatArray
    """(K, D)."""
    covariances: FloatArray
    """full (K, D, D), tied (D, D), diag (K, D), spherical (K,)."""
    log_weights: FloatArray
    """(K,)."""

    def covariance(self, k: int) -> FloatArray:
        """Return the covariance of a component, (D, D), or its variances, (D,)."""
        S = self.covariances
        if self.covariance_type == "tied":
            return S
        if self.covariance_type == "spherical":
            return np.full(self.means.shape[1], S[k])
        of_k: FloatArray = S[k]
        return of_k


def log_joint(model: NoisyModel, rows: FloatArray, noise: FloatArray) -> FloatArray:
    """Return log weights plus log densities (n, K), at least -1e300."""
    found = np.empty((len(rows), len(model.means)))
    with np.errstate(over="ignore", invalid="ignore"):
        for k, mean in enumerate(model.means):
            found[:, k] = posterior(mean, model.covariance(k), rows, noise).log_prob
    return np.fmax(found + model.log_weights, LOG_PROB_MIN)


def e_step(
    model: NoisyModel, rows: FloatArray, noise: FloatArray, sample_weight: FloatArray
) -> NoisySums:
    """Return the sums of rows with errors.

    Parameters
    ----------
    model : NoisyModel
    rows : (n, D)
    noise : (n, D) or (n, D, D)
    sample_weight : (n,)
    """
    K, D = model.means.shape
    count, first, likelihood = np.zeros(K), np.zeros((K, D)), 0.0
    second = np.zeros(second_shape(model.covariance_type, K, D))
    for lo in range(0, len(rows), TILE):
        part = slice(lo, lo + TILE)
        joint = log_joint(model, rows[part], noise[part])
        norm = log_sum_exp(joint)
        resp = np.exp(joint - norm[:, None]) * sample_weight[part, None]
        likelihood += float(norm @ sample_weight[part])
        count += resp.sum(axis=0)
        for k, mean in enumerate(model.means):
            found = posterior(mean, model.covariance(k), rows[part], noise[part])
            first[k] += resp[:, k] @ found.step
            add_second(second, model.covariance_type, k, resp[:, k], found)
    return NoisySums(likelihood, count, GaussianMoments(first, second))


def add_second(
    second: FloatArray, covariance_type: str, k: int, resp: FloatArray, found: Posterior
) -> None:
    """Add the second moments of expected true values of one component, in its shape."""
    step, spare = found.step, found.spare
    if covariance_type in ("full", "tied"):
        total = (step * resp[:, None]).T @ step + np.tensordot(resp, spare, 1)
        target = second[k] if covariance_type == "full" else second
        target += total
        return
    variance = spare if spare.ndim == 2 else np.diagonal(spare, axis1=1, axis2=2)
    of_column = resp @ (step**2 + variance)
    second[k] += of_column if covariance_type == "diag" else of_column.sum()

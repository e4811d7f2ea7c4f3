"""How near two components of a mixture are, from the parameters alone.

References
----------
Bhattacharyya 1943, Bull. Calcutta Math. Soc. 35:99; Kailath 1967, IEEE Trans. Comm. 15:52.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray


class Closeness(NamedTuple):
    """All pairs of components, (K, K) each."""

    mahalanobis: FloatArray
    """Distance of the means in standard deviations of (S_j + S_k) / 2; 0 on the diagonal."""
    shape: FloatArray
    """What other covariances add to the Bhattacharyya distance, whose rest is mahalanobis^2 / 8."""
    coefficient: FloatArray
    """Bhattacharyya coefficient, 1 on the diagonal: the integral of the root of both densities."""


def closeness(
    means: FloatArray, covariances: FloatArray, periods: FloatArray | None = None
) -> Closeness:
    """Return how near all pairs of components are.

    Parameters
    ----------
    means : (K, D)
    covariances : (K, D, D)
        Positive definite.
    periods : (D,), optional
        Of columns that are angles, inf for others: distances go the shorter way round.
    """
    K = len(means)
    log_det = 2 * np.log(np.diagonal(np.linalg.cholesky(covariances), axis1=1, axis2=2)).sum(axis=1)
    found = Closeness(np.zeros((K, K)), np.zeros((K, K)), np.eye(K))
    for j in range(K - 1):
        pooled = np.linalg.cholesky(0.5 * (covariances[j] + covariances[j + 1 :]))
        apart = means[j + 1 :] - means[j]
        if periods is not None:
            turn = np.where(np.isfinite(periods), periods, 1.0)
            apart -= np.where(np.isfinite(periods), turn * np.round(apart / turn), 0.0)
        z = np.linalg.solve(pooled, apart[:, :, None])[:, :, 0]
        log_pooled = 2 * np.log(np.diagonal(pooled, axis1=1, axis2=2)).sum(axis=1)
        shape = 0.5 * (log_pooled - 0.5 * (log_det[j] + log_det[j + 1 :]))
        square = (z**2).sum(axis=1)
        parts = (np.sqrt(square), shape.clip(0), np.exp(-square / 8 - shape).clip(0, 1))
        for matrix, row in zip(found, parts, strict=True):
            matrix[j, j + 1 :] = matrix[j + 1 :, j] = row
    return found


def bhattacharyya(
    means: FloatArray, covariances: FloatArray, periods: FloatArray | None = None
) -> FloatArray:
    """Return the Bhattacharyya coefficients of all pairs, (K, K); see `closeness`."""
    return closeness(means, covariances, periods).coefficient

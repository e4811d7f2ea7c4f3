"""How much two components of a mixture overlap, from the parameters alone.

References
----------
Bhattacharyya 1943, Bull. Calcutta Math. Soc. 35:99; Kailath 1967, IEEE Trans. Comm. 15:52.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def bhattacharyya(
    means: FloatArray, covariances: FloatArray, periods: FloatArray | None = None
) -> FloatArray:
    """Return the Bhattacharyya coefficients of all pairs, (K, K), 1 on the diagonal.

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
    result = np.eye(K)
    for j in range(K - 1):
        pooled = np.linalg.cholesky(0.5 * (covariances[j] + covariances[j + 1 :]))
        apart = means[j + 1 :] - means[j]
        if periods is not None:
            turn = np.where(np.isfinite(periods), periods, 1.0)
            apart -= np.where(np.isfinite(periods), turn * np.round(apart / turn), 0.0)
        z = np.linalg.solve(pooled, apart[:, :, None])[:, :, 0]
        log_pooled = 2 * np.log(np.diagonal(pooled, axis1=1, axis2=2)).sum(axis=1)
        shape = 0.5 * (log_pooled - 0.5 * (log_det[j] + log_det[j + 1 :]))
        coefficient = np.exp(-(z**2).sum(axis=1) / 8 - shape)
        result[j, j + 1 :] = result[j + 1 :, j] = coefficient.clip(0, 1)
    return result

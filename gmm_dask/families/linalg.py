"""Triangular factors of stacks of small matrices, with errors that name the component."""

from __future__ import annotations

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import DataError


def cholesky(covariances: FloatArray) -> FloatArray:
    """Return lower factors of a stack (K, D, D).

    Raises
    ------
    DataError
        Naming the first component that is not positive definite.
    """
    try:
        lower = np.asarray(np.linalg.cholesky(covariances), dtype=np.float64)
        if not np.isfinite(lower).all():  # LAPACK lets NaN and inf through
            raise np.linalg.LinAlgError
        return lower
    except np.linalg.LinAlgError:
        for k, matrix in enumerate(covariances):
            finite = bool(np.isfinite(matrix).all())
            smallest = float(np.linalg.eigvalsh(matrix)[0]) if finite else float("nan")
            if not smallest > 0:
                raise DataError(
                    f"component {k}: covariance is not positive definite (smallest eigenvalue "
                    f"{smallest:.3g}); raise reg_covar, use fewer components, or remove columns "
                    "that are copies or sums of others"
                ) from None
        raise


def inverse_factor(lower: FloatArray) -> FloatArray:
    """Return U = inv(L).T, upper triangular, for a stack of lower factors (K, D, D).

    ``y @ U`` whitens rows: the triangular solve of a pass, done once by forward substitution over
    all components together (K small calls to LAPACK cost more than the arithmetic).
    """
    inverse = np.zeros_like(lower)
    pivot = 1.0 / np.diagonal(lower, axis1=1, axis2=2)
    for i in range(lower.shape[1]):
        inverse[:, i, i] = pivot[:, i]
        row = np.einsum("kj,kjl->kl", lower[:, i, :i], inverse[:, :i, :i])
        inverse[:, i, :i] = -row * pivot[:, i, None]
    return np.ascontiguousarray(inverse.transpose(0, 2, 1))


def log_det_factor(factor: FloatArray) -> FloatArray:
    """Return the log determinants of triangular factors (K, D, D), (K,)."""
    result: FloatArray = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return result

"""Triangular factors of stacks of small matrices, with errors that name the component."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

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
        return np.asarray(np.linalg.cholesky(covariances), dtype=np.float64)
    except np.linalg.LinAlgError:
        for k, matrix in enumerate(covariances):
            smallest = float(np.linalg.eigvalsh(matrix)[0])
            if not smallest > 0 or not np.isfinite(matrix).all():
                raise DataError(
                    f"component {k}: covariance is not positive definite (smallest eigenvalue "
                    f"{smallest:.3g}); raise reg_covar, use fewer components, or remove columns "
                    "that are copies or sums of others"
                ) from None
        raise


def inverse_factor(lower: FloatArray) -> FloatArray:
    """Return U = inv(L).T, upper triangular, for a stack of lower factors (K, D, D).

    ``y @ U`` whitens rows: the transposed triangular solve, computed once a pass.
    """
    eye = np.eye(lower.shape[-1])
    stack = [solve_triangular(one, eye, lower=True, check_finite=False).T for one in lower]
    return np.ascontiguousarray(stack)


def log_det_factor(factor: FloatArray) -> FloatArray:
    """Return the log determinants of triangular factors (K, D, D), (K,)."""
    result: FloatArray = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return result

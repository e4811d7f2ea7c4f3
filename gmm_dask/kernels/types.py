"""What goes into a Gaussian kernel and what comes out of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray

# A row whose distance overflows gets this log density (per component) instead of -inf, so that
# neither -inf nor NaN reaches the statistics (rows beyond 1e150 standard deviations).
LOG_PROB_MIN = -1e300

# Coordinates of rows beyond this, in the frame, are drawn in, so that every sum of their squares is
# finite (up to 10^4 such rows) and 0 times any of them is 0.
FARTHEST = 1e152


class GaussianPrepared(NamedTuple):
    """Constants of K Gaussian components for one pass.

    A kernel sees rows ``y = (x - shift) / scale`` and computes
    ``log_prob = log_norm - |whiten(y - mean)|^2 / 2``.
    """

    covariance_type: str
    """full, tied, diag or spherical."""
    shift: FloatArray
    """(D,) source units."""
    scale: FloatArray
    """(D,) powers of two, source units."""
    means: FloatArray
    """(K, D) in the frame."""
    factor: FloatArray
    """Inverse Cholesky factors U with ``whiten(y) = y @ U``: full (K, D, D) upper triangular;
    tied (D, D); diag (K, D) and spherical (K,) inverse standard deviations."""
    log_norm: FloatArray
    """(K,) log density at the mean, per unit volume of the frame."""


class GaussianMoments(NamedTuple):
    """Sums about the asking means, ``y = frame row - mean_k``."""

    first: FloatArray
    """(K, D): sum of resp * y."""
    second: FloatArray
    """Sum of resp * y y^T: full (K, D, D); tied (D, D) over all components; diag (K, D) its
    diagonal; spherical (K,) its trace."""


class EStepSums(NamedTuple):
    """Everything one EM iteration needs from a set of rows."""

    log_likelihood: FloatArray
    """() natural log, in the units of `GaussianPrepared.log_norm`."""
    n_rows: FloatArray
    """() number (later: total weight) of rows."""
    count: FloatArray  # type: ignore[assignment]  # the field's own name, over tuple.count
    """(G, K) effective rows by group and component."""
    moments: Any
    """Of the family: `GaussianMoments`; `ProductMoments` where there are angles."""
    n_underflow: FloatArray
    """() rows so far from every component that their density is not representable."""


def second_shape(covariance_type: str, n_components: int, n_columns: int) -> tuple[int, ...]:
    """Return the shape of `GaussianMoments.second` (and of covariances) for one model."""
    K, D = n_components, n_columns
    return {"full": (K, D, D), "tied": (D, D), "diag": (K, D), "spherical": (K,)}[covariance_type]


def zero_sums(prepared: GaussianPrepared) -> EStepSums:
    """Return the statistics of no rows."""
    K, D = prepared.means.shape
    moments = GaussianMoments(
        np.zeros((K, D)), np.zeros(second_shape(prepared.covariance_type, K, D))
    )
    zero = np.zeros(())
    return EStepSums(zero, zero, np.zeros((1, K)), moments, zero)

"""How covariances are kept away from singularity.

`RelativeFloor` is the default: covariances are maximised under the constraint
``S >= fraction * diag(total variance)``, whose exact solution clips eigenvalues in the frame where
the total variances are one. The likelihood stays monotone, and the answer does not depend on
units. `Ridge` is scikit-learn's ``reg_covar``: a number added to every diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmm_dask.blocks import FloatArray

DEFAULT_FRACTION = 1e-6


@dataclass(frozen=True)
class RelativeFloor:
    """Smallest allowed variance in every direction, relative to each column's own variance.

    Parameters
    ----------
    variance : (D,) float64
        Total variances of the columns in the frame, all positive.
    fraction : float
        Dimensionless, default 1e-6.
    """

    variance: FloatArray
    fraction: float = DEFAULT_FRACTION

    def full(self, covariances: FloatArray) -> FloatArray:
        """Clip a stack (K, D, D); matrices above the floor come back bit for bit."""
        root = np.sqrt(self.variance)
        outer = np.outer(root, root)
        scaled = covariances / outer
        if _is_positive_definite(scaled - self.fraction * np.eye(len(root))):
            return covariances
        lowest = np.linalg.eigvalsh(scaled)[:, 0]
        result = covariances.copy()
        for k in np.flatnonzero(lowest < self.fraction):
            values, vectors = np.linalg.eigh(scaled[k])
            values = np.maximum(values, self.fraction)
            clipped = (vectors * values) @ vectors.T
            result[k] = 0.5 * (clipped + clipped.T) * outer
        return result

    def diag(self, variances: FloatArray) -> FloatArray:
        """Clip variances (K, D)."""
        clipped: FloatArray = np.maximum(variances, self.fraction * self.variance)
        return clipped

    def spherical(self, variances: FloatArray) -> FloatArray:
        """Clip common variances (K,) at the fraction of the mean total variance."""
        clipped: FloatArray = np.maximum(variances, self.fraction * self.variance.mean())
        return clipped

    def touches(self, covariances: FloatArray) -> FloatArray:
        """Return the smallest relative eigenvalue of each (K, D, D), as a ratio of the floor.

        A value of 1 means that the component lies on the floor.
        """
        root = np.sqrt(self.variance)
        lowest = np.linalg.eigvalsh(covariances / np.outer(root, root))[..., 0]
        ratio: FloatArray = lowest / self.fraction
        return ratio


@dataclass(frozen=True)
class Ridge:
    """A number added to every diagonal after the M-step, as scikit-learn's ``reg_covar``.

    Parameters
    ----------
    added : (D,) float64
        In the frame: ``reg_covar / scale**2``.
    variance : (D,) float64
        Total variances of the columns in the frame.
    """

    added: FloatArray
    variance: FloatArray

    def full(self, covariances: FloatArray) -> FloatArray:
        """Add to the diagonals of a stack (K, D, D)."""
        result = covariances.copy()
        diagonal = np.arange(len(self.added))
        result[:, diagonal, diagonal] += self.added
        return result

    def diag(self, variances: FloatArray) -> FloatArray:
        """Add to variances (K, D)."""
        return variances + self.added

    def spherical(self, variances: FloatArray) -> FloatArray:
        """Add the mean over columns to common variances (K,)."""
        raised: FloatArray = variances + self.added.mean()
        return raised

    def touches(self, covariances: FloatArray) -> FloatArray:
        """Return the smallest eigenvalue over what was added, or over 1e-12 of the variance."""
        level = np.maximum(self.added, 1e-12 * self.variance)
        root = np.sqrt(np.where(level > 0, level, 1.0))
        ratio: FloatArray = np.linalg.eigvalsh(covariances / np.outer(root, root))[..., 0]
        return ratio


def _is_positive_definite(matrices: FloatArray) -> bool:
    """Return whether all of a stack are: far cheaper than their eigenvalues."""
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        return False
    return True


Floor = RelativeFloor | Ridge

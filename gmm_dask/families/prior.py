"""A conjugate prior on means and covariances: smooth instead of singular components.

Means are normal about the mean of all rows, ``mu_k | S_k ~ N(mean, S_k / shrinkage)``, covariances
inverse Wishart, ``S_k ~ IW(degrees_of_freedom, scale)``; the variances of diag and spherical
components are inverse gamma, ``IG(degrees_of_freedom / 2, scale / 2)``. The likelihood times this
prior is bounded, so that no component can collapse.

References
----------
Fraley and Raftery 2007, J. Classification 24:155, tables 1 to 3 and section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmm_dask.blocks import FloatArray, Frame
from gmm_dask.errors import ConfigError
from gmm_dask.families.floors import RelativeFloor

DEFAULT_SHRINKAGE = 0.01


@dataclass(frozen=True)
class CovariancePrior:
    """Hyperparameters, in the frame.

    Parameters
    ----------
    mean : (D,) float64
        Expected mean of a component.
    scale : (D, D) float64
        Scale matrix, positive definite. Diag components use its diagonal, spherical ones the mean
        of its diagonal.
    degrees_of_freedom : float
        Above D - 1.
    shrinkage : float
        Rows that the prior mean counts for; 0 leaves the means without a prior.
    """

    mean: FloatArray
    scale: FloatArray
    degrees_of_freedom: float
    shrinkage: float = DEFAULT_SHRINKAGE

    def __post_init__(self) -> None:
        D = len(self.mean)
        if not (np.isfinite(self.shrinkage) and self.shrinkage >= 0):
            raise ConfigError(
                f"covariance_prior: shrinkage is {self.shrinkage}; a number of rows, at least 0, "
                "is needed"
            )
        if not (np.isfinite(self.degrees_of_freedom) and self.degrees_of_freedom > D - 1):
            raise ConfigError(
                f"covariance_prior: degrees_of_freedom is {self.degrees_of_freedom}; more than "
                f"the number of columns less one, {D - 1}, is needed"
            )
        if self.scale.shape != (D, D) or not _is_positive_definite(self.scale):
            raise ConfigError(
                f"covariance_prior: scale has shape {self.scale.shape}; a symmetric positive "
                f"definite matrix ({D}, {D}) is needed"
            )

    def variances(self, covariance_type: str) -> FloatArray:
        """Return the scale as diag (D,) or spherical () components use it."""
        diagonal = np.diagonal(self.scale)
        return diagonal if covariance_type == "diag" else np.asarray(diagonal.mean())


def _is_positive_definite(matrix: FloatArray) -> bool:
    own = np.diagonal(matrix)
    if not np.isfinite(matrix).all() or not (own > 0).all():
        return False
    # as correlations: columns in units 1e6 apart are not singular
    correlations = matrix / np.sqrt(np.outer(own, own))
    if not np.allclose(correlations, correlations.T, atol=1e-9):
        return False
    return bool(np.linalg.eigvalsh(correlations)[0] > 0)


def default_prior(
    frame: Frame,
    n_components: int,
    shrinkage: float = DEFAULT_SHRINKAGE,
    degrees_of_freedom: float | None = None,
) -> CovariancePrior:
    """Return mclust's prior: as vague as D + 2 rows spread like K-th parts of the data.

    Parameters
    ----------
    frame : Frame
        Of the family that will use it (`Frame.shared` for spherical components).
    n_components : int
        K: the scale is the total covariance over ``K^(2/D)``, so that K components of that volume
        fill the volume of the data.
    shrinkage : float
    degrees_of_freedom : float, optional
        Default D + 2, the smallest integer for which the prior covariance has a mean.

    Notes
    -----
    The total covariance has divisor N, mclust's N - 1. Diag components have their own scale for
    each column, where mclust has the mean of all, so that the answer does not depend on units.
    """
    D = len(frame.centre)
    variance = np.where(frame.variance > 0, frame.variance, 1.0)
    total = RelativeFloor(variance).full(frame.scatter[None])[0]
    df = D + 2.0 if degrees_of_freedom is None else float(degrees_of_freedom)
    scale = total / n_components ** (2.0 / D)
    return CovariancePrior(frame.centre, scale, df, float(shrinkage))


def shrunken_means(prior: CovariancePrior, means: FloatArray, count: FloatArray) -> FloatArray:
    """Return the most probable means (K, D) from those of the rows and their counts (K,)."""
    if not prior.shrinkage:
        return means
    n = count[:, None]
    pulled: FloatArray = (n * means + prior.shrinkage * prior.mean) / (n + prior.shrinkage)
    return pulled


def covariance_mode(
    prior: CovariancePrior,
    covariance_type: str,
    scatter: FloatArray,
    means: FloatArray,
    count: FloatArray,
) -> FloatArray:
    """Return the most probable covariances, given most probable means.

    Parameters
    ----------
    prior : CovariancePrior
    covariance_type : str
    scatter : full (K, D, D), tied (D, D), diag (K, D), spherical (K,)
        Of the rows about their own means: matrix, its diagonal or its trace.
    means : (K, D)
        Of the rows.
    count : (K,)
        Effective rows.
    """
    K, D = means.shape
    away = means - prior.mean
    b = prior.shrinkage * count / (prior.shrinkage + count) if prior.shrinkage else 0.0 * count
    rows = prior_rows(prior, covariance_type, K, D)
    if covariance_type == "full":
        outer = away[:, :, None] * away[:, None, :]
        total = prior.scale + scatter + b[:, None, None] * outer
        full: FloatArray = total / (rows + count)[:, None, None]
        return full
    if covariance_type == "tied":
        pooled: FloatArray = prior.scale + scatter + (away.T * b) @ away
        return pooled / (rows + float(count.sum()))
    own = prior.variances(covariance_type)
    if covariance_type == "diag":
        diag: FloatArray = (own + scatter + b[:, None] * away**2) / (rows + count)[:, None]
        return diag
    spherical: FloatArray = (own + scatter + b * (away**2).sum(axis=1)) / (rows + D * count)
    return spherical


def log_prior(
    prior: CovariancePrior, covariance_type: str, means: FloatArray, covariances: FloatArray
) -> float:
    """Return the log prior density of parameters, up to a constant.

    Determinants are over that of the scale matrix, so that the value does not depend on units.
    """
    K, D = means.shape
    rows, away = prior_rows(prior, covariance_type, K, D), means - prior.mean
    if covariance_type in ("full", "tied"):
        stack = covariances if covariance_type == "full" else covariances[None]
        relative = np.linalg.slogdet(stack)[1] - np.linalg.slogdet(prior.scale)[1]
        traces = np.trace(np.linalg.solve(stack, prior.scale), axis1=1, axis2=2)
        every = np.broadcast_to(stack, (K, D, D))
        distance = (away * np.linalg.solve(every, away[:, :, None])[:, :, 0]).sum()
        spread = float(traces.sum() + prior.shrinkage * distance)
        return -0.5 * (rows * float(relative.sum()) + spread)
    own, squared = prior.variances(covariance_type), away**2
    squared = squared if covariance_type == "diag" else squared.sum(axis=1)
    terms = rows * np.log(covariances / own) + (own + prior.shrinkage * squared) / covariances
    return -0.5 * float(terms.sum())


def prior_rows(prior: CovariancePrior, covariance_type: str, K: int, D: int) -> float:
    """Return what the prior adds to the divisor of a covariance: minus twice its power."""
    df, means = prior.degrees_of_freedom, 1.0 if prior.shrinkage else 0.0
    return {
        "full": df + D + 1 + means,
        "tied": df + D + 1 + means * K,
        "diag": df + 2 + means,
        "spherical": df + 2 + means * D,
    }[covariance_type]

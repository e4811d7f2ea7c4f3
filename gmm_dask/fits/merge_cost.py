"""What merging two groups of rows costs the classification likelihood of a covariance type.

With groups of n_k rows, means m_k and scatters W_k, minus twice the maximised classification
log-likelihood is, up to a constant, ``sum n_k log|W_k / n_k|`` for full covariances,
``n log|sum W_k|`` for a tied one, and the same with diagonals or traces for diag and spherical.

References
----------
Fraley 1998, SIAM J. Sci. Comput. 20:270; Banfield and Raftery 1993, Biometrics 49:803.
"""

from __future__ import annotations

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.families.linalg import cholesky, inverse_factor
from gmm_dask.fits.groups import Groups


def joined(groups: Groups, i: int, others: IntArray) -> Groups:
    """Return the moments of group i together with each of some others."""
    n, m, W = groups
    weights = n[i] + n[others]
    apart = m[others] - m[i]
    share = n[others] / weights
    means = m[i] + share[:, None] * apart
    outer = apart[:, :, None] * apart[:, None, :]
    scatters = W[i] + W[others] + (n[i] * share)[:, None, None] * outer
    return Groups(weights, means, scatters)


def spread(groups: Groups, covariance_type: str, prior: float) -> FloatArray:
    """Return ``n_k log|W_k / n_k|`` of each group (G,), for types whose groups are independent.

    Parameters
    ----------
    groups : Groups
    covariance_type : {"full", "diag", "spherical"}
    prior : float
        As many rows of unit covariance are mixed into each group's covariance, so that those of a
        few rows, whose own is singular, can be compared with the others.
    """
    n, _, W = groups
    D = W.shape[-1]
    rows = n + prior
    if covariance_type == "full":
        lower = cholesky((W + prior * np.eye(D)) / rows[:, None, None])
        log_det = 2.0 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    elif covariance_type == "diag":
        variance = (np.diagonal(W, axis1=1, axis2=2) + prior) / rows[:, None]
        log_det = np.log(variance).sum(axis=1)
    else:
        log_det = D * np.log((np.trace(W, axis1=1, axis2=2) / D + prior) / rows)
    result: FloatArray = n * log_det
    return result


def costs(
    groups: Groups, i: int, others: IntArray, covariance_type: str, prior: float
) -> FloatArray:
    """Return what merging group i with each of some others adds to the sum of `spread`."""
    own = spread(groups.select(np.append(others, i)), covariance_type, prior)
    together = spread(joined(groups, i, others), covariance_type, prior)
    added: FloatArray = together - own[:-1] - own[-1]
    return added


def tied_costs(weights: FloatArray, means: FloatArray, within: FloatArray) -> FloatArray:
    """Return what merging each pair (G, G) adds to ``n log|within|``.

    Parameters
    ----------
    weights : (G,)
    means : (G, D)
    within : (D, D)
        The sum of all scatters, positive definite.
    """
    factor = inverse_factor(cholesky(within[None]))[0]
    whitened = (means - means.mean(axis=0)) @ factor
    square = (whitened**2).sum(axis=1)
    distance = (square[:, None] + square - 2.0 * whitened @ whitened.T).clip(0.0)
    mass = weights[:, None] * weights / (weights[:, None] + weights)
    result: FloatArray = weights.sum() * np.log1p(mass * distance)
    return result

"""From the covariance of the coordinates of a mixture to that of what people read (delta method).

Coordinates are those of `folds.information`: log weights, then a and B of each component, with
``dmean = L a`` and ``dS = L B L'``; answers are in source units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.families.linalg import cholesky
from gmm_dask.folds.information import Layout, free_coordinates
from gmm_dask.mixture import Mixture


class Errors(NamedTuple):
    """Standard errors."""

    weights: FloatArray
    """(K,)."""
    log_weight_ratios: FloatArray
    """(K, K): of log(w_i / w_j)."""
    means: FloatArray
    """(K, D)."""
    covariances: FloatArray
    """(K, D, D)."""
    correlations: FloatArray
    """(K, D, D); 0 where a covariance type has none."""


def errors_of(mixture: Mixture, covariance: FloatArray) -> Errors:
    """Return the standard errors of a mixture's parameters.

    Parameters
    ----------
    mixture : Mixture
    covariance : (P - 1, P - 1)
        Of its free coordinates.
    """
    layout = Layout.of(mixture)
    K, D = layout.n_components, layout.n_columns
    whole = np.zeros((layout.size, layout.size))
    free = free_coordinates(mixture)
    whole[np.ix_(free, free)] = covariance
    of_logs = whole[:K, :K]
    weights = mixture.weights[0]
    slopes = np.diag(weights) - np.outer(weights, weights)
    variance = np.diagonal(of_logs)
    ratios = (variance[:, None] + variance - 2 * of_logs).clip(0)
    lower = mixture.frame.scale[:, None] * cholesky(mixture.family.dense(mixture.params))
    means, covariances, correlations = np.empty((K, D)), np.empty((K, D, D)), np.empty((K, D, D))
    for k in range(K):
        own = layout.places(k)
        a, b = own[1 : 1 + D], own[1 + D :]
        means[k] = _root(lower[k], whole[np.ix_(a, a)])
        moves = _moves(layout.covariance_type, lower[k])
        of_b = whole[np.ix_(b, b)]
        covariances[k] = _root(moves, of_b)
        correlations[k] = _root(_turns(lower[k] @ lower[k].T, moves), of_b)
    return Errors(_root(slopes, of_logs), np.sqrt(ratios), means, covariances, correlations)


def _root(slopes: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return standard errors of linear functions: slopes (..., p) of parameters (p, p)."""
    flat = slopes.reshape(-1, slopes.shape[-1])
    square = np.einsum("ij,ij->i", flat @ covariance, flat)
    found: FloatArray = np.sqrt(square.clip(0)).reshape(slopes.shape[:-1])
    return found


def _moves(covariance_type: str, lower: FloatArray) -> FloatArray:
    """Return how a covariance (D, D) moves with each number of B, (D, D, shape)."""
    D = len(lower)
    if covariance_type == "diag":
        each = np.eye(D)[:, :, None] * np.eye(D)[:, None, :]
    elif covariance_type == "spherical":
        each = np.eye(D)[None]
    else:
        i, j = np.tril_indices(D)
        each = np.zeros((len(i), D, D))
        each[np.arange(len(i)), i, j] = each[np.arange(len(i)), j, i] = 1.0
    moved: FloatArray = np.moveaxis(lower @ each @ lower.T, 0, -1)
    return moved


def _turns(matrix: FloatArray, moves: FloatArray) -> FloatArray:
    """Return how correlations (D, D) move, from how covariances do (D, D, shape)."""
    root = np.sqrt(np.diagonal(matrix))
    scaled = moves / np.outer(root, root)[:, :, None]
    own = np.diagonal(scaled, axis1=0, axis2=1).T
    correlation = matrix / np.outer(root, root)
    turned: FloatArray = scaled - 0.5 * correlation[:, :, None] * (own[:, None] + own[None])
    return turned

"""Rows as standard normal variates of each component: for distances and probability integrals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, Observed
from gmm_dask.kernels.reference import frame_rows, whiten
from gmm_dask.marginals import Marginal


class Whitened(NamedTuple):
    """Rows under one component, column after column."""

    z: FloatArray
    """(n, d): each value less its expectation, given the values before it, over its deviation."""
    log_deviation: FloatArray
    """(n, d), or (1, d) where it is that of all rows: log of these deviations, in the frame."""


def whitened(model: Marginal, k: int, part: Observed) -> Whitened:
    """Return rows of one pattern under component `k`.

    Parameters
    ----------
    model : Marginal
        The mixture in the columns of these rows.
    k : int
    part : Observed
        Rows in these columns; their errors widen the component.
    """
    y = frame_rows(model.prepared, part.values)
    if part.noise is None:
        return Whitened(whiten(model.prepared, y, k), -np.log(_slopes(model, k))[None])
    scale = model.prepared.scale
    S = model.noisy.covariance(k)
    y = y - model.noisy.means[k]
    if S.ndim == 1 and part.noise.ndim == 2:
        deviation = np.sqrt(S + part.noise / scale**2)
        return Whitened(y / deviation, np.log(deviation))
    noise = part.noise / (scale**2 if part.noise.ndim == 2 else np.outer(scale, scale))
    eye = np.eye(len(scale))
    total = (S if S.ndim == 2 else S * eye) + (
        noise if noise.ndim == 3 else noise[:, :, None] * eye
    )
    lower = np.linalg.cholesky(total)
    z: FloatArray = np.linalg.solve(lower, y[:, :, None])[:, :, 0]
    return Whitened(z, np.log(np.diagonal(lower, axis1=1, axis2=2)))


def _slopes(model: Marginal, k: int) -> FloatArray:
    """Return the reciprocal deviations (d,) of a component."""
    prepared = model.prepared
    factor = prepared.factor
    if prepared.covariance_type == "full":
        return np.diagonal(factor[k])
    if prepared.covariance_type == "tied":
        return np.diagonal(factor)
    return np.broadcast_to(factor[k], prepared.scale.shape)

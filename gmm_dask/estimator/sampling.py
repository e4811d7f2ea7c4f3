"""Random rows of a fitted mixture: true ones, or observed ones with errors added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gmm_dask import draws
from gmm_dask.blocks import FloatArray, IntArray, Observed
from gmm_dask.draws import CELL
from gmm_dask.errors import ConfigError, DataError
from gmm_dask.folds.rows import check_observed
from gmm_dask.mixture import Mixture
from gmm_dask.rows import draw_rows


@dataclass(frozen=True)
class Draw:
    """A function from absolute rows lo to hi to their values and components.

    Parameters
    ----------
    mixture : Mixture
    seed : int
    noise : ndarray, optional
        Variances (D,) of all rows, or (n, D), or covariances (n, D, D), source units squared.
    """

    mixture: Mixture
    seed: int
    noise: FloatArray | None = None

    def __call__(self, lo: int, hi: int) -> tuple[FloatArray, IntArray]:
        """Return values (hi - lo, D) and labels (hi - lo,)."""
        values, labels = draw_rows(self.mixture, self.seed, lo, hi)
        if self.noise is None:
            return values, labels
        noise = self.noise if self.noise.ndim == 1 else self.noise[lo:hi]
        return values + draw_errors(noise, self.seed, lo, hi), labels


def sample(draw: Draw, n_samples: int, *, ordered: bool, chunks: int | None) -> tuple[Any, Any]:
    """Return drawn rows and their components; see `GaussianMixture.sample`."""
    if n_samples < 1:
        raise ConfigError(
            f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one "
            "sample."
        )
    if chunks is None:
        values, labels = draw(0, n_samples)
        order = np.argsort(labels, kind="stable") if ordered else slice(None)
        return values[order], labels[order]
    if ordered:
        raise ConfigError("ordered rows need all labels at once: leave chunks out, or ordered")
    from gmm_dask.engine.dask_rows import sample_array

    D = draw.mixture.n_columns
    rows = sample_array(draw, n_samples, D, chunks, labels=False)
    return rows, sample_array(draw, n_samples, D, chunks, labels=True)


def noise_of_samples(noise: Any, n_samples: int, n_columns: int) -> FloatArray | None:
    """Return the noise of rows to be drawn, checked for its shape.

    Raises
    ------
    DataError
        It has another shape than (D,), (n, D) or (n, D, D).
    """
    if noise is None:
        return None
    n, D = n_samples, n_columns
    array = np.asarray(noise, dtype=np.float64)
    if array.shape not in ((D,), (n, D), (n, D, D)):
        raise DataError(
            f"noise has shape {array.shape}; variances of shape ({D},) for all rows or ({n}, {D}), "
            f"or covariances of shape ({n}, {D}, {D}), are needed"
        )
    return array


def draw_errors(noise: FloatArray, seed: int, lo: int, hi: int) -> FloatArray:
    """Return errors (hi - lo, D) of absolute rows lo to hi; NaN where a variance is infinite.

    Parameters
    ----------
    noise : (D,), or (hi - lo, D) variances or (hi - lo, D, D) covariances of these rows
        Source units squared.
    seed, lo, hi : int
        As in `draw_rows`.

    Raises
    ------
    DataError
        A variance is negative, or a covariance not positive semi-definite.
    """
    D = noise.shape[-1]
    normal: FloatArray = draws.by_rows(
        lambda g: g.standard_normal((CELL, D)), seed, "sample errors", 0, lo, hi
    )
    variance = np.diagonal(noise, axis1=1, axis2=2) if noise.ndim == 3 else noise
    gone = np.broadcast_to(np.isposinf(variance), normal.shape)
    there = np.where(gone, np.nan, 0.0)
    each = np.broadcast_to(noise, normal.shape) if noise.ndim < 3 else noise
    check_observed(Observed(there, None, each), np.arange(lo, hi))
    if noise.ndim < 3:
        return there + np.sqrt(np.where(gone, 0.0, each)) * normal
    inside = np.where(gone[:, :, None] | gone[:, None, :], 0.0, noise)
    values, vectors = np.linalg.eigh(inside)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    errors: FloatArray = there + (root @ normal[:, :, None])[:, :, 0]
    return errors

"""Means of several components that are equal, or on a line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray


class Line(NamedTuple):
    """Components whose means are ``a + b t``, with a and b found by the fit."""

    components: tuple[int, ...]
    places: tuple[float, ...]
    """t of each; all equal: the means are equal."""

    @property
    def design(self) -> FloatArray:
        """Rows (m, p) of ``(1, t)``, or of 1 where the means are equal."""
        t = np.asarray(self.places, dtype=np.float64)
        ones = np.ones((len(t), 1))
        if (t == t[0]).all():
            return ones
        return np.concatenate([ones, t[:, None]], axis=1)

    @property
    def n_free(self) -> int:
        """Free vectors: 1 or 2."""
        return int(self.design.shape[1])


def means_on_line(line: Line, targets: FloatArray, precisions: FloatArray) -> FloatArray:
    """Return the means (m, D) of a line nearest to those of the rows.

    Parameters
    ----------
    line : Line
    targets : (m, D)
        Mean of the rows of each component.
    precisions : (m, D, D)
        Counts times inverse covariances: the means minimise
        ``sum (target - mean)' precision (target - mean)``. Components without rows count nothing.

    Notes
    -----
    Where too few components have rows to find a slope, the shortest solution is taken.
    """
    X = line.design
    D, p = targets.shape[1], X.shape[1]
    left = np.einsum("mp,mq,mde->pdqe", X, X, precisions).reshape(p * D, p * D)
    right = np.einsum("mp,mde,me->pd", X, precisions, targets).reshape(p * D)
    size = np.sqrt(np.diagonal(left))
    unit = np.where(size > 0, size, 1.0)
    solved = np.linalg.lstsq(left / np.outer(unit, unit), right / unit, rcond=1e-13)[0] / unit
    means: FloatArray = X @ solved.reshape(p, D)
    return means

"""A mixture seen in some of its columns, and the way back to all of them.

Given the observed part of a row, the rest is expected on the regression line, with the covariance
that the regression leaves. Both are linear in the sums of an E-step, so they are applied once for
all rows with the same columns, not for each row.

References
----------
Ghahramani and Jordan 1994, NIPS 6:120; Little and Rubin 2002, Statistical Analysis with Missing
Data, chapter 11.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, Frame, IntArray
from gmm_dask.families.gaussian import GaussianParams
from gmm_dask.kernels import noisy, table
from gmm_dask.kernels.annealed import ready_at
from gmm_dask.kernels.types import GaussianMoments, GaussianPrepared, second_shape
from gmm_dask.mixture import Mixture


class Marginal(NamedTuple):
    """A mixture in some of its columns, and the way back to all of them."""

    columns: IntArray
    """(d,) observed columns."""
    prepared: GaussianPrepared
    ready: table.Ready | None
    """None where no column is left."""
    noisy: noisy.NoisyModel
    lift: FloatArray
    """(K, D, d): expected full row from observed part, both minus the mean; identity on the
    observed columns."""
    spare: FloatArray
    """(K, D, D): covariance of a full row given its observed part."""
    log_scale: float
    """Log volume of the frame in the columns that are missing."""

    @property
    def kernel(self) -> table.Ready:
        """Constants of the kernel for the observed columns."""
        assert self.ready is not None, "no column is observed"
        return self.ready


def marginal_of(mixture: Mixture, columns: IntArray, temperature: float = 1.0) -> Marginal:
    """Return a mixture in some of its columns (d,): one factorisation for each component.

    Its kernel is that of an E-step at a temperature; see `kernels.annealed`.
    """
    inside = np.ix_(columns, columns)
    kind, S, frame = mixture.family.covariance_type, mixture.params.covariances, mixture.frame
    covariances = {
        "full": lambda: S[:, inside[0], inside[1]],
        "tied": lambda: S[inside],
        "diag": lambda: S[:, columns],
        "spherical": lambda: S,
    }[kind]()
    params = GaussianParams(mixture.params.means[:, columns], covariances)
    part = Frame(
        frame.shift[columns], frame.scale[columns], frame.scatter[inside], frame.centre[columns]
    )
    prepared = mixture.family.prepare(params, part)
    with np.errstate(divide="ignore"):
        log_weights = np.log(mixture.pooled)
    lift, spare = regression(mixture.family.dense(mixture.params), columns)
    missing = np.delete(np.arange(mixture.n_columns), columns)
    return Marginal(
        columns,
        prepared,
        ready_at(prepared, log_weights, temperature) if len(columns) else None,
        noisy.NoisyModel(kind, params.means, params.covariances, log_weights),
        lift,
        spare,
        float(np.log(frame.scale[missing]).sum()),
    )


def of_group(model: Marginal, weights: FloatArray, temperature: float = 1.0) -> Marginal:
    """Return a marginal under other weights (K,): those of a group of rows."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    return model._replace(
        ready=ready_at(model.prepared, log_weights, temperature) if len(model.columns) else None,
        noisy=model.noisy._replace(log_weights=log_weights),
    )


def lifted(
    model: Marginal, kind: str, count: FloatArray, moments: GaussianMoments
) -> GaussianMoments:
    """Return moments of observed parts (d columns) as moments of complete rows (D).

    Parameters
    ----------
    model : Marginal
    kind : str
        Covariance type of the mixture.
    count : (K,)
    moments : GaussianMoments
        About the means in the observed columns.
    """
    A, spare = model.lift, model.spare
    D = A.shape[1]
    if len(model.columns) == D:
        return moments
    first = np.einsum("kDd,kd->kD", A, moments.first)
    if kind == "full":
        second = A @ moments.second @ A.transpose(0, 2, 1) + count[:, None, None] * spare
    elif kind == "tied":  # regression and what it leaves are the same for all components
        second = A[0] @ moments.second @ A[0].T + count.sum() * spare[0]
    elif kind == "diag":
        second = np.zeros(second_shape(kind, len(count), D))
        second[:, model.columns] = moments.second
        second += count[:, None] * np.diagonal(spare, axis1=1, axis2=2)
    else:
        second = moments.second + count * np.trace(spare, axis1=1, axis2=2)
    return GaussianMoments(first, second)


def regression(covariances: FloatArray, columns: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the regression of all columns on some, (K, D, d), and what it leaves, (K, D, D).

    Parameters
    ----------
    covariances : (K, D, D)
    columns : (d,)
    """
    D = covariances.shape[1]
    across = covariances[:, :, columns]
    if not len(columns):
        return across, covariances.copy()
    lower = np.linalg.cholesky(covariances[:, columns[:, None], columns])
    W = np.linalg.solve(lower, across.transpose(0, 2, 1))
    lift = np.linalg.solve(lower.transpose(0, 2, 1), W).transpose(0, 2, 1).copy()
    lift[:, columns] = np.eye(len(columns))
    spare = covariances - W.transpose(0, 2, 1) @ W
    spare[:, columns, :] = 0.0
    spare[:, :, columns] = 0.0
    assert lift.shape == (len(covariances), D, len(columns))
    return lift, spare

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

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.families.gaussian import GaussianParams
from gmm_dask.families.linalg import cholesky, inverse_factor, log_det_factor
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


def marginals_of(
    mixture: Mixture, patterns: IntArray, temperature: float = 1.0, *, bounds: bool = True
) -> list[Marginal]:
    """Return a mixture in several choices of d columns: one factorisation for each component.

    Parameters
    ----------
    mixture : Mixture
    patterns : (P, d)
    temperature : float
        Of the E-step that their kernels are for; see `kernels.annealed`.
    bounds : bool
        Look for directions along which components can be dismissed unread (see
        `kernels.projection`), which takes longer than all else.
    """
    kind, params = mixture.family.covariance_type, mixture.params
    assert isinstance(params, GaussianParams), "marginals are of Gaussian columns"
    shapes = _correlated if kind in ("full", "tied") else _independent
    found = shapes(kind, params, patterns)
    with np.errstate(divide="ignore"):
        log_weights = np.log(mixture.pooled)
    ready = partial(ready_at, temperature=temperature, bounds=bounds)
    return [
        _marginal(mixture, columns, shape, log_weights, ready)
        for columns, *shape in zip(patterns, *found, strict=True)
    ]


class _Shapes(NamedTuple):
    """Of each pattern what its marginals need; the first axis is P."""

    covariances: FloatArray
    """In the observed columns, in the shape of the type."""
    factor: FloatArray
    """As `GaussianPrepared` has it."""
    log_det: FloatArray
    """(P, K) or (P, 1) log determinants of the factors."""
    lift: FloatArray
    """(P, K, D, d)."""
    spare: FloatArray
    """(P, K, D, D)."""


def _correlated(kind: str, params: GaussianParams, patterns: IntArray) -> _Shapes:
    K, D = params.means.shape
    P, d = patterns.shape
    V = params.covariances if kind == "full" else params.covariances[None]
    within = V[:, patterns[:, :, None], patterns[:, None, :]].transpose(1, 0, 2, 3)
    # pattern by pattern, so that an error names the component
    lower = np.stack([cholesky(S) for S in within]) if d else within
    factor = inverse_factor(lower.reshape(len(V) * P, d, d)).reshape(within.shape)
    lift, spare = regression(V, patterns, factor)
    log_det = log_det_factor(factor)
    if kind == "tied":
        within, factor = within[:, 0], factor[:, 0]
    whole = (P, K, D, d), (P, K, D, D)
    lift, spare = (np.broadcast_to(x, s) for x, s in zip((lift, spare), whole, strict=True))
    return _Shapes(within, factor, log_det, lift, spare)


def _independent(kind: str, params: GaussianParams, patterns: IntArray) -> _Shapes:
    (K, D), (P, d) = params.means.shape, patterns.shape
    S = params.covariances if kind == "diag" else np.repeat(params.covariances[:, None], D, axis=1)
    places = np.arange(P)[:, None]
    selection = np.zeros((P, D, d))
    selection[places, patterns, np.arange(d)] = 1.0
    missing = np.ones((P, D))
    missing[places, patterns] = 0.0
    spare = (S * missing[:, None, :])[..., None] * np.eye(D)
    within = S[:, patterns].transpose(1, 0, 2)
    root = 1.0 / np.sqrt(within)
    log_det = np.log(root).sum(axis=2)
    if kind == "spherical":
        within = np.broadcast_to(params.covariances, (P, K))
        root = 1.0 / np.sqrt(within)
    return _Shapes(within, root, log_det, np.broadcast_to(selection[:, None], (P, K, D, d)), spare)


def _marginal(
    mixture: Mixture,
    columns: IntArray,
    shape: list[FloatArray],
    log_weights: FloatArray,
    ready: Callable[[GaussianPrepared, FloatArray], table.Ready],
) -> Marginal:
    covariances, factor, log_det, lift, spare = shape
    kind, frame, d = mixture.family.covariance_type, mixture.frame, len(columns)
    means = np.ascontiguousarray(mixture.params.means[:, columns])
    log_norm = np.broadcast_to(log_det - 0.5 * d * np.log(2 * np.pi), len(means)).copy()
    prepared = GaussianPrepared(
        kind, frame.shift[columns], frame.scale[columns], means, factor, log_norm
    )
    return Marginal(
        columns,
        prepared,
        ready(prepared, log_weights) if d else None,
        noisy.NoisyModel(kind, means, covariances, log_weights),
        lift,
        spare,
        frame.log_scale - float(np.log(frame.scale[columns]).sum()),
    )


def of_group(
    model: Marginal, weights: FloatArray, temperature: float = 1.0, *, bounds: bool = True
) -> Marginal:
    """Return a marginal under other weights (K,): those of a group of rows."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    return model._replace(
        ready=ready_at(model.prepared, log_weights, temperature, bounds=bounds)
        if len(model.columns)
        else None,
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


def regression(
    covariances: FloatArray, patterns: IntArray, factor: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return regressions of all columns on some, (P, K, D, d), and what they leave, (P, K, D, D).

    Parameters
    ----------
    covariances : (K, D, D)
    patterns : (P, d)
    factor : (P, K, d, d)
        Upper triangular U of the observed columns: ``U @ U.T`` is the inverse covariance.
    """
    P, d = patterns.shape
    across = covariances[:, patterns].transpose(1, 0, 2, 3)
    W = factor.swapaxes(2, 3) @ across
    lift = np.ascontiguousarray((factor @ W).swapaxes(2, 3))
    spare = covariances - W.swapaxes(2, 3) @ W
    for p, columns in enumerate(patterns):
        lift[p][:, columns] = np.eye(d)
        spare[p][:, columns] = 0.0
        spare[p][:, :, columns] = 0.0
    assert lift.shape == (P, len(covariances), covariances.shape[1], d)
    return lift, spare

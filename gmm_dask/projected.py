"""Rows with projections of their own under a mixture; what `Observer` is for rows of the columns.

See `kernels.projected` for the mathematics.
"""

from __future__ import annotations

import numpy as np

from gmm_dask.blocks import FloatArray, Observed
from gmm_dask.kernels import projected as kernel
from gmm_dask.kernels.noisy import NoisyModel
from gmm_dask.kernels.projected import Measured
from gmm_dask.kernels.reference import log_sum_exp
from gmm_dask.kernels.types import EStepSums
from gmm_dask.mixture import Mixture


def model_of(mixture: Mixture) -> NoisyModel:
    """Return the mixture as rows with errors see it."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(mixture.pooled)
    kind, params = mixture.family.covariance_type, mixture.params
    return NoisyModel(kind, params.means, params.covariances, log_weights)


def measured(mixture: Mixture, rows: Observed) -> Measured:
    """Return rows as the kernel takes them: projections from the frame, no NaN."""
    R = rows.projection
    assert R is not None, "rows have no projection"
    there = ~np.isnan(rows.values)
    frame, d = mixture.frame, there.shape[1]
    w = np.where(there, rows.values - R @ frame.shift, 0.0)
    C = np.zeros((len(w), d, d))
    if rows.noise is not None:
        C = rows.noise if rows.noise.ndim == 3 else rows.noise[:, :, None] * np.eye(d)
        C = np.where(there[:, :, None] & there[:, None, :], C, 0.0)
    C = C + ~there[:, :, None] * np.eye(d)
    return Measured(w, R * frame.scale * there[:, :, None], C, there.sum(axis=1, dtype=float))


def e_step(mixture: Mixture, rows: Observed) -> EStepSums:
    """Return the E-step sums of rows; those without any measurement add nothing."""
    weight = np.ones(len(rows.values)) if rows.sample_weight is None else rows.sample_weight
    weight = np.where(np.isnan(rows.values).all(axis=1), 0.0, weight)
    found = kernel.e_step(model_of(mixture), measured(mixture, rows), weight)
    n = np.asarray(float(weight.sum()))
    # densities are per unit of the measurements: the volume of the frame is no part of them
    likelihood = np.asarray(found.log_likelihood + float(n) * mixture.frame.log_scale)
    return EStepSums(likelihood, n, found.count[None], found.moments, np.zeros(()))


def posterior(mixture: Mixture, rows: Observed) -> tuple[FloatArray, FloatArray]:
    """Return log densities (n,) of what was measured, and responsibilities (n, K)."""
    joint = kernel.log_joint(model_of(mixture), measured(mixture, rows))
    norm = log_sum_exp(joint)
    resp = np.exp(joint - norm[:, None])
    blank = np.isnan(rows.values).all(axis=1)
    resp[blank] = mixture.pooled
    return np.where(blank, 0.0, norm), resp


def true_values(mixture: Mixture, rows: Observed) -> tuple[FloatArray, FloatArray]:
    """Return the posterior mean (n, D) and covariance (n, D, D) of true rows, source units."""
    model, taken = model_of(mixture), measured(mixture, rows)
    resp = posterior(mixture, rows)[1]
    n, D = len(taken.values), mixture.n_columns
    mean, square = np.zeros((n, D)), np.zeros((n, D, D))
    for k, mean_k in enumerate(model.means):
        V = kernel.dense(model, k)
        found = kernel.posterior(mean_k, V, taken)
        b, B = mean_k + found.step, V - found.known.transpose(0, 2, 1) @ found.known
        mean += resp[:, k, None] * b
        square += resp[:, k, None, None] * (B + b[:, :, None] * b[:, None, :])
    frame = mixture.frame
    covariance = square - mean[:, :, None] * mean[:, None, :]
    return frame.backward(mean), covariance * np.outer(frame.scale, frame.scale)

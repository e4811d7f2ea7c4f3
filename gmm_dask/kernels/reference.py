"""The plain slow oracle: textbook Gaussian E-step in NumPy, component by component.

Every fast kernel is tested against these functions. They work about each component's own mean,
so no digit is lost to cancellation, and through triangular factors, so no determinant or inverse
is formed.

References
----------
Dempster, Laird and Rubin 1977, J. R. Stat. Soc. B 39:1; Chan, Golub and LeVeque 1983,
Am. Stat. 37:242 (sums about a shift).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.kernels.types import (
    FARTHEST,
    LOG_PROB_MIN,
    EStepSums,
    GaussianMoments,
    GaussianPrepared,
    second_shape,
    zero_sums,
)
from gmm_dask.tree import add

TILE = 4096


def frame_rows(prepared: GaussianPrepared, values: npt.NDArray[Any]) -> FloatArray:
    """Return rows (n, D) in the frame of `prepared`, float64, drawn in to [-1e152, 1e152]."""
    with np.errstate(over="ignore"):
        rows = (values.astype(np.float64, copy=False) - prepared.shift) / prepared.scale
    return np.clip(rows, -FARTHEST, FARTHEST, out=rows)


def whiten(prepared: GaussianPrepared, rows: FloatArray, k: int) -> FloatArray:
    """Return frame rows (n, D) as standard normal variates of component k."""
    y = rows - prepared.means[k]
    factor = prepared.factor
    if prepared.covariance_type == "full":
        z: FloatArray = y @ factor[k]
    elif prepared.covariance_type == "tied":
        z = y @ factor
    else:
        z = y * factor[k]
    return z


def log_prob(prepared: GaussianPrepared, values: npt.NDArray[Any]) -> FloatArray:
    """Return the log density of each row under each component.

    Parameters
    ----------
    prepared : GaussianPrepared
        K components.
    values : (n, D) float32 or float64, source units

    Returns
    -------
    (n, K) float64
        Natural log, per unit volume of the frame; at least -1e300.
    """
    rows = frame_rows(prepared, values)
    result = np.empty((len(rows), len(prepared.means)))
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(result.shape[1]):
            z = whiten(prepared, rows, k)
            result[:, k] = prepared.log_norm[k] - 0.5 * np.einsum("ij,ij->i", z, z)
    np.fmax(result, LOG_PROB_MIN, out=result)
    return result


def log_sum_exp(log_joint: FloatArray) -> FloatArray:
    """Return log(sum(exp(log_joint), axis=1)), (n,), without overflow."""
    largest = log_joint.max(axis=1)
    total = np.exp(log_joint - largest[:, None]).sum(axis=1)
    result: FloatArray = largest + np.log(total)
    return result


def moments(
    prepared: GaussianPrepared, values: npt.NDArray[Any], resp: FloatArray
) -> GaussianMoments:
    """Return the sums of one tile about the means of `prepared`.

    Parameters
    ----------
    prepared : GaussianPrepared
        Only the frame, the means and the covariance type are used.
    values : (n, D)
    resp : (n, K)
        Responsibilities, times the row weights if there are any.
    """
    rows = frame_rows(prepared, values)
    K, D = prepared.means.shape
    first = np.empty((K, D))
    second = np.zeros(second_shape(prepared.covariance_type, K, D))
    for k in range(K):
        y = rows - prepared.means[k]
        weighted = y * resp[:, k, None]
        first[k] = weighted.sum(axis=0)
        if prepared.covariance_type == "full":
            second[k] = weighted.T @ y
        elif prepared.covariance_type == "tied":
            second += weighted.T @ y
        elif prepared.covariance_type == "diag":
            second[k] = (weighted * y).sum(axis=0)
        else:
            second[k] = (weighted * y).sum()
    return GaussianMoments(first, second)


def e_step_tile(
    prepared: GaussianPrepared, log_weights: FloatArray, values: npt.NDArray[Any]
) -> EStepSums:
    """Return the E-step sums of one tile; see `e_step`."""
    log_joint = log_prob(prepared, values) + log_weights
    log_prob_norm = log_sum_exp(log_joint)
    resp = np.exp(log_joint - log_prob_norm[:, None])
    lost = log_prob_norm <= 0.5 * LOG_PROB_MIN
    if lost.any():
        resp[lost] = nearest(prepared, values[lost], log_weights)
    return sums_of(prepared, values, resp, float(log_prob_norm.sum()), float(lost.sum()))


def nearest(
    prepared: GaussianPrepared, values: npt.NDArray[Any], log_weights: FloatArray
) -> FloatArray:
    """Return one-hot responsibilities (n, K) by the scaled distance, immune to overflow."""
    rows = frame_rows(prepared, values)
    size = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1.0)
    distance = np.empty((len(rows), len(prepared.means)))
    for k in range(distance.shape[1]):
        unit = prepared._replace(means=np.zeros_like(prepared.means))
        z = whiten(unit, rows / size - prepared.means[k] / size, k)
        distance[:, k] = np.einsum("ij,ij->i", z, z)
    distance[:, ~np.isfinite(log_weights)] = np.inf
    return one_hot(distance.argmin(axis=1), distance.shape[1])


def e_step(
    prepared: GaussianPrepared, log_weights: FloatArray, values: npt.NDArray[Any]
) -> EStepSums:
    """Return log-likelihood, counts and moments of rows: the E-step and its statistics.

    Parameters
    ----------
    prepared : GaussianPrepared
    log_weights : (K,)
        -inf is allowed for components of weight 0.
    values : (n, D) float32 or float64, source units
        Tiles of 4096 rows are summed in order.
    """
    sums = zero_sums(prepared)
    for lo in range(0, len(values), TILE):
        sums = add(sums, e_step_tile(prepared, log_weights, values[lo : lo + TILE]))
    return sums


def hard_step(
    prepared: GaussianPrepared, log_weights: FloatArray, values: npt.NDArray[Any]
) -> EStepSums:
    """Return the sums of an E-step that gives each row to its likeliest component alone.

    The first of equals wins; `log_likelihood` is the classification log-likelihood, the sum of
    the highest log joint densities.

    References
    ----------
    Celeux and Govaert 1992, Comput. Stat. Data Anal. 14:315.
    """
    log_joint = log_prob(prepared, values) + log_weights
    resp = one_hot(log_joint.argmax(axis=1), len(prepared.means))
    highest = log_joint.max(axis=1)
    lost = highest <= 0.5 * LOG_PROB_MIN
    if lost.any():
        resp[lost] = nearest(prepared, values[lost], log_weights)
    return sums_of(prepared, values, resp, float(highest.sum()), float(lost.sum()))


def nearest_centre(
    prepared: GaussianPrepared, metric: FloatArray, values: npt.NDArray[Any]
) -> EStepSums:
    """Return the sums of rows by nearest mean; `log_likelihood` is minus the squared distances.

    Parameters
    ----------
    prepared : GaussianPrepared
        Its frame and means are used.
    metric : (D, m)
        Rows and means of the frame are compared by ``|(row - mean) @ metric|^2``.
    """
    rows = frame_rows(prepared, values)
    distance = np.empty((len(rows), len(prepared.means)))
    with np.errstate(over="ignore", invalid="ignore"):
        for k, mean in enumerate(prepared.means):
            z = (rows - mean) @ metric
            distance[:, k] = np.einsum("ij,ij->i", z, z)
    distance = np.fmin(distance, -LOG_PROB_MIN)
    lost = distance.min(axis=1) >= -0.5 * LOG_PROB_MIN
    resp = one_hot(distance.argmin(axis=1), len(prepared.means))
    return sums_of(prepared, values, resp, -float(distance.min(axis=1).sum()), float(lost.sum()))


def one_hot(labels: IntArray, n_components: int) -> FloatArray:
    """Return responsibilities (n, K) that give each row to its label."""
    resp = np.zeros((len(labels), n_components))
    resp[np.arange(len(labels)), labels] = 1.0
    return resp


def sums_of(
    prepared: GaussianPrepared,
    values: npt.NDArray[Any],
    resp: FloatArray,
    objective: float,
    n_underflow: float,
) -> EStepSums:
    """Return the sums of rows with given responsibilities (n, K)."""
    return EStepSums(
        np.asarray(objective),
        np.asarray(float(len(values))),
        resp.sum(axis=0)[None, :],
        moments(prepared, values, resp),
        np.asarray(n_underflow),
    )

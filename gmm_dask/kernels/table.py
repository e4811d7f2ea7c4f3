"""The selection table: which kernel computes a pass.

A pass has two steps: `ready` chooses a row of the table and derives from the parameters
whatever that row needs, once per pass and process; `measure` and the other functions then take
blocks of rows. `e_step`, `log_prob`, `log_prob_norm` and `moments` do both at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels import reference
from gmm_dask.kernels.types import LOG_PROB_MIN, EStepSums, GaussianMoments, GaussianPrepared

Model = tuple[GaussianPrepared, FloatArray]


class Ready(NamedTuple):
    """A model with everything that its kernel derives from the parameters. Never pickled."""

    prepared: GaussianPrepared
    log_weights: FloatArray
    """(K,)."""


def ready(prepared: GaussianPrepared, log_weights: FloatArray) -> Ready:
    """Choose the kernel of a model and derive its constants, once per pass and process."""
    return Ready(prepared, log_weights)


def measure(model: Ready, values: npt.NDArray[Any]) -> EStepSums:
    """Return the E-step sums of rows (n, D), float32 or float64 in source units."""
    return reference.e_step(model.prepared, model.log_weights, values)


def measure_many(models: Sequence[Ready], values: npt.NDArray[Any]) -> tuple[EStepSums, ...]:
    """Return the E-step sums of several live fits on the same rows."""
    return tuple(measure(model, values) for model in models)


def e_step(
    prepared: GaussianPrepared, log_weights: FloatArray, values: npt.NDArray[Any]
) -> EStepSums:
    """Return the E-step sums of rows: `ready` and `measure` in one call."""
    return measure(ready(prepared, log_weights), values)


def e_step_many(models: Sequence[Model], values: npt.NDArray[Any]) -> tuple[EStepSums, ...]:
    """Return the E-step sums of several live fits on the same rows."""
    return measure_many([ready(*model) for model in models], values)


def log_prob(prepared: GaussianPrepared, values: npt.NDArray[Any]) -> FloatArray:
    """Return the log density (n, K) of each row under each component."""
    return reference.log_prob(prepared, values)


def log_prob_norm(
    prepared: GaussianPrepared, log_weights: FloatArray, values: npt.NDArray[Any]
) -> FloatArray:
    """Return the log density (n,) of each row under the mixture."""
    return reference.log_sum_exp(log_prob(prepared, values) + log_weights)


def resp(
    prepared: GaussianPrepared, log_weights: FloatArray, values: npt.NDArray[Any]
) -> FloatArray:
    """Return the responsibilities (n, K)."""
    log_joint = log_prob(prepared, values) + log_weights
    norm = reference.log_sum_exp(log_joint)
    result: FloatArray = np.exp(log_joint - norm[:, None])
    lost = norm <= 0.5 * LOG_PROB_MIN
    if lost.any():
        result[lost] = reference.nearest(prepared, values[lost], log_weights)
    return result


def moments(
    prepared: GaussianPrepared, values: npt.NDArray[Any], resp: FloatArray
) -> GaussianMoments:
    """Return the sums about the means of `prepared`, given responsibilities (n, K)."""
    return reference.moments(prepared, values, resp)


def describe(prepared: GaussianPrepared) -> str:
    """Return the name of the row of the table that will be used."""
    return f"reference {prepared.covariance_type}"

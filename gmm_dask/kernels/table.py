"""What the rest of the package calls: E-steps, densities and responsibilities of blocks of rows.

A pass has two steps: `ready` chooses a row of the table in `methods` and derives from the
parameters whatever that row needs, once per pass and process; `measure` and the others then take
blocks of rows. `e_step`, `log_prob`, `log_prob_norm`, `resp` and `moments` do both at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import ConfigError
from gmm_dask.kernels import densities, fused, rows, weighted
from gmm_dask.kernels.layout import layout, nearest_layout
from gmm_dask.kernels.methods import ROWS
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.passes import scratch_size
from gmm_dask.kernels.near import near_of, skipped_bound
from gmm_dask.kernels.rows import Assignments
from gmm_dask.kernels.single import KEPT_DOUBLE, kept_double, refuse_coarse, single_layout
from gmm_dask.kernels.types import EStepSums, GaussianMoments, GaussianPrepared
from gmm_dask.kernels.unpack import sums_bytes

Ready = fused.Model
COMPUTE_DTYPES = ("float64", "float32")


def ready(
    prepared: GaussianPrepared,
    log_weights: FloatArray,
    hard: bool = False,
    compute_dtype: str = "float64",
    *,
    bounds: bool = True,
) -> Ready:
    """Choose the kernel of a model and derive its constants, once per pass and process.

    Parameters
    ----------
    prepared : GaussianPrepared
    log_weights : (K,)
        -inf is allowed for components of weight 0.
    hard : bool
        Give each row to its likeliest component alone (k-means, classification EM).
    compute_dtype : str
        "float64"; or "float32" for tiles, densities and responsibilities in single precision,
        with sums in float64: 1.4 to 1.7 times as fast. Its error is bounded by
        `single.error_bound`; rows far from every component are computed in float64.
    bounds : bool
        Look for directions along which components can be dismissed unread; it takes longer than
        all else that is done here. float64 only.

    Raises
    ------
    DataError
        If no component has positive weight.
    ConfigError
        If float32 could cost a component more than `single.LIMIT` of its covariance.
    """
    if compute_dtype not in COMPUTE_DTYPES:
        raise ConfigError(
            f"compute_dtype: {compute_dtype!r} came; {' or '.join(COMPUTE_DTYPES)} is needed"
        )
    if compute_dtype == "float32":
        refuse_coarse(prepared, log_weights)
    single = compute_dtype == "float32" and not kept_double(prepared)
    near = None if hard or single or not bounds else near_of(prepared, log_weights)
    if near is not None:
        base = layout(prepared, log_weights, bounded=False)
        return Ready(prepared, log_weights, base, near=near)
    if single:
        return Ready(prepared, log_weights, single_layout(prepared, log_weights), hard)
    of_tiles = layout(prepared, log_weights, bounded=bounds)
    return Ready(prepared, log_weights, of_tiles, hard)


def ready_nearest(prepared: GaussianPrepared, metric: FloatArray) -> Ready:
    """Make ready to give each row to the component of the nearest mean.

    `measure` then returns the sums of hard assignments, with minus the sum of squared distances
    as log-likelihood; `assign` the labels, with minus the squared distances as log densities.

    Parameters
    ----------
    prepared : GaussianPrepared
        Its frame and means are used; moments have the shape of its covariance type.
    metric : (D, m)
        Rows and means of the frame are compared by ``|(row - mean) @ metric|^2``.
    """
    equal = np.zeros(len(prepared.means))
    return Ready(prepared, equal, nearest_layout(prepared, metric), hard=True, metric=metric)


def measure(
    model: Ready, values: npt.NDArray[Any], sample_weight: FloatArray | None = None
) -> EStepSums:
    """Return the E-step sums of rows (n, D), float32 or float64 in source units.

    With weights (n,), none negative, each row counts as often as its weight says.
    """
    if sample_weight is not None:
        return weighted.e_step(model, values, sample_weight)
    return fused.e_step(model, values)


def measure_many(models: Sequence[Ready], values: npt.NDArray[Any]) -> tuple[EStepSums, ...]:
    """Return the E-step sums of several live fits on the same rows."""
    return tuple(measure(model, values) for model in models)


def assign(model: Ready, values: npt.NDArray[Any]) -> Assignments:
    """Return each row's likeliest component, its probability, and the row's log density."""
    return rows.assign(model, values)


def posterior(model: Ready, values: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return each row's log density (n,) and responsibilities (n, K)."""
    return rows.posterior(model, values)


def e_step(
    prepared: GaussianPrepared, log_weights: FloatArray, values: npt.NDArray[Any]
) -> EStepSums:
    """Return the E-step sums of rows: `ready` and `measure` in one call."""
    return measure(ready(prepared, log_weights), values)


def e_step_many(
    models: Sequence[tuple[GaussianPrepared, FloatArray]], values: npt.NDArray[Any]
) -> tuple[EStepSums, ...]:
    """Return the E-step sums of several live fits on the same rows."""
    return measure_many([ready(*model) for model in models], values)


def log_prob(prepared: GaussianPrepared, values: npt.NDArray[Any]) -> FloatArray:
    """Return the log density (n, K) of each row under each component, at least -1e300."""
    return densities.log_prob(prepared, layout(prepared, np.zeros(len(prepared.means))), values)


def log_prob_norm(
    prepared: GaussianPrepared, log_weights: FloatArray, values: npt.NDArray[Any]
) -> FloatArray:
    """Return the log density (n,) of each row under the mixture."""
    return assign(ready(prepared, log_weights), values).log_prob_norm


def resp(
    prepared: GaussianPrepared, log_weights: FloatArray, values: npt.NDArray[Any]
) -> FloatArray:
    """Return the responsibilities (n, K)."""
    return posterior(ready(prepared, log_weights), values)[1]


def moments(
    prepared: GaussianPrepared, values: npt.NDArray[Any], resp: FloatArray
) -> GaussianMoments:
    """Return the sums about the means of `prepared`, given responsibilities (n, K)."""
    equal = layout(prepared, np.zeros(len(prepared.means)))
    return fused.given_moments(prepared, equal, values, resp)


def working_bytes(covariance_type: str, n_components: int, n_columns: int) -> int:
    """Return an upper bound of the bytes that one call of `measure` needs beside its rows.

    Whichever row of the table is taken: scratch space, sums, parameters and their copies. Float32
    tiles take the same: twice the rows of half the size.
    """
    forms = {covariance_type, "full"} if covariance_type == "tied" else {covariance_type}
    keys = [
        Key("e_step", form, n_columns, "double", False, 1, row.tile, row.name != "unrolled", 24)
        for row in ROWS
        for form in forms & set(row.forms)
        if row.least_columns <= n_columns <= row.most_columns
    ]
    return max(
        8 * scratch_size(key, n_components) + 6 * sums_bytes(key, n_components) for key in keys
    )


def describe(prepared: GaussianPrepared, compute_dtype: str = "float64") -> str:
    """Return the name of the row of the table that will be used (see `methods`), for a record."""
    model = ready(prepared, np.zeros(len(prepared.means)), compute_dtype=compute_dtype)
    return describe_ready(model, compute_dtype)


def describe_ready(model: Ready, compute_dtype: str = "float64") -> str:
    """Return the name of the row of the table that a model uses, for a record."""
    if model.near is not None:
        bound = skipped_bound(*model.layout.means.shape)
        return f"near full, at most {bound:.1e} nats per row skipped"
    method = model.layout.method
    along = f", bounded along {method.projected} directions" if method.projected else ""
    if compute_dtype == "float32":
        along += ", float32" if model.single else f", float64: {KEPT_DOUBLE}"
    return f"{method.row} {method.form}{along}"

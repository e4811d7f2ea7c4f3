"""Parameters as the generated code reads them, and its sums as the rest of the package reads them.

Powers of two and a constant common to all components are taken out beforehand, so that neither
tiny nor huge units overflow or cost digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import DataError
from gmm_dask.kernels.native.moments import ONE, SQUARE, sums_of
from gmm_dask.kernels.types import GaussianMoments, GaussianPrepared, second_shape

ALIGNMENT = 64
CANCELLATION_MAX = 1e-9


def aligned(shape: tuple[int, ...], dtype: Any = np.float64, fill: float | None = 0.0) -> Any:
    """Return an array that begins on a cache line; without `fill` it is not initialised."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    array = memory[start : start + size].view(dtype).reshape(shape)
    if fill is not None:
        array[...] = fill
    return array


@dataclass(frozen=True)
class Layout:
    """A model as the generated code reads it.

    Parameters
    ----------
    form : str
        Which generated code: the covariance type, or "full" for a tied model whose components lie
        too far apart for sums about a common origin.
    alive : (A,) int
        The components of positive weight; only these are computed.
    shift, inverse_scale : (D,)
        Of the frame, the scale times `unit`.
    unit : float
        A power of two that brings spherical deviations near 1; otherwise 1.
    origin, factor
        (D,) and (D, D): how a tied tile is whitened.
    means : (A, D)
        About which moments are taken: in the frame, tied: whitened.
    parameters : (A, packed_size)
    offset : float
        What is added to log densities: the largest constant of any component.
    """

    form: str
    alive: IntArray
    shift: FloatArray
    inverse_scale: FloatArray
    unit: float
    origin: FloatArray
    factor: FloatArray
    means: FloatArray
    parameters: FloatArray
    offset: float


def layout(prepared: GaussianPrepared, log_weights: FloatArray) -> Layout:
    """Return the layout of a model.

    Raises
    ------
    DataError
        If no component has positive weight.
    """
    constant = prepared.log_norm + log_weights
    alive = np.flatnonzero(constant > -np.inf)
    if not len(alive):
        raise DataError(
            f"all {len(log_weights)} components have weight 0; at least one needs a positive weight"
        )
    form = form_of(prepared)
    unit = power_of_two(prepared.factor) if form == "spherical" else 1.0
    origin, factor, means = whitening(prepared, form, alive, unit)
    offset = float(constant[alive].max())
    columns = [(constant[alive] - offset)[:, None], means, shape_of(prepared, form, alive, unit)]
    packed = np.hstack(columns)
    parameters = aligned(packed.shape)
    parameters[...] = packed
    scale = prepared.scale * unit
    return Layout(
        form, alive, prepared.shift, 1.0 / scale, unit, origin, factor, means, parameters, offset
    )


def form_of(prepared: GaussianPrepared) -> str:
    """Return which generated code computes a model."""
    if prepared.covariance_type == "tied" and cancellation(prepared) > CANCELLATION_MAX:
        return "full"
    return prepared.covariance_type


def cancellation(prepared: GaussianPrepared) -> float:
    """Bound the error of a tied scatter taken about one origin, as a fraction of the covariance.

    The sum of squares about the origin exceeds what is left after subtraction by the squared
    distance of the means in standard deviations, of which a few units in the last place are lost.
    """
    whitened = (prepared.means - prepared.means.mean(axis=0)) @ prepared.factor
    return 8 * float(np.finfo(float).eps) * float((whitened**2).max(initial=0.0))


def power_of_two(inverse_deviations: FloatArray) -> float:
    """Return the power of two nearest to the median standard deviation."""
    return float(2.0 ** -np.rint(np.median(np.log2(inverse_deviations))))


def whitening(
    prepared: GaussianPrepared, form: str, alive: IntArray, unit: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return origin, transposed factor and means as `Layout` holds them."""
    means = prepared.means[alive] / unit
    if form != "tied":
        empty = np.zeros(0)
        return empty, empty, means
    origin = prepared.means.mean(axis=0)
    factor = np.ascontiguousarray(prepared.factor.T)
    return origin, factor, (means - origin) @ prepared.factor


def shape_of(prepared: GaussianPrepared, form: str, alive: IntArray, unit: float) -> FloatArray:
    """Return the packed factors (A, ...), halved as `density` needs them."""
    D = prepared.means.shape[1]
    if form == "tied":
        return np.full((len(alive), 1), 0.5)
    if form == "spherical":
        packed: FloatArray = 0.5 * (prepared.factor[alive, None] * unit) ** 2
    elif form == "diag":
        packed = np.sqrt(0.5) * prepared.factor[alive]
    else:
        factors = np.broadcast_to(prepared.factor, (len(prepared.means), D, D))[alive]
        columns, rows = np.tril_indices(D)
        packed = np.sqrt(0.5) * factors[:, rows, columns]
    return packed


def add_lanes(sums: FloatArray) -> FloatArray:
    """Return the sums over the last axis of eight lanes, in a fixed order."""
    while sums.shape[-1] > 1:
        half = sums.shape[-1] // 2
        sums = sums[..., :half] + sums[..., half:]
    return sums[..., 0]


def columns_of(form: str, sums: FloatArray, n_columns: int) -> dict[str, FloatArray]:
    """Return sums (A, number of sums) by what they are: first, second, square and count."""
    D, pairs = n_columns, sums_of(form, n_columns)
    where = {pair: number for number, pair in enumerate(pairs)}
    found = {"count": sums[:, where[ONE, ONE]], "first": sums[:, [where[i, ONE] for i in range(D)]]}
    if form == "full":
        both = [[where[min(i, j), max(i, j)] for j in range(D)] for i in range(D)]
        found["second"] = sums[:, both]
    elif form == "diag":
        found["second"] = sums[:, [where[i, i] for i in range(D)]]
    elif form == "spherical":
        found["square"] = sums[:, where[ONE, SQUARE]]
    return found


def moments_of(
    prepared: GaussianPrepared, model: Layout, sums: FloatArray, scatter: FloatArray
) -> tuple[FloatArray, GaussianMoments]:
    """Return counts (K,) and moments of a block from the lanes of its sums.

    Parameters
    ----------
    sums : (A, number of sums, 8)
    scatter : (number of sums of a full component, 8)
        Of the whole tile about the origin; read for tied models alone.
    """
    K, D = prepared.means.shape
    found = columns_of(model.form, add_lanes(sums), D)
    count = np.zeros(K)
    count[model.alive] = found["count"]
    first = np.zeros((K, D))
    second = np.zeros(second_shape(prepared.covariance_type, K, D))
    if model.form == "tied":
        inverse = solve_triangular(prepared.factor, np.eye(D), check_finite=False)
        first[model.alive] = found["first"] @ inverse
        about_origin = columns_of("full", add_lanes(scatter)[None], D)["second"][0]
        second[...] = inverse.T @ about_means(model.means, found, about_origin) @ inverse
    else:
        first[model.alive] = found["first"] * model.unit
        of_each = second_of_each(model, found)
        if prepared.covariance_type == "tied":
            second[...] = of_each.sum(axis=0)
        else:
            second[model.alive] = of_each
    return count, GaussianMoments(first, second)


def second_of_each(model: Layout, found: dict[str, FloatArray]) -> FloatArray:
    """Return the second moments of each living component about its mean."""
    if model.form == "spherical":
        return found["square"] / model.parameters[:, -1] * model.unit**2
    return found["second"]


def about_means(
    means: FloatArray, found: dict[str, FloatArray], about_origin: FloatArray
) -> FloatArray:
    """Return the sum over components of second moments about each mean, in the whitened tile."""
    weighted = (found["first"] + 0.5 * found["count"][:, None] * means).T @ means
    result: FloatArray = about_origin - weighted - weighted.T
    return result

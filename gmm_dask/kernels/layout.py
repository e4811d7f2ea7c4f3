"""Parameters as the generated code reads them.

The largest constant of any component is taken out beforehand, so that what the code exponentiates
is near zero however large the densities are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import DataError
from gmm_dask.kernels.methods import Method, choose
from gmm_dask.kernels.native.multiply import panels
from gmm_dask.kernels.native.values import LANES
from gmm_dask.kernels.projection import projection
from gmm_dask.kernels.types import GaussianPrepared

ALIGNMENT = 64
CANCELLATION_MAX = 1e-9
HALF = np.sqrt(0.5)


@dataclass(frozen=True)
class Layout:
    """A model as the generated code reads it.

    Parameters
    ----------
    method : Method
    alive : (A,) int
        The components of positive weight; only these are computed.
    offset : float
        What is added to log densities: the largest constant of any component.
    means : (A, D)
        About which moments are taken, in the frame, less the origin.
    arrays : dict
        What the code reads, named as in the table of addresses.
    """

    method: Method
    alive: IntArray
    offset: float
    means: FloatArray
    arrays: dict[str, FloatArray]

    @cached_property
    def addresses(self) -> dict[str, int]:
        """Where the arrays lie in this process."""
        return {name: array.ctypes.data for name, array in self.arrays.items()}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the addresses behind: they mean nothing in another process."""
        return {key: value for key, value in self.__dict__.items() if key != "addresses"}


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
    form, D = form_of(prepared), prepared.means.shape[1]
    origin = prepared.means[alive].mean(axis=0) if form == "tied" else np.zeros(D)
    means = prepared.means[alive] - origin
    offset = float(constant[alive].max())
    arrays = {
        "shift": prepared.shift,
        "inverse_scale": 1.0 / prepared.scale,
        "origin": origin,
        "constants": constant[alive] - offset,
        "centres": means + origin,
        "zeros": np.zeros(D + 1),
    }
    method, more = components(prepared, form, alive, arrays["constants"], means)
    return Layout(method, alive, offset, means, in_cache_lines(method, arrays | more))


def in_cache_lines(method: Method, arrays: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Return copies that begin on cache lines; lists of rows read whole vectors of columns."""
    if method.lists:
        named = {"shift", "inverse_scale", "origin", "centres"} & set(arrays)
        arrays = arrays | {name: padded(arrays[name]) for name in named}
        if "projection" in arrays:
            arrays["projection"] = padded(arrays["projection"].T).T
    return {name: in_line(array) for name, array in arrays.items()}


def nearest_layout(prepared: GaussianPrepared, metric: FloatArray) -> Layout:
    """Return the layout that gives each row to the component of the nearest mean.

    Parameters
    ----------
    prepared : GaussianPrepared
        Its frame and means are used, and the type of its covariances.
    metric : (D, m)
        Rows and means of the frame are compared by ``|(row - mean) @ metric|^2``.
    """
    means, A = prepared.means, len(prepared.means)
    form = "full" if prepared.covariance_type in ("full", "tied") else "diag"
    arrays = {
        "shift": prepared.shift,
        "inverse_scale": 1.0 / prepared.scale,
        "constants": np.zeros(A),
        "centres": means,
        "projection": metric,
        "bounds": hstack(np.zeros(A), means @ metric, np.ones((A, 1))),
    }
    method = Method("lists", form, 256, metric.shape[1], metric=True)
    return Layout(method, np.arange(A), 0.0, means, in_cache_lines(method, arrays))


def components(
    prepared: GaussianPrepared,
    form: str,
    alive: IntArray,
    constants: FloatArray,
    means: FloatArray,
) -> tuple[Method, dict[str, FloatArray]]:
    """Return the method, and the arrays that depend on the form of the covariances."""
    factor, D = prepared.factor, means.shape[1]
    if form == "full":
        factors = np.broadcast_to(factor, (len(prepared.means), D, D))[alive]
        return full_components(constants, means, factors)
    method = choose(form, D, 0)
    if form == "tied":
        whitened, shapes = means @ factor, np.full((len(alive), 1), 0.5)
        of_tile = panels(factor[None])[0] if method.lists else factor.T
        return method, {"factor": of_tile, "parameters": hstack(constants, whitened, shapes)}
    if form == "diag":
        return method, {"parameters": hstack(constants, means, HALF * factor[alive])}
    shapes = 0.5 * factor[alive, None] ** 2
    return method, {"parameters": hstack(constants, means, shapes)}


def full_components(
    constants: FloatArray, means: FloatArray, factors: FloatArray
) -> tuple[Method, dict[str, FloatArray]]:
    """Return the method for full components and the arrays it reads."""
    D = means.shape[1]
    bounds = projection(constants, means, factors)
    method = choose("full", D, bounds.directions.shape[1] if bounds else 0)
    if not method.lists:
        columns, rows = np.tril_indices(D)
        packed = hstack(constants, means, HALF * factors[:, rows, columns])
        return method, {"parameters": packed}
    found = {"factors": panels(HALF * factors)}
    if bounds:
        found |= {"projection": bounds.directions, "bounds": bounds.parameters}
    return method, found


def hstack(constants: FloatArray, means: FloatArray, shapes: FloatArray) -> FloatArray:
    """Return the parameters that `density` reads, one row for each component."""
    return np.hstack([constants[:, None], means, shapes])


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
    apart = np.abs(prepared.means - prepared.means.mean(axis=0)) @ np.abs(prepared.factor)
    return 8 * float(np.finfo(float).eps) * float((apart**2).max(initial=0.0))


def padded(array: FloatArray) -> FloatArray:
    """Return an array whose last axis is a whole number of vectors, with zeros behind."""
    more = -array.shape[-1] % LANES
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, more)])


def in_line(array: FloatArray) -> FloatArray:
    """Return a copy in C order that begins on a cache line."""
    copy: FloatArray = aligned(array.shape, fill=None)
    copy[...] = array
    return copy


def aligned(shape: tuple[int, ...], dtype: Any = np.float64, fill: float | None = 0.0) -> Any:
    """Return an array that begins on a cache line; without `fill` it is not initialised."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    array = memory[start : start + size].view(dtype).reshape(shape)
    if fill is not None:
        array[...] = fill
    return array

"""Parameters as the generated code reads them.

The largest constant of any component is taken out beforehand, so that what the code exponentiates
is near zero however large the densities are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import DataError
from gmm_dask.kernels.methods import Method, choose
from gmm_dask.kernels.native.multiply import panels
from gmm_dask.kernels.native.real import DOUBLE, REALS
from gmm_dask.kernels.projection import projection
from gmm_dask.kernels.types import GaussianPrepared

ALIGNMENT = 64
CANCELLATION_MAX = 1e-9
SINGLE_CANCELLATION_MAX = 5e-4
HALF = np.sqrt(0.5)


@dataclass(frozen=True)
class Layout:
    """A model as the generated code reads it.

    Parameters
    ----------
    method : Method
    prepared : GaussianPrepared
        The components as tiles see them.
    alive : (A,) int
        The components of positive weight; only these are computed.
    offset : float
        What is added to log densities: the largest constant of any component.
    means : (A, D)
        About which moments are taken, in the frame of tiles, less the origin.
    arrays : dict
        What the code reads, named as in the table of addresses.
    """

    method: Method
    prepared: GaussianPrepared
    alive: IntArray
    offset: float
    means: FloatArray
    arrays: dict[str, npt.NDArray[Any]]

    @cached_property
    def addresses(self) -> dict[str, int]:
        """Where the arrays lie in this process."""
        return {name: array.ctypes.data for name, array in self.arrays.items()}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the addresses behind: they mean nothing in another process."""
        return {key: value for key, value in self.__dict__.items() if key != "addresses"}


def layout(
    prepared: GaussianPrepared,
    log_weights: FloatArray,
    compute: str = "double",
    bounded: bool = True,
) -> Layout:
    """Return the layout of a model.

    Parameters
    ----------
    prepared : GaussianPrepared
    log_weights : (K,)
    compute : str
        "double", or "float" if float32 can represent the means and factors (see `single`).
    bounded : bool
        Whether to look for a projection that bounds densities.

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
    form, D = form_of(prepared, compute), prepared.means.shape[1]
    centred = form == "tied" and compute == "double"
    origin = prepared.means[alive].mean(axis=0) if centred else np.zeros(D)
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
    places = (arrays["constants"], means)
    method, more = components(prepared, form, alive, places, compute, bounded)
    return Layout(method, prepared, alive, offset, means, in_cache_lines(method, arrays | more))


def in_cache_lines(method: Method, arrays: dict[str, FloatArray]) -> dict[str, npt.NDArray[Any]]:
    """Return copies that begin on cache lines; lists of rows read whole vectors of columns.

    All are of the type of the tiles but what rows are brought into the frame with.
    """
    real = REALS[method.compute]
    if method.lists:
        named = {"shift", "inverse_scale", "origin", "centres"} & set(arrays)
        arrays = arrays | {name: padded(arrays[name], real.lanes) for name in named}
        if "projection" in arrays:
            arrays["projection"] = padded(arrays["projection"].T, real.lanes).T
    of_tile = np.float64 if real == DOUBLE else np.float32
    return {
        name: in_line(array, np.float64 if name in ("shift", "inverse_scale") else of_tile)
        for name, array in arrays.items()
    }


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
    return Layout(method, prepared, np.arange(A), 0.0, means, in_cache_lines(method, arrays))


def components(
    prepared: GaussianPrepared,
    form: str,
    alive: IntArray,
    places: tuple[FloatArray, FloatArray],
    compute: str,
    bounded: bool,
) -> tuple[Method, dict[str, FloatArray]]:
    """Return the method, and the arrays that depend on the form of the covariances.

    Parameters
    ----------
    places : (A,), (A, D)
        Constants and means of the components that are alive.
    """
    constants, means = places
    factor, D = prepared.factor, means.shape[1]
    if form == "full":
        factors = np.broadcast_to(factor, (len(prepared.means), D, D))[alive]
        return full_components(constants, means, factors, compute, bounded)
    method = choose(form, D, 0, compute)
    if form == "tied":
        whitened, shapes = means @ factor, np.full((len(alive), 1), 0.5)
        of_tile = panels(factor[None])[0] if method.lists else factor.T
        return method, {"factor": of_tile, "parameters": hstack(constants, whitened, shapes)}
    if form == "diag":
        return method, {"parameters": hstack(constants, means, HALF * factor[alive])}
    shapes = 0.5 * factor[alive, None] ** 2
    return method, {"parameters": hstack(constants, means, shapes)}


def full_components(
    constants: FloatArray, means: FloatArray, factors: FloatArray, compute: str, bounded: bool
) -> tuple[Method, dict[str, FloatArray]]:
    """Return the method for full components and the arrays it reads."""
    D = means.shape[1]
    bounds = projection(constants, means, factors) if bounded else None
    method = choose("full", D, bounds.directions.shape[1] if bounds else 0, compute)
    if not method.lists:
        columns, rows = triangle(D)
        packed = hstack(constants, means, HALF * factors[:, rows, columns])
        return method, {"parameters": packed}
    found = {"factors": panels(HALF * factors)}
    if bounds:
        found |= {"projection": bounds.directions, "bounds": bounds.parameters}
    return method, found


@cache
def triangle(n_columns: int) -> tuple[IntArray, IntArray]:
    """Return `numpy.tril_indices`: where many small models are laid out, they take the longest."""
    return np.tril_indices(n_columns)


def hstack(constants: FloatArray, means: FloatArray, shapes: FloatArray) -> FloatArray:
    """Return the parameters that `density` reads, one row for each component."""
    return np.hstack([constants[:, None], means, shapes])


def form_of(prepared: GaussianPrepared, compute: str = "double") -> str:
    """Return which generated code computes a model."""
    if prepared.covariance_type != "tied":
        return prepared.covariance_type
    largest = CANCELLATION_MAX if compute == "double" else SINGLE_CANCELLATION_MAX
    return "full" if cancellation(prepared, compute) > largest else "tied"


def cancellation(prepared: GaussianPrepared, compute: str = "double") -> float:
    """Bound the error of a tied scatter taken about one origin, as a fraction of the covariance.

    The sum of squares about the origin exceeds what is left after subtraction by the squared
    distance of the means in standard deviations, of which a few units in the last place are lost.
    The origin is the centre of the means; for float32, in which only the sums over a tile are
    rounded, that of the frame.
    """
    double = compute == "double"
    origin = prepared.means.mean(axis=0) if double else 0.0
    lost = 8 * float(np.finfo(np.float64).eps) if double else 4 * float(np.finfo(np.float32).eps)
    apart = np.abs(prepared.means - origin) @ np.abs(prepared.factor)
    return lost * float((apart**2).max(initial=0.0))


def padded(array: FloatArray, lanes: int) -> FloatArray:
    """Return an array whose last axis is a whole number of vectors, with zeros behind."""
    more = -array.shape[-1] % lanes
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, more)])


def in_line(array: FloatArray, dtype: type) -> npt.NDArray[Any]:
    """Return a copy in C order that begins on a cache line."""
    copy: npt.NDArray[Any] = aligned(array.shape, dtype, fill=None)
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

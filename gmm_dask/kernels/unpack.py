"""Sums of generated code as the rest of the package reads them."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels.layout import Layout, aligned
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.moments import ONE, SQUARE, sums_of
from gmm_dask.kernels.native.outer import list_size
from gmm_dask.kernels.native.values import LANES
from gmm_dask.kernels.types import GaussianMoments, second_shape


def sums_shape(key: Key, form: str) -> tuple[int, ...]:
    """Return the shape of one component's sums."""
    if key.lists:
        return (list_size(form, key),)
    return (len(sums_of(form, key.n_columns)), LANES)


def sums_bytes(key: Key, n_components: int) -> int:
    """Return the bytes of all sums of a pass."""
    return 8 * (n_components * prod(sums_shape(key, key.form)) + prod(sums_shape(key, "full")))


def empty_sums(key: Key, model: Layout) -> dict[str, Any]:
    """Return the arrays to which a pass adds its sums."""
    A = len(model.means)
    shapes = {"sums": (A, *sums_shape(key, key.form)), "scatter": (1, *sums_shape(key, "full"))}
    return {name: aligned(shape) for name, shape in shapes.items()}


def add_lanes(sums: FloatArray) -> FloatArray:
    """Return the sums over the last axis of eight lanes, in a fixed order."""
    lanes = [sums[..., lane] for lane in range(sums.shape[-1])]
    while len(lanes) > 1:  # lane by lane: loops over eight numbers each would cost more
        half = len(lanes) // 2
        lanes = [a + b for a, b in zip(lanes[:half], lanes[half:], strict=True)]
    return lanes[0]


def found_in(key: Key, form: str, sums: FloatArray) -> dict[str, FloatArray]:
    """Return sums by what they are: count, first, second and (spherical) square."""
    return (of_lists if key.lists else of_lanes)(key, form, sums)


def of_lanes(key: Key, form: str, lanes: FloatArray) -> dict[str, FloatArray]:
    """Return what unrolled code has summed."""
    sums = add_lanes(lanes)
    return {
        name: sums.take(places, axis=1) for name, places in _places(form, key.n_columns).items()
    }


@cache
def _places(form: str, n_columns: int) -> dict[str, Any]:
    """Return where unrolled code has which sum."""
    D = range(n_columns)
    where = {pair: number for number, pair in enumerate(sums_of(form, n_columns))}
    found: dict[str, Any] = {"count": where[ONE, ONE], "first": [where[i, ONE] for i in D]}
    if form == "full":
        found["second"] = np.array([[where[min(i, j), max(i, j)] for j in D] for i in D])
    elif form == "diag":
        found["second"] = [where[i, i] for i in D]
    elif form == "spherical":
        found["square"] = where[ONE, SQUARE]
    return found


def of_lists(key: Key, form: str, sums: FloatArray) -> dict[str, FloatArray]:
    """Return what code over lists of rows has summed."""
    D = key.n_columns
    first, second = sums[:, 2 * LANES :], sums[:, 2 * LANES + key.padded :]
    found = {"count": add_lanes(sums[:, :LANES]), "first": first[:, :D]}
    if form == "full":
        lower = np.tril(second.reshape(len(sums), D, key.padded)[:, :, :D])
        found["second"] = lower + np.tril(lower, -1).transpose(0, 2, 1)
    elif form == "diag":
        found["second"] = second[:, :D]
    elif form == "spherical":
        found["square"] = add_lanes(sums[:, LANES : 2 * LANES])
    return found


def moments_of(
    model: Layout, key: Key, sums: FloatArray, scatter: FloatArray
) -> tuple[FloatArray, GaussianMoments]:
    """Return counts (K,) and moments of a block, in the frame of tiles.

    Parameters
    ----------
    sums, scatter
        As made by `empty_sums` and filled by a pass; `scatter` of the whole block about the
        origin, for tied models alone.
    """
    return moments_from(model, key, found_in(key, key.form, sums), scatter)


def moments_from(
    model: Layout, key: Key, found: dict[str, FloatArray], scatter: FloatArray
) -> tuple[FloatArray, GaussianMoments]:
    """Return counts and moments of a block from what `found_in` gives; see `moments_of`."""
    prepared = model.prepared
    K, D = prepared.means.shape
    in_place = np.array_equal(model.alive, np.arange(K))  # runs have another order
    if key.form == prepared.covariance_type == "full" and in_place:
        return found["count"], GaussianMoments(found["first"], found["second"])
    count, first = np.zeros(K), np.zeros((K, D))
    second = np.zeros(second_shape(prepared.covariance_type, K, D))
    count[model.alive] = found["count"]
    if key.form == "tied":
        about_origin = found_in(key, "full", scatter)["second"][0]
        first[model.alive], second[...] = tied_moments(model, key, found, about_origin)
        return count, GaussianMoments(first, second)
    first[model.alive] = found["first"]
    if key.form == "spherical":
        found["second"] = found["square"] / model.arrays["parameters"][:, -1]
    if prepared.covariance_type == "tied":
        second[...] = found["second"].sum(axis=0)
    elif prepared.covariance_type == "spherical" and key.form == "diag":
        second[model.alive] = found["second"].sum(axis=1)
    else:
        second[model.alive] = found["second"]
    return count, GaussianMoments(first, second)


def tied_moments(
    model: Layout,
    key: Key,
    found: dict[str, FloatArray],
    about_origin: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return first moments (A, D) and the common second moment (D, D) about the means."""
    if key.lists:
        return found["first"], about_means(model.means, found, about_origin)
    D = key.n_columns
    whitened = model.arrays["parameters"][:, 1 : 1 + D].astype(np.float64)
    inverse = solve_triangular(model.prepared.factor, np.eye(D), check_finite=False)
    second = about_means(whitened, found, about_origin)
    return found["first"] @ inverse, inverse.T @ second @ inverse


def about_means(
    means: FloatArray, found: dict[str, FloatArray], about_origin: FloatArray
) -> FloatArray:
    """Shift second moments, summed over components, from the origin to each mean."""
    weighted = (found["first"] + 0.5 * found["count"][:, None] * means).T @ means
    result: FloatArray = about_origin - weighted - weighted.T
    return result

"""Rows with errors of their own: the E-step of extreme deconvolution, by generated code.

See `reference_noisy`, the oracle, for what is computed. It is given the rows that generated code
leaves out: those whose density under every component is too small for the arithmetic, and those
for which a covariance is not positive definite to rounding, which are refused if it agrees.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from threading import Lock
from typing import Any

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import DataError
from gmm_dask.kernels import reference_noisy as reference
from gmm_dask.kernels.compile import load, machine_code
from gmm_dask.kernels.layout import aligned
from gmm_dask.kernels.native.noisy import TABLE, module
from gmm_dask.kernels.native.noisy_key import (
    PAIR,
    NoisyKey,
    parameters_size,
    scratch_size,
    sums_size,
)
from gmm_dask.kernels.native.values import LANES
from gmm_dask.kernels.reference_noisy import NoisyModel, NoisySums, Posterior, posterior
from gmm_dask.kernels.types import FARTHEST, LOG_PROB_MIN, GaussianMoments
from gmm_dask.kernels.unpack import add_lanes

__all__ = [
    "NoisyModel",
    "NoisySums",
    "Posterior",
    "e_step",
    "log_joint",
    "posterior",
    "working_bytes",
]

FORMS = {"full": "full", "tied": "full", "diag": "diag", "spherical": "diag"}

_lock = Lock()


@cache
def _function(key: NoisyKey) -> Any:
    return load(machine_code(module(key)), "run")


def key_of(task: str, model: NoisyModel, noise: FloatArray) -> NoisyKey:
    """Return the key of the code that computes a task."""
    second = FORMS[model.covariance_type]
    of_noise = "diag" if noise.ndim == 2 else "full"
    covariance = "diag" if second == of_noise == "diag" else "full"
    return NoisyKey(task, covariance, of_noise, second, model.means.shape[1])


def parameters(key: NoisyKey, model: NoisyModel) -> FloatArray:
    """Return what the code reads of each component, (K, parameters_size)."""
    K, D = model.means.shape
    W = key.width
    found: FloatArray = aligned((K, parameters_size(key)))
    found[:, 0] = model.log_weights - 0.5 * D * np.log(2 * np.pi)
    found[:, 1 : 1 + D] = model.means
    for k in range(K):
        V, shape = model.covariance(k), found[k, 1 + W :]
        if key.diagonal:
            shape[:] = V
            continue
        V = np.diag(V) if V.ndim == 1 else V
        if key.unrolled:
            shape[:] = V[np.tril_indices(D)]
            continue
        whole = np.eye(W)
        whole[:D, :D] = V
        shape[: W * W] = whole.ravel()
    return found


def run(key: NoisyKey, model: NoisyModel, **arrays: FloatArray) -> None:
    """Run a pass over rows, the last of them padded to a whole vector.

    Parameters
    ----------
    arrays : rows, errors, out and weight, (n, ...) each, and sums
        Named as in the table of addresses.
    """
    n, K = len(arrays["rows"]), len(model.means)
    with _lock:
        function = _function(key)
    whole = n // LANES * LANES
    fixed = {"parameters": parameters(key, model), "scratch": aligned((scratch_size(key, K),))}
    sums = {"sums": arrays.pop("sums")} if "sums" in arrays else {}
    arrays = {name: np.ascontiguousarray(array, np.float64) for name, array in arrays.items()}
    for lo, hi in ((0, whole), (whole, n)):
        if lo == hi:
            continue
        part = {name: padded(array[lo:hi]) for name, array in arrays.items()}
        if "weight" in part:
            part["weight"][hi - lo :] = 0.0
        counts = np.array([len(part["rows"]), K])
        table = fixed | sums | part | {"counts": counts}
        places = [table[name].ctypes.data if name in table else 0 for name in TABLE]
        addresses = np.array(places, dtype=np.uintp)  # held: other threads run during the call
        function(addresses.ctypes.data)
        arrays["out"][lo:hi] = part["out"][: hi - lo]


def padded(array: FloatArray) -> FloatArray:
    """Return rows up to a whole vector, the last repeated; the same array if they are one."""
    more = -len(array) % LANES
    return np.concatenate([array, np.repeat(array[-1:], more, axis=0)]) if more else array


def log_joint(model: NoisyModel, rows: FloatArray, noise: FloatArray) -> FloatArray:
    """Return log weights plus log densities (n, K), at least -1e300.

    Parameters
    ----------
    model : NoisyModel
    rows : (n, D)
        In the frame.
    noise : (n, D) variances or (n, D, D) covariances
        In the frame; zeros are allowed.

    Raises
    ------
    DataError
        As `e_step`.
    """
    out = np.empty((len(rows), len(model.means)))
    run(key_of("log_joint", model, noise), model, rows=rows, errors=noise, out=out)
    left = np.isnan(out[:, 0])
    if left.any():
        far = np.clip(rows[left], -FARTHEST, FARTHEST)
        with refused(model, far, noise[left]):
            out[left] = reference.log_joint(model, far, noise[left])
    return out


def e_step(
    model: NoisyModel, rows: FloatArray, noise: FloatArray, sample_weight: FloatArray
) -> NoisySums:
    """Return the sums of rows with errors.

    Parameters
    ----------
    model : NoisyModel
    rows : (n, D)
        In the frame.
    noise : (n, D) variances or (n, D, D) covariances
        In the frame; zeros are allowed.
    sample_weight : (n,)
        None negative.

    Raises
    ------
    DataError
        If the covariance of a component and that of a row's errors add up to a matrix that is not
        positive definite to rounding.
    """
    key = key_of("e_step", model, noise)
    sums = aligned((len(model.means), sums_size(key), LANES))
    norm = np.empty(len(rows))
    sample_weight = np.ascontiguousarray(sample_weight, np.float64)
    run(key, model, rows=rows, errors=noise, weight=sample_weight, sums=sums, out=norm)
    total = add_lanes(sums)
    left = ~(norm > 0.5 * LOG_PROB_MIN) & (sample_weight > 0)
    if not np.isfinite(total).all():
        left[:], total[:] = True, 0.0
    norm[left | (sample_weight == 0)] = 0.0
    found = unpacked(key, model, float((norm * sample_weight).sum()), total)
    if not left.any():
        return found
    far = np.clip(rows[left], -FARTHEST, FARTHEST)
    with refused(model, far, noise[left]):
        of_left = reference.e_step(model, far, noise[left], sample_weight[left])
    return added(found, of_left)


@contextmanager
def refused(model: NoisyModel, rows: FloatArray, noise: FloatArray) -> Iterator[None]:
    """Say of which row and component a factorisation failed."""
    try:
        yield
    except np.linalg.LinAlgError:
        tiles = range(0, len(rows), reference.TILE)
        for k, lo in product(range(len(model.means)), tiles):
            C = noise[lo : lo + reference.TILE]
            V, C = (x if x.ndim > d else x[..., None] * np.eye(rows.shape[1])
                    for d, x in ((1, model.covariance(k)), (2, C)))  # fmt: skip
            sizes = np.linalg.eigvalsh(V + C)
            wrong = ~(sizes[:, 0] > rows.shape[1] * np.finfo(float).eps * sizes[:, -1])
            if wrong.any():
                i = int(wrong.argmax())
                raise DataError(
                    f"the row {rows[lo + i]} (in the frame) has errors which, added to component "
                    f"{k}, give a covariance with eigenvalues from {sizes[i, 0]:.3g} to "
                    f"{sizes[i, -1]:.3g}; it must be positive definite: check that the row's "
                    "covariance has no negative eigenvalue, and is not 1e15 times as large as "
                    "the component in one direction and zero in another"
                ) from None
        raise


def added(a: NoisySums, b: NoisySums) -> NoisySums:
    """Return the sums of two sets of rows."""
    moments = GaussianMoments(*(x + y for x, y in zip(a.moments, b.moments, strict=True)))
    return NoisySums(a.log_likelihood + b.log_likelihood, a.count + b.count, moments)


def unpacked(
    key: NoisyKey, model: NoisyModel, log_likelihood: float, total: FloatArray
) -> NoisySums:
    """Return sums (K, sums_size) in the shape of the covariances."""
    K, D = model.means.shape
    first, rest = total[:, 1 : 1 + D], total[:, 1 + key.width :]
    if key.second == "diag":
        second = rest[:, :D]
        if model.covariance_type == "spherical":
            second = second.sum(axis=1)
    else:
        second = np.empty((K, D, D))
        a, b = np.triu_indices(D)
        if not key.unrolled:
            rest = rest.reshape(K, key.width, key.slots)[:, a, b - a // PAIR * PAIR]
        second[:, a, b] = second[:, b, a] = rest
        if model.covariance_type == "tied":
            second = second.sum(axis=0)
    return NoisySums(log_likelihood, total[:, 0], GaussianMoments(first, second))


def working_bytes(n_components: int, n_columns: int) -> int:
    """Return an upper bound of the bytes that `e_step` needs beside its rows.

    Scratch space, parameters, and sums with a copy. Beside it stands one log density a row.
    """
    key = NoisyKey("e_step", "full", "full", "full", n_columns)
    of_components = 2 * LANES * sums_size(key) + parameters_size(key)
    return 8 * (scratch_size(key, n_components) + n_components * of_components)

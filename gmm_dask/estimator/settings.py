"""Constructor words checked, and turned into what a run needs."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from gmm_dask.blocks import FloatArray, Source
from gmm_dask.errors import ConfigError
from gmm_dask.families.gaussian import COVARIANCE_TYPES
from gmm_dask.kernels.types import second_shape
from gmm_dask.search import INIT_PARAMS


def check_settings(model: Any) -> None:
    """Raise ConfigError for the first constructor word that is out of range."""
    for name in ("n_components", "n_init", "max_iter"):
        _integer(name, getattr(model, name), 1)
    _real("tol", model.tol)
    if model.reg_covar is not None:
        _real("reg_covar", model.reg_covar)
    _one_of("covariance_type", model.covariance_type, COVARIANCE_TYPES)
    _one_of("init_params", model.init_params, INIT_PARAMS)


def _integer(name: str, value: Any, least: int) -> None:
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or value < least:
        raise ConfigError(f"{name} is {value!r}; an integer of at least {least} is needed")


def _real(name: str, value: Any) -> None:
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_real or not 0 <= float(value) < float("inf"):
        raise ConfigError(f"{name} is {value!r}; a finite number of at least 0 is needed")


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; one of {', '.join(allowed)} is needed")


def seed_of(random_state: Any) -> int:
    """Return the integer seed of a run: an int as it is, otherwise drawn."""
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ConfigError(f"random_state is {random_state}; at least 0 is needed")
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def given_parameters(model: Any, source: Source) -> dict[str, FloatArray]:
    """Return ``weights_init``, ``means_init`` and ``precisions_init``, checked, source units.

    Precisions come back as covariances.

    Raises
    ------
    ConfigError
        Wrong shape, weights that do not sum to one, precisions that are not positive definite.
    """
    K, D = int(model.n_components), len(source.columns)
    given: dict[str, FloatArray] = {}
    if model.weights_init is not None:
        given["weights"] = _shaped("weights_init", model.weights_init, (K,))
        total = given["weights"].sum()
        if (given["weights"] < 0).any() or abs(total - 1) > 1e-8:
            raise ConfigError(f"weights_init must be at least 0 and sum to 1; the sum is {total}")
    if model.means_init is not None:
        given["means"] = _shaped("means_init", model.means_init, (K, D))
    if model.precisions_init is not None:
        kind = model.covariance_type
        shape = second_shape(kind, K, D)
        precisions = _shaped("precisions_init", model.precisions_init, shape)
        given["covariances"] = _inverse(precisions, kind)
    return given


def _shaped(name: str, value: Any, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ConfigError(f"{name} has shape {array.shape}; finite numbers of {shape} are needed")
    return array


def _inverse(precisions: FloatArray, covariance_type: str) -> FloatArray:
    """Return covariances from precisions through Cholesky factors."""
    if covariance_type in ("diag", "spherical"):
        if (precisions <= 0).any():
            raise ConfigError("precisions_init must be positive")
        variances: FloatArray = 1.0 / precisions
        return variances
    try:
        lower = np.linalg.cholesky(precisions)
    except np.linalg.LinAlgError:
        raise ConfigError("precisions_init must be symmetric and positive definite") from None
    eye = np.broadcast_to(np.eye(precisions.shape[-1]), precisions.shape)
    inverse = np.linalg.solve(lower, eye)
    covariances: FloatArray = np.swapaxes(inverse, -1, -2) @ inverse
    return covariances

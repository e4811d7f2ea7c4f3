"""Constructor words checked, and turned into what a run needs."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from gmm_dask.blocks import FloatArray
from gmm_dask.criteria import CRITERIA
from gmm_dask.errors import ConfigError
from gmm_dask.families.gaussian import COVARIANCE_TYPES
from gmm_dask.initial import INIT_PARAMS
from gmm_dask.kernels.types import second_shape
from gmm_dask.laws.named import law_of
from gmm_dask.mixture import Mixture


def check_settings(model: Any) -> None:
    """Raise ConfigError for the first constructor word that is out of range."""
    check_words({name: getattr(model, name) for name in RULES if hasattr(model, name)})


def check_words(words: Mapping[str, Any]) -> None:
    """Raise ConfigError for the first of some words that is out of range."""
    for name, value in words.items():
        RULES[name](name, value)


def _integer(name: str, value: Any, least: int) -> None:
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or value < least:
        raise ConfigError(f"{name} is {value!r}; an integer of at least {least} is needed")


def _real(name: str, value: Any) -> None:
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_real or not 0 <= float(value) < float("inf"):
        raise ConfigError(f"{name} is {value!r}; a finite number of at least 0 is needed")


def _one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; one of {', '.join(map(str, allowed))} is needed")


def _integers(name: str, values: Any) -> None:
    if not len(values):
        raise ConfigError(f"{name} is empty; at least one is needed")
    for value in values:
        _integer(name, value, 1)


def _types(name: str, values: Any) -> None:
    if not len(values):
        raise ConfigError(f"{name} is empty; at least one is needed")
    for value in values:
        _one_of(name, value, COVARIANCE_TYPES)


def _share(name: str, value: Any) -> None:
    _real(name, value)
    if not 0 < value < 1:
        raise ConfigError(f"{name} is {value!r}; a share of the rows between 0 and 1 is needed")


def _among(*allowed: Any) -> Callable[[str, Any], None]:
    return lambda name, value: _one_of(name, value, allowed)


def _at_least_one(name: str, value: Any) -> None:
    _integer(name, value, 1)


def _real_or_none(name: str, value: Any) -> None:
    if value is not None:
        _real(name, value)


def _is_law(name: str, value: Any) -> None:  # noqa: ARG001  # its messages say "weights"
    law_of(value)


RULES: dict[str, Callable[[str, Any], None]] = {
    "n_components": _at_least_one,
    "n_clusters": _at_least_one,
    "n_init": _at_least_one,
    "max_iter": _at_least_one,
    "tol": _real,
    "reg_covar": _real_or_none,
    "covariance_type": _among(*COVARIANCE_TYPES),
    "init_params": _among(*INIT_PARAMS),
    "every n_components": _integers,
    "every covariance_type": _types,
    "criterion": _among(*CRITERIA),
    "rule": _among("best", "one_standard_error"),
    "held_out": _share,
    "on_interrupt": _among("raise", "return"),
    "resume": _among("auto", "never", "require"),
    "chunks": _at_least_one,
    "n_draws": _at_least_one,
    "missing": _among("error", "marginalize"),
    "compute_dtype": _among("float64", "float32"),
    "weights": _is_law,
    "assignment": _among("soft", "hard"),
    "covariance_prior": _among(True, False),
}


def seed_of(random_state: Any) -> int:
    """Return the integer seed of a run: an int as it is, otherwise drawn."""
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ConfigError(f"random_state is {random_state}; at least 0 is needed")
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def given_parameters(model: Any, n_columns: int) -> dict[str, FloatArray]:
    """Return ``weights_init``, ``means_init`` and ``precisions_init``, checked, source units.

    Precisions come back as covariances.

    Raises
    ------
    ConfigError
        Wrong shape, weights that do not sum to one, precisions that are not positive definite.
    """
    K, D = int(model.n_components), n_columns
    given: dict[str, FloatArray] = {}
    some = model.frozen is not None
    if model.weights_init is not None:
        given["weights"] = _shaped("weights_init", model.weights_init, (K,), some)
        total, least = np.nansum(given["weights"]), 0.0 if some else 1.0 - 1e-8
        if (given["weights"] < 0).any() or not least <= total <= 1 + 1e-8:
            raise ConfigError(f"weights_init must be at least 0 and sum to 1; the sum is {total}")
    if model.means_init is not None:
        given["means"] = _shaped("means_init", model.means_init, (K, D), some)
    if model.precisions_init is not None:
        kind = model.covariance_type
        shape = second_shape(kind, K, D)
        precisions = _shaped("precisions_init", model.precisions_init, shape, some)
        given["covariances"] = _inverse_of_given(precisions, kind)
    return given


def going_on(model: Any, last: Mixture, n_columns: int) -> dict[str, FloatArray]:
    """Return the parameters of the last fit, from which a warm start goes on.

    Raises
    ------
    ConfigError
        The last fit has another number of components or columns, or another covariance type.
    """
    found = (last.n_components, last.family.covariance_type, last.n_columns)
    needed = (int(model.n_components), model.covariance_type, n_columns)
    if found != needed:
        raise ConfigError(
            f"warm_start: the last fit has (n_components, covariance_type, columns) {found}, now "
            f"{needed} are asked for; set warm_start=False to begin anew"
        )
    return {
        "weights": last.weights,
        "means": last.means,
        "covariances": last.covariances,
    }


def _shaped(name: str, value: Any, shape: tuple[int, ...], some: bool = False) -> FloatArray:
    """Return numbers of a shape; with `some`, NaN may stand for all of a component."""
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape or np.isinf(array).any() or not (some or np.isfinite(array).all()):
        raise ConfigError(f"{name} has shape {array.shape}; finite numbers of {shape} are needed")
    holes = np.isnan(array).reshape(len(array), -1)
    if (holes.any(axis=1) & ~holes.all(axis=1)).any():
        raise ConfigError(f"{name}: NaN leaves a component to the start, all its numbers or none")
    return array


def _inverse_of_given(precisions: FloatArray, covariance_type: str) -> FloatArray:
    """Return covariances from precisions, NaN where these are."""
    if covariance_type == "tied":
        return precisions if np.isnan(precisions).all() else _inverse(precisions, "tied")
    known = ~np.isnan(precisions).reshape(len(precisions), -1).any(axis=1)
    covariances = np.full_like(precisions, np.nan)
    covariances[known] = _inverse(precisions[known], covariance_type)
    return covariances


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
    if not np.allclose(precisions, np.swapaxes(precisions, -1, -2), rtol=1e-8, atol=0.0):
        raise ConfigError("precisions_init must be symmetric and positive definite")
    eye = np.broadcast_to(np.eye(precisions.shape[-1]), precisions.shape)
    inverse = np.linalg.solve(lower, eye)
    covariances: FloatArray = np.swapaxes(inverse, -1, -2) @ inverse
    return covariances

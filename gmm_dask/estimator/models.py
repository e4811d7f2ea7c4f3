"""A fitted estimator as a zarr folder, and back; never by pickle."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from gmm_dask.mixture import Mixture
from gmm_dask.state import MODEL_CODEC, check_mixture
from gmm_dask.store.model import load_model, save_model

WORDS = (
    *("n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init", "init_params"),
    *("warm_start", "verbose", "verbose_interval"),
)
FITTED = ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_", "seed_")


def save_attributes(path: Any, model: Any, extra: dict[str, Any]) -> None:
    """Write parameters and fitted attributes of a model."""
    value = {
        "mixture": model.mixture_,
        "words": {name: getattr(model, name) for name in WORDS},
        "fitted": {name: _plain(getattr(model, name)) for name in FITTED if hasattr(model, name)},
        "feature_names": _names(model),
        "extra": extra,
        "random_state": _seed(model.random_state),
    }
    save_model(path, value, MODEL_CODEC, {"model": "GaussianMixture"})


def load_attributes(path: Any, model: Any) -> None:
    """Read into an estimator what `save_attributes` wrote."""
    value, _ = load_model(path, MODEL_CODEC)
    mixture: Mixture = check_mixture(value["mixture"], path)
    model.set_params(**value["words"], random_state=value["random_state"])
    model._set(mixture)
    model.extra_ = value["extra"]
    for name, item in value["fitted"].items():
        setattr(model, name, list(item) if name == "lower_bounds_" else item)
    if value["feature_names"] is not None:
        model.feature_names_in_ = np.asarray(value["feature_names"], dtype=object)


def _names(model: Any) -> tuple[str, ...] | None:
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else tuple(str(name) for name in names)


def _seed(value: Any) -> int | None:
    return int(value) if isinstance(value, numbers.Integral) else None


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(float(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value

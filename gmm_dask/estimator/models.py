"""A fitted estimator as a zarr folder, and back; never by pickle."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from gmm_dask.errors import FormatError
from gmm_dask.estimator.compound import compound_restored, compound_stored
from gmm_dask.estimator.groups import name_groups
from gmm_dask.laws.named import law_word
from gmm_dask.mixture import Mixture
from gmm_dask.sound import check_mixture
from gmm_dask.state import MODEL_CODEC
from gmm_dask.store.model import load_model, save_model

WORDS = (
    *("n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init", "init_params"),
    *("warm_start", "verbose", "verbose_interval", "missing", "compute_dtype"),
    *("assignment", "covariance_prior"),
)
PARTS = ("mixture", "words", "fitted", "feature_names", "random_state", "extra", "groups")
LATER = {"groups": None}
"""Parts that files of earlier versions lack, and what that means."""
FITTED = (
    *("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_", "seed_"),
    *("noise_type_", "weighted_"),
)


def save_attributes(path: Any, model: Any, extra: dict[str, Any]) -> None:
    """Write parameters and fitted attributes of a model."""
    value = {
        "mixture": model.mixture_,
        "words": {name: getattr(model, name) for name in WORDS} | compound_stored(model),
        "fitted": {name: _plain(getattr(model, name)) for name in FITTED if hasattr(model, name)},
        "feature_names": _names(model),
        "extra": extra,
        "random_state": _seed(model.random_state),
        "groups": tuple(model.groups_.tolist()) if hasattr(model, "groups_") else None,
    }
    save_model(path, value, MODEL_CODEC, {"model": "GaussianMixture"})


def load_attributes(path: Any, model: Any) -> None:
    """Read into an estimator what `save_attributes` wrote."""
    value, _ = load_model(path, MODEL_CODEC)
    if isinstance(value, dict):
        value = LATER | value
    mixture = _checked(value, path)
    of_shape = compound_restored(mixture, value["words"], value["feature_names"])
    words = {**value["words"], **of_shape}
    model.set_params(**words, random_state=value["random_state"])
    model.set_params(weights=law_word(mixture.law))
    model._set(mixture)
    name_groups(model, value["groups"])
    model.extra_ = value["extra"]
    for name, item in value["fitted"].items():
        setattr(model, name, list(item) if name == "lower_bounds_" else item)
    if value["feature_names"] is not None:
        model.feature_names_in_ = np.asarray(value["feature_names"], dtype=object)


def _checked(value: Any, path: Any) -> Mixture:
    """Return the mixture of a stored estimator, after checking all that stands beside it.

    Raises
    ------
    FormatError
        Something is missing, or not what `save_attributes` writes.
    """
    if not isinstance(value, dict) or set(value) != set(PARTS):
        raise FormatError(f"model {path}: it is no stored estimator; {', '.join(PARTS)} are needed")
    mixture = check_mixture(value["mixture"], path)
    words, fitted, names, seed = (value[k] for k in PARTS[1:5])
    n_columns = mixture.n_columns
    sound = {
        "words": _is_plain(words, (*WORDS, "background")),
        "fitted": _is_plain(fitted, FITTED),
        "n_features_in_": _n_features(fitted) in (None, n_columns),
        "feature_names": names is None or _are_names(names, n_columns),
        "random_state": seed is None or type(seed) is int,
        "extra": isinstance(value["extra"], dict),
        "groups": _are_groups(value["groups"], len(mixture.weights)),
    }
    wrong = [name for name, is_sound in sound.items() if not is_sound]
    if wrong:
        raise FormatError(f"model {path}: damaged: {wrong[0]} is not what was written")
    return mixture


def _n_features(fitted: Any) -> Any:
    return fitted.get("n_features_in_") if isinstance(fitted, dict) else None


def _is_plain(items: Any, known: Sequence[str]) -> bool:
    """Return whether items are plain values, or tuples of numbers, under known names."""
    return isinstance(items, dict) and all(
        name in known
        and (
            item is None
            or isinstance(item, bool | int | float | str | np.generic)
            or (isinstance(item, tuple) and all(isinstance(x, int | float) for x in item))
        )
        for name, item in items.items()
    )


def _are_names(names: Any, n_columns: int) -> bool:
    return (
        isinstance(names, tuple)
        and len(names) == n_columns
        and all(isinstance(name, str) for name in names)
    )


def _are_groups(groups: Any, n_groups: int) -> bool:
    if groups is None:
        return n_groups == 1
    return (
        isinstance(groups, tuple)
        and len(set(groups)) == len(groups) == n_groups
        and all(isinstance(name, str | int | float) for name in groups)
    )


def _names(model: Any) -> tuple[str, ...] | None:
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else tuple(str(name) for name in names)


def _seed(value: Any) -> int | None:
    return int(value) if isinstance(value, numbers.Integral) else None


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(float(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value

"""Data as an estimator takes them: their columns counted, or compared with those of the fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from gmm_dask.estimator.outputs import width
from gmm_dask.inputs import as_numbers, check_same_columns, column_names, is_lazy


def validated(model: Any, X: Any, *, reset: bool, holes: bool = False, least: int = 2) -> Any:
    """Return data in memory as a float array, lazy data as they are; check the columns.

    Parameters
    ----------
    model : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are set, or compared with.
    X : (N, D) of any kind
    reset : bool
        The data are those of a fit.
    holes : bool
        NaN is a missing value.
    least : int
        Fewest rows of a fit.

    Raises
    ------
    DataError
        Other columns than those of the fit, or values that are no numbers.
    """
    if not is_lazy(X):
        # a fit counts bad values by column in its first pass
        finite = False if reset else "allow-nan" if holes else True
        return validate_data(
            model,
            as_numbers(X),
            reset=reset,
            dtype=[np.float64, np.float32],
            order="C",
            ensure_min_samples=least if reset else 1,
            ensure_all_finite=finite,
        )
    names, n_columns = column_names(X), width(X)
    if reset:
        model.n_features_in_ = n_columns
        model.__dict__.pop("feature_names_in_", None)
        if names is not None:
            model.feature_names_in_ = np.asarray(names, dtype=object)
    else:
        fitted = getattr(model, "feature_names_in_", None)
        check_same_columns(fitted, names, model.n_features_in_, n_columns)
    return X

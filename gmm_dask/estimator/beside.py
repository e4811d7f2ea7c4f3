"""What comes beside the rows that a fitted model is given: noise, projections, weights."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from gmm_dask.blocks import RowLayout
from gmm_dask.errors import ConfigError, DataError, DataWarning
from gmm_dask.estimator.outputs import width
from gmm_dask.estimator.wide import Given, given
from gmm_dask.inputs import as_numbers, is_lazy

ALONE = (
    "rows with projections are taken with groups, circular columns, a background or hard "
    "assignment nowhere: {found} came; leave it out, or bring the rows to the columns by unproject"
)


def refuse_projected(model: Any, layout: RowLayout, groups: Any) -> None:
    """Raise ConfigError where rows with projections come with what they do not go with.

    Parameters
    ----------
    model : GaussianMixture
    layout : RowLayout
        Of the rows of a fit.
    groups : (N,) labels, or None
    """
    if not layout.measured:
        return
    beside = {
        "groups": groups is not None,
        "circular": bool(model.circular),
        "background": model.background not in (None, "none"),
        "assignment": model.assignment != "soft",
    }
    found = [name for name, is_given in beside.items() if is_given]
    if found:
        raise ConfigError(ALONE.format(found=", ".join(found)))


def measurements(X: Any, *, holes: bool) -> Any:
    """Return measurements in memory as a float array, lazy ones as they are."""
    if is_lazy(X):
        return X
    finite = "allow-nan" if holes else True
    kinds = [np.float64, np.float32]
    return check_array(as_numbers(X), dtype=kinds, order="C", ensure_all_finite=finite)


def beside_rows(model: Any, rows: Any, sample_weight: Any, noise: Any, projection: Any) -> Given:
    """Return what comes beside new rows, their projections compared with the model.

    Raises
    ------
    ConfigError
        The model has groups, angles or a background.
    DataError
        The projections lead from another number of columns.
    """
    parts = given(width(rows), model.missing, sample_weight, noise, projection=projection)
    if parts.layout.n_columns != model.n_features_in_:
        raise DataError(
            f"projections lead from {parts.layout.n_columns} columns, the model has "
            f"{model.n_features_in_}"
        )
    if parts.layout.measured:
        refuse_projected(model, parts.layout, getattr(model, "groups_", None))
    return parts


def tell_of_noise(model: Any, noise: Any, stacklevel: int) -> None:
    """Warn where noise may have been forgotten."""
    if noise is None and getattr(model, "noise_type_", "none") != "none":
        message = (
            "the model was fitted with noise and describes true values; without noise these rows "
            "are taken as exact (noise of zeros says so)"
        )
        warnings.warn(message, DataWarning, stacklevel=stacklevel)

"""From a fitted model and data of any kind to the answer of a fold, in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gmm_dask.blocks import RowLayout, Source
from gmm_dask.engine.base import Engine
from gmm_dask.errors import ConfigError
from gmm_dask.estimator.wide import joined_source
from gmm_dask.families.gaussian import Gaussian
from gmm_dask.first_pass import check_finite
from gmm_dask.folds.columns import Columns
from gmm_dask.folds.rows import RowShare
from gmm_dask.inputs import open_engine
from gmm_dask.mixture import Mixture
from gmm_dask.stats import Fold, batch
from gmm_dask.weights import Free

Question = Callable[[RowShare | None], Fold[Any, Any, Any]]
"""A fold from how the rows are to be taken."""


def fitted(model: Any) -> Any:
    """Return a fitted estimator: the chosen one of a grid, any other as it is.

    Parameters
    ----------
    model : GaussianMixture or FitMany

    Raises
    ------
    NotFittedError
    """
    found = getattr(model, "best", model)
    check_is_fitted(found)
    return found


def ask(model: Any, question: Question, X: Any, sample_weight: Any, noise: Any) -> Any:
    """Return the answer of a fold about a fitted estimator's data.

    Parameters
    ----------
    model : GaussianMixture
    question : callable
    X, sample_weight, noise
        As in `GaussianMixture.fit`.

    Raises
    ------
    DataError
        Rows that cannot be used as they are.
    """
    data = model._ready(X)
    parts = model._parts(sample_weight, noise)
    engine, source = open_engine(joined_source(data, parts))
    with engine:
        return answer(engine, source, model.mixture_, parts.layout, question)


def answer(
    engine: Engine, source: Source, mixture: Mixture, layout: RowLayout, question: Question
) -> Any:
    """Return the answer of a fold about a source; bad rows are refused with counts by column."""
    rows = RowShare.all_rows(layout._replace(compute_dtype="float64"))
    fold = question(rows)
    if rows is None:
        return engine.fold(fold, source)
    looked, found = engine.fold(batch([Columns(mixture.frame, rows), fold]), source)
    pairs = np.ones_like(looked.pairs)
    check_finite(looked._replace(pairs=pairs), source, missing=layout.missing)
    return found


def check_plain(mixture: Mixture, what: str) -> None:
    """Raise ConfigError unless a mixture is Gaussian, with one group of free weights."""
    if not isinstance(mixture.family, Gaussian):
        raise ConfigError(
            f"{what}: the components are {type(mixture.family).__name__}; derivatives are known "
            "for Gaussian ones only"
        )
    if len(mixture.weights) > 1 or type(mixture.law) is not Free:
        raise ConfigError(
            f"{what}: the mixture has {len(mixture.weights)} groups of weights under the law "
            f"{type(mixture.law).__name__}; needed: one group of free weights. Fit once without "
            "the law, or ask for each group alone"
        )

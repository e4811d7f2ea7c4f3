"""From a fitted model and data of any kind to the answers of folds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gmm_dask.blocks import Source
from gmm_dask.engine.base import Engine
from gmm_dask.errors import ConfigError
from gmm_dask.estimator.wide import joined_source
from gmm_dask.families.gaussian import Gaussian
from gmm_dask.first_pass import check_finite
from gmm_dask.folds.columns import Columns
from gmm_dask.folds.rows import RowShare
from gmm_dask.inputs import open_engine
from gmm_dask.laws.simple import Free
from gmm_dask.mixture import Mixture
from gmm_dask.stats import Fold, batch


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


class Opened(NamedTuple):
    """Data ready to be asked."""

    engine: Engine
    source: Source
    rows: RowShare | None
    """How the rows are to be taken."""

    def ask(self, fold: Fold[Any, Any, Any], mixture: Mixture) -> Any:
        """Return the answer of a fold; bad rows are refused with counts by column."""
        if self.rows is None or self.rows.layout is None:
            return self.engine.fold(fold, self.source)
        both = batch([Columns(mixture.frame, self.rows), fold])
        looked, found = self.engine.fold(both, self.source)
        pairs = np.ones_like(looked.pairs)  # unlike a fit, this needs no value in every column
        check_finite(looked._replace(pairs=pairs), self.source, missing=self.rows.layout.missing)
        return found


@contextmanager
def opened(model: Any, X: Any, sample_weight: Any, noise: Any) -> Iterator[Opened]:
    """Open the data of a fitted estimator.

    Parameters
    ----------
    model : GaussianMixture
    X, sample_weight, noise
        As in `GaussianMixture.fit`.

    Raises
    ------
    DataError
        They are not what the model was fitted on.
    """
    data, parts = model._taken(X, sample_weight=sample_weight, noise=noise)
    engine, source = open_engine(joined_source(data, parts))
    with engine:
        layout = parts.layout._replace(compute_dtype="float64")
        yield Opened(engine, source, RowShare.all_rows(layout))


def check_plain(mixture: Mixture, what: str) -> None:
    """Raise ConfigError unless a mixture is one of free Gaussians with one group of free weights.

    Parameters
    ----------
    mixture : Mixture
    what : str
        Was asked for.
    """
    if type(mixture.family) is not Gaussian:
        raise ConfigError(
            f"{what}: components of the family {type(mixture.family).__name__} came; needed: "
            "Gaussian ones without angles, background or held parameters"
        )
    if mixture.temperature != 1:
        raise ConfigError(
            f"{what}: the mixture was fitted with assignment hard, which maximises no likelihood "
            "of the rows; fit it with assignment soft"
        )
    if len(mixture.weights) > 1 or type(mixture.law) is not Free:
        raise ConfigError(
            f"{what}: the mixture has {len(mixture.weights)} groups of weights under the law "
            f"{type(mixture.law).__name__}; needed: one group of free weights. Fit once without "
            "the law, or each group alone"
        )
    if mixture.temperature != 1:
        raise ConfigError(
            f"{what}: rows were assigned at temperature {mixture.temperature:g}, by which no "
            "likelihood is maximised; needed: a soft fit"
        )

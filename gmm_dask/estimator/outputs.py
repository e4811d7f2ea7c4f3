"""Row outputs, criteria and conversions of a fitted mixture."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from gmm_dask.blocks import Block, FloatArray, RowLayout, Source
from gmm_dask.engine.base import Engine
from gmm_dask.errors import DataError, DataWarning
from gmm_dask.estimator.wide import Given, joined, joined_source
from gmm_dask.first_pass import check_finite
from gmm_dask.folds.columns import Columns
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.score import Score
from gmm_dask.inputs import is_dask, open_engine, open_source
from gmm_dask.mixture import Mixture, lines_of
from gmm_dask.rows import RowFunction
from gmm_dask.selection import Candidate
from gmm_dask.stats import batch


def width(data: Any) -> int:
    """Return the number of columns of lazy data."""
    if hasattr(data, "columns"):
        return len(data.columns)
    if len(data.shape) != 2:
        raise DataError(
            f"data of {len(data.shape)} dimensions came; needed: 2, one row per observation"
        )
    return int(data.shape[1])


def apply(data: Any, mixture: Mixture, output: str, parts: Given) -> Any:
    """Return an output for each row, lazily for Dask collections; see `RowFunction`."""
    layout = parts.layout
    function = RowFunction(mixture, output, None if layout.plain else layout)
    rows = joined(data, parts)
    if isinstance(rows, np.ndarray):
        if layout.missing and output in ("label", "resp", "log_prob_norm"):
            _tell_of_empty(rows[:, : layout.n_values])
        return function(rows)
    if is_dask(rows):
        from gmm_dask.engine.dask_rows import map_rows

        dtype = np.int64 if output == "label" else np.float64
        return map_rows(rows, function, function.n_outputs, dtype, output)
    engine, source = open_engine(open_source(rows))
    with engine:
        return np.concatenate(engine.map(partial(_of_block, function), source))


def _of_block(function: RowFunction, block: Block) -> Any:
    return function(block.values, block.start)


def _tell_of_empty(values: Any) -> None:
    """Warn of rows without any value: what is said of them is what the model says of any row."""
    empty = np.isnan(values).all(axis=1)
    if empty.any():
        message = (
            f"{int(empty.sum())} of {len(empty)} rows hold no value (first: row "
            f"{int(empty.argmax())}): their responsibilities are the weights, their log density 0"
        )
        warnings.warn(message, DataWarning, stacklevel=5)


def candidate(data: Any, mixture: Mixture, parts: Given) -> Candidate:
    """Return the criteria of a mixture on data, in one pass."""
    engine, source = open_engine(joined_source(data, parts))
    with engine:
        return score_candidate(engine, source, mixture, parts.layout)


def score_candidate(
    engine: Engine, source: Source, mixture: Mixture, layout: RowLayout
) -> Candidate:
    """Return the criteria of a mixture on a source.

    Raises
    ------
    DataError
        A row has an infinite value, NaN where it does not mean missing, an impossible weight or
        noise; or no row has any weight.
    """
    rows = RowShare.all_rows(layout._replace(compute_dtype="float64"))
    if rows is None:
        return Candidate(mixture, (), (), engine.fold(Score(mixture), source), 0.0)
    looked, score = engine.fold(batch([Columns(mixture.frame, rows), Score(mixture, rows)]), source)
    pairs = np.ones_like(looked.pairs)  # unlike a fit, a score needs no value in every column
    check_finite(looked._replace(pairs=pairs), source, missing=layout.missing)
    if not float(score.n_rows) > 0:
        raise DataError("no row has a value and a positive weight; at least one is needed")
    return Candidate(mixture, (), (), score, 0.0)


def precisions_cholesky(mixture: Mixture) -> FloatArray:
    """Return upper Cholesky factors of the precisions, source units, scikit-learn's shapes."""
    factor, _ = mixture.family.factors(mixture.params)
    scale = mixture.frame.scale[lines_of(mixture.family, mixture.n_columns)]
    kind = mixture.family.covariance_type
    if kind in ("full", "tied"):
        return factor / scale[:, None]
    if kind == "diag":
        return factor / scale
    common: FloatArray = factor / scale[:1].max(initial=0.0) if len(scale) else factor
    return common


def precisions(mixture: Mixture, cholesky: FloatArray) -> FloatArray:
    """Return precisions, source units, scikit-learn's shapes."""
    if mixture.family.covariance_type in ("diag", "spherical"):
        with np.errstate(over="ignore"):  # units whose squares float64 cannot hold
            square: FloatArray = cholesky**2
        return square
    with np.errstate(over="ignore"):
        product: FloatArray = cholesky @ np.swapaxes(cholesky, -1, -2)
    return product


def to_sklearn(model: Any) -> Any:
    """Return a fitted ``sklearn.mixture.GaussianMixture`` with the parameters of a model."""
    from sklearn.mixture import GaussianMixture as SklearnMixture

    mixture: Mixture = model.mixture_
    twin = SklearnMixture(
        mixture.n_components,
        covariance_type=mixture.family.covariance_type,
        tol=model.tol,
        reg_covar=model.reg_covar or 0.0,
        max_iter=model.max_iter,
        n_init=model.n_init,
        random_state=model.random_state,
    )
    names = (
        *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"),
        *("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_"),
    )
    for name in (*names, "feature_names_in_"):
        if hasattr(model, name):
            setattr(twin, name, getattr(model, name))
    return twin


def as_table(candidate: Candidate) -> dict[str, Any]:
    """Return the criteria of a candidate by name; nan where one was not computed.

    ``stability`` is the mean adjusted Rand index of the labels of the best restart with
    ``restarts_compared`` others, ``stability_neighbours`` the same with the best restarts of the
    next smaller and larger K of its covariance type; ``fowlkes_mallows`` by that index instead.
    """
    return {
        "n_components": candidate.n_components,
        "covariance_type": candidate.covariance_type,
        "log_likelihood_per_row": candidate.log_likelihood_per_row,
        "n_parameters": candidate.n_parameters,
        "bic": candidate.bic,
        "aic": candidate.aic,
        "icl": candidate.icl,
        "icl_map": candidate.icl_map,
        "held_out": candidate.held_out,
        "held_out_error": candidate.held_out_error,
        "stability": candidate.stability,
        "stability_neighbours": candidate.agreement.neighbours,
        "fowlkes_mallows": candidate.agreement.restarts_fm,
        "fowlkes_mallows_neighbours": candidate.agreement.neighbours_fm,
        "restarts_compared": candidate.agreement.n_restarts,
        "starts_agree": candidate.starts_agree,
        "n_init": len(candidate.restarts),
        "n_iter": candidate.best.n_iter,
        "converged": candidate.converged,
        "problems": "; ".join(candidate.best.problems),
    }

"""Row outputs, criteria and conversions of a fitted mixture."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gmm_dask.blocks import Block, FloatArray, Source
from gmm_dask.errors import ConfigError, DataError
from gmm_dask.folds.score import Score
from gmm_dask.inputs import is_dask, open_engine, open_source
from gmm_dask.mixture import Mixture
from gmm_dask.rows import RowFunction, draw_rows
from gmm_dask.selection import Candidate


def width(data: Any) -> int:
    """Return the number of columns of lazy data."""
    if hasattr(data, "columns"):
        return len(data.columns)
    if len(data.shape) != 2:
        raise DataError(
            f"data of {len(data.shape)} dimensions came; needed: 2, one row per observation"
        )
    return int(data.shape[1])


def apply(data: Any, mixture: Mixture, output: str) -> Any:
    """Return labels, responsibilities or log densities of rows, lazily for Dask collections."""
    function = RowFunction(mixture, output)
    if isinstance(data, np.ndarray):
        return function(data)
    if is_dask(data):
        from gmm_dask.engine.dask_rows import map_rows

        n_outputs = mixture.n_components if output == "resp" else None
        dtype = np.int64 if output == "label" else np.float64
        return map_rows(data, function, n_outputs, dtype, output)
    engine, source = open_engine(open_source(data))
    with engine:
        return np.concatenate(engine.map(partial(_of_block, function), source))


def _of_block(function: RowFunction, block: Block) -> Any:
    return function(block.values)


def candidate(data: Any, mixture: Mixture) -> Candidate:
    """Return the criteria of a mixture on data, in one pass."""
    engine, source = open_engine(open_source(data))
    with engine:
        return score_candidate(engine, source, mixture)


def score_candidate(engine: Any, source: Source, mixture: Mixture) -> Candidate:
    """Return the criteria of a mixture on a source."""
    return Candidate(mixture, (), (), engine.fold(Score(mixture), source), 0.0)


def precisions_cholesky(mixture: Mixture) -> FloatArray:
    """Return upper Cholesky factors of the precisions, source units, scikit-learn's shapes."""
    factor, _ = mixture.family.factors(mixture.params)
    scale = mixture.frame.scale
    kind = mixture.family.covariance_type
    if kind in ("full", "tied"):
        return factor / scale[:, None]
    if kind == "diag":
        return factor / scale
    common: FloatArray = factor / scale[0]
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


def sample(
    mixture: Mixture, n_samples: int, seed: int, *, ordered: bool, chunks: int | None
) -> tuple[Any, Any]:
    """Return drawn rows and their components; see `GaussianMixture.sample`."""
    if n_samples < 1:
        raise ConfigError(
            f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one "
            "sample."
        )
    if chunks is None:
        values, labels = draw_rows(mixture, seed, 0, n_samples)
        order = np.argsort(labels, kind="stable") if ordered else slice(None)
        return values[order], labels[order]
    if ordered:
        raise ConfigError("ordered rows need all labels at once: leave chunks out, or ordered")
    from gmm_dask.engine.dask_rows import sample_array

    draw = partial(draw_rows, mixture, seed)
    D = mixture.n_columns
    rows = sample_array(draw, n_samples, D, chunks, labels=False)
    return rows, sample_array(draw, n_samples, D, chunks, labels=True)


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
    """Return the criteria of a candidate by name."""
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
        "starts_agree": candidate.starts_agree,
        "n_init": len(candidate.restarts),
        "n_iter": candidate.best.n_iter,
        "converged": candidate.converged,
        "problems": "; ".join(candidate.best.problems),
    }

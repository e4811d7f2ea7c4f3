"""`fit_many`: a grid of K, covariance types and restarts in shared passes, for library users."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gmm_dask.angled import shape_of
from gmm_dask.blocks import RowLayout
from gmm_dask.criteria import check_rule, check_stability
from gmm_dask.drive import PassDone
from gmm_dask.estimator.compound import check_shape
from gmm_dask.estimator.frozen import TEMPERATURES, held_of, start_values
from gmm_dask.estimator.gaussian_mixture import GaussianMixture
from gmm_dask.estimator.groups import grouped
from gmm_dask.estimator.outputs import as_table
from gmm_dask.estimator.settings import check_words, seed_of
from gmm_dask.estimator.wide import given, joined_source
from gmm_dask.folds.rows import RowShare
from gmm_dask.inputs import column_names, open_engine
from gmm_dask.laws.named import law_of
from gmm_dask.many import GridResult, run_grid
from gmm_dask.search import Grid
from gmm_dask.state import CheckpointSettings


@dataclass(frozen=True)
class FitMany:
    """A fitted grid.

    Parameters
    ----------
    result : GridResult
        Candidates with all criteria and restarts.
    models : tuple of GaussianMixture
        Fitted, one for each candidate.
    chosen : int
        Position of the chosen candidate.
    """

    result: GridResult
    models: tuple[GaussianMixture, ...]
    chosen: int

    @property
    def best(self) -> GaussianMixture:
        """The chosen model."""
        return self.models[self.chosen]

    def table(self) -> list[dict[str, Any]]:
        """Return one row of criteria for each candidate, in the order of the grid."""
        return [as_table(candidate) for candidate in self.result.candidates]


def fit_many(
    X: Any,
    n_components: int | Sequence[int],
    covariance_type: str | Sequence[str] = "full",
    *,
    n_init: int = 1,
    init_params: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    reg_covar: float | None = None,
    random_state: Any = None,
    criterion: str = "bic",
    rule: str = "best",
    held_out: float = 0.1,
    accelerate: bool = True,
    race: bool = True,
    covariance_prior: bool = False,
    checkpoint: Any = None,
    resume: str = "auto",
    callback: Callable[[PassDone], None] | None = None,
    on_interrupt: str = "raise",
    sample_weight: Any = None,
    noise: Any = None,
    missing: str = "error",
    compute_dtype: str = "float64",
    circular: Any = None,
    background: Any = None,
    weights: Any = "free",
    groups: Any = None,
    frozen: Any = None,
    shared: Any = None,
    start_from: GaussianMixture | None = None,
    assignment: str = "soft",
) -> FitMany:
    """Fit a grid of mixtures in shared passes and choose one.

    Parameters
    ----------
    X : (N, D) array, dataframe, Dask array or dataframe, zarr array or Source
    n_components : int or sequence of int
    covariance_type : str or sequence of str
    n_init, init_params, tol, max_iter, reg_covar, random_state
        As in `GaussianMixture`.
    criterion : {"bic", "aic", "icl", "icl_map", "held_out", "stability"}
        See `selection.choose`; stability needs an `n_init` of at least 2.
    rule : {"best", "one_standard_error"}
    held_out : float
        Share of the rows kept from the fits; used with criterion "held_out" only.
    accelerate : bool
        Jump ahead where plain EM is slow (SQUAREM); the optimum is the same, in fewer passes.
    race : bool
        Restarts compete, on nested samples and then on all rows, and losers are dropped; not with
        criterion "stability", which compares restarts at their ends.
    covariance_prior : bool
        Maximise the posterior under mclust's default prior (Fraley and Raftery 2007); criteria
        stay those of the likelihood. Not with ``reg_covar`` above 0.
    checkpoint, resume, callback, on_interrupt, sample_weight, noise, groups
        As in `GaussianMixture.fit`.
    missing, compute_dtype, circular, background, weights, assignment
        As in `GaussianMixture`. Fits with angles or a background are not accelerated;
        ``assignment="hard"`` needs ``accelerate=False``.
    start_from : GaussianMixture, optional
        Fitted, of one covariance type. Its components are the first ones of every fit and begin
        with its parameters; starts choose the others.
    frozen : dict, optional
        As in `GaussianMixture`, with values from `start_from`.
    shared : dict, optional
        As in `GaussianMixture`.

    Returns
    -------
    FitMany

    Raises
    ------
    ConfigError, DataError, ResourceError
    """
    words = {
        "every n_components": _tuple(n_components),
        "every covariance_type": _tuple(covariance_type),
        "n_init": n_init,
        "init_params": init_params,
        "tol": tol,
        "max_iter": max_iter,
        "reg_covar": reg_covar,
        "criterion": criterion,
        "rule": rule,
        "held_out": held_out,
        "missing": missing,
        "compute_dtype": compute_dtype,
        "assignment": assignment,
        "weights": weights,
    }
    check_words({**words, "on_interrupt": on_interrupt, "resume": resume})
    check_rule(criterion, rule)
    if criterion == "stability":
        check_stability(_tuple(n_components), n_init)
    names = column_names(X)
    model = GaussianMixture()
    data = model._validated(X, reset=True)
    parts = given(model.n_features_in_, missing, sample_weight, noise, compute_dtype)
    labels, parts = grouped(parts, groups)
    shape = shape_of(circular, background, tuple(names or ()), model.n_features_in_)
    check_shape(shape, parts.layout)
    grid = replace(_grid(words, seed_of(random_state), accelerate, parts.layout), shape=shape)
    racing = race and criterion != "stability"
    grid = replace(
        grid,
        race=racing,
        covariance_prior=covariance_prior,
        held=held_of(frozen, shared),
        temperature=TEMPERATURES[assignment],
    )
    kinds, D = grid.covariance_type, model.n_features_in_
    begin = {} if start_from is None else start_values(start_from.mixture_, kinds, D)
    engine, source = open_engine(joined_source(data, parts, names or ()))
    settings = CheckpointSettings(checkpoint, resume=resume) if checkpoint else None
    with engine:
        result = run_grid(
            source,
            grid,
            engine,
            given=begin,
            checkpoint=settings,
            watch=[callback] if callback else [],
            on_interrupt=on_interrupt,
            stability=criterion == "stability",
        )
    models = [GaussianMixture.from_candidate(c, grid, names, labels) for c in result.candidates]
    return FitMany(result, tuple(models), result.choose(criterion, rule))


def _grid(words: dict[str, Any], seed: int, accelerate: bool, layout: RowLayout) -> Grid:
    rows = RowShare.all_rows(layout)
    if words["criterion"] == "held_out":
        share = words["held_out"]
        taken = None if rows is None else layout
        rows = RowShare(seed, "held out", share, inside=False, layout=taken)
    names = ("n_init", "init_params", "tol", "max_iter", "reg_covar")
    return Grid(
        tuple(int(K) for K in words["every n_components"]),
        words["every covariance_type"],
        **{name: words[name] for name in names},
        seed=seed,
        rows=rows,
        accelerate=accelerate,
        law=law_of(words["weights"]),
    )


def _tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, numbers.Real | str) else tuple(value)

"""Discrete types or one continuous trait: whether the spread within components is error alone.

Replicate measurements say how large the error is; a mixture says how wide its components are. If
they agree the components are types, told apart only by error; if components are wider, the trait
varies within them. With many rows any small difference is significant, with few replicates none
is: so the verdict rests on intervals of the variance ratios against a margin of equivalence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import chi2, norm

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.as_json import as_json
from gmm_dask.diagnostics.asking import Opened, check_plain
from gmm_dask.diagnostics.error_variance import ErrorVariance, error_variance
from gmm_dask.diagnostics.modes import ModeCount, count_modes_of
from gmm_dask.diagnostics.standard_errors import errors_from
from gmm_dask.errors import ConfigError, DataError
from gmm_dask.estimator.gaussian_mixture import GaussianMixture
from gmm_dask.estimator.wide import given, joined_source
from gmm_dask.families.floors import RelativeFloor
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.families.prior import CovariancePrior
from gmm_dask.fits.squarem import Squarem
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.information import Information
from gmm_dask.inputs import open_engine
from gmm_dask.many import run_grid
from gmm_dask.mixture import Mixture, objective
from gmm_dask.search import Grid
from gmm_dask.stats import batch

VERDICTS = ("types", "continuous within types", "undecided", "error overestimated")
MARGIN = 1.25
SIZE = 0.05
POWER = 0.8
MOST_PASSES = 2000
GAIN_LEFT = 1e-3
"""Of the log-likelihood of all rows, where EM ends: the test statistic is known to 0.01."""


@dataclass(frozen=True)
class TypeOrTrait:
    """Whether components are types, and by what numbers.

    Parameters
    ----------
    verdict : {"types", "continuous within types", "undecided", "error overestimated"}
        The last: components narrower than the error that replicates claim.
    reasons : tuple of str
        In words.
    error : ErrorVariance
    margin : float
        Ratios between its inverse and it count as equal.
    n_rows : float
    weights, means : (K,)
    ratios, low, high : (K,)
        Variance of each component over that of the error, with 90 % intervals: those of a test of
        equivalence of size 5 %.
    between : (K,)
        Variance of the trait within each component: that beyond the error; 0 where there is none.
    statistic, degrees_of_freedom, p_value : float
        Likelihood-ratio test that all variances are that of the error.
    needed : float
        Degrees of freedom of replicates at which true types are found in 80 % of data sets with
        so many rows; infinite where more rows are needed first.
    modes : tuple of ModeCount
        Of neighbouring components: two components need not be two modes.
    """

    verdict: str
    reasons: tuple[str, ...]
    error: ErrorVariance
    margin: float
    n_rows: float
    weights: FloatArray
    means: FloatArray
    ratios: FloatArray
    low: FloatArray
    high: FloatArray
    between: FloatArray
    statistic: float
    degrees_of_freedom: int
    p_value: float
    needed: float
    modes: tuple[ModeCount, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        found: dict[str, Any] = as_json(self)
        return found


def type_or_trait(
    X: Any,
    replicates: Any,
    n_components: int = 2,
    *,
    averaged: int = 1,
    margin: float = MARGIN,
    n_init: int = 5,
    random_state: int = 0,
) -> TypeOrTrait:
    """Return whether the components of one column are types, or a trait varies within them.

    Parameters
    ----------
    X : (N,) or (N, 1), in memory, Dask or stored
    replicates
        See `error_variance`; an `ErrorVariance` as it is.
    n_components : int
        Groups; see `one_group_or_two` for whether there are any.
    averaged : int
        Measurements whose mean X holds: the error is that much smaller.
    margin : float
        Above 1: variance ratios within (1 / margin, margin) make no difference.
    n_init, random_state : int

    Raises
    ------
    DataError
        X has several columns, or replicates say nothing.
    ConfigError
        A number out of range; 2 degrees of freedom or fewer.

    References
    ----------
    Wilks 1938, Ann. Math. Stat. 9:60; Schuirmann 1987, J. Pharmacokin. Biopharm. 15:657 (two
    one-sided tests).
    """
    if not margin > 1:
        raise ConfigError(f"margin is {margin}; a ratio above 1 is needed")
    known = isinstance(replicates, ErrorVariance)
    error = replicates if known else error_variance(replicates, averaged)
    if not (error.degrees_of_freedom > 2 and error.variance > 0):
        raise ConfigError(
            f"the error has {error.degrees_of_freedom:g} degrees of freedom; more than 2 are needed"
        )
    data = one_column(X)
    with data.engine:
        fits = _fits(data, error, n_components, n_init, random_state)
    return _judged(fits, error, margin)


def one_column(X: Any) -> Opened:
    """Return the data of one column, ready to be asked.

    Raises
    ------
    DataError
        There are several columns.
    """
    if isinstance(X, np.ndarray | list | tuple):
        X = np.asarray(X, dtype=np.float64)
        X = X[:, None] if X.ndim == 1 else X
    elif getattr(X, "ndim", 2) == 1:
        X = X[:, None] if not hasattr(X, "to_frame") else X.to_frame("x")
    model = GaussianMixture()
    rows = model._validated(X, reset=True)
    if model.n_features_in_ != 1:
        raise DataError(f"X has {model.n_features_in_} columns; one trait is one column")
    engine, source = open_engine(joined_source(rows, given(1, "error")))
    return Opened(engine, source, None)


class Fits(NamedTuple):
    """Both hypotheses at their optima."""

    free: Mixture
    statistic: float
    n_rows: float
    log_variance_error: FloatArray
    """(K,) standard errors of the log variances under the free one."""
    converged: bool


def _fits(data: Opened, error: ErrorVariance, K: int, n_init: int, seed: int) -> Fits:
    """Fit components of one common variance, then both hypotheses from there.

    Both start at the best common variance, so that neither takes one of the spurious optima that
    unequal variances have; under the null the replicates are the inverse-gamma prior whose density
    is their likelihood.
    """
    tol = max(GAIN_LEFT / data.source.n_rows, 1e-14)
    grid = Grid((K,), ("tied",), n_init, "kmeans", 1e-6, MOST_PASSES, seed=seed, accelerate=True)
    tied = run_grid(data.source, grid, data.engine).candidates[0].mixture
    variance = error.variance / float(tied.frame.scale[0]) ** 2
    nu = error.degrees_of_freedom
    prior = CovariancePrior(np.zeros(1), np.array([[nu * variance]]), nu - 2.0, 0.0)
    floor = RelativeFloor(tied.family.floor.variance)
    common = Mixture(Gaussian("tied", floor, prior), tied.params, tied.weights, tied.frame)
    S = np.repeat(tied.params.covariances.ravel(), K)
    params = GaussianParams(tied.params.means, S)
    free = Mixture(Gaussian("spherical", floor), params, tied.weights, tied.frame)
    fits = [Squarem(mixture, tol, MOST_PASSES) for mixture in (common, free)]
    while any(fit.outcome is None for fit in fits):
        live = [i for i, fit in enumerate(fits) if fit.outcome is None]
        answers = data.engine.fold(batch([fits[i].ask() for i in live]), data.source)
        for i, answer in zip(live, answers, strict=True):
            fits[i] = fits[i].tell(answer)
    common, free = (fit.mixture for fit in fits)
    check_plain(free, "type_or_trait")
    folds = batch([EStep(common), EStep(free), Information(free)])
    null, other, informed = data.engine.fold(folds, data.source)
    n = float(null.n_rows)
    of_replicates = 0.5 * nu * (math.log(nu) - 1.0)  # the log prior counts from its scale
    gain = n * (objective(free, other) - objective(common, null)) + of_replicates
    found = errors_from(free, informed).covariances
    relative = (found.error / found.value)[:, 0, 0]
    converged = all(fit.outcome is not None and fit.outcome.name == "CONVERGED" for fit in fits)
    return Fits(free, max(2.0 * gain, 0.0), n, relative, converged)


def _judged(fits: Fits, error: ErrorVariance, margin: float) -> TypeOrTrait:
    mixture, nu = fits.free, error.degrees_of_freedom
    K = mixture.n_components
    ratios = mixture.dense_covariances[:, 0, 0] / error.variance
    spread = np.sqrt(fits.log_variance_error**2 + 2.0 / nu)
    low, high = (ratios * np.exp(sign * norm.isf(SIZE) * spread) for sign in (-1, 1))
    p = float(chi2.sf(fits.statistic, K))
    sure = norm.isf(0.5 * SIZE / K) * spread
    verdict = "undecided"
    if (low > 1 / margin).all() and (high < margin).all():
        verdict = "types"
    elif p < SIZE and (np.log(ratios) < -sure).any():
        verdict = "error overestimated"
    elif p < SIZE and (np.log(ratios) > sure).any():
        verdict = "continuous within types"
    needed = needed_freedom(float((fits.log_variance_error**2).max()), margin)
    order = np.argsort(mixture.means[:, 0], kind="stable")
    modes = tuple(count_modes_of(mixture, int(j), int(k)) for j, k in pairwise(order))
    found = TypeOrTrait(
        verdict=verdict,
        reasons=(),
        error=error,
        margin=margin,
        n_rows=fits.n_rows,
        weights=mixture.weights[0],
        means=mixture.means[:, 0],
        ratios=ratios,
        low=low,
        high=high,
        between=np.maximum(ratios - 1, 0) * error.variance,
        statistic=fits.statistic,
        degrees_of_freedom=K,
        p_value=p,
        needed=needed,
        modes=modes,
    )
    return TypeOrTrait(**{**vars(found), "reasons": _reasons(found, converged=fits.converged)})


def needed_freedom(variance: float, margin: float = MARGIN, power: float = POWER) -> float:
    """Return the degrees of freedom of replicates at which types are found with some power.

    Parameters
    ----------
    variance : float
        Of the log variance of the widest known component, by the number of rows; the largest.
    margin : float
    power : float
        Share of data sets of true types; 0 for where the verdict is possible at all.
    """
    z = norm.isf(SIZE) + (norm.isf(0.5 * (1.0 - power)) if power > 0 else 0.0)
    room = (math.log(margin) / z) ** 2 - variance
    return 2.0 / room if room > 0 else math.inf


def _reasons(found: TypeOrTrait, *, converged: bool) -> tuple[str, ...]:
    ratios = [
        f"component {k} has {r:.3g} times the variance of the error (90 % interval {a:.3g} to "
        f"{b:.3g})"
        for k, (r, a, b) in enumerate(zip(found.ratios, found.low, found.high, strict=True))
    ]
    reasons = ["; ".join(ratios) + f"; the margin is {found.margin:g}"]
    if found.verdict == "continuous within types":
        reasons.append(
            "the trait varies within a type, or replicates miss part of the error (other days, "
            "other instruments): replicates made as the data were made would tell"
        )
    if found.verdict == "error overestimated":
        reasons.append("components are narrower than the error: replicates are noisier than data")
    if found.verdict == "undecided":
        nu = found.error.degrees_of_freedom
        reasons.append(
            f"replicates have {nu:g} degrees of freedom; about {found.needed:.0f} decide for types"
            if math.isfinite(found.needed)
            else "the rows are too few: no number of replicates decides for types"
        )
    if not converged:
        reasons.append(f"EM did not converge in {MOST_PASSES} passes: the test is approximate")
    return tuple(reasons)

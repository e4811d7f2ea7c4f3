"""Are two weights the same? By their standard error, and by the likelihood."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import chi2, norm

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.asking import Opened, fitted, opened
from gmm_dask.diagnostics.intervals import plain
from gmm_dask.diagnostics.merging import check_two
from gmm_dask.diagnostics.standard_errors import check_question, errors_from
from gmm_dask.errors import ConfigError
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.information import Information
from gmm_dask.laws.simple import Free
from gmm_dask.mixture import Mixture, m_step
from gmm_dask.stats import batch

CLOSE = 0.01
"""Of the statistic: what EM may still gain when it is stopped."""


@dataclass(frozen=True)
class EqualPair(Free):
    """Free weights, but for two that are the same.

    Parameters
    ----------
    first, second : int
    """

    first: int = 0
    second: int = 1

    def weights(self, count: FloatArray) -> FloatArray:
        """Return weights (G, K) from counts (G, K)."""
        shares = super().weights(count)
        both = [self.first, self.second]
        shares[:, both] = shares[:, both].mean(axis=1, keepdims=True)
        return shares

    def n_free(self, n_components: int) -> int:
        """Return the number of free parameters."""
        return n_components - 2


@dataclass(frozen=True)
class WeightComparison:
    """Two weights against each other.

    Parameters
    ----------
    first, second : int
    log_ratio, error : float
        log(w_first / w_second) with its standard error.
    wald_p : float
        Two-sided probability of a ratio as far from 1, if the weights were the same; nan where
        there is no standard error.
    likelihood_ratio, likelihood_ratio_p : float
        Twice the log-likelihood that equal weights cost, and the same by it (chi-square, 1 degree
        of freedom); nan where it was not asked for.
    n_passes : int
        Over the data.
    converged : bool
        Whether EM could gain no more than 0.01 of the likelihood ratio.
    problems : tuple of str
        Of the standard error, in words.
    """

    first: int
    second: int
    log_ratio: float
    error: float
    wald_p: float
    likelihood_ratio: float
    likelihood_ratio_p: float
    n_passes: int
    converged: bool
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        found = {name: plain(value) for name, value in vars(self).items()}
        return {**found, "problems": list(self.problems)}


def compare_weights(
    model: Any,
    X: Any,
    first: int = 0,
    second: int = 1,
    *,
    sample_weight: Any = None,
    noise: Any = None,
    likelihood_ratio: bool = True,
    max_passes: int = 200,
) -> WeightComparison:
    """Test whether two components have the same weight.

    Not for a component that may not be there: near weight 0 neither test holds.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    X, sample_weight, noise
        The rows of the fit; see `GaussianMixture.fit`.
    first, second : int
    likelihood_ratio : bool
        Fit once more with both weights the same: some passes, and the better test of both. The
        free fit goes on beside it, so that both are equally near their optimum.
    max_passes : int

    Raises
    ------
    ConfigError
        There are no two such components, weights follow a law already, or the model was fitted
        under a prior (which has no likelihood ratio).

    References
    ----------
    Wilks 1938, Ann. Math. Stat. 9:60.
    """
    found = fitted(model)
    mixture: Mixture = found.mixture_
    check_question(mixture)
    check_two(mixture, first, second)
    if likelihood_ratio and mixture.family.prior is not None:
        raise ConfigError(
            "a fit under a prior has no likelihood ratio; set likelihood_ratio=False, or fit "
            "without the prior"
        )
    with opened(found, X, sample_weight, noise) as data:
        answer = data.ask(Information(mixture, data.rows), mixture)
        errors = errors_from(mixture, answer)
        ratio = Ratio(np.nan, 0, True)
        if likelihood_ratio:
            law = EqualPair(first, second)
            ratio = _likelihood_ratio(data, mixture, replace(mixture, law=law), max_passes)
    value = float(errors.log_weight_ratios.value[first, second])
    error = float(errors.log_weight_ratios.error[first, second])
    return WeightComparison(
        first,
        second,
        value,
        error,
        2 * float(norm.sf(abs(value) / error)),
        ratio.statistic,
        float(chi2.sf(ratio.statistic, 1)),
        1 + ratio.n_passes,
        ratio.converged,
        errors.problems,
    )


class Ratio(NamedTuple):
    """Twice a difference of log-likelihoods."""

    statistic: float
    n_passes: int
    converged: bool


def _likelihood_ratio(data: Opened, free: Mixture, equal: Mixture, max_passes: int) -> Ratio:
    """Return twice what the law of a mixture costs, by EM of both in the same passes."""
    equal = replace(equal, weights=equal.law.weights(equal.weights))
    history: list[FloatArray] = []
    both = (free, equal)
    for _ in range(max_passes):
        folds = batch([EStep(mixture, data.rows) for mixture in both])
        sums = data.engine.fold(folds, data.source)
        history.append(np.array([float(s.log_likelihood) for s in sums]))
        if _remaining(history) < 0.5 * CLOSE:
            break
        both = (m_step(both[0], sums[0]), m_step(both[1], sums[1]))
    statistic = max(2 * float(history[-1][0] - history[-1][1]), 0.0)
    return Ratio(statistic, len(history), _remaining(history) < 0.5 * CLOSE)


def _remaining(history: list[FloatArray]) -> float:
    """Return what EM may still gain, the larger of both, by Aitken's extrapolation."""
    if len(history) < 3:
        return np.inf
    last, before = history[-1] - history[-2], history[-2] - history[-3]
    rate = np.where(before > 0, last / np.where(before > 0, before, 1.0), 0.0).clip(0, 1 - 1e-6)
    return float((np.abs(last) * np.maximum(rate / (1 - rate), 1.0)).max())

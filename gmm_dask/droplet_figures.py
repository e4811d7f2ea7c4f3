"""From sums by well to copies per droplet and per microlitre, with errors, and tests of linkage.

The standard error of a lambda is from the observed information of the mixture in the lambdas of
one well, components held: with ``J`` the derivatives of log weights and r the responsibilities,
``sum_i (J'r_i)(J'r_i)' - sum_k n_k w_k'' / w_k`` (Louis). So droplets that may be one or the other
widen it; what the shared components themselves are uncertain by is not in it, nor what pipetting
differs by between wells: the latter is estimated, as a variance between wells, where wells are
pooled.

References
----------
Louis 1982, J. R. Stat. Soc. B 44:226; Clopper and Pearson 1934, Biometrika 26:404; Dube, Qin and
Ramakrishnan 2008, PLoS ONE 3:e2876 (limits of lambda from those of the share of positives); Self
and Liang 1987, J. Am. Stat. Assoc. 82:605 (tests on a boundary); DerSimonian and Laird 1986,
Control. Clin. Trials 7:177 (the variance between).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import beta, chi2, norm

from gmm_dask.blocks import FloatArray
from gmm_dask.folds.wells import WellSums
from gmm_dask.laws.droplet_cells import CARRIES, MOST
from gmm_dask.laws.droplets import Droplets


class Estimate(NamedTuple):
    """Copies per droplet by well, (G, targets) each."""

    rate: FloatArray
    error: FloatArray
    """Standard error; nan where there are no positives, or no negatives."""
    low: FloatArray
    high: FloatArray


class Linkage(NamedTuple):
    """Whether two targets share molecules more often than droplets by chance, by well, (G,)."""

    doubles: FloatArray
    """Double positives, expected number given the rows."""
    expected: FloatArray
    """Of as many droplets with independent targets."""
    ratio: FloatArray
    """Twice the log-likelihood that independence loses."""
    p_value: FloatArray
    """One-sided: lambda_AB = 0 lies on a boundary, so the law without linkage is half chi2 with no
    and half with one degree of freedom."""


class Pooled(NamedTuple):
    """Wells taken as replicates, by target, (targets,) each."""

    rate: FloatArray
    error: FloatArray
    """With the variance between wells."""
    between: FloatArray
    """Standard deviation of lambda between wells beyond their own errors."""
    low: FloatArray
    high: FloatArray


def information(law: Droplets, rates: FloatArray, sums: WellSums) -> FloatArray:
    """Return the observed information (G, S, S) of the lambdas of each well, components held."""
    here = law.at(rates)
    some = here.weights > 0
    over = np.divide(1.0, here.weights, out=np.zeros_like(here.weights), where=some)
    J = here.first * over[..., None]
    seen = np.einsum("gks,gkl,glt->gst", J, sums.squares, J)
    return np.asarray(seen - np.einsum("gk,gkst->gst", sums.count * over, here.second))


def estimate(law: Droplets, rates: FloatArray, sums: WellSums, level: float) -> Estimate:
    """Return copies of each target per droplet with limits.

    Limits are Clopper and Pearson's for the share of positives, taken to lambda (Poisson limits),
    of as many droplets as have the standard error found: those that are unsure count in part.
    Where more than positive and negative is told apart they are ``lambda exp(+- z error / lambda)``
    (delta method on the logarithm).

    Parameters
    ----------
    law : Droplets
    rates : (G, S)
    sums : WellSums
        Under the mixture of these lambdas.
    level : float
        Of the intervals, such as 0.95.
    """
    carries = np.array(CARRIES[law.n_species], dtype=float)
    rate = rates @ carries
    error = np.full_like(rate, np.nan)
    known = information(law, rates, sums)
    for g in range(len(rates)):
        free = np.flatnonzero((rates[g] > 0) & (rates[g] < MOST - 1))
        if len(free) and np.linalg.eigvalsh(known[g][np.ix_(free, free)])[0] > 0:
            inverse = np.linalg.inv(known[g][np.ix_(free, free)])
            variance = np.einsum("sd,st,td->d", carries[free], inverse, carries[free])
            error[g] = np.where(variance > 0, np.sqrt(variance), np.nan)
    if max(law.levels) == 1:
        low, high = poisson_limits(rate, error, sums.n_rows[:, None], level)
    else:
        spread = np.exp(norm.ppf(0.5 + level / 2) * error / np.where(rate > 0, rate, 1.0))
        low, high = rate / spread, rate * spread
    return Estimate(rate, error, low, high)


def poisson_limits(
    rate: FloatArray, error: FloatArray, n: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Return limits of lambda from those of the share of positives among droplets.

    Parameters
    ----------
    rate, error : (G, T)
    n : (G, 1)
        Droplets.
    level : float
    """
    share, alpha = -np.expm1(-rate), 1 - level
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = share / (1 - share) / error**2
    worth = np.where(np.isfinite(worth) & (worth > 0), np.minimum(worth, n), n)
    x = worth * share
    low = np.where(x > 0, beta.ppf(alpha / 2, np.maximum(x, 1e-300), worth - x + 1), 0.0)
    high = np.where(x < worth, beta.ppf(1 - alpha / 2, x + 1, np.maximum(worth - x, 1e-300)), 1.0)
    with np.errstate(divide="ignore"):
        return -np.log1p(-low), -np.log1p(-high)


def linkage(
    law: Droplets, sums: WellSums, independent: WellSums, rates_independent: FloatArray
) -> Linkage:
    """Return the likelihood-ratio test of each well, components held.

    Parameters
    ----------
    law : Droplets
    sums, independent : WellSums
        Under the lambdas that fit best with a linked species, and without.
    rates_independent : (G, 2)
    """
    double = (law.copies > 0).all(axis=1)
    positive = -np.expm1(-rates_independent)
    lost = np.maximum(2 * (sums.log_likelihood - independent.log_likelihood), 0.0)
    p = np.where(lost > 0, 0.5 * chi2.sf(lost, 1), 1.0)
    expected = sums.n_rows * positive.prod(axis=1)
    return Linkage(sums.count[:, double].sum(axis=1), expected, lost, p)


def pooled(found: Estimate, n: FloatArray, level: float) -> Pooled:
    """Return wells as replicates of one sample, each with an error of its own besides its count.

    The counting variance of a well is that of the common lambda, times what unsure classes add in
    the mean: so wells that happen to have few positives do not weigh more.

    Parameters
    ----------
    found : Estimate
    n : (G,)
        Droplets of each well.
    level : float
    """
    targets = range(found.rate.shape[1])
    parts = [_pooled(found.rate[:, d], found.error[:, d], n) for d in targets]
    rate, error, between = (np.array(part) for part in zip(*parts, strict=True))
    half = norm.ppf(0.5 + level / 2) * error
    return Pooled(rate, error, between, np.maximum(rate - half, 0.0), rate + half)


def _pooled(x: FloatArray, error: FloatArray, n: FloatArray) -> tuple[float, float, float]:
    common, good = float(n @ x / n.sum()), np.isfinite(error)
    if not good.any():
        return common, np.nan, np.nan
    unsure = max(float((error[good] ** 2 * n[good] / np.expm1(x[good])).mean()), 1.0)
    v = unsure * np.expm1(common) / n
    w = 1 / v
    excess = (w * (x - w @ x / w.sum()) ** 2).sum() - (len(x) - 1)
    scale = w.sum() - (w**2).sum() / w.sum()
    between = max(excess / scale, 0.0) if len(x) > 1 else 0.0
    w = 1 / (v + between)
    return float(w @ x / w.sum()), float(w.sum() ** -0.5), float(between**0.5)

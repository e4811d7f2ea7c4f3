"""The share of rows that even the true mixture labels wrongly, for a pair of components."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import xlogy
from scipy.stats import norm

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.pair import Line, Pair

DRAWS = 2**14
SAME = 1e-12


class BayesError(NamedTuple):
    """A probability and how well it is known."""

    value: float
    error: float
    """Standard error of a simulation; 0 where there is a closed form."""


def bayes_error(pair: Pair, seed: int = 0) -> BayesError:
    """Return the error of the best rule that tells two components apart.

    Closed for equal covariances and on a line; otherwise by importance sampling from the Gaussian
    between both, whose density is proportional to the root of their product: there the integrand is
    at most the root of the product of the weights, so small errors are as well known as large ones.

    References
    ----------
    Fukunaga 1990, Statistical Pattern Recognition, sections 3.2 and 3.4 (the bound by the
    Bhattacharyya coefficient, whose remainder is averaged here).
    """
    S = pair.covariances
    scale = np.sqrt(np.outer(np.diagonal(pair.pooled), np.diagonal(pair.pooled)))
    if (np.abs(S[0] - S[1]) <= SAME * scale).all():
        distance = float(np.sqrt((pair.means[1] - pair.means[0]) @ pair.discriminant()))
        return BayesError(_of_equal_widths(pair.weights, distance), 0.0)
    if S.shape[1] == 1:
        return BayesError(_on_a_line(pair.along(np.ones(1))), 0.0)
    return _simulated(pair, seed)


def _of_equal_widths(weights: FloatArray, distance: float) -> float:
    if distance == 0:
        return float(weights.min())
    shift = np.log(weights[0] / weights[1]) / distance
    tails = norm.cdf([-0.5 * distance - shift, -0.5 * distance + shift])
    return float(weights @ tails)


def _on_a_line(line: Line) -> float:
    """Return the error where the narrower density wins between two points, or nowhere."""
    order = np.argsort(line.spread)
    p, m, s = (part[order] for part in line)
    # log (p0 f0) - log (p1 f1) = a x^2 + b x + c about the narrower mean
    d = m[1] - m[0]
    a = 0.5 / s[1] ** 2 - 0.5 / s[0] ** 2
    b = -d / s[1] ** 2
    c = np.log(p[0] * s[1] / (p[1] * s[0])) + 0.5 * (d / s[1]) ** 2
    square = b * b - 4 * a * c
    if square <= 0:
        return float(p[0])
    root = np.sqrt(square)
    ends = sorted([(-b - root) / (2 * a), (-b + root) / (2 * a)])
    outside = norm.cdf(ends[0] / s[0]) + norm.sf(ends[1] / s[0])
    low, high = (np.array(ends) - d) / s[1]
    inside = norm.sf(low) - norm.sf(high) if low > 0 else norm.cdf(high) - norm.cdf(low)
    return float(p[0] * outside + p[1] * inside)


def _simulated(pair: Pair, seed: int) -> BayesError:
    S, means, weights = pair.covariances, pair.means, pair.weights
    precisions = np.linalg.inv(S)
    between = np.linalg.inv(precisions.mean(axis=0))
    middle = between @ np.einsum("kde,ke->d", precisions, means) / 2
    draws = np.random.default_rng(seed).standard_normal((DRAWS // 2, len(middle)))
    z = np.concatenate([draws, -draws])
    x = middle + z @ np.linalg.cholesky(between).T
    logs = np.stack([_log_density(x, m, C) for m, C in zip(means, S, strict=True)], axis=1)
    of_draws = _log_density(x, middle, between)[:, None]
    least = (np.log(weights) + logs - of_draws).min(axis=1)
    both = np.exp(least).reshape(2, -1).mean(axis=0)  # a draw and its mirror image
    return BayesError(float(both.mean()), float(both.std(ddof=1) / np.sqrt(len(both))))


def _log_density(x: FloatArray, mean: FloatArray, covariance: FloatArray) -> FloatArray:
    lower = np.linalg.cholesky(covariance)
    z = np.linalg.solve(lower, (x - mean).T)
    log_det = np.log(np.diagonal(lower)).sum()
    found: FloatArray = -0.5 * (z**2).sum(axis=0) - log_det - 0.5 * len(mean) * np.log(2 * np.pi)
    return found


class Lost(NamedTuple):
    """Log-likelihood per row of a pair that is lost by describing it as one Gaussian."""

    value: float
    """At least."""
    exact: bool


def divergence(pair: Pair, seed: int = 0) -> Lost:
    """Return the Kullback-Leibler divergence from the pair to the Gaussian of its moments.

    Exact on a line and for equal covariances. Otherwise the largest of three lower bounds: what
    the two best directions show, by quadrature, and two standard errors below a simulation.
    """
    best = max(_on_line(pair.along(w)) for w in pair.directions())
    S = pair.covariances
    exact = S.shape[1] == 1 or bool(np.allclose(S[0], S[1], rtol=1e-9, atol=0))
    return Lost(best if exact else max(best, _simulated_divergence(pair, seed)), exact)


def _on_line(line: Line) -> float:
    x, step = line.nodes()
    density = line.densities(x).sum(axis=1)
    mean = line.weights @ line.means
    variance = line.weights @ (line.spread**2 + (line.means - mean) ** 2)
    one = norm.logpdf(x, mean, np.sqrt(variance))
    return max(float(step @ (xlogy(density, density) - density * one)), 0.0)


def _simulated_divergence(pair: Pair, seed: int) -> float:
    rng = np.random.default_rng(seed)
    mean, covariance = pair.merged
    n, D = DRAWS // 4, len(mean)
    value, variance = 0.0, 0.0
    for k in range(2):
        lower = np.linalg.cholesky(pair.covariances[k])
        x = pair.means[k] + rng.standard_normal((n, D)) @ lower.T
        parts = [_log_density(x, m, C) for m, C in zip(*pair[1:], strict=True)]
        mixed = np.logaddexp(*(np.log(pair.weights[:, None]) + np.array(parts)))
        off = mixed - _log_density(x, mean, covariance)
        value += float(pair.weights[k] * off.mean())
        variance += float(pair.weights[k] ** 2 * off.var() / n)
    return value - 2 * float(np.sqrt(variance))

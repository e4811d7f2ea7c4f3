"""Poisson numbers of copies seen in classes: log weights, expected copies, and the best lambda.

With K components, m = K - 1, the classes are 0, 1, ..., m copies. What the last one is, is the
tail: ``lumped`` (m and more), ``renormalised`` (no row has more than m) or ``open`` (rows with
more belong to no class). The score of a likelihood of counts n_k by ``log lambda`` is

    sum_k n_k (E[copies | class k] - E[copies]),

with derivative ``sum_k n_k (Var[copies | class k] - Var[copies])``. All three likelihoods are
concave in ``log lambda``: exponential families, or (lumped) sums with the log of a Gamma variable's
distribution function, which is log-concave in the log of its argument. So there is one root.

References
----------
Johnson, Kemp and Kotz 2005, Univariate Discrete Distributions, sections 4.10 (truncation) and
4.10.3 (zero inflation); Prekopa 1971, Acta Sci. Math. 32:301 (log-concave integrals).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammainc, gammainccinv, gammaln, logsumexp, xlogy

from gmm_dask.blocks import FloatArray

TAILS = ("lumped", "renormalised", "open")
TOP = 2.0**-53
"""Lambda is bounded where all components but the last together have this weight: float64 does not
tell larger ones apart. So rows that are all in the last component give a finite lambda."""
MOST_STEPS = 200
TINY = 1e-280


class Spread(NamedTuple):
    """Mean and variance of copies."""

    mean: FloatArray
    variance: FloatArray


def log_poisson(rate: FloatArray, n_components: int, tail: str) -> FloatArray:
    """Return log weights (G, K) at some lambda (G,); -inf where float64 cannot hold a weight."""
    k = np.arange(n_components)
    rate = rate[:, None]
    log_weights: FloatArray = xlogy(k, rate) - rate - gammaln(k + 1.0)
    if tail == "lumped":
        with np.errstate(divide="ignore"):
            log_weights[:, -1] = np.log(gammainc(n_components - 1, rate[:, 0]))
    elif tail == "renormalised":
        log_weights = log_weights - logsumexp(log_weights, axis=1, keepdims=True)
    return log_weights


def largest(n_components: int, tail: str) -> float:
    """Return the bound of lambda; see `TOP`."""
    m = n_components - 1
    return float(gammainccinv(m, TOP)) if tail == "lumped" else m / TOP


def most_likely(share: FloatArray, tail: str, first: int = 0) -> FloatArray:
    """Return the lambda (G,) of highest likelihood of counts of classes.

    Parameters
    ----------
    share : (G, K)
        Counts up to a factor; of classes below `first`, ignored.
    tail : str
    first : {0, 1}
        1: the likelihood of the copies given that there are some.

    Returns
    -------
    (G,)
        0 where all counts are in the first class, or there are none.
    """
    m = share.shape[1] - 1
    counts = share[:, first:]
    total = counts.sum(axis=1)
    above = (counts * np.arange(m + 1.0 - first)).sum(axis=1)
    result = np.zeros(len(share))
    some = np.flatnonzero(above > 0)
    if len(some):
        parts = counts[some] / total[some, None]
        result[some] = _root(parts, above[some] / total[some], m, tail, first)
    return result


def _root(share: FloatArray, below: FloatArray, m: int, tail: str, first: int) -> FloatArray:
    """Return roots of the score by Newton's steps inside brackets that begin `below` them."""
    low = np.log(below)
    high = np.full_like(low, np.log(largest(m + 1, tail)))
    at, done = low.copy(), np.zeros(len(low), dtype=bool)
    for _ in range(MOST_STEPS):
        score, slope = _score(share, np.exp(at), m, tail, first)
        low, high = np.where(score >= 0, at, low), np.where(score <= 0, at, high)
        step = np.divide(score, -slope, out=np.full_like(at, np.inf), where=slope < 0)
        aim = at + step
        inside = (aim >= low) & (aim <= high)
        following = np.where(inside, aim, 0.5 * (low + high))
        near = np.abs(following - at) <= 1e-15 * np.maximum(1.0, np.abs(at))
        at = np.where(done, at, following)
        done |= near  # a group's lambda does not depend on the others
        if done.all():
            break
    rate: FloatArray = np.exp(at)
    return rate


def _score(
    share: FloatArray, rate: FloatArray, m: int, tail: str, first: int
) -> tuple[FloatArray, FloatArray]:
    """Return score and slope by log lambda, (G,) each, of shares (G, m + 1 - first)."""
    whole = _whole(rate, m, tail, first)
    mean, variance = np.arange(first, m + 1.0)[None], np.zeros((1, m + 1 - first))
    if tail == "lumped":
        last = _beyond(rate, m)
        mean, variance = (np.repeat(part, len(rate), axis=0) for part in (mean, variance))
        mean[:, -1], variance[:, -1] = last
    score = (share * (mean - whole.mean[:, None])).sum(axis=1)
    slope = (share * (variance - whole.variance[:, None])).sum(axis=1)
    return score, slope


def _beyond(rate: FloatArray, m: int) -> Spread:
    """Return mean and variance of copies given m and more, (G,)."""
    P, P1, P2 = (gammainc(j, rate) if j > 0 else np.ones_like(rate) for j in (m, m - 1, m - 2))
    seen = P > TINY
    P = np.where(seen, P, 1.0)
    mean = np.where(seen, rate * P1 / P, m + rate / (m + 1.0))
    square = np.where(seen, rate**2 * P2 / P + mean, mean**2 + rate / (m + 1.0))
    return Spread(mean, np.maximum(square - mean**2, 0.0))


def _whole(rate: FloatArray, m: int, tail: str, first: int) -> Spread:
    """Return mean and variance of copies, those below `first` excluded, (G,)."""
    if tail == "renormalised":
        k = np.arange(first, m + 1.0)
        log_weights = k * np.log(rate)[:, None] - gammaln(k + 1.0)
        weights = np.exp(log_weights - logsumexp(log_weights, axis=1, keepdims=True))
        mean = weights @ k
        return Spread(mean, (weights * (k - mean[:, None]) ** 2).sum(axis=1))
    if first == 0:
        return Spread(rate, rate)
    mean = rate / -np.expm1(-rate)
    return Spread(mean, mean * (1.0 + rate - mean))

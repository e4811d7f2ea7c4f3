"""Chances of droplets by copies of one or two targets, their derivatives, and the best lambdas.

A droplet holds a ~ Poisson(A) copies of the first target alone, b ~ Poisson(B) of the second
alone and c ~ Poisson(C) molecules that carry both, so that it shows n_A = a + c and n_B = b + c.
Classes are 0, ..., m copies of each; the last one is as the tail says (see `laws.copies`).
Sums run over c and have no negative term, so that small chances keep their digits. For Poisson
variables ``d P(n in S) / d lambda = P(n + 1 in S) - P(n in S)``: derivatives are chances of shifted
classes.

References
----------
Holgate 1964, Biometrika 51:241 (the bivariate Poisson distribution); Johnson, Kotz and Balakrishnan
1997, Discrete Multivariate Distributions, section 37.2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammainc, gammaln, xlogy

from gmm_dask.blocks import FloatArray
from gmm_dask.laws.copies import TOP

MOST = -float(np.log(TOP))
"""Largest lambda: float64 does not tell more negatives than 2^-53 of all droplets from none."""
MOST_STEPS, MOST_HALVINGS = 100, 40
CARRIES = {1: ((1,),), 2: ((1, 0), (0, 1)), 3: ((1, 0), (0, 1), (1, 1))}
"""Copies of each target in a molecule of each species, by the number of species."""


class Cells(NamedTuple):
    """Weights of the classes, and their derivatives by the lambdas of S species."""

    weights: FloatArray
    """(G, K)."""
    first: FloatArray
    """(G, K, S)."""
    second: FloatArray
    """(G, K, S, S)."""


def _class(rate: FloatArray, n: int, *, above: bool) -> FloatArray:
    """Return the chance (G,) of n copies, or of n and more."""
    if n <= 0 and above:
        return np.ones_like(rate)
    if n < 0:
        return np.zeros_like(rate)
    if above:
        more: FloatArray = gammainc(n, rate)
        return more
    exactly: FloatArray = np.exp(xlogy(n, rate) - rate - gammaln(n + 1.0))
    return exactly


def _chances(
    rates: FloatArray, levels: tuple[int, ...], tail: str, shift: tuple[int, ...]
) -> FloatArray:
    """Return the chance (G, K) that copies, `shift` of them added, are in each class."""
    lumped = tail == "lumped"
    places = [
        [(n - shift[d], lumped and n == m) for n in range(m + 1)] for d, m in enumerate(levels)
    ]
    if len(levels) == 1:
        return np.stack([_class(rates[:, 0], n, above=up) for n, up in places[0]], axis=1)
    both = rates[:, 2] if rates.shape[1] == 3 else np.zeros(len(rates))
    columns = [
        _joint(rates[:, 0], rates[:, 1], both, first, second)
        for first in places[0]
        for second in places[1]
    ]
    return np.stack(columns, axis=1)


def _joint(
    a: FloatArray,
    b: FloatArray,
    both: FloatArray,
    first: tuple[int, bool],
    second: tuple[int, bool],
) -> FloatArray:
    """Return the chance (G,) of a class of two targets, each (copies, whether and more)."""
    (i, up_i), (j, up_j) = first, second
    ends = [n for n, up in (first, second) if not up]  # linked molecules are no more than these
    last = min(ends) if ends else max(i, j, 0) - 1
    total = np.zeros_like(a)
    for c in range(last + 1):
        linked = _class(both, c, above=False)
        total = total + linked * _class(a, i - c, above=up_i) * _class(b, j - c, above=up_j)
    whole: FloatArray = total if ends else total + _class(both, last + 1, above=True)
    return whole


def cells(rates: FloatArray, levels: tuple[int, ...], tail: str) -> Cells:
    """Return the weights at some lambdas, with derivatives.

    Parameters
    ----------
    rates : (G, S)
        Species A, or A and B, or A, B and AB.
    levels : tuple of int
        Largest number of copies told apart, of each target.
    tail : {"lumped", "renormalised", "open"}
    """
    carries = CARRIES[rates.shape[1]]
    S, known = len(carries), {}

    def at(*molecules: tuple[int, ...]) -> FloatArray:
        shift = tuple(sum(m[d] for m in molecules) for d in range(len(levels)))
        if shift not in known:
            known[shift] = _chances(rates, levels, tail, shift)
        return known[shift]

    here = at()
    first = np.stack([at(s) - here for s in carries], axis=2)
    second = np.stack(
        [np.stack([at(s, t) - at(s) - at(t) + here for t in carries], axis=2) for s in carries],
        axis=2,
    )
    return (
        _renormalised(here, first, second, S)
        if tail == "renormalised"
        else Cells(here, first, second)
    )


def _renormalised(p: FloatArray, dp: FloatArray, ddp: FloatArray, S: int) -> Cells:
    """Return weights p / sum(p) with derivatives."""
    z = p.sum(axis=1)[:, None]
    dz, ddz = dp.sum(axis=1)[:, None] / z[..., None], ddp.sum(axis=1)[:, None] / z[..., None, None]
    w, dp, ddp = p / z, dp / z[..., None], ddp / z[..., None, None]
    first = dp - w[..., None] * dz
    cross = dp[..., :, None] * dz[..., None, :]
    both = dz[..., :, None] * dz[..., None, :]
    second = ddp - cross - np.swapaxes(cross, 2, 3) - w[..., None, None] * (ddz - 2 * both)
    return Cells(w, first, second.reshape(*w.shape, S, S))


def best_rates(count: FloatArray, levels: tuple[int, ...], tail: str, n_species: int) -> FloatArray:
    """Return the lambdas (G, S), none negative, that maximise ``sum(count * log(weights))``.

    In closed form where targets are told to be there or not and the tail is lumped: the lambdas
    then are logs of shares of negatives, on the boundary where double positives are fewer than
    independence expects. Elsewhere by Newton's method on the lambdas that are not held at 0, with
    steps halved until the likelihood rises.

    Parameters
    ----------
    count : (G, K)
        Not all zero in any row.
    """
    share = count / count.sum(axis=1, keepdims=True)
    if tail == "lumped" and max(levels) == 1:
        return _of_negatives(share, n_species)
    rates = _begin(share, levels, n_species)
    value = _value(share, cells(rates, levels, tail).weights)
    for _ in range(MOST_STEPS):
        step, slope = _newton(share, cells(rates, levels, tail), rates)
        moved, better = _climbed(share, rates, step, slope, value, levels, tail)
        still = np.abs(moved - rates).max() <= 1e-13 * (1 + np.abs(rates).max())
        rates, value = moved, better
        if still:
            break
    return rates


def _of_negatives(share: FloatArray, n_species: int) -> FloatArray:
    if n_species == 1:
        return np.asarray(-np.log(np.maximum(share[:, :1], TOP)))
    neither, no_a, no_b = share[:, 0], share[:, 0] + share[:, 1], share[:, 0] + share[:, 2]
    neither, no_a, no_b = (-np.log(np.maximum(p, TOP)) for p in (neither, no_a, no_b))
    both = np.maximum(no_a + no_b - neither, 0.0) if n_species == 3 else np.zeros_like(no_a)
    both = np.minimum(both, np.minimum(no_a, no_b))
    found = np.stack([no_a - both, no_b - both, both], axis=1)
    result: FloatArray = found[:, :n_species]
    return result


def _begin(share: FloatArray, levels: tuple[int, ...], n_species: int) -> FloatArray:
    """Return lambdas inside, from the moments of the copies."""
    table = share.reshape(len(share), *(m + 1 for m in levels))
    copies = np.stack(
        [
            np.moveaxis(table, d + 1, 1).reshape(len(share), m + 1, -1).sum(axis=2)
            @ np.arange(m + 1)
            for d, m in enumerate(levels)
        ],
        axis=1,
    )
    copies = np.maximum(copies, 1e-12)
    if n_species < 3:
        return np.asarray(copies)
    both = np.einsum("gij,i,j->g", table, np.arange(levels[0] + 1.0), np.arange(levels[1] + 1.0))
    linked = np.clip(
        both - copies.prod(axis=1), 0.05 * copies.min(axis=1), 0.9 * copies.min(axis=1)
    )
    return np.column_stack([copies - linked[:, None], linked])


def _value(share: FloatArray, weights: FloatArray) -> FloatArray:
    value: FloatArray = xlogy(share, weights).sum(axis=1)
    return value


def _newton(share: FloatArray, here: Cells, rates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a step uphill (G, S) and the slope (G, S); lambdas held at 0 stay."""
    ratio = np.divide(share, here.weights, out=np.zeros_like(share), where=share > 0)
    over = np.divide(ratio, here.weights, out=np.zeros_like(share), where=share > 0)
    slope = np.einsum("gk,gks->gs", ratio, here.first)
    curve = np.einsum("gk,gks,gkt->gst", over, here.first, here.first)
    curve = curve - np.einsum("gk,gkst->gst", ratio, here.second)
    held = (rates <= 0) & (slope <= 0)
    slope = np.where(held, 0.0, slope)
    curve = np.where(held[:, :, None] | held[:, None, :], 0.0, curve)
    values, vectors = np.linalg.eigh(curve)
    values = np.maximum(np.abs(values), 1e-12 * (1 + np.abs(values).max()))
    step = np.einsum("gst,gt,gut,gu->gs", vectors, 1 / values, vectors, slope)
    return np.where(held, 0.0, step), slope


def _climbed(
    share: FloatArray,
    rates: FloatArray,
    step: FloatArray,
    slope: FloatArray,
    value: FloatArray,
    levels: tuple[int, ...],
    tail: str,
) -> tuple[FloatArray, FloatArray]:
    """Return lambdas after the longest of the halved steps that raises the likelihood."""
    length = np.ones(len(rates))
    open_ = np.ones(len(rates), dtype=bool)
    result, best = rates.copy(), value.copy()
    for _ in range(MOST_HALVINGS):
        tried = np.clip(rates + length[:, None] * step, 0.0, MOST)
        reached = _value(share, cells(tried, levels, tail).weights)
        gain = (slope * (tried - rates)).sum(axis=1)
        good = open_ & (reached >= value + 1e-4 * gain) & (gain >= 0)
        result[good], best[good] = tried[good], reached[good]
        open_ &= ~good
        if not open_.any():
            break
        length = np.where(open_, 0.5 * length, length)
    return result, best

"""Split-and-merge moves: out of a poor optimum in which two components share what one would do.

EM cannot carry a component across a region of low density. A move can: two components that lose
least by becoming one are merged, and a third, whose rows are least Gaussian, is split. Both keep
the moments, so each move is a mixture of the same size from which EM goes on.

References
----------
Ueda, Nakano, Ghahramani and Hinton 2000, Neural Comput. 12:2109 (the moves); Jones and Sibson
1987, J. R. Stat. Soc. A 150:1, section 4 (entropy from third and fourth cumulants).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.families.linalg import cholesky
from gmm_dask.fits.groups import Groups, groups_of, mixture_of
from gmm_dask.fits.merge_cost import costs, joined, tied_costs
from gmm_dask.folds.overlap import OverlapSums
from gmm_dask.mixture import Mixture

OFFSET = 0.5
"""Standard deviations from the mean to each half, where the moments name no other."""
FARTHEST_OFFSET = 0.95
SCALE_STEP = 0.6
"""Halves of one place get 1 - this and 1 + this of the covariance."""


class Split(NamedTuple):
    """A way to make two components of one."""

    gain: float
    """Nats that it promises; an estimate for ranking."""
    component: int
    step: FloatArray | None
    """(D,) from the mean to one half, whitened; None: halves of two sizes at one place."""


def propose(mixture: Mixture, sums: OverlapSums, n: int) -> tuple[Mixture, ...]:
    """Return up to n mixtures of the same size, each one merge and one split away, best first.

    Merges are ranked by what they cost and splits by what they promise; moves come in the order
    of the sum of both ranks, so that neither one wrong merge nor one wrong split is in all.

    Parameters
    ----------
    mixture : Mixture
        Converged, with at least 3 components of which nothing is held: with fewer there is no
        move.
    sums : OverlapSums
        Of the rows, under this mixture.
    n : int
    """
    groups = groups_of(mixture, float(sums.n_rows))
    pairs = _pairs(mixture, groups, sums)
    ways = [splits(mixture, sums, k) for k in range(mixture.n_components) if k not in mixture.kept]
    best_of_each_first = [
        split
        for of_rank in itertools.zip_longest(*ways)
        for split in sorted(filter(None, of_rank), key=lambda split: -split.gain)
    ]
    moves = itertools.islice(_by_rank(pairs, best_of_each_first), n)
    return tuple(moved(mixture, groups, pair, split) for pair, split in moves)


def _by_rank(
    pairs: list[tuple[int, int]], ways: list[Split]
) -> Iterator[tuple[tuple[int, int], Split]]:
    """Yield pairs with splits of a third component, by the sum of their ranks."""
    for total in range(len(pairs) + len(ways) - 1):
        for rank, pair in enumerate(pairs[: total + 1]):
            others = [split for split in ways if split.component not in pair]
            if total - rank < len(others):
                yield pair, others[total - rank]


def _pairs(mixture: Mixture, groups: Groups, sums: OverlapSums) -> list[tuple[int, int]]:
    loss = merge_losses(mixture, groups, sums)
    i, j = np.triu_indices(len(loss), 1)
    order = np.argsort(loss[i, j], kind="stable")
    pairs = [(int(i[at]), int(j[at])) for at in order]
    return [pair for pair in pairs if not {*pair} & {*mixture.kept}]


def merge_losses(mixture: Mixture, groups: Groups, sums: OverlapSums) -> FloatArray:
    """Return the log-likelihood (K, K) that merging each pair is expected to lose, above 0.

    Exact for components that share no rows and where both are the same; between, the entropy
    within the pair, which the rows do not lose, is taken as ``4 ln 2 sum r_i r_j``.
    """
    n, K = groups.weights, mixture.n_components
    kind = mixture.family.covariance_type
    if kind == "tied":
        added = tied_costs(n, groups.means, groups.scatters.sum(axis=0))
    else:
        added = np.zeros((K, K))
        for i in range(K - 1):
            others = np.arange(i + 1, K)
            added[i, others] = costs(groups, i, others, kind, 0.0)
    together = np.log(n[:, None] + n)
    labels = n[:, None] * (together - np.log(n)[:, None]) + n * (together - np.log(n))
    loss: FloatArray = 0.5 * added - labels + 4.0 * math.log(2.0) * sums.shared
    return np.triu(loss, 1)


def splits(mixture: Mixture, sums: OverlapSums, k: int) -> list[Split]:
    """Return ways to split one component, the most promising first.

    Along a direction u the third and fourth cumulants s and c of the component's own rows promise
    ``s^2 / 12 + c^2 / 48`` a row. The directions are those of the contracted cumulants
    ``E |z|^2 z`` and ``E |z|^2 z z^T`` less their Gaussian values; what chance alone makes of
    either is taken off. A covariance type that cannot follow the component's own shape promises
    the likelihood of one that can, along its longest axis.
    """
    n = max(float(sums.count[k]), 1.0)
    D = mixture.n_columns
    kind = mixture.family.covariance_type
    first, second, third, fourth = (
        part[k] / n for part in (sums.first, sums.second, sums.third, sums.fourth)
    )
    skew = third - (D + 2.0) * first
    excess, axes = np.linalg.eigh(fourth - np.trace(second) * second - 2.0 * second @ second)
    chance = 2.0 * math.sqrt(2.0 * D * (D + 4.0) / n)
    length = float(np.linalg.norm(skew))
    flat, heavy = max(-excess[0] - chance, 0.0), max(excess[-1] - chance, 0.0)
    # Two equal halves at +-d of a Gaussian whole have the fourth cumulant -2 d^4.
    offset = float(np.clip((max(-excess[0], 0.0) / 2.0) ** 0.25, OFFSET, FARTHEST_OFFSET))
    found = [Split(n * flat**2 / 48.0, k, offset * axes[:, 0])]
    if length > 0:
        gain = n * max(length**2 - 2.0 * D * (D + 2.0) / n, 0.0) / 12.0
        found.append(Split(gain, k, OFFSET / length * skew))
    if kind != "tied":  # which cannot tell halves at one place apart
        found.append(Split(n * heavy**2 / 48.0, k, None))
    if kind != "full":
        values, shape = np.linalg.eigh(second)
        longest = max(float(values[-1]), 1.0)
        gain = 0.5 * n * (longest - 1.0 - math.log(longest))
        found.append(Split(gain, k, OFFSET * shape[:, -1]))
    return sorted(found, key=lambda split: -split.gain)


def moved(mixture: Mixture, groups: Groups, pair: tuple[int, int], split: Split) -> Mixture:
    """Return the mixture after one merge and one split of a third component.

    The union takes the first place of the pair, one half the second, the other its own.
    """
    (i, j), k = pair, split.component
    union = joined(groups, i, np.array([j]))
    halves = _halves(groups, split)
    n, m, W = (part.copy() for part in groups)
    for part, one, two in zip((n, m, W), union, halves, strict=True):
        part[i] = one[0]
        part[[j, k]] = two
    return mixture_of(mixture, Groups(n, m, W))


def _halves(groups: Groups, split: Split) -> Groups:
    """Return the two halves; their pooled moments are those of the whole."""
    k = split.component
    n, mean = 0.5 * groups.weights[k], groups.means[k]
    S = groups.scatters[k] / groups.weights[k]
    if split.step is None:
        sizes = np.array([1.0 - SCALE_STEP, 1.0 + SCALE_STEP])
        return Groups(np.full(2, n), np.stack([mean, mean]), n * sizes[:, None, None] * S)
    step = cholesky(S[None])[0] @ split.step
    scatter = n * (S - np.outer(step, step))
    return Groups(np.full(2, n), np.stack([mean - step, mean + step]), np.stack([scatter] * 2))

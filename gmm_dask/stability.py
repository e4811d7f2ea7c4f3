"""Whether labels hold: between restarts, and between neighbouring numbers of components.

Two labellings of the same rows are compared by their confusion counts, which are sums over rows
(`folds.confusion`). All quantities here are exact up to the last division: pairs of rows are
counted in whole numbers of any size.

References
----------
Hubert and Arabie 1985, Journal of Classification 2:193, equation 5 (adjusted Rand index); Fowlkes
and Mallows 1983, JASA 78:553. On stability as a criterion: Ben-Hur, Elisseeff and Guyon 2002,
Pacific Symposium on Biocomputing 7:6 (the largest K whose labels are still stable); Lange, Roth,
Braun and Buhmann 2004, Neural Computation 16:1299; Bubeck, Meila and von Luxburg 2012, ESAIM:
Probability and Statistics 16:436 (restarts: with K too large the optimum reached depends on the
start); Varrone et al. 2024, Nature Genetics 56:74 (CellCharter: neighbouring K).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.errors import DataError
from gmm_dask.mixture import Mixture

OTHERS = 4
"""Other restarts with which the best one is compared: all of the default n_init of 5."""
SAME = 0.01
"""Mean indices that differ by less say the same. Two restarts that stop at one optimum differ in
the labels of rows between components: mostly by less than 0.002 of the index, by 0.02 where the
optimum is flat. At another optimum they differ by 0.04 and more (K up to 10, overlapping clusters),
so one such restart of four makes the difference."""


class Agreement(NamedTuple):
    """How the labels of one candidate hold; nan where there is nothing to compare with."""

    restarts: float = math.nan
    """Mean adjusted Rand index of the best restart with its other restarts."""
    neighbours: float = math.nan
    """The same with the best restarts of the next smaller and the next larger K of its type."""
    restarts_fm: float = math.nan
    """As `restarts`, by Fowlkes and Mallows."""
    neighbours_fm: float = math.nan
    """As `neighbours`, by Fowlkes and Mallows."""
    n_restarts: int = 0
    """Other restarts that were compared."""


NOT_COMPARED = Agreement()


class Group(NamedTuple):
    """The restarts of one candidate whose labels may be compared."""

    covariance_type: str
    n_components: int
    mixtures: tuple[Mixture, ...]
    """The best first, then the others by number; empty where none is sound."""


class Comparisons(NamedTuple):
    """What `Confusion` is asked, and which of its answers concern which candidate."""

    mixtures: tuple[Mixture, ...]
    pairs: tuple[tuple[int, int], ...]
    own: tuple[tuple[int, ...], ...]
    """For each candidate, positions in `pairs`: with its other restarts."""
    near: tuple[tuple[int, ...], ...]
    """For each candidate, positions in `pairs`: with its neighbours."""


def comparisons(groups: Sequence[Group], most: int = OTHERS) -> Comparisons:
    """Return which mixtures to label and which pairs of them to compare.

    One component labels nothing: K = 1 is neither compared nor a neighbour. Neighbours are the
    next smaller and larger K of the grid, of the same covariance type, that can be compared.

    The cost, for C candidates: at most ``C (1 + most)`` mixtures label each row, in a pass that is
    made anyway, for about the time of one E-step of as many fits (some 40 ns per row and mixture
    more, which shows where K and D are small); and at most ``C (1 + most)`` tables of K x K
    counts are kept and merged (K = 60: 29 kB each; K = 1000: 8 MB each).

    Parameters
    ----------
    groups : sequence of Group
        One for each candidate.
    most : int
        Other restarts of each candidate: those of the lowest numbers, a choice that does not
        know how well they ended.
    """
    mixtures: list[Mixture] = []
    pairs: list[tuple[int, int]] = []
    own: list[tuple[int, ...]] = []
    first: list[int] = []
    for group in groups:
        kept = group.mixtures[: 1 + most] if group.n_components > 1 else ()
        first.append(len(mixtures))
        own.append(tuple(range(len(pairs), len(pairs) + max(len(kept) - 1, 0))))
        pairs += [(len(mixtures), len(mixtures) + k) for k in range(1, len(kept))]
        mixtures += kept
    near: list[tuple[int, ...]] = [() for _ in groups]
    for i, j in _adjacent(groups):
        near[i], near[j] = (*near[i], len(pairs)), (*near[j], len(pairs))
        pairs.append((first[i], first[j]))
    return Comparisons(tuple(mixtures), tuple(pairs), tuple(own), tuple(near))


def _adjacent(groups: Sequence[Group]) -> Iterator[tuple[int, int]]:
    """Yield positions of candidates that are neighbours in K."""
    for kind in dict.fromkeys(group.covariance_type for group in groups):
        able = [
            i
            for i, group in enumerate(groups)
            if group.covariance_type == kind and group.n_components > 1 and group.mixtures
        ]
        yield from pairwise(sorted(able, key=lambda i: groups[i].n_components))


def agreements(compared: Comparisons, counts: Sequence[npt.NDArray[Any]]) -> tuple[Agreement, ...]:
    """Return how the labels of each candidate hold.

    Parameters
    ----------
    compared : Comparisons
    counts : sequence of (K, K') arrays
        The answer of `Confusion`, in the order of ``compared.pairs``.
    """
    rand = [adjusted_rand(table) for table in counts]
    fm = [fowlkes_mallows(table) for table in counts]
    return tuple(
        Agreement(_mean(rand, own), _mean(rand, near), _mean(fm, own), _mean(fm, near), len(own))
        for own, near in zip(compared.own, compared.near, strict=True)
    )


def _mean(values: list[float], places: tuple[int, ...]) -> float:
    return math.fsum(values[i] for i in places) / len(places) if places else math.nan


class _PairCounts(NamedTuple):
    """Pairs of rows, in whole numbers: together in both labellings, in either, and all."""

    both: int
    first: int
    second: int
    total: int


def _pair_counts(counts: npt.NDArray[Any]) -> _PairCounts:
    whole = np.asarray(counts).astype(np.int64)
    margins = (whole, whole.sum(axis=1), whole.sum(axis=0), whole.sum(keepdims=True))
    return _PairCounts(*(_choose_two(part) for part in margins))


def _choose_two(counts: npt.NDArray[np.int64]) -> int:
    """Return the sum of n (n - 1) / 2; Python's integers, as 1e10 rows have 5e19 pairs."""
    return sum(n * (n - 1) // 2 for n in counts[counts > 1].tolist())


def adjusted_rand(counts: npt.NDArray[Any]) -> float:
    """Return the adjusted Rand index of two labellings: 1 the same, 0 as chance would have it.

    Parameters
    ----------
    counts : (K, K') array of whole numbers
        Rows by label in the one and in the other.

    References
    ----------
    Hubert and Arabie 1985, equation 5, both sides times the number of pairs.
    """
    both, first, second, total = _pair_counts(counts)
    chance = first * second
    bottom = (first + second) * total - 2 * chance
    if bottom == 0:  # all rows in one cluster twice, or no two rows together in either: the same
        return 1.0
    return 2 * (both * total - chance) / bottom


def fowlkes_mallows(counts: npt.NDArray[Any]) -> float:
    """Return the index of Fowlkes and Mallows of two labellings: 1 the same, at least 0.

    Parameters
    ----------
    counts : (K, K') array of whole numbers
        Rows by label in the one and in the other.

    References
    ----------
    Fowlkes and Mallows 1983, section 2: the geometric mean of the shares of pairs together in one
    labelling that are together in the other; 0 where no pair is together in both.
    """
    both, first, second, _ = _pair_counts(counts)
    return math.sqrt(both / first) * math.sqrt(both / second) if both else 0.0


def most_stable(values: Sequence[float]) -> list[int]:
    """Return the positions of the values within `SAME` of the largest; nan is never among them.

    Raises
    ------
    DataError
        All are nan: nothing could be compared.
    """
    known = [value for value in values if not math.isnan(value)]
    if not known:
        raise DataError(
            "no candidate has a stability: each K of at least 2 has a single restart left that is "
            "neither degenerate nor dropped. Raise n_init, or choose by another criterion (with "
            "checkpoints the fits need not be repeated for that)"
        )
    return [i for i, value in enumerate(values) if value >= max(known) - SAME]

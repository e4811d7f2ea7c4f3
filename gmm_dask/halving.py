"""Successive halving: of the restarts of one K and covariance type only the promising go on.

References
----------
Jamieson and Talwalkar 2016, AISTATS (successive halving).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gmm_dask.drive import Fits
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.restart import Dropped, Restart
from gmm_dask.fits.stopping import remaining_gain

FIRST = 10
"""Passes before the first decision: EM's first steps say little about where it will end."""


def halving(n_rows: int) -> Callable[[Fits], Fits]:
    """Return a search that drops the worse half of each group after 10, 20, 40, ... passes.

    Parameters
    ----------
    n_rows : int
        Rows that the fits see, for the record of who was dropped.
    """

    def search(fits: Fits) -> Fits:
        state = list(fits)
        for group in groups_of(fits):
            if is_milestone(youngest(fits, group)):
                order = ranked(fits, group)
                for place in order[-(-len(group) // 2) :]:
                    if fits[place].outcome is None:
                        state[place] = drop(fits[place], fits[order[0]], n_rows)
        return tuple(state)

    return search


def groups_of(fits: Fits) -> list[list[int]]:
    """Return the places of the fits that still compete, by covariance type and K."""
    groups: dict[tuple[str, int], list[int]] = {}
    for place, fit in enumerate(fits):
        if fit.outcome is not Outcome.DROPPED:
            groups.setdefault((fit.covariance_type, fit.n_components), []).append(place)
    return list(groups.values())


def youngest(fits: Fits, group: list[int]) -> int:
    """Return the fewest passes of EM among the fits of a group that still run."""
    ages = [fits[place].n_iter for place in group if fits[place].outcome is None]
    return min(ages, default=0)


def is_milestone(age: int) -> bool:
    """Return whether an age is 10, 20, 40, 80, ..."""
    return age >= FIRST and age % FIRST == 0 and (age // FIRST).bit_count() == 1


def promise(fit: Restart) -> float:
    """Return the log-likelihood per row that a fit may still reach.

    What Aitken's process expects, but at most as much as the last gain would add in as many
    passes as the fit has had.
    """
    if fit.em is None or not fit.em.lower_bounds:
        return float("-inf")
    bounds = fit.em.lower_bounds
    if fit.outcome is not None or len(bounds) < 2:
        return bounds[-1]
    most = max(bounds[-1] - bounds[-2], 0.0) * len(bounds)
    return bounds[-1] + min(max(remaining_gain(bounds), 0.0), most)


def ranked(fits: Fits, group: list[int]) -> list[int]:
    """Return the places of a group, the most promising first and degenerate ones last."""

    def key(place: int) -> tuple[bool, float, int]:
        fit = fits[place]
        return fit.outcome is Outcome.DEGENERATE, -promise(fit), place

    return sorted(group, key=key)


def drop(fit: Restart, leader: Restart, n_rows: int) -> Restart:
    """Return a fit ended in favour of another."""
    assert fit.em is not None
    behind = leader.lower_bound - fit.lower_bound
    record = Dropped(n_rows, fit.n_iter, behind, leader.index)
    return replace(fit, em=replace(fit.em, outcome=Outcome.DROPPED), dropped=record)

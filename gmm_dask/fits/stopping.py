"""When EM may stop: the gain still to come, not only the last step, must be small."""

from __future__ import annotations

import math
from collections.abc import Sequence

# Gains below this share of the log-likelihood are rounding noise, whose ratio means nothing.
ROUNDING = 1e-13


def remaining_gain(lower_bounds: Sequence[float]) -> float:
    """Return the gain per row that plain EM would still make, as Aitken's process estimates it.

    Parameters
    ----------
    lower_bounds : sequence of float
        Log-likelihood per row after each pass.

    Returns
    -------
    float
        ``rate * gain / (1 - rate)`` with the rate of the last two gains; inf where the gains do
        not shrink or are fewer than two; 0 for rounding noise.

    References
    ----------
    Aitken 1926, Proc. R. Soc. Edinb. 46:289; McLachlan and Peel 2000, section 2.11.
    """
    if len(lower_bounds) < 2:
        return float("inf")
    gain = lower_bounds[-1] - lower_bounds[-2]
    if abs(gain) <= ROUNDING * max(1.0, abs(lower_bounds[-1])):
        return 0.0
    if len(lower_bounds) < 3:
        return float("inf")
    before = lower_bounds[-2] - lower_bounds[-3]
    rate = gain / before if before else float("inf")
    return rate * gain / (1.0 - rate) if 0.0 <= rate < 1.0 else float("inf")


def remaining(gain: float, rate: float) -> float:
    """Return the gain that plain EM would still make after a step of this gain and rate.

    The error of the parameters shrinks by the rate, that of the likelihood by its square.
    """
    if abs(gain) <= ROUNDING:
        return 0.0
    squared = rate**2
    return gain * squared / (1.0 - squared) if squared < 1.0 else math.inf


def largest_gap(score_norm: float, rate: float) -> float:
    """Return the most that plain EM has still to gain per row, if no rate is above this one.

    Parameters
    ----------
    score_norm : float
        See `fits.score_norm`, where the bound is derived.
    rate : float
        Factor by which EM shrinks its slowest error; inf is returned from 1 on.
    """
    return 0.5 * score_norm / (1.0 - rate) if rate < 1.0 else math.inf


def is_rounding(lower_bounds: Sequence[float]) -> bool:
    """Return whether the last gain, or fall, is rounding noise."""
    return abs(lower_bounds[-1] - lower_bounds[-2]) <= ROUNDING * max(1.0, abs(lower_bounds[-1]))


def has_converged(lower_bounds: Sequence[float], tol: float, score_norm: float = 0.0) -> bool:
    """Return whether the last gain, the estimated remaining gain and the score are below `tol`.

    A falling log-likelihood (possible with a ridge, which maximises nothing) counts as a gain of
    its size and needs no estimate. A gain of rounding noise is the end whatever the score.

    Parameters
    ----------
    lower_bounds : sequence of float
        Log-likelihood per row after each pass.
    tol : float
        Log-likelihood per row.
    score_norm : float
        Of the last pass; see `fits.score_norm`. Half of it is gained by the next step at least, so
        where gains shrink steadily the other two rules are the stricter ones; it tells where they
        are misled: by a step that cancels against a floor, or the first steps away from a saddle.
    """
    if len(lower_bounds) < 2:
        return False
    gain = lower_bounds[-1] - lower_bounds[-2]
    if is_rounding(lower_bounds):
        return gain <= 0 or gain < tol
    if gain <= 0:
        return abs(gain) < tol
    return gain < tol and remaining_gain(lower_bounds) < tol and score_norm < tol


def passes_left(lower_bounds: Sequence[float], tol: float, max_iter: int) -> int | None:
    """Return how many more passes EM needs if its gains keep shrinking at the last rate.

    None where the gains do not shrink yet, or are too few to tell.
    """
    most = max(max_iter - len(lower_bounds), 0)
    if len(lower_bounds) < 4:
        return None
    gain, before = lower_bounds[-1] - lower_bounds[-2], lower_bounds[-2] - lower_bounds[-3]
    if gain <= 0 or tol <= 0 or not gain < before:
        return None
    rate = gain / before
    needed = math.log(tol * (1 - rate) / (gain * rate)) / math.log(rate)
    return min(max(math.ceil(needed), 1), most)

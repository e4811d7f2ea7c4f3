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


def has_converged(lower_bounds: Sequence[float], tol: float) -> bool:
    """Return whether the last gain and the estimated remaining gain are both below `tol`.

    A falling log-likelihood (possible with a ridge, which maximises nothing) counts as a gain of
    its size and needs no estimate.
    """
    if len(lower_bounds) < 2:
        return False
    gain = lower_bounds[-1] - lower_bounds[-2]
    if gain <= 0:
        return abs(gain) < tol or abs(gain) <= ROUNDING * max(1.0, abs(lower_bounds[-1]))
    return gain < tol and remaining_gain(lower_bounds) < tol


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

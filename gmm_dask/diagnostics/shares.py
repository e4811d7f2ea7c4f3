"""Observed shares of rows against expected ones: ratios with intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.stats import chi2, norm


class TailShare(NamedTuple):
    """How many rows lie in a tail, against how many should."""

    share: float
    """Of the rows that the model puts there."""
    expected: float
    """Rows."""
    found: float
    """Rows, by weight or responsibility."""
    ratio: float
    """Found over expected: the effect."""
    low: float
    """Interval of the ratio, the error of the level in it."""
    high: float


def tail_share(
    share: float,
    n_rows: float,
    found: float,
    level: float = 0.95,
    *,
    spread: float = 1.0,
    relative_error: float = 0.0,
) -> TailShare:
    """Return found rows over expected ones with an interval.

    Garwood's exact interval of a Poisson count; of sums of responsibilities, that of as many rows
    as have their relative spread. The error of the level is added by squares of the distances, on
    the log scale.

    Parameters
    ----------
    share : float
        Expected share of the rows.
    n_rows, found : float
    level : float
        Of the interval.
    spread : float
        Variance of `found` over its expectation: 1 for a count.
    relative_error : float
        Standard error of the true share at the level over `share`.

    References
    ----------
    Garwood 1936, Biometrika 28:437; Zou and Donner 2008, Stat. Med. 27:1693 (intervals added).
    """
    share, found = float(share), float(found)
    expected = share * n_rows
    if not expected > 0:
        return TailShare(share, expected, found, math.nan, math.nan, math.nan)
    count, tail = found / spread, 0.5 * (1.0 - level)
    low = 0.5 * float(chi2.ppf(tail, 2 * count)) * spread if count > 0 else 0.0
    high = 0.5 * float(chi2.isf(tail, 2 * (count + 1))) * spread
    reach = float(norm.isf(tail)) * float(relative_error)
    if found > 0:
        down = math.hypot(math.log(found / low), reach) if low > 0 else math.inf
        up = math.hypot(math.log(high / found), reach)
        low, high = found * math.exp(-down), found * math.exp(up)
    else:
        high *= math.exp(reach)
    return TailShare(share, expected, found, found / expected, low / expected, high / expected)

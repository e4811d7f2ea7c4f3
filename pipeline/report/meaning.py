"""What a diagnosis adds to the report: intervals of weights, and rows far out against expected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.report.parts import Array


@dataclass(frozen=True, kw_only=True)
class Tails:
    """How many rows lie far out, against how many the mixture puts there.

    Parameters
    ----------
    share : array of shape (n,)
        Of the rows, as the mixture says.
    ratio, low, high : array of shape (n,)
        Rows found over rows expected, with a 95 % interval.
    """

    share: Array
    ratio: Array
    low: Array
    high: Array


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """Answers of a diagnosis that are drawn.

    Parameters
    ----------
    weight_low, weight_high : array of shape (n_components,)
        Ends of 95 % intervals; nan where there are none.
    tails : Tails or None
    """

    weight_low: Array
    weight_high: Array
    tails: Tails | None = None

    @property
    def has_intervals(self) -> bool:
        """Whether any weight has an interval."""
        return bool(np.isfinite(self.weight_low).any())

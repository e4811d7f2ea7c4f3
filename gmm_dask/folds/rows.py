"""Which rows a fold looks at: all, or a random share by absolute row number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask import draws
from gmm_dask.blocks import Block, BoolArray
from gmm_dask.errors import DataError


@dataclass(frozen=True)
class RowShare:
    """A random share of the rows, or the rest of it.

    Parameters
    ----------
    seed : int
    purpose : str
        Names the share, such as ``"held out"``.
    fraction : float
        Expected share of the rows.
    inside : bool
        True: the rows of the share; False: the others.
    """

    seed: int
    purpose: str
    fraction: float
    inside: bool = True

    def mask(self, block: Block) -> BoolArray:
        """Return which rows of the block are looked at, (n,)."""
        if not len(block):
            return draws.uniform(self.seed, self.purpose, 0, 0, 1)[:0] < 0
        hi = block.start + len(block)
        chosen = draws.chosen(self.seed, self.purpose, self.fraction, block.start, hi)
        return chosen if self.inside else ~chosen


def check_finite_rows(values: npt.NDArray[Any], start: int = 0) -> None:
    """Raise DataError if a row (of those from row `start` on) has NaN or an infinite value."""
    finite = np.isfinite(values)
    if not finite.all():
        bad = ~finite.all(axis=1)
        first = int(bad.argmax())
        raise DataError(
            f"Input contains NaN or infinity: {int(bad.sum())} of {len(values)} rows (first: row "
            f"{start + first}: {values[first]}); the model was fitted on complete rows. Filter "
            "these rows, or fill the values, first."
        )


def select(rows: RowShare | None, block: Block) -> npt.NDArray[Any]:
    """Return the values (m, D) of the rows of a block that are looked at."""
    return block.values if rows is None else block.values[rows.mask(block)]

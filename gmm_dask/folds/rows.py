"""Which rows a fold looks at (all, or a random share by absolute row number), and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask import draws
from gmm_dask.blocks import Block, BoolArray, FloatArray, IntArray, Observed, RowLayout
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
    layout : RowLayout, optional
        How the numbers of a row are to be taken; None: as D values, all of them there.
    """

    seed: int
    purpose: str
    fraction: float
    inside: bool = True
    layout: RowLayout | None = None

    @staticmethod
    def all_rows(layout: RowLayout | None) -> RowShare | None:
        """Return all rows, taken in some way; None where there is nothing to say of them."""
        if layout is None or (layout.plain and layout.compute_dtype == "float64"):
            return None
        return RowShare(0, "", 1.0, layout=layout)

    @property
    def is_part(self) -> bool:
        """Whether some rows are left out."""
        return self.fraction < 1.0

    def mask(self, block: Block) -> BoolArray:
        """Return which rows of the block are looked at, (n,)."""
        if not self.is_part:
            return np.full(len(block), self.inside)
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
    """Return the numbers (m, width) of the rows of a block that are looked at."""
    if rows is None or (rows.inside and not rows.is_part):
        return block.values
    return block.values[rows.mask(block)]


def check_observed(rows: Observed, row: IntArray) -> None:
    """Raise DataError if a weight or an error cannot be one.

    Parameters
    ----------
    rows : Observed
    row : (n,)
        Absolute row numbers.
    """
    a, C = rows.sample_weight, rows.noise
    sound: BoolArray = np.ones(0, bool) if a is None else np.isfinite(a) & (a >= 0)
    if a is not None and not sound.all():
        i = int(np.argmin(sound))
        raise DataError(
            f"row {row[i]}: sample_weight is {a[i]}; weights are finite and not negative"
        )
    if C is None:
        return
    seen = ~np.isnan(rows.values)
    if C.ndim == 2:
        wrong: BoolArray = np.any(seen & ~(C >= 0), axis=1)
    else:
        wrong = ~_semidefinite(C, seen)
    if wrong.any():
        i = int(wrong.argmax())
        raise DataError(
            f"row {row[i]}: its noise is {C[i].tolist()}; needed: variances that are not negative, "
            "or a symmetric covariance that is positive semi-definite"
        )


def _semidefinite(C: FloatArray, seen: BoolArray) -> BoolArray:
    """Return which of some matrices (n, D, D) are covariances in the columns seen (n, D)."""
    both = seen[:, :, None] & seen[:, None, :]
    known: BoolArray = np.all(np.isfinite(np.where(both, C, 0.0)), axis=(1, 2))
    matrices = np.where(both & known[:, None, None], C, 0.0)
    variance = np.diagonal(matrices, axis1=1, axis2=2)
    root = np.sqrt(np.where(variance > 0, variance, 1.0))
    lowest = np.linalg.eigvalsh(matrices / (root[:, :, None] * root[:, None, :]))[:, 0]
    # float32 errors and correlations rounded to three digits leave this much
    result: BoolArray = known & (lowest >= -1e-6) & np.all(variance >= 0, axis=1)
    return result


def is_plain(rows: RowShare | None) -> bool:
    """Return whether rows are complete, without noise, and all alike."""
    return rows is None or rows.layout is None or rows.layout.plain


def compute_dtype_of(rows: RowShare | None) -> str:
    """Return in which type E-steps of these rows compute."""
    return "float64" if rows is None or rows.layout is None else rows.layout.compute_dtype


def observed(rows: RowShare | None, block: Block) -> Observed:
    """Return the rows of a block that are looked at, taken apart."""
    chosen = select(rows, block)
    if rows is None or rows.layout is None:
        return Observed(chosen)
    return rows.layout.split(chosen)

"""The first pass: are all values finite, what are their ranges, means and covariance.

`find_frame` turns the answer into the `Frame` of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import Block, FloatArray, Frame, IntArray, RowLayout, power_of_two
from gmm_dask.completion import check_projection, completed
from gmm_dask.folds.rows import RowShare, check_observed, observed
from gmm_dask.stats import Fold

TILE = 4096
FARTHEST = 1e300


class ColumnStats(NamedTuple):
    """Sums, extremes and bad values of each column."""

    n_rows: FloatArray
    """() complete rows; with holes allowed, rows with at least one value."""
    pairs: FloatArray
    """(D, D) sum of the weights of rows that have both columns."""
    first: FloatArray
    """(D,) sum of frame rows, where there is a value."""
    second: FloatArray
    """(D, D) sum of outer products of frame rows, where there are both values."""
    minimum: FloatArray
    """(D,) source units, of rows of positive weight; inf where no value is finite."""
    maximum: FloatArray
    """(D,)."""
    n_nan: IntArray
    """(D,)."""
    n_inf: IntArray
    """(D,)."""
    first_nan: IntArray
    """(D,) absolute row of the first NaN; the largest int64 where there is none."""
    first_inf: IntArray
    """(D,) absolute row of the first infinity; the largest int64 where there is none."""

    @property
    def first_bad(self) -> IntArray:
        """(D,) absolute row of the first NaN or infinity."""
        return np.minimum(self.first_nan, self.first_inf)

    @property
    def weight(self) -> float:
        """Sum of the weights of the rows; their number, where they have none."""
        return float(np.diagonal(self.pairs).max(initial=0.0))


NO_ROW = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Columns(Fold[Frame, ColumnStats, ColumnStats]):
    """Ranges, bad values and second moments of all columns.

    Parameters
    ----------
    frame : Frame
        Provisional: near the data, so that squares neither overflow nor cancel.
    rows : RowShare, optional
    """

    frame: Frame
    rows: RowShare | None = None

    def prepare(self) -> Frame:
        """Return the frame."""
        return self.frame

    def measure(self, prepared: Frame, block: Block) -> ColumnStats:
        """Return the sums of one block, tile by tile."""
        found = observed(self.rows, block)
        rows = block.row if self.rows is None else block.row[self.rows.mask(block)]
        check_observed(found, rows)
        check_projection(found, rows, missing=self._layout.missing)
        found = completed(found, prepared.shift, prepared.scale)
        stats = empty(len(prepared.shift))
        for lo in range(0, len(rows), TILE):
            part = slice(lo, lo + TILE)
            weight = None if found.sample_weight is None else found.sample_weight[part]
            tile = _measure(prepared, found.values[part], rows[part], weight, self._layout.holes)
            stats = self.merge(stats, tile)
        return stats

    @property
    def _layout(self) -> RowLayout:
        layout = self.rows.layout if self.rows is not None else None
        return layout or RowLayout(len(self.frame.shift))

    def merge(self, a: ColumnStats, b: ColumnStats) -> ColumnStats:
        """Add sums and counts, keep extremes."""
        return ColumnStats(
            a.n_rows + b.n_rows,
            a.pairs + b.pairs,
            a.first + b.first,
            a.second + b.second,
            np.minimum(a.minimum, b.minimum),
            np.maximum(a.maximum, b.maximum),
            a.n_nan + b.n_nan,
            a.n_inf + b.n_inf,
            np.minimum(a.first_nan, b.first_nan),
            np.minimum(a.first_inf, b.first_inf),
        )

    def finish(self, stats: ColumnStats) -> ColumnStats:
        """Return the statistics."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile in float64 with its masks."""
        return 30 * min(rows, TILE) * len(self.frame.shift)

    @property
    def stats_bytes(self) -> int:
        """Bytes of two matrices and eight vectors."""
        D = len(self.frame.shift)
        return 8 * (2 * D * D + 8 * D)


def empty(n_columns: int) -> ColumnStats:
    """Return the statistics of no rows."""
    D = n_columns
    none = np.zeros(D, dtype=np.int64)
    inf = np.full(D, np.inf)
    return ColumnStats(
        np.zeros(()),
        np.zeros((D, D)),
        np.zeros(D),
        np.zeros((D, D)),
        inf,
        -inf,
        none,
        none,
        none + NO_ROW,
        none + NO_ROW,
    )


def _measure(
    frame: Frame,
    values: npt.NDArray[Any],
    rows: IntArray,
    weight: FloatArray | None,
    holes: bool,
) -> ColumnStats:
    finite = np.isfinite(values)
    good = finite.any(axis=1) if holes else finite.all(axis=1)
    everywhere = bool(finite.all())
    counts = finite if weight is None else finite & (weight > 0)[:, None]
    there = finite[good].astype(np.float64)
    a = there if weight is None else there * weight[good, None]
    with np.errstate(over="ignore", invalid="ignore"):
        y = frame.forward(values if everywhere else values[good])
        if holes:
            y = np.where(finite[good], y, 0.0)
        weighted = y if weight is None else y * weight[good, None]
        second = weighted.T @ y
    return ColumnStats(
        np.asarray(float(good.sum())),
        a.T @ there if holes or weight is not None else np.full(second.shape, float(good.sum())),
        weighted.sum(axis=0),
        second,
        np.min(values, axis=0, where=counts, initial=np.inf).astype(np.float64),
        np.max(values, axis=0, where=counts, initial=-np.inf).astype(np.float64),
        *_bad(values, everywhere, rows),
    )


def _bad(values: npt.NDArray[Any], everywhere: bool, rows: IntArray) -> tuple[IntArray, ...]:
    """Return counts of NaN and of infinities, then the first row of each, (D,)."""
    none = np.zeros(values.shape[1], dtype=np.int64)
    if everywhere:
        return none, none, none + NO_ROW, none + NO_ROW
    masks = (np.isnan(values), np.isinf(values))
    return *(mask.sum(axis=0) for mask in masks), *(_first(mask, rows) for mask in masks)


def _first(bad: npt.NDArray[Any], rows: IntArray) -> IntArray:
    found = np.full(bad.shape[1], NO_ROW, dtype=np.int64)
    has = bad.any(axis=0)
    found[has] = rows[bad.argmax(axis=0)[has]]
    return found


def provisional_frame(values: npt.NDArray[Any]) -> Frame:
    """Return a frame from some rows (n, D): their median and range, or the identity for none."""
    D = values.shape[1]
    shift, scale = np.zeros(D), np.ones(D)
    for d in range(D):
        column = values[:, d].astype(np.float64)
        # beyond half the largest float64 the median's own sum would overflow
        column = column[np.isfinite(column)].clip(-FARTHEST, FARTHEST)
        if len(column):
            shift[d] = np.median(column)
            scale[d] = power_of_two(float(np.abs(column - shift[d]).max()) or abs(shift[d]))
    return Frame(shift, scale, np.eye(D), np.zeros(D))


def frame_from(stats: ColumnStats, seen_in: Frame) -> tuple[Frame, bool]:
    """Return the frame of a run, and whether it is exact enough.

    It is not when the provisional frame was so far away that squares cancelled or overflowed;
    then another pass in the returned frame will do.
    """
    n = np.maximum(np.diagonal(stats.pairs), np.finfo(float).tiny)
    with np.errstate(over="ignore", invalid="ignore"):  # then the frame is not usable
        mean = stats.first / n
        together = np.where(stats.pairs > 0, stats.pairs, 1.0)
        scatter = stats.second / together - np.where(stats.pairs > 0, np.outer(mean, mean), 0.0)
        variance = np.diagonal(scatter)
        usable = np.isfinite(scatter).all() and bool((mean**2 <= 1e5 * np.abs(variance)).all())
    moving = stats.maximum > stats.minimum
    if not usable:
        middle = 0.5 * stats.minimum + 0.5 * stats.maximum
        spread = 0.5 * stats.maximum - 0.5 * stats.minimum
        shift = np.where(np.isfinite(mean), seen_in.backward(np.nan_to_num(mean)), middle)
        scale = np.array([power_of_two(s) for s in np.where(moving, spread, 1.0)])
        return Frame(shift, scale, np.eye(len(mean)), np.zeros(len(mean))), False
    if (stats.pairs != stats.pairs[0, 0]).any():
        scatter = _nearest_covariance(scatter)
    return _rebase(seen_in, mean, scatter, moving), True


def _nearest_covariance(scatter: FloatArray) -> FloatArray:
    """Return a covariance near one whose elements were estimated from different rows.

    Correlations are drawn towards zero as far as it takes to be positive definite.
    """
    root = np.sqrt(np.maximum(np.diagonal(scatter), 0.0))
    outer = np.outer(root, root)
    correlation = np.divide(scatter, outer, out=np.eye(len(root)), where=outer > 0)
    lowest = float(np.linalg.eigvalsh(correlation)[0])
    keep = 1.0 if lowest >= 0.01 else 0.99 / (1.0 - lowest)
    shrunk: FloatArray = keep * scatter
    np.fill_diagonal(shrunk, np.diagonal(scatter))
    return shrunk


def _rebase(
    seen_in: Frame, mean: FloatArray, scatter: FloatArray, moving: npt.NDArray[Any]
) -> Frame:
    shift = seen_in.backward(mean)
    spread = np.where(moving, np.sqrt(np.maximum(np.diagonal(scatter), 0.0)), 1.0)
    step = np.array([power_of_two(s) for s in spread])
    scatter = np.where(np.outer(moving, moving), scatter, 0.0) / np.outer(step, step)
    scale = seen_in.scale * step
    centre = (seen_in.backward(mean) - shift) / scale
    return Frame(shift, scale, 0.5 * (scatter + scatter.T), centre)

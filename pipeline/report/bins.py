"""Histograms made fit for a figure: fewer bins, and a frame that holds nearly all rows."""

from __future__ import annotations

import numpy as np

from pipeline.report.results import Array

MAX_BINS = 100
# Share of the rows that may lie outside the frame on each side of each axis.
OUTSIDE = 0.001
# A component may lie beyond all rows; the frame follows it by this share of their range.
BEYOND = 0.12


def coarser(edges: Array, counts: Array, axis: int, limit: int = MAX_BINS) -> tuple[Array, Array]:
    """Add neighbouring bins of one axis together until no more than `limit` remain.

    Parameters
    ----------
    edges : array of shape (n_bins + 1,)
    counts : array
        `counts.shape[axis]` is n_bins.
    axis, limit : int
    """
    n_bins = counts.shape[axis]
    step = -(-n_bins // limit) if n_bins else 1
    if step == 1:
        return edges, counts
    starts = np.arange(0, n_bins, step)
    return np.append(edges[starts], edges[-1]), np.add.reduceat(counts, starts, axis=axis)


def frame(edges: Array, counts: Array, keep: Array) -> tuple[float, float]:
    """Return the interval of whole bins that holds all but 0.1 % of the rows on either side.

    Parameters
    ----------
    edges : array of shape (n_bins + 1,)
    counts : array of shape (n_bins,)
    keep : array
        Positions that are shown too, unless they lie far beyond the edges.
    """
    total = counts.sum()
    if not total > 0:
        return float(edges[0]), float(edges[-1])
    below = np.cumsum(counts) / total
    first = int(np.searchsorted(below, OUTSIDE, side="right"))
    last = int(np.searchsorted(below, 1 - OUTSIDE, side="left"))
    low, high = edges[first], edges[min(last + 1, len(counts))]
    reach = keep[np.isfinite(keep)]
    if reach.size:
        margin = BEYOND * (edges[-1] - edges[0])
        low = max(min(low, reach.min()), edges[0] - margin)
        high = min(max(high, reach.max()), edges[-1] + margin)
    return float(low), float(high)


def usable(edges: Array) -> bool:
    """Whether edges are finite and rise, so that they can be drawn."""
    return len(edges) > 1 and bool(np.isfinite(edges).all() and (np.diff(edges) > 0).all())

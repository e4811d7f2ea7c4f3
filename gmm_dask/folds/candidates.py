"""k-means|| rounds: candidates drawn with probability proportional to squared distance.

References
----------
Bahmani, Moseley, Vattani, Kumar and Vassilvitskii 2012, Proc. VLDB 5:622, Algorithm 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask import draws
from gmm_dask.blocks import Block, FloatArray, Frame
from gmm_dask.folds.rows import RowShare, observed
from gmm_dask.folds.sample import smallest
from gmm_dask.kernels import table
from gmm_dask.kernels.types import GaussianPrepared
from gmm_dask.stats import Fold

TILE = 4096


class Drawn(NamedTuple):
    """Cost of the present candidates and rows that may join them."""

    cost: FloatArray
    """() sum of squared distances to the nearest candidate, phi of the paper."""
    nearest: FloatArray
    """(m,) rows nearest to each candidate."""
    key: FloatArray
    """(j,) random number over squared distance: a row is drawn when it is below size / cost."""
    rows: FloatArray
    """(j, D) in the frame."""


@dataclass(frozen=True)
class Candidates(Fold[table.Ready, Drawn, Drawn]):
    """One round: the cost of the candidates and the rows drawn next, in a single pass.

    The paper draws a row with probability ``size * d^2 / cost`` and needs the cost first. Here
    each row carries ``u / d^2`` with its uniform number u, the smallest are kept, and those below
    ``size / cost`` are the draw once the cost is known. Where rows have weights, d^2 is that times
    the weight.

    Parameters
    ----------
    frame : Frame
    centres : (m, D)
        Present candidates, in the frame.
    metric : (D, D)
        Rows and candidates are compared as ``|(y - c) @ metric|``.
    size : int
        Expected number of rows drawn, the oversampling factor l of the paper.
    seed, restart, round : int
        Key of the draws.
    rows : RowShare, optional
    """

    frame: Frame
    centres: FloatArray
    metric: FloatArray
    size: int
    seed: int
    restart: int
    round: int
    rows: RowShare | None = None

    def prepare(self) -> table.Ready:
        """Choose the kernel of nearest candidates."""
        m = len(self.centres)
        scales = self.frame.shift, self.frame.scale
        round_ones = GaussianPrepared(
            "spherical", *scales, np.ascontiguousarray(self.centres), np.ones(m), np.zeros(m)
        )
        return table.ready_nearest(round_ones, self.metric)

    def measure(self, prepared: table.Ready, block: Block) -> Drawn:
        """Return cost, counts and the most likely draws of one block."""
        m, D = self.centres.shape
        drawn = Drawn(np.zeros(()), np.zeros(m), np.empty(0), np.empty((0, D)))
        for lo in range(0, len(block), TILE):
            tile = Block(block.values[lo : lo + TILE], block.start + lo)
            drawn = self.merge(drawn, self._tile(prepared, tile))
        return drawn

    def _tile(self, prepared: table.Ready, tile: Block) -> Drawn:
        hi = tile.start + len(tile)
        uniform = draws.uniform(self.seed, f"k-means|| {self.round}", self.restart, tile.start, hi)
        if self.rows is not None:
            uniform = uniform[self.rows.mask(tile)]
        found = observed(self.rows, tile)
        rows, weight = self.frame.forward(found.values), found.sample_weight
        assigned = table.assign(prepared, found.values)
        nearest = np.maximum(-assigned.log_prob_norm, 0.0)
        if weight is not None:
            nearest = nearest * weight
        with np.errstate(divide="ignore", invalid="ignore"):
            key = np.where(nearest > 0, uniform / nearest, np.inf)
        kept = smallest(key, self.kept)
        count = np.bincount(assigned.label, weight, minlength=len(self.centres))
        return Drawn(np.asarray(nearest.sum()), count.astype(np.float64), key[kept], rows[kept])

    @property
    def kept(self) -> int:
        """Rows kept for a draw of expected `size`: more are wanted with probability below 1e-9."""
        return self.size + 6 * math.isqrt(self.size) + 20

    def merge(self, a: Drawn, b: Drawn) -> Drawn:
        """Add costs and counts; keep the smallest keys."""
        key = np.concatenate([a.key, b.key])
        kept = smallest(key, self.kept)
        rows = np.concatenate([a.rows, b.rows])[kept]
        return Drawn(a.cost + b.cost, a.nearest + b.nearest, key[kept], rows)

    def finish(self, stats: Drawn) -> Drawn:
        """Return only the rows that are drawn."""
        if stats.cost <= 0:
            return stats._replace(key=stats.key[:0], rows=stats.rows[:0])
        drawn = stats.key < self.size / float(stats.cost)
        return stats._replace(key=stats.key[drawn], rows=stats.rows[drawn])

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of the kernel, and of one tile's rows and distances."""
        m, D = self.centres.shape
        return int(table.working_bytes("spherical", m, D) + 8 * min(rows, TILE) * (6 + 4 * D))

    @property
    def stats_bytes(self) -> int:
        """Bytes of counts and kept rows."""
        m, D = self.centres.shape
        return int(8 * (1 + m + self.kept * (1 + D)))

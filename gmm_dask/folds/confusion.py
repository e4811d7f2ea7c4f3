"""How the labels of several mixtures go together: counts of rows, so no labels are stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmm_dask.blocks import Block, FloatArray, IntArray
from gmm_dask.folds import assigned
from gmm_dask.folds.e_step import observed_bytes
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.observed import Observer
from gmm_dask.stats import Fold

TILE = 4096

Counts = tuple[FloatArray, ...]


@dataclass(frozen=True)
class Confusion(Fold[tuple[Prepared | Observer, ...], Counts, Counts]):
    """Confusion counts of the hard labels of pairs of mixtures.

    Each mixture labels a row once, however many pairs it is in. The answer holds, for the pair
    (a, b), an array (K_a, K_b): the rows that a gives to its component i and b to its component j.
    A row of positive weight counts once, whatever its weight: asked is which rows go together.
    So counts are whole numbers, exact in float64 up to 2^53 rows, and every order of merging
    gives the same bits.

    Parameters
    ----------
    mixtures : tuple of Mixture
    pairs : tuple of (int, int)
        Positions in `mixtures`.
    rows : RowShare, optional
        All rows by default.
    """

    mixtures: tuple[Mixture, ...]
    pairs: tuple[tuple[int, int], ...]
    rows: RowShare | None = None

    def prepare(self) -> tuple[Prepared | Observer, ...]:
        """Factorise all covariances."""
        return tuple(assigned.prepare(mixture, self.rows) for mixture in self.mixtures)

    def measure(self, prepared: tuple[Prepared | Observer, ...], block: Block) -> Counts:
        """Return the counts of one block, tile by tile."""
        shapes = self._shapes
        counts: list[IntArray] = [np.zeros(a * b, dtype=np.int64) for a, b in shapes]
        for lo in range(0, len(block), TILE):
            tile = Block(block.values[lo : lo + TILE], block.start + lo)
            labels = [self._labels(one, tile) for one in prepared]
            for count, (a, b), (_, width) in zip(counts, self.pairs, shapes, strict=True):
                count += np.bincount(labels[a] * width + labels[b], minlength=len(count))
        pairs = zip(counts, shapes, strict=True)
        return tuple(count.reshape(shape).astype(np.float64) for count, shape in pairs)

    def _labels(self, prepared: Prepared | Observer, tile: Block) -> IntArray:
        found = assigned.assign(prepared, self.rows, tile)
        return found.label[found.weight > 0]

    def finish(self, stats: Counts) -> Counts:
        """Return the counts."""
        return stats

    @property
    def _shapes(self) -> tuple[tuple[int, int], ...]:
        sizes = [mixture.n_components for mixture in self.mixtures]
        return tuple((sizes[a], sizes[b]) for a, b in self.pairs)

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile's labels, of the kernel and of the counts in the making."""
        kernels = (
            table.working_bytes(m.family.covariance_type, m.n_components, m.n_columns)
            for m in self.mixtures
        )
        tile = min(rows, TILE)
        labels = 8 * tile * (len(self.mixtures) + 10)  # 10: what `assign` itself holds
        labels += max((observed_bytes(m, self.rows, tile) for m in self.mixtures), default=0)
        largest = max((a * b for a, b in self._shapes), default=0)
        return max(kernels, default=0) + labels + self.stats_bytes + 8 * largest

    @property
    def stats_bytes(self) -> int:
        """Bytes of all counts."""
        return sum(8 * a * b for a, b in self._shapes)

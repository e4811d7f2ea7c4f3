"""A random sample of whole rows, the same whatever the blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask import draws
from gmm_dask.blocks import Block, FloatArray
from gmm_dask.folds.rows import RowShare
from gmm_dask.stats import Fold


class SampleRows(NamedTuple):
    """Rows with the smallest random numbers, in the order of these numbers."""

    key: FloatArray
    """(m,) in [0, 1)."""
    values: FloatArray
    """(m, D) source units."""


@dataclass(frozen=True)
class Sample(Fold[None, SampleRows, SampleRows]):
    """`size` rows drawn without replacement, or all where there are fewer.

    Each absolute row has a random number; the rows with the smallest are the sample. So samples
    of one seed are nested: a larger one contains the smaller. Rows with weights are drawn in
    proportion to them.

    Parameters
    ----------
    size : int
    n_columns : int
        Numbers of a row.
    seed : int
    rows : RowShare, optional

    References
    ----------
    Efraimidis and Spirakis 2006, Inf. Process. Lett. 97:181 (weights).
    """

    size: int
    n_columns: int
    seed: int
    rows: RowShare | None = None

    def prepare(self) -> None:
        """Nothing is needed."""

    def measure(self, prepared: None, block: Block) -> SampleRows:  # noqa: ARG002
        """Return the rows of one block that may belong to the sample."""
        if not len(block):
            return SampleRows(np.empty(0), np.empty((0, self.n_columns)))
        key = draws.uniform(self.seed, "sample", 0, block.start, block.start + len(block))
        if self.rows is not None:
            key = np.where(self.rows.mask(block), self._weighted(key, block), np.inf)
        chosen = smallest(key, self.size)
        return SampleRows(key[chosen], block.values[chosen].astype(np.float64))

    def _weighted(self, key: FloatArray, block: Block) -> FloatArray:
        """Return keys of which a row of twice the weight has twice the chance to be small."""
        layout = self.rows.layout if self.rows is not None else None
        if layout is None or not layout.sample_weight:
            return key
        weight = layout.split(block.values).sample_weight
        with np.errstate(divide="ignore"):  # rows of weight 0 are never drawn
            return -np.log1p(-key) / weight

    def merge(self, a: SampleRows, b: SampleRows) -> SampleRows:
        """Keep the smallest numbers of both."""
        key = np.concatenate([a.key, b.key])
        chosen = smallest(key, self.size)
        return SampleRows(key[chosen], np.concatenate([a.values, b.values])[chosen])

    def finish(self, stats: SampleRows) -> SampleRows:
        """Return the sample."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of the random numbers and their order."""
        return 24 * rows

    @property
    def stats_bytes(self) -> int:
        """Bytes of a full sample."""
        return 8 * self.size * (1 + self.n_columns)


def smallest(key: FloatArray, size: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the positions of the `size` smallest finite keys, in ascending order of key."""
    order = np.argsort(key, kind="stable")[:size]
    return order[np.isfinite(key[order])]

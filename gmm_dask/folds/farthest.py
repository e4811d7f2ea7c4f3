"""The rows farthest from their nearest centre: where clusters that lost all rows begin again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray, IntArray
from gmm_dask.folds.rows import RowShare, observed
from gmm_dask.folds.sample import smallest
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture
from gmm_dask.stats import Fold


class FarRows(NamedTuple):
    """Rows in the order of their distance, the farthest first; of equals the first in the data."""

    distance: FloatArray
    """(m,) squared, in the metric."""
    label: IntArray
    """(m,) nearest centre."""
    weight: FloatArray
    """(m,) of the row, 1 where rows have none."""
    values: FloatArray
    """(m, D) in the frame."""


@dataclass(frozen=True)
class Farthest(Fold[table.Ready, FarRows, FarRows]):
    """The rows farthest from their nearest centre.

    Parameters
    ----------
    mixture : Mixture
        Its means are the centres.
    metric : (D, m)
        Rows y and centres c of the frame are compared as ``|(y - c) @ metric|``.
    size : int
        How many rows.
    rows : RowShare, optional
        Rows of weight 0 are left out.
    """

    mixture: Mixture
    metric: FloatArray
    size: int
    rows: RowShare | None = None

    def prepare(self) -> table.Ready:
        """Choose the kernel."""
        return table.ready_nearest(self.mixture.prepare().family, self.metric)

    def measure(self, prepared: table.Ready, block: Block) -> FarRows:
        """Return the farthest rows of one block."""
        rows = observed(self.rows, block)
        found = table.assign(prepared, rows.values)
        weight = np.ones(len(rows.values)) if rows.sample_weight is None else rows.sample_weight
        distance = -found.log_prob_norm
        kept = smallest(np.where(weight > 0, -distance, np.inf), self.size)
        values = self.mixture.frame.forward(rows.values[kept])
        return FarRows(distance[kept], found.label[kept], weight[kept], values)

    def merge(self, a: FarRows, b: FarRows) -> FarRows:
        """Keep the farthest of both."""
        both = [np.concatenate(pair) for pair in zip(a, b, strict=True)]
        kept = smallest(-both[0], self.size)
        return FarRows(*(part[kept] for part in both))

    def finish(self, stats: FarRows) -> FarRows:
        """Return the rows."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of the kernel, and of four numbers a row."""
        K, D = self.mixture.n_components, self.mixture.n_columns
        return table.working_bytes("spherical", K, D) + 64 * rows

    @property
    def stats_bytes(self) -> int:
        """Bytes of the rows kept."""
        return 8 * self.size * (3 + self.mixture.n_columns)

"""The map of an embedding that took no part in the fit (a UMAP), by component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gmm_dask import Block, Fold, Mixture, RowLayout, Source
from pipeline.stages.figures import FloatArray
from pipeline.stages.seen import Sight, labels_of
from pipeline.stages.transform import Transform


@dataclass(frozen=True)
class EmbeddingCounts(Fold[Any, tuple[FloatArray], FloatArray]):
    """Two-dimensional histogram of an embedding for each component.

    Parameters
    ----------
    mixture : Mixture
    transform : Transform
    embedding : Source
        Two columns, the rows of the source in the same order.
    x_edges, y_edges : arrays
    layout : RowLayout, optional
        Of the rows of the source; rows without any value are on no map.
    """

    mixture: Mixture
    transform: Transform
    embedding: Source
    x_edges: FloatArray
    y_edges: FloatArray
    layout: RowLayout | None = None

    @property
    def sight(self) -> Sight:
        """The mixture with the way to it."""
        return Sight(self.mixture, self.transform, self.layout)

    def prepare(self) -> Any:
        """Factorise the covariances."""
        return self.sight.prepare()

    def measure(self, prepared: Any, block: Block) -> tuple[FloatArray]:
        """Return the counts (K, n_x, n_y) of one block."""
        labels = labels_of(self.sight.see(prepared, block.values, block.start)).astype(np.float64)
        places = self.embedding.read(block.start, block.start + len(block)).values
        points = np.column_stack([labels, places.astype(np.float64)])
        by_label = np.arange(self.mixture.n_components + 1) - 0.5
        return (np.histogramdd(points, bins=[by_label, self.x_edges, self.y_edges])[0],)

    def finish(self, stats: tuple[FloatArray]) -> FloatArray:
        """Return the counts."""
        return stats[0]

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of responsibilities and places."""
        return 8 * rows * (3 * self.mixture.n_components + len(self.transform.before) + 8)

    @property
    def stats_bytes(self) -> int:
        """Bytes of the counts."""
        cells = (len(self.x_edges) - 1) * (len(self.y_edges) - 1)
        return 8 * self.mixture.n_components * cells


def medians(counts: FloatArray, x_edges: FloatArray, y_edges: FloatArray) -> FloatArray:
    """Return the median place of each component (K, 2), to the width of a bin; nan without rows."""
    across = [(counts.sum(axis=2), x_edges), (counts.sum(axis=1), y_edges)]
    return np.column_stack([_median(marginal, edges) for marginal, edges in across])


def _median(marginal: FloatArray, edges: FloatArray) -> FloatArray:
    total = marginal.sum(axis=1)
    half = marginal.cumsum(axis=1) >= 0.5 * total[:, None]
    middle: FloatArray = 0.5 * (edges[:-1] + edges[1:])
    return np.where(total > 0, middle[half.argmax(axis=1)], np.nan)

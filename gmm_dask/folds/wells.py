"""What the wells of a plate say, by well: likelihood, counts, and how certain the classes are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray
from gmm_dask.folds.e_step import observed_bytes
from gmm_dask.folds.rows import RowShare, observed
from gmm_dask.measuring import observer_of
from gmm_dask.mixture import Mixture
from gmm_dask.observed import Observer
from gmm_dask.stats import Fold


class WellSums(NamedTuple):
    """Sums over the rows of each group (well)."""

    n_rows: FloatArray
    """(G,) sum of row weights."""
    log_likelihood: FloatArray
    """(G,) natural log, source units."""
    count: FloatArray  # type: ignore[assignment]  # the field's own name, over tuple.count
    """(G, K) of responsibilities."""
    squares: FloatArray
    """(G, K, K) of products of two responsibilities of the same row."""
    ambiguous: FloatArray
    """(G,) rows whose largest responsibility is below the threshold."""


@dataclass(frozen=True)
class Wells(Fold[Observer, WellSums, WellSums]):
    """Sums by group under a mixture.

    Parameters
    ----------
    mixture : Mixture
        With weights of each group.
    rows : RowShare, optional
    threshold : float
        Rows whose largest responsibility is below are ambiguous.
    """

    mixture: Mixture
    rows: RowShare | None = None
    threshold: float = 0.9

    def prepare(self) -> Observer:
        """Return what measures rows of any kind."""
        return observer_of(self.mixture)

    def measure(self, prepared: Observer, block: Block) -> WellSums:
        """Return the sums of one block."""
        found = observed(self.rows, block)
        G, K = self.mixture.weights.shape
        log_norm, resp = prepared.posterior(found)
        n = len(resp)
        weight = np.ones(n) if found.sample_weight is None else found.sample_weight
        group = np.zeros(n, dtype=np.int64) if found.group is None else found.group
        count, squares = np.zeros((G, K)), np.zeros((G, K, K))
        for g in np.unique(group):
            of_g = resp[group == g]
            weighted = of_g * weight[group == g, None]
            count[g], squares[g] = weighted.sum(axis=0), weighted.T @ of_g
        unsure = resp.max(axis=1, initial=0.0) < self.threshold
        rows, likelihood, ambiguous = (
            np.bincount(group, w, G).astype(np.float64)
            for w in (weight, weight * log_norm, weight * unsure)
        )
        return WellSums(rows, likelihood, count, squares, ambiguous)

    def finish(self, stats: WellSums) -> WellSums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of responsibilities, and of rows taken apart."""
        K = self.mixture.n_components
        return 8 * rows * (3 * K + 8) + observed_bytes(self.mixture, self.rows, rows)

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        G, K = self.mixture.weights.shape
        return int(8 * G * (3 + K + K * K))

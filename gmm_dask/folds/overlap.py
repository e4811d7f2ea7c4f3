"""How far components share rows, and how far each one's own rows are from Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray, Observed
from gmm_dask.folds import assigned
from gmm_dask.folds.e_step import observed_bytes
from gmm_dask.folds.rows import RowShare, check_finite_rows, observed
from gmm_dask.kernels import table
from gmm_dask.kernels.reference import frame_rows, whiten
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.observed import Observer
from gmm_dask.stats import Fold
from gmm_dask.tree import add

TILE = 4096
FARTHEST = 30.0
"""Standard deviations (times the root of D) to which rows are drawn in: fourth powers of a few
outliers must not decide which component is split."""


class OverlapSums(NamedTuple):
    """Sums over rows; z are rows whitened by component k, r its responsibilities.

    Each row counts by its weight. Rows with missing values count in the first four only; errors
    of the rows are not taken off z, which is for ranking.
    """

    n_rows: FloatArray
    """() sum of row weights; of rows, where they have none."""
    log_likelihood: FloatArray
    """() natural log, source units."""
    shared: FloatArray
    """(K, K): r_i r_j."""
    count: FloatArray  # type: ignore[assignment]  # the field's own name, over tuple.count
    """(K,): r."""
    first: FloatArray
    """(K, D): r z."""
    second: FloatArray
    """(K, D, D): r z z^T."""
    third: FloatArray
    """(K, D): r |z|^2 z."""
    fourth: FloatArray
    """(K, D, D): r |z|^2 z z^T."""


class Ready(NamedTuple):
    """Constants of a pass."""

    plain: Prepared
    rows: Prepared | Observer
    """What gives responsibilities to the rows as they are."""


@dataclass(frozen=True)
class Overlap(Fold[Ready, OverlapSums, OverlapSums]):
    """What split-and-merge asks about a mixture.

    Parameters
    ----------
    mixture : Mixture
    rows : RowShare, optional

    References
    ----------
    Ueda, Nakano, Ghahramani and Hinton 2000, Neural Comput. 12:2109 (products of
    responsibilities); Cardoso 1989, ICASSP, 2109 (the fourth moments).
    """

    mixture: Mixture
    rows: RowShare | None = None

    def prepare(self) -> Ready:
        """Factorise the covariances."""
        return Ready(self.mixture.prepare(), assigned.prepare(self.mixture, self.rows))

    def measure(self, prepared: Ready, block: Block) -> OverlapSums:
        """Return the sums of one block, tile by tile."""
        sums = self._none()
        for lo in range(0, len(block), TILE):
            tile = Block(block.values[lo : lo + TILE], block.start + lo)
            sums = add(sums, self._tile(prepared, tile))
        return sums

    def _none(self) -> OverlapSums:
        K, D = self.mixture.n_components, self.mixture.n_columns
        shapes = ((), (), (K, K), (K,), (K, D), (K, D, D), (K, D), (K, D, D))
        return OverlapSums(*(np.zeros(shape) for shape in shapes))

    def _tile(self, prepared: Ready, block: Block) -> OverlapSums:
        rows = observed(self.rows, block)
        log_prob_norm, resp = _posterior(prepared, rows, block.start)
        weight = np.ones(len(resp)) if rows.sample_weight is None else rows.sample_weight
        weighted = resp * weight[:, None]
        whole = np.isfinite(rows.values).all(axis=1)
        values = rows.values
        if rows.projection is not None:  # no row has values of the columns
            whole, values = (
                np.zeros(len(values), dtype=bool),
                np.empty((len(values), self.mixture.n_columns)),
            )
        y, share = frame_rows(prepared.plain.family, values[whole]), weighted[whole]
        moments = [
            _moments(whiten(prepared.plain.family, y, k), share[:, k]) for k in range(resp.shape[1])
        ]
        return OverlapSums(
            np.asarray(weight.sum()),
            np.asarray(weight @ log_prob_norm),
            weighted.T @ resp,
            weighted.sum(axis=0),
            *(np.stack(part) for part in zip(*moments, strict=True)),
        )

    def finish(self, stats: OverlapSums) -> OverlapSums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile: responsibilities and one component's whitened rows."""
        K, D = self.mixture.n_components, self.mixture.n_columns
        kernel = table.working_bytes(self.mixture.family.covariance_type, K, D)
        tile = min(rows, TILE)
        of_rows = observed_bytes(self.mixture, self.rows, tile)
        return kernel + 8 * tile * (4 * K + 6 * D) + 3 * self.stats_bytes + of_rows

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        K, D = self.mixture.n_components, self.mixture.n_columns
        return 8 * (2 + K * K + K + 2 * K * D + 2 * K * D * D)


def _posterior(prepared: Ready, rows: Observed, start: int) -> tuple[FloatArray, FloatArray]:
    """Return log densities (n,), source units, and responsibilities (n, K)."""
    if isinstance(prepared.rows, Observer):
        return prepared.rows.posterior(rows)
    check_finite_rows(rows.values, start)
    log_prob_norm, resp = table.posterior(prepared.rows.ready, rows.values)
    return log_prob_norm - prepared.rows.log_scale, resp


def _moments(z: FloatArray, resp: FloatArray) -> tuple[FloatArray, ...]:
    """Return the four sums of one component."""
    with np.errstate(over="ignore"):
        length = np.sqrt(np.einsum("nd,nd->n", z, z))
    farthest = FARTHEST * np.sqrt(z.shape[1])
    z = z * np.minimum(1.0, farthest / np.maximum(length, farthest))[:, None]
    square = np.minimum(length, farthest) ** 2
    weighted = z * resp[:, None]
    far = weighted * square[:, None]
    return weighted.sum(axis=0), weighted.T @ z, far.sum(axis=0), far.T @ z

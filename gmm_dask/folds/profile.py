"""How rows look to a mixture, batch by batch: what drift is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, BoolArray, FloatArray, Observed
from gmm_dask.folds.e_step import observed_bytes
from gmm_dask.folds.rows import RowShare, check_finite_rows, check_observed, is_plain, observed
from gmm_dask.folds.score import posterior
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.observed import Observer
from gmm_dask.stats import Fold
from gmm_dask.tree import add

TILE = 4096


class ProfileSums(NamedTuple):
    """Sums over the rows of B batches; a row counts by its weight."""

    n_rows: FloatArray
    """(B,)."""
    first: FloatArray
    """(B,) log density less `Profiled.about`."""
    second: FloatArray
    """(B,) its square."""
    resp: FloatArray
    """(B, K)."""
    resp_square: FloatArray
    """(B, K)."""
    n_complete: FloatArray
    """(B,) complete rows without errors."""
    below: FloatArray
    """(B,) of these, rows below the density level."""


@dataclass(frozen=True)
class Profiled(Fold[Prepared | Observer, ProfileSums, ProfileSums]):
    """Log densities, weights and low densities of rows, by batch.

    Parameters
    ----------
    mixture : Mixture
    about : float
        A log density near the mean, so that squares do not cancel.
    level : float
        Log density, source units.
    batch_rows : int
        Absolute rows of a batch.
    n_batches : int
        Later rows belong to the last one.
    rows : RowShare, optional
    """

    mixture: Mixture
    about: float
    level: float
    batch_rows: int
    n_batches: int = 1
    rows: RowShare | None = None

    def prepare(self) -> Prepared | Observer:
        """Factorise the covariances."""
        return self.mixture.prepare() if is_plain(self.rows) else Observer(self.mixture)

    def measure(self, prepared: Prepared | Observer, block: Block) -> ProfileSums:
        """Return the sums of one block, tile by tile."""
        B, K = self.n_batches, self.mixture.n_components
        shapes = ((B,), (B,), (B,), (B, K), (B, K), (B,), (B,))
        sums = ProfileSums(*(np.zeros(shape) for shape in shapes))
        for lo in range(0, len(block), TILE):
            tile = Block(block.values[lo : lo + TILE], block.start + lo)
            sums = add(sums, self._tile(prepared, tile))
        return sums

    def _tile(self, prepared: Prepared | Observer, tile: Block) -> ProfileSums:
        looked = np.full(len(tile), True) if self.rows is None else self.rows.mask(tile)
        rows, number = observed(self.rows, tile), tile.row[looked]
        check_finite_rows(self._shown(rows), tile.start)
        check_observed(rows, number)
        if isinstance(prepared, Observer):
            log_density, resp = prepared.posterior(rows)
        else:
            log_density, resp = posterior(prepared, np.ascontiguousarray(rows.values))
        a = np.ones(len(resp)) if rows.sample_weight is None else rows.sample_weight
        holes = np.isnan(rows.values)
        blank = np.asarray(holes.all(axis=1))
        a = np.where(blank, 0.0, a)  # a row without any value says nothing
        batch = np.minimum(number // self.batch_rows, self.n_batches - 1)
        member = batch[:, None] == np.arange(self.n_batches)
        return self._sums(member * a[:, None], log_density, resp, self._whole(rows, holes))

    def _shown(self, rows: Observed) -> FloatArray:
        layout = self.rows.layout if self.rows is not None else None
        if layout is None or not layout.missing:
            return rows.values
        return np.where(np.isnan(rows.values), 0.0, rows.values)

    def _whole(self, rows: Observed, holes: BoolArray) -> BoolArray:
        whole: BoolArray = np.logical_not(holes.any(axis=1))
        return whole if rows.noise is None else np.zeros_like(whole)

    def _sums(
        self, member: FloatArray, log_density: FloatArray, resp: FloatArray, whole: BoolArray
    ) -> ProfileSums:
        """Return the sums of rows whose weights (n, B) stand in the column of their batch."""
        off = log_density - self.about
        return ProfileSums(
            member.sum(axis=0),
            off @ member,
            off**2 @ member,
            member.T @ resp,
            member.T @ resp**2,
            whole @ member,
            (whole & (log_density < self.level)) @ member,
        )

    def finish(self, stats: ProfileSums) -> ProfileSums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile."""
        kind = self.mixture.family.covariance_type
        K, D = self.mixture.n_components, self.mixture.n_columns
        n = min(rows, TILE)
        held = observed_bytes(self.mixture, self.rows, n) + 2 * self.stats_bytes
        return table.working_bytes(kind, K, D) + 8 * n * (3 * K + 2 * D + 3 * self.n_batches) + held

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        return 8 * self.n_batches * (5 + 2 * self.mixture.n_components)

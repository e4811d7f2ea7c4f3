"""Whether rows lie where a mixture says: distances, probability integrals, low densities.

References
----------
Rosenblatt 1952, Ann. Math. Stat. 23:470 (probability integrals of several columns); Hyndman 1996,
Am. Stat. 50:120 (regions of highest density).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from scipy.stats import chi2

from gmm_dask.blocks import Block, BoolArray, FloatArray, IntArray, Observed
from gmm_dask.folds.e_step import observed_bytes
from gmm_dask.folds.rows import (
    RowShare,
    check_finite_rows,
    check_observed,
    is_plain,
    observed,
)
from gmm_dask.folds.whitened import whitened
from gmm_dask.kernels.reference import log_sum_exp
from gmm_dask.marginals import Marginal
from gmm_dask.mixture import Mixture
from gmm_dask.observed import Observer
from gmm_dask.pieces import patterns, taken
from gmm_dask.stats import Fold
from gmm_dask.tree import add

BEYOND = (*(np.arange(9, 0, -1) / 10).tolist(), 0.05, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Probability beyond each edge of the bins of distances: deciles, then the tail."""
PROBABILITIES = -np.diff([1.0, *BEYOND, 0.0])
"""(B,) of a component's rows in each bin."""
PIT_BINS = 400
TILE = 4096
LEAST_TILE = 256
TILE_NUMBERS = 2**19
"""Whitened values that a tile may hold: 4 MiB."""


class TailSums(NamedTuple):
    """Sums over rows with a value; a row counts by its weight."""

    n_rows: FloatArray
    """()."""
    log_likelihood: FloatArray
    """() of what was observed, source units."""
    mass: FloatArray
    """(K, B) responsibilities by bin of squared Mahalanobis distance."""
    squares: FloatArray
    """(K, B) squared responsibilities, for the spread of `mass`."""
    pit: FloatArray
    """(D, 400) rows of a random share by probability integral of each column."""
    n_complete: FloatArray
    """() rows that are complete and without errors: the only ones with common density levels."""
    below: FloatArray
    """(L,) of these, rows whose log density lies below each level."""


@dataclass(frozen=True)
class Tails(Fold[Observer, TailSums, TailSums]):
    """Where the rows lie, against where a mixture expects them.

    Parameters
    ----------
    mixture : Mixture
    levels : tuple of L float
        Log densities, source units, descending.
    rows : RowShare, optional
    pit_share : float
        Share of the rows, at random, whose probability integrals are taken: they cost K x D
        normal integrals a row.
    seed : int
        Of that share.
    """

    mixture: Mixture
    levels: tuple[float, ...] = ()
    rows: RowShare | None = None
    pit_share: float = 1.0
    seed: int = 0

    def prepare(self) -> Observer:
        """Return what measures rows with holes and noise."""
        return Observer(self.mixture)

    def measure(self, prepared: Observer, block: Block) -> TailSums:
        """Return the sums of one block, tile by tile."""
        share = RowShare(self.seed, "probability integrals", self.pit_share)
        sums = self._none()
        for lo in range(0, len(block), self._tile):
            tile = Block(block.values[lo : lo + self._tile], block.start + lo)
            looked = np.full(len(tile), True) if self.rows is None else self.rows.mask(tile)
            rows, integrated = self._checked(tile, looked), share.mask(tile)[looked]
            for columns, places in patterns(rows.values):
                if len(columns):
                    part, model = taken(rows, places, columns), prepared.marginal(columns)
                    sums = add(sums, self._group(model, part, columns, integrated[places]))
        return sums

    @property
    def _tile(self) -> int:
        numbers = self.mixture.n_components * self.mixture.n_columns
        return min(max(TILE_NUMBERS // numbers, LEAST_TILE), TILE)

    def _checked(self, tile: Block, looked: BoolArray) -> Observed:
        rows = observed(self.rows, tile)
        layout = self.rows.layout if self.rows is not None else None
        missing = layout is not None and layout.missing
        finite = np.where(np.isnan(rows.values), 0.0, rows.values) if missing else rows.values
        check_finite_rows(finite, tile.start)
        check_observed(rows, tile.row[looked])
        return rows

    def _none(self) -> TailSums:
        K, D = self.mixture.n_components, self.mixture.n_columns
        bins, levels = (K, len(PROBABILITIES)), (len(self.levels),)
        shapes = ((), (), bins, bins, (D, PIT_BINS), (), levels)
        return TailSums(*(np.zeros(shape) for shape in shapes))

    def _group(
        self, model: Marginal, part: Observed, columns: IntArray, chosen: BoolArray
    ) -> TailSums:
        """Return the sums of rows with the same columns."""
        n, K = len(part.values), self.mixture.n_components
        a = np.ones(n) if part.sample_weight is None else part.sample_weight
        seen = [whitened(model, k, part) for k in range(K)]
        square = np.stack([np.einsum("nd,nd->n", w.z, w.z) for w in seen], axis=1)
        spread = np.stack([np.broadcast_to(w.log_deviation.sum(axis=1), n) for w in seen], axis=1)
        joint = model.noisy.log_weights - 0.5 * square - spread
        norm = log_sum_exp(joint)
        resp = np.exp(joint - norm[:, None])
        constant = 0.5 * len(columns) * np.log(2 * np.pi) + np.log(model.prepared.scale).sum()
        log_density = norm - constant
        mass, squares = _by_distance(square, resp, a, len(columns))
        integrals = np.zeros((self.mixture.n_columns, PIT_BINS))
        z = np.stack([w.z[chosen] for w in seen])
        logs = np.stack([np.broadcast_to(w.log_deviation, w.z.shape)[chosen] for w in seen])
        integrals[columns] = _integrals(model.noisy.log_weights, z, logs, a[chosen])
        whole = len(columns) == self.mixture.n_columns and part.noise is None
        low = [(a * (log_density < level)).sum() * whole for level in self.levels]
        return TailSums(
            np.asarray(a.sum()),
            np.asarray(a @ log_density),
            mass,
            squares,
            integrals,
            np.asarray(a.sum() * whole),
            np.array(low, dtype=np.float64),
        )

    def finish(self, stats: TailSums) -> TailSums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile, whitened by every component."""
        K, D = self.mixture.n_components, self.mixture.n_columns
        noisy = 0 if is_plain(self.rows) else 3 * D * D
        n = min(rows, self._tile)
        held = observed_bytes(self.mixture, self.rows, n) + 3 * self.stats_bytes
        return 8 * n * (6 * K * D + 8 * K + 2 * D + noisy) + held

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        K, D = self.mixture.n_components, self.mixture.n_columns
        return 8 * (3 + 2 * K * len(PROBABILITIES) + D * PIT_BINS + len(self.levels))


@lru_cache(maxsize=256)
def edges(n_columns: int) -> FloatArray:
    """Return the squared distances (B - 1,) between the bins, for rows of so many columns."""
    found: FloatArray = np.asarray(chi2.isf(BEYOND, n_columns), dtype=np.float64)
    return found


def _by_distance(
    square: FloatArray, resp: FloatArray, weight: FloatArray, n_columns: int
) -> tuple[FloatArray, FloatArray]:
    """Return responsibilities and their squares by component and bin, (K, B) each."""
    B = len(PROBABILITIES)
    mass, squares = (np.empty((resp.shape[1], B)) for _ in range(2))
    for k in range(resp.shape[1]):
        where = np.searchsorted(edges(n_columns), square[:, k], side="right")
        mass[k] = np.bincount(where, weight * resp[:, k], minlength=B)
        squares[k] = np.bincount(where, weight * resp[:, k] ** 2, minlength=B)
    return mass, squares


def _integrals(
    log_weights: FloatArray, z: FloatArray, log_deviation: FloatArray, weight: FloatArray
) -> FloatArray:
    """Return histograms (d, 400) of ``P(X_j < x_j | x_1 .. x_(j-1))``, each uniform in truth.

    Parameters
    ----------
    log_weights : (K,)
    z, log_deviation : (K, n, d)
        See `Whitened`.
    weight : (n,)
    """
    counts = np.zeros((z.shape[2], PIT_BINS))
    joint = np.broadcast_to(log_weights[:, None], z.shape[:2])
    for j in range(z.shape[2]):
        share = np.exp(joint - joint.max(axis=0))
        share /= share.sum(axis=0)
        u = (share * ndtr(z[:, :, j])).sum(axis=0)
        where = np.minimum((u * PIT_BINS).astype(np.int64), PIT_BINS - 1)
        counts[j] = np.bincount(where, weight, minlength=PIT_BINS)
        joint = joint - 0.5 * z[:, :, j] ** 2 - log_deviation[:, :, j]
    return counts

"""From a rough grouping of the rows to first moments of a mixture: how starts become models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmm_dask import draws
from gmm_dask.blocks import Block, FloatArray
from gmm_dask.folds.rows import RowShare, observed, select
from gmm_dask.kernels import table
from gmm_dask.kernels.types import EStepSums, zero_sums
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.stats import Fold
from gmm_dask.tree import add

TILE = 4096


@dataclass(frozen=True)
class NearestCentre(Fold[table.Ready, EStepSums, EStepSums]):
    """Moments of the rows by nearest centre (one-hot responsibilities).

    Parameters
    ----------
    mixture : Mixture
        Its means are the centres and the points about which moments are taken.
    metric : (D, m)
        Rows y and centres c of the frame are compared as ``|(y - c) @ metric|``.
    rows : RowShare, optional
    """

    mixture: Mixture
    metric: FloatArray
    rows: RowShare | None = None

    def prepare(self) -> table.Ready:
        """Choose the kernel."""
        return table.ready_nearest(self.mixture.prepare().family, self.metric)

    def measure(self, prepared: table.Ready, block: Block) -> EStepSums:
        """Return the sums of one block; of complete rows, with weights or without."""
        rows = observed(self.rows, block)
        return table.measure(prepared, rows.values, rows.sample_weight)

    def finish(self, stats: EStepSums) -> EStepSums:
        """Return the sums; `log_likelihood` holds minus the sum of squared distances."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile's distances and moments."""
        K, D = self.mixture.n_components, self.mixture.n_columns
        return 8 * min(rows, TILE) * (3 * K + 4 * D)

    @property
    def stats_bytes(self) -> int:
        """Bytes of counts and moments."""
        moments = self.mixture.family.zero_moments(
            self.mixture.n_components, self.mixture.n_columns
        )
        return int(moments.first.nbytes + moments.second.nbytes) + 8 * self.mixture.n_components


@dataclass(frozen=True)
class RandomResp(Fold[Prepared, EStepSums, EStepSums]):
    """Moments of the rows under random responsibilities (scikit-learn's ``random``).

    Parameters
    ----------
    mixture : Mixture
        Its means are the points about which moments are taken.
    seed, restart : int
        Key of the draws.
    rows : RowShare, optional
    """

    mixture: Mixture
    seed: int
    restart: int
    rows: RowShare | None = None

    def prepare(self) -> Prepared:
        """Factorise the covariances (only the means are used)."""
        return self.mixture.prepare()

    def measure(self, prepared: Prepared, block: Block) -> EStepSums:
        """Return the sums of one block."""
        sums = zero_sums(prepared.family)
        for lo in range(0, len(block), TILE):
            tile = Block(block.values[lo : lo + TILE], block.start + lo)
            resp = self._resp(tile)
            if self.rows is not None:
                resp = resp[self.rows.mask(tile)]
            sums = add(sums, sums_of(prepared, select(self.rows, tile), resp, 0.0))
        return sums

    def _resp(self, tile: Block) -> FloatArray:
        K = self.mixture.n_components
        drawn: FloatArray = draws.by_rows(
            lambda g: g.random((draws.CELL, K)),
            self.seed,
            f"random resp {K}",
            self.restart,
            tile.start,
            tile.start + len(tile),
        )
        resp: FloatArray = drawn / drawn.sum(axis=1, keepdims=True)
        return resp

    def finish(self, stats: EStepSums) -> EStepSums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile's draws and moments."""
        K, D = self.mixture.n_components, self.mixture.n_columns
        return 8 * min(rows, TILE) * (4 * K + 4 * D)

    @property
    def stats_bytes(self) -> int:
        """Bytes of counts and moments."""
        return NearestCentre(self.mixture, np.empty((0, 0))).stats_bytes


def sums_of(
    prepared: Prepared, values: FloatArray, resp: FloatArray, objective: float
) -> EStepSums:
    """Return E-step sums of given responsibilities (n, K)."""
    return EStepSums(
        np.asarray(objective),
        np.asarray(float(len(values))),
        resp.sum(axis=0)[None, :],
        table.moments(prepared.family, values, resp),
        np.zeros(()),
    )


def pairwise(rows: FloatArray, centres: FloatArray, metric: FloatArray) -> FloatArray:
    """Return ``|(row - centre) @ metric|^2`` (n, K), one centre at a time so nothing cancels."""
    result = np.empty((len(rows), len(centres)))
    for k, centre in enumerate(centres):
        z = (rows - centre) @ metric
        result[:, k] = np.einsum("ij,ij->i", z, z)
    return result
